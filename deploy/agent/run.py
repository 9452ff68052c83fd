# ruff: noqa: INP001
"""Starts the packaged agent from its own folder."""

import sys

sys.path.insert(0, "/usr/lib/ringfence-agent")

from ringfence.agent.main import run

sys.exit(run())
