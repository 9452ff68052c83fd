"""Read the headers of VMware's VMDK files ("Virtual Disk Format 5.0"): those that carry their whole disk. Pure."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from ringfence.controller.image_window import Window
from ringfence.model.images import ImageRefused

SECTOR = 512
_DESCRIPTOR_LIMIT = 1 << 20
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_EXTENT = re.compile(r"^(RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z0-9]+)\b")
_SETTING = re.compile(r'^([A-Za-z0-9_.]+)\s*=\s*"?([^"]*)"?\s*$')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Sizes and places in sectors."""

    capacity: int
    grain: int
    descriptor: int
    descriptor_length: int
    entries: int
    directory: int


def is_descriptor(start: bytes) -> bool:
    """Tell whether a file that begins so is a VMDK's descriptor in text, with its disk elsewhere."""
    text = start.lstrip()
    return text.startswith(b"# Disk DescriptorFile") or (
        text[:1] in (b"#", b"v") and b"createType" in start and b"version" in start
    )


def virtual_bytes_of_sparse(window: Window) -> int:
    """Read a hosted sparse extent (`monolithicSparse`, `streamOptimized`); gives its disk's size in bytes."""
    header = _header(window, 0)
    if header.directory == _AT_END:
        marker = window.exactly(max(0, window.size - 1536), SECTOR)
        if struct.unpack_from("<QII", marker) != (1, 0, 3):
            raise ImageRefused(why="its vmdk footer is missing; it may be truncated")
        header = _header(window, window.size - 1024)
        if header.directory == _AT_END:
            raise ImageRefused(why="its vmdk footer tells no table")
    # SAFETY: QEMU follows the descriptor of an extent without capacity to other files.
    if header.capacity == 0:
        raise ImageRefused(why="its disk is in other files")
    if not 1 <= header.grain <= 2048 or header.grain & (header.grain - 1) or not 1 <= header.entries <= 512:
        raise ImageRefused(why="its vmdk grains have an unusual size")
    tables = -(-header.capacity // (header.grain * header.entries))
    if header.directory * SECTOR + tables * 4 > window.size:
        raise ImageRefused(why="its vmdk table lies outside the file; it may be truncated")
    _check_descriptor(window, header)
    return header.capacity * SECTOR


def _header(window: Window, offset: int) -> _Header:
    raw = window.exactly(offset, SECTOR)
    if raw[:4] != b"KDMV":
        raise ImageRefused(why="its vmdk footer is missing; it may be truncated")
    version, _flags, capacity, grain, descriptor, length, entries, _copy, directory = struct.unpack_from(
        "<IIQQQQIQQ", raw, 4
    )
    if version not in (1, 2, 3):
        raise ImageRefused(why=f"its vmdk version {version} is not supported")
    return _Header(
        capacity=capacity,
        grain=grain,
        descriptor=descriptor,
        descriptor_length=length,
        entries=entries,
        directory=directory,
    )


def _check_descriptor(window: Window, header: _Header) -> None:  # noqa: C901 - a text is one list of checks
    if header.descriptor == 0 or header.descriptor_length == 0:
        raise ImageRefused(why="it is one of several vmdk files")
    if header.descriptor_length * SECTOR > _DESCRIPTOR_LIMIT:
        raise ImageRefused(why="its vmdk descriptor is too long")
    raw = window.exactly(header.descriptor * SECTOR, header.descriptor_length * SECTOR)
    settings: dict[str, str] = {}
    extents: list[str] = []
    # SAFETY: QEMU searches the whole of the text for the parent's name, behind a NUL too.
    if b"parentFileNameHint" in raw:
        raise ImageRefused(why="it is a difference to another vmdk")
    for line in raw.partition(b"\0")[0].decode("utf-8", errors="replace").splitlines():
        if extent := _EXTENT.match(line.strip()):
            extents.append(extent.group(3))
        elif setting := _SETTING.match(line.strip()):
            settings.setdefault(setting.group(1).lower(), setting.group(2))
    kind = settings.get("createtype", "")
    if kind not in ("monolithicSparse", "streamOptimized"):
        raise ImageRefused(why=f"it is a vmdk of the kind {kind[:40] or 'unknown'}, which is not self-contained")
    if settings.get("parentcid", "").lower() != "ffffffff":
        raise ImageRefused(why="it is a difference to another vmdk")
    if extents != ["SPARSE"]:
        raise ImageRefused(why="its disk is in other files")
    if any(name.startswith("encryption") for name in settings):
        raise ImageRefused(why="it is encrypted")
