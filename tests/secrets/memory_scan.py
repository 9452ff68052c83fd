"""Reads the whole memory of a process, as the kernel gives it to root, and counts what is looked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 16 << 20
_UNREADABLE = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


@dataclass(frozen=True)
class Region:
    """Where in the process something was found, as /proc/PID/maps names it."""

    start: int
    end: int
    name: str


def regions(pid: int) -> Iterator[Region]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(edge, 16) for edge in fields[0].split("-"))
        name = fields[5] if len(fields) == 6 else "anonymous"
        if "r" in fields[1] and name not in _UNREADABLE:
            yield Region(start, end, name)


def copies(pid: int, needles: Sequence[bytes]) -> dict[bytes, list[str]]:
    """Find every copy of each needle; gives the names of the regions they are in, "" for none."""
    found: dict[bytes, list[str]] = {needle: [] for needle in needles}
    overlap = max(len(needle) for needle in needles) - 1
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for region in regions(pid):
            tail = b""
            for chunk in _chunks(memory, region):
                text = tail + chunk
                for needle in needles:
                    # What lies wholly in the tail was counted with the chunk before.
                    new = text.count(needle) - tail.count(needle)
                    found[needle] += [region.name] * new
                tail = text[-overlap:]
    finally:
        os.close(memory)
    return found


def _chunks(memory: int, region: Region) -> Iterator[bytes]:
    at = region.start
    while at < region.end:
        try:
            chunk = os.pread(memory, min(CHUNK_BYTES, region.end - at), at)
        except OSError:
            # The process gave the pages back since its map was read.
            return
        if not chunk:
            return
        yield chunk
        at += len(chunk)


@contextlib.contextmanager
def plant(pid: int, needle: bytes, name: str) -> Iterator[None]:
    """Write a copy into zero bytes of the process's memory, in a region of this name, and take it away again."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        at = next(at for region in regions(pid) if region.name == name for at in _zeros(memory, region, len(needle)))
        os.pwrite(memory, needle, at)
        try:
            yield
        finally:
            os.pwrite(memory, bytes(len(needle)), at)
    finally:
        os.close(memory)


def _zeros(memory: int, region: Region, length: int) -> Iterator[int]:
    at = region.start
    for chunk in _chunks(memory, region):
        found = chunk.find(bytes(4 * length))
        if found >= 0:
            yield at + found
        at += len(chunk)
