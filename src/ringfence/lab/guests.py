"""The guest images, each built once and cached by what it is made of."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ringfence.lab import disk_images, places, rootfs, tiny_guest
from ringfence.lab.rootfs import Tell

Build = Callable[[Path, Path, Path], None]


def tiny(tell: Tell) -> Path:
    """Return the tiny guest's disk, a qcow2 file, building it if it is not cached."""
    return _image("tiny", rootfs.builder_recipe(), tiny_guest.build, tell)


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _image(name: str, recipe: rootfs.Recipe, build: Build, tell: Tell) -> Path:
    builder = rootfs.root(recipe, tell)
    made_of = hashlib.sha256(recipe.digest.encode())
    # The image changes with the code and the files that make it, and with nothing else.
    for file in sorted([*Path(__file__).parent.glob("tiny/*"), Path(disk_images.__file__), Path(tiny_guest.__file__)]):
        made_of.update(file.read_bytes())
    path = places.cache() / f"{name}-{made_of.hexdigest()[:16]}.qcow2"
    if not path.exists():
        with rootfs.building(path) as partial:
            if partial is not None:
                tell(f"building the guest image {path.name}, once")
                with TemporaryDirectory(dir=places.cache()) as work:
                    build(builder, Path(work), partial)
    return path


def remove_cached() -> None:
    """Remove every cached root and image."""
    shutil.rmtree(places.cache(), ignore_errors=True)
