"""The image files a controller keeps, one a digest: taken in whole and checked, or not at all. Knows no rows."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ringfence.controller.authority import make_private_folder
from ringfence.controller.image_inspection import Inspected, inspect_image
from ringfence.controller.problems import ControllerFull, TooLarge
from ringfence.errors import Invalid
from ringfence.model.images import WrongDigest

SPARE_BYTES = 256 << 20
"""An upload leaves this much free: the database beside it must still be written."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INCOMING = ".incoming-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that was taken in."""

    digest: str
    file_bytes: int
    inspected: Inspected


def check_digest(digest: str) -> str:
    """Give the digest back, or refuse it as `Invalid`: `sha256:` and 64 hex digits, of which it is made."""
    digest = digest.lower()
    if not _DIGEST.fullmatch(digest):
        raise Invalid(field="digest", why="a digest is sha256: and 64 hexadecimal digits")
    return digest


class Incoming:
    """A file that comes in, chunk by chunk. Nothing of it is kept before `keep`."""

    def __init__(self, files: ImageFiles, writer: BinaryIO, path: Path) -> None:
        self._files = files
        self._writer = writer
        self._path = path
        self._hash = hashlib.sha256()
        self.received_bytes = 0

    def write(self, chunk: bytes | bytearray) -> None:
        """Add a chunk; raises `TooLarge` or `ControllerFull`."""
        self.received_bytes += len(chunk)
        if self.received_bytes > self._files.bytes_limit:
            raise TooLarge(what="image", limit_bytes=self._files.bytes_limit)
        self._hash.update(chunk)
        with _full_disk_told():
            self._writer.write(chunk)

    def keep(self, wanted: str) -> Kept:
        """Check digest and content, and keep the file; raises `WrongDigest` or `ImageRefused`."""
        found = f"sha256:{self._hash.hexdigest()}"
        if found != wanted:
            raise WrongDigest(wanted=wanted, found=found)
        with _full_disk_told():
            self._writer.flush()
            os.fsync(self._writer.fileno())
        with self._path.open("rb") as reader:

            def read(offset: int, length: int) -> bytes:
                reader.seek(offset)
                return reader.read(length)

            inspected = inspect_image(read, self.received_bytes, virtual_bytes_limit=self._files.virtual_bytes_limit)
        self._path.chmod(0o400)
        self._path.replace(self._files.path(found))
        self._files.sync_folder()
        return Kept(digest=found, file_bytes=self.received_bytes, inspected=inspected)


class ImageFiles:
    """The folder of images. Hold `lock` while a file and the row that tells of it are brought in step."""

    def __init__(self, folder: Path, *, bytes_limit: int, virtual_bytes_limit: int) -> None:
        self._folder = folder
        self.bytes_limit = bytes_limit
        self.virtual_bytes_limit = virtual_bytes_limit
        self.lock = threading.Lock()
        make_private_folder(folder)

    def path(self, digest: str) -> Path:
        """Tell where the file of that digest is, or would be."""
        return self._folder / check_digest(digest).removeprefix("sha256:")

    def check_room(self, expected_bytes: int) -> None:
        """Refuse early what would not fit."""
        if expected_bytes > self.bytes_limit:
            raise TooLarge(what="image", limit_bytes=self.bytes_limit)
        if shutil.disk_usage(self._folder).free < expected_bytes + SPARE_BYTES:
            raise ControllerFull(what="this image")

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """Take a file in; whatever happens, what was not kept is gone afterwards."""
        path = self._folder / f"{_INCOMING}{secrets.token_hex(8)}"
        with _full_disk_told():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        writer = os.fdopen(descriptor, "wb")
        try:
            yield Incoming(self, writer, path)
        finally:
            path.unlink(missing_ok=True)
            # What is still buffered belongs to a file that is gone: a disk that is full does not matter any more.
            try:
                writer.close()
            except OSError as error:
                if error.errno not in _FULL:
                    raise

    def remove(self, digest: str) -> None:
        """Have no file of that digest; again is no error."""
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, known: Collection[str]) -> int:
        """Remove what an earlier process left: files that came in half, and files no row tells of. Tells how many."""
        wanted = {digest.removeprefix("sha256:") for digest in known}
        strays = [path for path in self._folder.iterdir() if path.name not in wanted]
        for path in strays:
            path.unlink()
        return len(strays)

    def sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ControllerFull(what="this image") from error
        raise
