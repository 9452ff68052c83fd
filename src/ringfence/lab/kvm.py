"""Does hardware acceleration really work here? /dev/kvm may open, and guests hang under it: only running one tells.

Runs a stock kernel for under a second, as far as its first line. It chooses for the lab's hosts; a real host's agent
looks for itself.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ringfence.lab import commands, rootfs

PROBE_SECONDS = 1.0
_FIRST_LINE = b"Linux version"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """`name` is QEMU's: kvm or tcg; `because` says why, in words for a person."""

    name: str
    because: str


def choose_accelerator(root: Path, tell: Callable[[str], None]) -> Accelerator:
    """Choose kvm if a guest's kernel gets to its first line under it in time, else tcg."""
    chosen = _choose(root, tell)
    tell(f"guests run under {chosen.name}: {chosen.because}")
    return chosen


def _choose(root: Path, tell: Callable[[str], None]) -> Accelerator:
    try:
        Path("/dev/kvm").open("r+b", buffering=0).close()
    except OSError as unopened:
        return Accelerator("tcg", f"/dev/kvm does not open ({unopened.strerror})")
    kernel = max(rootfs.root(rootfs.builder_recipe(), tell).glob("boot/vmlinuz-*"))
    began = time.monotonic()
    said = first_words(root, kernel, accelerator="kvm", within_seconds=PROBE_SECONDS)
    took = time.monotonic() - began
    if _FIRST_LINE in said:
        return Accelerator("kvm", f"a guest's kernel spoke after {took:.2f} s")
    return Accelerator("tcg", f"/dev/kvm opens, but a guest's kernel said nothing within {PROBE_SECONDS:g} s")


def first_words(root: Path, kernel: Path, *, accelerator: str, within_seconds: float) -> bytes:
    """Boot a kernel with nothing else, and give what it said in time; ended as soon as it said its first line."""
    qemu = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "q35", "-m", "128", "-nodefaults", "-no-reboot"]
    qemu += ["-display", "none", "-serial", "stdio", "-kernel", "/run/kernel"]
    qemu += ["-append", "console=ttyS0 earlyprintk=serial panic=-1"]
    # The root is the cache, which nothing may change: what is mounted in it is so in this process's namespace alone.
    script = (
        'mount -t tmpfs tmpfs "$1/run"; : > "$1/run/kernel"; mount --bind "$2" "$1/run/kernel";'
        ' mount --rbind /dev "$1/dev"; root=$1; shift 2; exec chroot "$root" "$@"'
    )
    inside = ["unshare", "--mount", "sh", "-ec", script, "sh", str(root), str(kernel), *qemu]
    said = b""
    deadline = time.monotonic() + within_seconds
    with commands.open_process(inside, marks={}) as process:
        assert process.stdout is not None
        try:
            while _FIRST_LINE not in said and (left := deadline - time.monotonic()) > 0:
                if not select.select([process.stdout], [], [], left)[0]:
                    break
                chunk = os.read(process.stdout.fileno(), 4096)
                if not chunk:
                    break
                said += chunk
        finally:
            process.kill()
    return said
