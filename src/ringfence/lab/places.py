"""Where the lab keeps things on the machine, and what its names may look like. No effects beyond making folders.

What is built once and kept is under `cache()`. What belongs to one lab is under `/run/ringfence-lab/NAME` (sockets and
its record; short, for a socket's path holds 108 characters) and `/var/lib/ringfence-lab/NAME` (the hosts' disks).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import ringfence
from ringfence.errors import Invalid

RUN = Path("/run/ringfence-lab")
DISK = Path("/var/lib/ringfence-lab")
DEFAULT_NAME = "lab"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def checkout() -> Path:
    """Return the checkout that this code runs from; the lab needs `deploy/` beside `src/`."""
    return Path(ringfence.__file__).resolve().parents[2]


def cache() -> Path:
    """Return the folder of root file systems and guest images, which labs share."""
    chosen = os.environ.get("RINGFENCE_LAB_CACHE")
    return Path(chosen) if chosen else checkout() / "build" / "lab"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and interface names of the lab of one name."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Invalid(field="name", why=f"{self.name!r} is not a lab's name: letters, digits and -, at most 31")

    @property
    def run(self) -> Path:
        return RUN / self.name

    @property
    def record(self) -> Path:
        return self.run / "lab.json"

    @property
    def lock(self) -> Path:
        # Beside the folder, not in it: `down` removes the folder while it holds the lock.
        return RUN / f"{self.name}.lock"

    @property
    def disk(self) -> Path:
        return DISK / self.name

    @property
    def machine_interface(self) -> str:
        """The machine's own end of the wire into the underlay; an interface name holds 15 characters."""
        return f"rf-{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"
