"""The host's images and the VMs' disks and seeds: made whole or not at all, by temporary name, fsync, rename.

Every file is one a VM has to itself: no backing files. It starts nothing and knows no libvirt.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ringfence.agent import commands
from ringfence.agent.admission import check_digest, check_vm_id
from ringfence.agent.commands import Limits
from ringfence.agent.domain_xml import DISK, SEED
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid, NotFound
from ringfence.model.hosts import HostDiskFull, HostToolFailed
from ringfence.model.images import ImageFormat, ImageRefused, WrongDigest
from ringfence.model.names import UUID_PATTERN
from ringfence.model.vms import VmSpec

_UNFINISHED = ".unfinished"
_CONVERT_SECONDS = 3600.0
_TOOL_MEMORY_BYTES = 2 << 30
_KEPT_FREE_BYTES = 64 << 20
Fetch = Callable[[Callable[[bytes], None]], None]
"""Gives a file's bytes to the function it is called with, piece by piece."""


class Disks:
    """The files below the agent's state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def begin(self) -> None:
        """Make the folders, and remove what an agent that died left half-made."""
        for folder in (self._settings.images, self._settings.vms, self._settings.journal):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        for unfinished in (
            *self._settings.images.glob(f"*{_UNFINISHED}"),
            *self._settings.vms.glob(f"*/*{_UNFINISHED}"),
        ):
            unfinished.unlink()

    # ---- images

    def hold_image(self, digest: str, image_format: str, file_bytes: int, fetch: Fetch) -> int:
        """Have the image in the cache; gives the number of bytes fetched, 0 if it was there.

        Raises `WrongDigest`, `ImageRefused` or `HostDiskFull`; nothing is left then.
        """
        file = self._image(digest)
        if file.exists():
            return 0
        self._check_room(self._settings.images, file_bytes, f"image {digest[:19]}…")
        found, count = hashlib.sha256(), 0
        with self._made(file, f"image {digest[:19]}…") as unfinished, unfinished.open("wb") as out:

            def take(piece: bytes) -> None:
                nonlocal count
                count += len(piece)
                if count > file_bytes:
                    raise WrongDigest(wanted=digest, found=f"of another file: it is longer than {file_bytes} bytes")
                found.update(piece)
                out.write(piece)

            fetch(take)
            if f"sha256:{found.hexdigest()}" != digest:
                raise WrongDigest(wanted=digest, found=f"sha256:{found.hexdigest()}")
            out.flush()
            os.fsync(out.fileno())
            _check_alone(unfinished, ImageFormat(image_format))
        return count

    def _image(self, digest: str) -> Path:
        return self._settings.images / check_digest(digest).removeprefix("sha256:")

    # ---- VMs

    def prepare(self, spec: VmSpec) -> bool:
        """Make the VM's disk from its image, and its seed; False if both were there."""
        source = self._image(spec.image_digest)
        if not source.exists():
            raise NotFound(kind="image on the host", ref=spec.image_digest)
        folder = self._folder(spec.vm_id)
        try:
            with self._translated(f"VM {spec.name}"):
                folder.mkdir(mode=0o711, exist_ok=True)
                # At once: the seed's tool waits more than it works. Both have ended before either's error is told.
                with ThreadPoolExecutor(1) as beside:
                    seed = beside.submit(self._make_seed, folder, spec)
                    changed = self._make_disk(folder, source, spec)
                return seed.result() or changed
        except BaseException:
            with contextlib.suppress(OSError):
                if not (folder / DISK).exists():
                    (folder / SEED).unlink(missing_ok=True)
                folder.rmdir()  # only if it is empty: a disk that was there before stays
            raise

    def _make_disk(self, folder: Path, source: Path, spec: VmSpec) -> bool:
        disk = folder / DISK
        if disk.exists():
            return False
        told = _check_alone(source, spec.image_format)
        if told > spec.disk_bytes:
            raise Invalid(
                field="disk_bytes", why=f"the image's disk has {told} bytes, and the flavor's {spec.disk_bytes}"
            )
        self._check_room(self._settings.vms, source.stat().st_size, f"the disk of VM {spec.name}")
        with self._made(disk, f"the disk of VM {spec.name}") as unfinished:
            limits = Limits(memory_bytes=_TOOL_MEMORY_BYTES, file_bytes=spec.disk_bytes * 2 + (64 << 20))
            self._qemu_img(
                "convert", "-f", spec.image_format, "-O", "qcow2", str(source), str(unfinished), limits=limits
            )
            self._qemu_img("resize", "-q", "-f", "qcow2", str(unfinished), str(spec.disk_bytes), limits=limits)
        return True

    def receive(self, spec: VmSpec) -> bool:
        """Make an empty disk for a VM that comes, and its seed. A disk that is there is made anew: a move fills it."""
        folder = self._folder(spec.vm_id)
        with self._translated(f"VM {spec.name}"):
            folder.mkdir(mode=0o711, exist_ok=True)
            with self._made(folder / DISK, f"the disk of VM {spec.name}") as unfinished:
                self._qemu_img("create", "-q", "-f", "qcow2", str(unfinished), str(spec.disk_bytes))
            self._make_seed(folder, spec)
        return True

    def _make_seed(self, folder: Path, spec: VmSpec) -> bool:
        seed = folder / SEED
        if seed.exists():
            return False
        with tempfile.TemporaryDirectory(prefix="seed-", dir=self._settings.state) as content:
            for name, text in seed_files(spec).items():
                Path(content, name).write_text(text)
            with self._made(seed, f"the seed of VM {spec.name}") as unfinished:
                options = ["-quiet", "-V", "cidata", "-J", "-r", "-o", str(unfinished)]
                self._tool(["xorriso", "-as", "mkisofs", *options, content], limits=Limits(cpu_seconds=30))
        return True

    def remove(self, vm_id: str) -> bool:
        """Remove the VM's folder with all in it; False if there was none."""
        folder = self._folder(vm_id)
        if not folder.exists():
            return False
        # SAFETY: the path is our folder and a checked UUID; rmtree follows no links.
        shutil.rmtree(folder)
        return True

    def _folder(self, vm_id: str) -> Path:
        return self._settings.vms / check_vm_id(vm_id)

    def ids(self) -> tuple[str, ...]:
        """Tell the VMs that have a folder here."""
        return tuple(sorted(f.name for f in self._settings.vms.iterdir() if re.fullmatch(UUID_PATTERN, f.name)))

    def capacity_bytes(self) -> int:
        """Count what VMs' disks may take: what is free, and what they have taken."""
        status = os.statvfs(self._settings.vms)
        taken = sum(_allocated(file) for file in self._settings.vms.glob("*/*"))
        return max(0, status.f_bavail * status.f_frsize - _KEPT_FREE_BYTES) + taken

    # ---- making

    def _check_room(self, folder: Path, size_bytes: int, what: str) -> None:
        # Asked of the folder itself: images and VMs may be on disks of their own.
        status = os.statvfs(folder)
        if status.f_bavail * status.f_frsize < size_bytes + _KEPT_FREE_BYTES:
            raise HostDiskFull(what=what, folder=str(folder))

    @contextlib.contextmanager
    def _made(self, file: Path, what: str) -> Iterator[Path]:
        """Give a name to write to; afterwards the file is whole under its own name, or nothing is left."""
        unfinished = file.with_name(file.name + _UNFINISHED)
        unfinished.unlink(missing_ok=True)
        try:
            with self._translated(what):
                yield unfinished
                unfinished.chmod(0o600)
                # ORDER: content on disk before the name: a crash leaves the whole file or none.
                for path in (unfinished, file.parent):
                    descriptor = os.open(path, os.O_RDONLY)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
                unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Tell the file system's errors as ours, and that it is full by its name."""
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise HostDiskFull(what=what, folder=self._settings.state) from None
            raise HostToolFailed(tool="the file system", why=str(error)) from None

    def _qemu_img(self, *arguments: str, limits: Limits | None = None) -> None:
        self._tool(["qemu-img", *arguments], limits=limits or Limits(memory_bytes=_TOOL_MEMORY_BYTES))

    def _tool(self, arguments: list[str], *, limits: Limits) -> None:
        try:
            commands.run(arguments, timeout_seconds=_CONVERT_SECONDS, limits=limits)
        except HostToolFailed as error:
            if "No space left" in error.why:
                raise HostDiskFull(what="a disk", folder=self._settings.state) from None
            raise


def seed_files(spec: VmSpec) -> dict[str, str]:
    """Write cloud-init's NoCloud files. JSON, which is YAML, so that no value can become syntax."""
    ethernets = {
        f"nic{number}": {"match": {"macaddress": nic.mac}, "dhcp4": True, "dhcp6": False, "mtu": nic.mtu}
        for number, nic in enumerate(spec.nics)
    }
    return {
        "meta-data": json.dumps({"instance-id": spec.vm_id, "local-hostname": spec.name}, indent=1) + "\n",
        "network-config": json.dumps({"version": 2, "ethernets": ethernets}, indent=1) + "\n",
        "user-data": spec.user_data or "#cloud-config\n{}\n",
    }


def _check_alone(file: Path, image_format: ImageFormat) -> int:
    """Refuse an image that refers to other files; gives the size of the disk in it, in bytes."""
    arguments = ["qemu-img", "info", "--output=json", "-f", image_format, str(file)]
    limits = Limits(cpu_seconds=30, memory_bytes=_TOOL_MEMORY_BYTES)
    ended = commands.run(arguments, timeout_seconds=60, limits=limits, may_fail=True)
    if ended.code != 0:
        raise ImageRefused(why=f"it cannot be read as {image_format}")
    told = json.loads(ended.output)
    specific = told.get("format-specific", {}).get("data", {})
    if told.get("backing-filename") or told.get("full-backing-filename"):
        raise ImageRefused(why="it has a backing file")
    if specific.get("data-file"):
        raise ImageRefused(why="it keeps its data in another file")
    if any(extent.get("filename") not in {str(file), None} for extent in specific.get("extents", [])):
        raise ImageRefused(why="it keeps its data in other files")
    return int(told["virtual-size"])


def _allocated(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0
