"""Read the headers of Microsoft's VHD and VHDX files ([MS-VHDX] and the VHD specification of 2006). Pure."""

from __future__ import annotations

import struct
import uuid

from ringfence.controller.image_window import Window
from ringfence.model.images import ImageRefused

_FIXED, _DYNAMIC = 2, 3
_SIZE_IS_RIGHT = (b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS")
_LARGEST_GEOMETRY = 65535 * 16 * 255 * 512
_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_SECTOR_SIZE = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
_PARENT = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le


def virtual_bytes_of_vhd(window: Window, start: bytes) -> int | None:  # noqa: C901 - a header is one list of checks
    """Give the size in bytes of a VHD's disk, or None if the file is no VHD. The footer at the end decides."""
    dynamic_by_start = start.startswith(b"conectix")
    footer = window.exactly(window.size - 512, 512) if window.size >= 512 else b""
    if not footer.startswith(b"conectix") or not _sum_right(footer, 64):
        if dynamic_by_start:
            raise ImageRefused(why="its vhd footer is missing; it may be truncated")
        return None
    version, header_offset = struct.unpack_from(">IQ", footer, 12)
    (size,) = struct.unpack_from(">Q", footer, 48)
    cylinders, heads, sectors = struct.unpack_from(">HBB", footer, 56)
    (kind,) = struct.unpack_from(">I", footer, 60)
    if version >> 16 != 1:
        raise ImageRefused(why=f"its vhd version {version:#x} is not supported")
    if kind not in (_FIXED, _DYNAMIC):
        raise ImageRefused(why="it is a difference to another vhd, or of an unknown kind")
    # As QEMU does: the geometry is the truth, but for its largest value and for writers known to keep the size right.
    by_geometry = cylinders * heads * sectors * 512
    virtual = size if footer[28:32] in _SIZE_IS_RIGHT or by_geometry == _LARGEST_GEOMETRY else by_geometry
    if kind == _FIXED:
        # A fixed VHD is opened by its first bytes elsewhere; two readings of one file would be two disks.
        if dynamic_by_start or size != window.size - 512:
            raise ImageRefused(why="its vhd footer does not fit the file")
        return int(virtual)
    if not dynamic_by_start or start[:512] != footer:
        raise ImageRefused(why="the two copies of its vhd footer differ")
    header = window.exactly(header_offset, 1024)
    table_offset, _version, entries, block_bytes = struct.unpack_from(">QIII", header, 16)
    if not header.startswith(b"cxsparse") or not _sum_right(header, 36):
        raise ImageRefused(why="its vhd header is damaged")
    if any(header[40:56]) or any(header[576:768]):
        raise ImageRefused(why="it is a difference to another vhd")
    if block_bytes < 512 or block_bytes & (block_bytes - 1) or block_bytes > 256 << 20:
        raise ImageRefused(why="its vhd blocks have an unusual size")
    if entries < -(-size // block_bytes) or table_offset + entries * 4 > window.size:
        raise ImageRefused(why="its vhd table does not fit; it may be truncated")
    return int(virtual)


def virtual_bytes_of_vhdx(window: Window) -> int:
    """Give the size in bytes of a VHDX's disk."""
    _check_vhdx_log(window)
    regions = _regions(window)
    bat_offset, bat_length = regions[_BAT]
    if bat_offset + bat_length > window.size:
        raise ImageRefused(why="its vhdx table lies outside the file; it may be truncated")
    items = _metadata(window, *regions[_METADATA])
    if _PARENT in items:
        raise ImageRefused(why="it is a difference to another vhdx")
    missing = [known for known in (_FILE_PARAMETERS, _DISK_SIZE, _SECTOR_SIZE) if known not in items]
    if missing:
        raise ImageRefused(why="its vhdx metadata is incomplete")
    block_bytes, flags = struct.unpack("<II", window.exactly(items[_FILE_PARAMETERS], 8))
    (size,) = struct.unpack("<Q", window.exactly(items[_DISK_SIZE], 8))
    (sector_bytes,) = struct.unpack("<I", window.exactly(items[_SECTOR_SIZE], 4))
    if flags & 0b10:
        raise ImageRefused(why="it is a difference to another vhdx")
    if sector_bytes != 512:
        raise ImageRefused(why="its sectors do not have 512 bytes")
    if not 1 << 20 <= block_bytes <= 256 << 20 or block_bytes & (block_bytes - 1):
        raise ImageRefused(why="its vhdx blocks have an unusual size")
    if -(-size // block_bytes) * 8 > bat_length:
        raise ImageRefused(why="its vhdx table does not fit its disk's size")
    return int(size)


def _check_vhdx_log(window: Window) -> None:
    """Refuse an image whose log must be replayed: what it says is not yet what it holds."""
    newest: tuple[int, bytes] | None = None
    for offset in (64 << 10, 128 << 10):
        header = window.exactly(offset, 4096)
        (sequence,) = struct.unpack_from("<Q", header, 8)
        if header.startswith(b"head") and (newest is None or sequence > newest[0]):
            newest = (sequence, header[48:64])
    if newest is None:
        raise ImageRefused(why="its vhdx headers are damaged")
    if any(newest[1]):
        raise ImageRefused(why="its vhdx log was not written out: it was not shut down cleanly")


def _regions(window: Window) -> dict[bytes, tuple[int, int]]:
    table = window.exactly(192 << 10, 64 << 10)
    (count,) = struct.unpack_from("<I", table, 8)
    if not table.startswith(b"regi") or count > 2047:
        raise ImageRefused(why="its vhdx region table is damaged")
    regions: dict[bytes, tuple[int, int]] = {}
    for number in range(count):
        guid, offset, length, required = struct.unpack_from("<16sQII", table, 16 + 32 * number)
        if guid in regions or (guid not in (_BAT, _METADATA) and required & 1):
            raise ImageRefused(why="its vhdx regions are unknown or told twice")
        regions[guid] = (offset, length)
    if _BAT not in regions or _METADATA not in regions:
        raise ImageRefused(why="its vhdx regions are incomplete")
    return regions


def _metadata(window: Window, region: int, length: int) -> dict[bytes, int]:
    """Give the place in the file of each metadata item."""
    table = window.exactly(region, 64 << 10)
    (count,) = struct.unpack_from("<H", table, 10)
    if not table.startswith(b"metadata") or count > 1023:
        raise ImageRefused(why="its vhdx metadata is damaged")
    items: dict[bytes, int] = {}
    for number in range(count):
        item, offset, item_length = struct.unpack_from("<16sII", table, 32 + 32 * number)
        if item in items or offset + item_length > length:
            raise ImageRefused(why="its vhdx metadata is damaged")
        items[item] = region + offset
    return items


def _sum_right(block: bytes, at: int) -> bool:
    """Check a VHD checksum: the one's complement of the sum of all other bytes."""
    (told,) = struct.unpack_from(">I", block, at)
    return bool(told == ~(sum(block) - sum(block[at : at + 4])) & 0xFFFF_FFFF)
