"""Points at which a test can have the agent die as by kill -9: `RINGFENCE_CRASH_AT=VERB/begun`. Nothing else."""

from __future__ import annotations

import os
import signal

_AT = os.environ.get("RINGFENCE_CRASH_AT", "")


def point(name: str) -> None:
    """Die here, if that is what was asked for."""
    if _AT and name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
