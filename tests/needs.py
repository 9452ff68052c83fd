"""What some tests need of the machine. `make test` runs every test there is: nothing may be missing there."""

from __future__ import annotations

import os

import pytest


def missing(what: str) -> BaseException:
    """Give what to raise where the machine lacks something: the test is skipped, or fails under RINGFENCE_NEED_LAB."""
    kind = pytest.fail.Exception if "RINGFENCE_NEED_LAB" in os.environ else pytest.skip.Exception
    return kind(what)


def root() -> None:
    """Go on as root only."""
    if os.geteuid() != 0:
        raise missing("it makes namespaces, or reads another process's memory: run it as root")
