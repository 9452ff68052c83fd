"""Tell an image's format and the size of its disk from its content, and refuse what is not self-contained.

The file comes from outside: each number in it is checked against the file before use, and nothing but `ImageRefused`
is raised for any content. Pure: bytes come through a `Window`. Neither names nor media types are believed, no other
file is opened, and nothing is converted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from ringfence.controller import image_microsoft, image_vmware
from ringfence.controller.image_window import Window
from ringfence.model.images import ImageFormat, ImageRefused

SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What the content says. `virtual_bytes` is the size of the disk a guest sees."""

    format: ImageFormat
    virtual_bytes: int


_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (0, b"\xfd7zXZ\x00", "it is compressed with xz; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"),
    (0, b"BZh", "it is compressed with bzip2; unpack it first"),
    (0, b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
    (257, b"ustar", "it is a tar archive (an OVA?); unpack it first"),
    (0, b"LUKS\xba\xbe", "it is encrypted with LUKS"),
    (0, b"QED\x00", "the format qed is not supported"),
    (0, b"COWD", "it is a vmdk of ESX's own sparse form"),
    (0, b"\xbe\xba\xfe\xca", "it is a vmdk of the form seSparse"),
    (0, b"WithoutFreeSpace", "the format parallels is not supported"),
    (0, b"WithouFreSpacExt", "the format parallels is not supported"),
)


def inspect_image(read: Callable[[int, int], bytes], file_bytes: int, *, virtual_bytes_limit: int) -> Inspected:
    """Inspect an image; `read(offset, length)` gives at most `length` bytes. Raises `ImageRefused` only."""
    if file_bytes == 0:
        raise ImageRefused(why="it is empty")
    inspected = _inspect(Window(read, file_bytes))
    if not 0 < inspected.virtual_bytes <= virtual_bytes_limit:
        raise ImageRefused(
            why=f"its disk would have {inspected.virtual_bytes} bytes, and {virtual_bytes_limit} are allowed"
        )
    if inspected.virtual_bytes % SECTOR:
        raise ImageRefused(why="its disk's size is not a multiple of 512 bytes")
    return inspected


def _inspect(window: Window) -> Inspected:
    start = window.up_to(0, 4096)
    for offset, magic, why in _FOREIGN:
        if start[offset : offset + len(magic)] == magic:
            raise ImageRefused(why=why)
    if start.startswith(b"QFI\xfb"):
        return Inspected(format=ImageFormat.QCOW2, virtual_bytes=_qcow2(window))
    if start.startswith(b"KDMV"):
        return Inspected(format=ImageFormat.VMDK, virtual_bytes=image_vmware.virtual_bytes_of_sparse(window))
    if image_vmware.is_descriptor(start):
        raise ImageRefused(why="it is a vmdk descriptor, whose disk is in other files")
    if start.startswith(b"vhdxfile"):
        return Inspected(format=ImageFormat.VHDX, virtual_bytes=image_microsoft.virtual_bytes_of_vhdx(window))
    if start[0x40:0x44] == _VDI_SIGNATURE:
        return Inspected(format=ImageFormat.VDI, virtual_bytes=_vdi(window))
    # A fixed VHD is a raw disk with a footer behind it, so the end is looked at before raw is believed.
    vhd = image_microsoft.virtual_bytes_of_vhd(window, start)
    if vhd is not None:
        return Inspected(format=ImageFormat.VPC, virtual_bytes=vhd)
    if window.size % SECTOR:
        raise ImageRefused(why="it has no known format, and as a raw disk its size is not a multiple of 512 bytes")
    return Inspected(format=ImageFormat.RAW, virtual_bytes=window.size)


_QCOW2_UNKNOWN = ~0b11011 & 0xFFFF_FFFF_FFFF_FFFF
"""Incompatible features other than dirty (0), corrupt (1), compression type (3), extended L2 (4)."""


def _qcow2(window: Window) -> int:  # noqa: C901 - a header is one list of checks
    """Read a qcow2 header: `docs/interop/qcow2.rst` of QEMU."""
    header = window.exactly(0, 72)
    version, backing_offset, backing_size, cluster_bits = struct.unpack_from(">IQII", header, 4)
    size, crypt, l1_entries, l1_offset = struct.unpack_from(">QIIQ", header, 24)
    if version not in (2, 3):
        raise ImageRefused(why=f"its qcow2 version {version} is not supported")
    if backing_offset or backing_size:
        raise ImageRefused(why="it has a backing file")
    if crypt:
        raise ImageRefused(why="it is encrypted")
    if not 9 <= cluster_bits <= 21:
        raise ImageRefused(why=f"its cluster size 2^{cluster_bits} is out of range")
    header_bytes, extended = 72, False
    if version == 3:
        features, header_bytes = struct.unpack(">Q20xI", window.exactly(72, 32))
        if features & 0b100:
            raise ImageRefused(why="it has an external data file")
        if features & 0b10:
            raise ImageRefused(why="it is marked corrupt")
        if features & _QCOW2_UNKNOWN:
            raise ImageRefused(why=f"it needs unknown qcow2 features ({features:#x})")
        if not 104 <= header_bytes <= 1 << cluster_bits or header_bytes % 8:
            raise ImageRefused(why="its qcow2 header has a wrong length")
        extended = bool(features & 0b10000)
    _check_qcow2_extensions(window, header_bytes, 1 << cluster_bits)
    entry_bytes = 16 if extended else 8
    covered_by_entry = (1 << cluster_bits) * ((1 << cluster_bits) // entry_bytes)
    needed = -(-size // covered_by_entry)
    if l1_entries < needed or l1_entries > (32 << 20) // 8:
        raise ImageRefused(why="its qcow2 table does not fit its disk's size")
    if l1_offset % (1 << cluster_bits) or l1_offset + l1_entries * 8 > window.size:
        raise ImageRefused(why="its qcow2 table lies outside the file; it may be truncated")
    return int(size)


def _check_qcow2_extensions(window: Window, offset: int, end: int) -> None:
    # The header's cluster bounds the loop: at most 2 MiB, 8 bytes at least each time; 1,000 is far more than exist.
    for _ in range(1000):
        if offset + 8 > min(end, window.size):
            return
        kind, length = struct.unpack(">II", window.exactly(offset, 8))
        if kind == 0:
            return
        if kind == 0x44415441:
            raise ImageRefused(why="it names an external data file")
        if kind == 0x0537BE77:
            raise ImageRefused(why="it is encrypted")
        if kind == 0xE2792ACA and length:
            raise ImageRefused(why="it names the format of a backing file")
        offset += 8 + (length + 7) // 8 * 8
    raise ImageRefused(why="its qcow2 header has too many extensions")


_VDI_SIGNATURE = b"\x7f\x10\xda\xbe"


def _vdi(window: Window) -> int:
    """Read a VDI header, version 1.1, as VirtualBox writes it."""
    header = window.exactly(0, 0x200)
    (version,) = struct.unpack_from("<I", header, 0x44)
    (kind,) = struct.unpack_from("<I", header, 0x4C)
    map_offset, data_offset = struct.unpack_from("<II", header, 0x154)
    (sector_bytes,) = struct.unpack_from("<I", header, 0x168)
    size, block_bytes, extra, blocks, allocated = struct.unpack_from("<QIIII", header, 0x170)
    if version != 0x00010001:
        raise ImageRefused(why=f"its vdi version {version:#x} is not supported")
    if kind not in (1, 2) or any(header[0x1A8:0x1C8]):
        raise ImageRefused(why="it is a difference to another vdi")
    if sector_bytes != SECTOR or block_bytes != 1 << 20 or extra:
        raise ImageRefused(why="its vdi sectors or blocks have an unusual size")
    if blocks < -(-size // block_bytes) or allocated > blocks:
        raise ImageRefused(why="its vdi map does not fit its disk's size")
    if map_offset + blocks * 4 > window.size or data_offset + allocated * block_bytes > window.size:
        raise ImageRefused(why="its vdi map or blocks lie outside the file; it may be truncated")
    return int(size)
