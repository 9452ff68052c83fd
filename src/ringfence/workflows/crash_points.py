"""The places where a crash is worst: before and after each step's effect, by name.

Tests set `hook` to be called at each, and so find the places themselves instead of listing them. In a lab, where the
controller is a process of its own, `RINGFENCE_CRASH_ONCE` names a file: this process kills itself at the first point
that the file does not hold, and adds it. Started again and again, it dies once at every point there is. Without it,
passing a point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path


def _from_environment(point: str) -> None:
    if not (named := os.environ.get("RINGFENCE_CRASH_ONCE")):
        return
    with Path(named).open("a+", encoding="utf-8") as file:
        file.seek(0)
        if point in file.read().splitlines():
            return
        file.write(point + "\n")
    os.kill(os.getpid(), signal.SIGKILL)


hook: Callable[[str], None] = _from_environment
"""Called with each point passed, `KIND/STEP/before` or `KIND/STEP/after`; looked up anew each time."""


def passed(point: str) -> None:
    """Tell the hook; what it raises goes through."""
    hook(point)
