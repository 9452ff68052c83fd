"""The places where a crash is worst: before and after each step's effect, by name.

Tests set `hook` to be called at each, and so find the places themselves instead of listing them. In a lab, where the
controller is a process of its own, `RINGFENCE_CRASH_LOG` names a file that is told each point passed, and
`RINGFENCE_CRASH_AT` the point at which this process kills itself. Without either, passing a point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path


def _from_environment(point: str) -> None:
    if log := os.environ.get("RINGFENCE_CRASH_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(point + "\n")
    if os.environ.get("RINGFENCE_CRASH_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


hook: Callable[[str], None] = _from_environment
"""Called with each point passed, `KIND/STEP/before` or `KIND/STEP/after`; looked up anew each time."""


def passed(point: str) -> None:
    """Tell the hook; what it raises goes through."""
    hook(point)
