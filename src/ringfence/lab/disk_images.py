"""Bootable disks made of files, without mounting anything and without a device: an MBR, a FAT boot partition, a root.

The boot partition is started by SYSLINUX; a second, ext4, partition is optional. The tools run in the builder root
(`rootfs.builder_recipe`). MBR: a boot loader of 440 bytes, four 16-byte partition entries at 446, 0x55AA at 510.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from ringfence.lab import commands

SECTOR = 512
_FIRST_SECTOR = 2048
_FAT16_LBA, _FAT32_LBA, _LINUX = 0x0E, 0x0C, 0x83
_TOOL_SECONDS = 600.0


def run_in(builder: Path, work: Path, argv: Sequence[str], *, timeout_seconds: float = _TOOL_SECONDS) -> str:
    """Run a tool of the builder root; it finds the folder `work` at `/tmp`, and nothing else of the machine."""
    # syslinux hands its file to mtools as /proc/PID/fd/N.
    script = 'mount --bind "$1" "$2/tmp"; mount --rbind /proc "$2/proc"; root=$2; shift 2; exec chroot "$root" "$@"'
    inside = ["unshare", "--mount", "sh", "-ec", script, "sh", str(work), str(builder), *argv]
    return commands.run(inside, timeout_seconds=timeout_seconds).out


def boot_partition(builder: Path, work: Path, files: Mapping[str, Path], *, size_mib: int) -> Path:
    """Make a FAT partition with these files (name → file below `work`), which SYSLINUX boots."""
    partition = work / "boot.part"
    _zeros(partition, size_mib << 20)
    # The boot sector must know how many sectors lie before it, or SYSLINUX looks for itself in the wrong place.
    fat = "16" if size_mib < 64 else "32"
    run_in(builder, work, ["mkfs.fat", "-F", fat, "-n", "RFBOOT", "-h", str(_FIRST_SECTOR), "/tmp/boot.part"])
    for name, file in files.items():
        inside = f"/tmp/{file.relative_to(work)}"
        run_in(builder, work, ["mcopy", "-i", "/tmp/boot.part", inside, f"::{name}"])
    run_in(builder, work, ["syslinux", "--install", "/tmp/boot.part"])
    return partition


def root_partition(builder: Path, work: Path, root: Path, *, label: str, size_mib: int) -> Path:
    """Make an ext4 partition with what is in the folder `root` (below `work`), owners and modes and all."""
    partition = work / "root.part"
    _zeros(partition, size_mib << 20)
    folder = f"/tmp/{root.relative_to(work)}"
    # `metadata_csum_seed` is what lets a guest change its file system's UUID while it is mounted.
    argv = ["mke2fs", "-q", "-t", "ext4", "-L", label, "-O", "metadata_csum_seed", "-d", folder, "/tmp/root.part"]
    run_in(builder, work, argv)
    return partition


def assemble(builder: Path, work: Path, boot: Path, root: Path | None, out: Path) -> None:
    """Put the MBR and the partitions together, as a compressed qcow2 file."""
    disk = work / "disk.raw"
    parts = [(boot, _FAT16_LBA if boot.stat().st_size < 64 << 20 else _FAT32_LBA)] + ([(root, _LINUX)] if root else [])
    loader = (builder / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()[:440].ljust(440, b"\0")
    entries, start = [], _FIRST_SECTOR
    with disk.open("wb") as target:
        for number, (part, kind) in enumerate(parts):
            sectors = part.stat().st_size // SECTOR
            # CHS fields hold 0xFEFFFF, "too far for CHS": everything since 1996 reads the LBA fields.
            chs = b"\xfe\xff\xff"
            active = 0x80 if number == 0 else 0
            entries.append(struct.pack("<B3sB3sII", active, chs, kind, chs, start, sectors))
            target.seek(start * SECTOR)
            _copy_sparse(part, target)
            start += sectors
        target.truncate(start * SECTOR)
        target.seek(0)
        table = b"".join(entries).ljust(64, b"\0")
        target.write(loader + struct.pack("<I", 0x52464C42) + b"\0\0" + table + b"\x55\xaa")
    run_in(builder, work, ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "/tmp/disk.raw", "/tmp/disk.qcow2"])
    (work / "disk.qcow2").rename(out)


def _zeros(path: Path, size_bytes: int) -> None:
    with path.open("wb") as target:
        target.truncate(size_bytes)


def _copy_sparse(source: Path, target: object) -> None:
    with source.open("rb") as content:
        while chunk := content.read(1 << 20):
            if chunk.count(0) == len(chunk):
                target.seek(len(chunk), 1)  # type: ignore[attr-defined]
            else:
                target.write(chunk)  # type: ignore[attr-defined]
