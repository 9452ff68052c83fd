"""Root file systems of Debian 13's packages, by mmdebstrap: built once, cached by what they are made of, never changed.

A cached root is a folder that hosts lay their overlays over. Nothing runs in it here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ringfence.lab import places
from ringfence.lab.commands import run_told

SUITE = "trixie"
_BUILD_SECONDS = 1800.0
_LAB_ONLY = ("iputils-ping", "openssl", "ovn-central", "procps", "tcpdump", "tini")
"""What a lab host has beyond a real one: an init, OVN's central, and tools to look with."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a root is made of. `variant` is mmdebstrap's: `extract` unpacks packages and runs nothing of theirs."""

    name: str
    variant: str
    packages: tuple[str, ...]

    @property
    def digest(self) -> str:
        told = json.dumps([SUITE, self.variant, sorted(self.packages)])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        return places.cache() / f"{self.name}-{self.digest}"


def host_recipe() -> Recipe:
    """Return what a lab host is made of: the packages of a real host, and those of the lab."""
    listed = (places.checkout() / "deploy" / "packages-host.txt").read_text(encoding="utf-8").split()
    return Recipe(name="rootfs", variant="minbase", packages=(*listed, *_LAB_ONLY))


def builder_recipe() -> Recipe:
    """Return the root that guest images are made with: a kernel, and tools for boot sectors and FAT."""
    packages = ("linux-image-cloud-amd64", "busybox-static", "iputils-ping", "syslinux", "syslinux-common", "mtools")
    return Recipe(
        name="builder",
        variant="extract",
        packages=(*packages, "coreutils", "cpio", "dash", "dosfstools", "e2fsprogs", "findutils", "kmod", "qemu-utils"),
    )


def root(recipe: Recipe, tell: Tell) -> Path:
    """Return the root of the recipe, building it if it is not cached. Takes a minute the first time."""
    if recipe.path.is_dir():
        return recipe.path
    with building(recipe.path) as partial:
        if partial is not None:
            tell(f"building {recipe.path.name} from Debian {SUITE}'s packages, once")
            make(recipe, partial, tell)
    return recipe.path


def make(recipe: Recipe, folder: Path, tell: Tell) -> None:
    """Make a root of the recipe in a folder that is not there yet; the caller keeps or changes it."""
    argv = ["mmdebstrap", f"--variant={recipe.variant}", f"--include={','.join(recipe.packages)}"]
    argv += ["--aptopt=APT::Install-Recommends false", "--format=directory", "--skip=output/dev"]
    run_told([*argv, SUITE, str(folder)], timeout_seconds=_BUILD_SECONDS, tell=tell)
    _link_merged_folders(folder)


@contextlib.contextmanager
def building(path: Path) -> Iterator[Path | None]:
    """Give a place to build what shall be at `path`, and move it there when the block ends well.

    Gives None if it is there by the time no one else builds it. What a killed builder left is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            yield None
            return
        remove(partial)
        yield partial
        # ORDER: the name appears last, so that whatever bears it is whole.
        partial.rename(path)


def _link_merged_folders(root: Path) -> None:
    """Make the links and folders that one package's installation script makes, for packages only unpacked."""
    (root / "proc").mkdir(exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def remove(path: Path) -> None:
    """Remove what was being built, a file or a folder, if it is there."""
    # SAFETY: rmtree does not follow links, and mmdebstrap's mounts are in a mount namespace that died with it.
    if path.is_dir():
        assert not any(os.path.ismount(inner) for inner in path.iterdir()), f"{path} has something mounted in it"
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
