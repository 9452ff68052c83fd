"""The guest images, each built once and cached by what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ringfence.lab import debian_guest, disk_images, places, rootfs, tiny_guest
from ringfence.lab.rootfs import Tell

Build = Callable[[Path, Path, Path, Tell], None]
_FOLDER = Path(__file__).parent
_SHARED = (Path(disk_images.__file__), Path(rootfs.__file__))
"""What every image is made by."""


def tiny(tell: Tell) -> Path:
    """Return the tiny guest's disk, a qcow2 file, building it if it is not cached."""
    sources = [*_FOLDER.glob("tiny/*"), Path(tiny_guest.__file__)]
    return _image("tiny", [rootfs.builder_recipe()], sources, tiny_guest.build, tell)


def debian(tell: Tell) -> Path:
    """Return the Debian guest's disk, a qcow2 file, building it if it is not cached: that takes minutes."""
    recipes = [rootfs.builder_recipe(), debian_guest.RECIPE]
    return _image("debian", recipes, [Path(debian_guest.__file__)], debian_guest.build, tell)


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def made_of(recipes: Sequence[rootfs.Recipe], sources: Iterable[Path]) -> str:
    """Give the key an image is cached under: it changes with the packages and files that make it, and nothing else."""
    told = hashlib.sha256("".join(recipe.digest for recipe in recipes).encode())
    for file in sorted([*sources, *_SHARED]):
        content = file.read_bytes()
        told.update(f"{file.name} {len(content)} ".encode() + content)
    return told.hexdigest()[:16]


def _image(name: str, recipes: Sequence[rootfs.Recipe], sources: Iterable[Path], build: Build, tell: Tell) -> Path:
    path = places.cache() / f"{name}-{made_of(recipes, sources)}.qcow2"
    if not path.exists():
        builder = rootfs.root(recipes[0], tell)
        with rootfs.building(path) as partial:
            if partial is not None:
                tell(f"building the guest image {path.name}, once")
                # A name of its own, not a random one: what a killed builder left is found by the next.
                work = path.with_name(f"{path.name}.work")
                rootfs.remove(work)
                work.mkdir()
                build(builder, work, partial, tell)
                rootfs.remove(work)
    return path
