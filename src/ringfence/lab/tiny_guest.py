"""The tiny guest: a disk that boots in seconds without hardware acceleration, for tests and the demo.

Debian's cloud kernel, busybox, and the real ping in an initramfs. It takes its name from a NoCloud seed and its address
from DHCP, echoes TCP on ports 7 and 8080, gives a root shell on the serial console and one on the screen, and obeys the
power button. It is meant to be attacked from: there is no password and nothing to keep in it.
"""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

from ringfence.lab import disk_images
from ringfence.lab.rootfs import Tell

_FILES = Path(__file__).with_name("tiny")
_MODULES = (
    *("virtio_net", "virtio_blk", "virtio-rng", "button", "evdev"),
    *("isofs", "sr_mod", "ahci", "sd_mod"),
    "pktgen",
)
_BOOT_MIB = 24
_SKIPPED = (
    *("crypto_kdf108_init", "load_system_certificate_list", "jent_mod_init", "init_encrypted"),
    *("bpf_tcp_ca_kfunc_init", "bpf_dummy_struct_ops_init"),
)
"""Steps of the kernel's start that cost most without hardware acceleration, and that nothing here needs."""
_CONFIGURATION = f"""\
DEFAULT tiny
PROMPT 0
TIMEOUT 0
LABEL tiny
    LINUX vmlinuz
    INITRD initrd
    APPEND console=ttyS0 quiet loglevel=3 net.ifnames=0 random.trust_cpu=on mitigations=off tsc=nowatchdog nokaslr \
cryptomgr.notests initcall_blacklist={",".join(_SKIPPED)}
"""


def build(builder: Path, work: Path, out: Path, _tell: Tell) -> None:
    """Build the disk as a qcow2 file at `out`, with `work` as a scratch folder."""
    initrd = _initrd(builder, work)
    kernel = work / "vmlinuz"
    shutil.copyfile(max(builder.glob("boot/vmlinuz-*")), kernel)
    configuration = work / "syslinux.cfg"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    files = {"syslinux.cfg": configuration, "vmlinuz": kernel, "initrd": initrd}
    boot = disk_images.boot_partition(builder, work, files, size_mib=_BOOT_MIB)
    disk_images.assemble(builder, work, boot, None, out)


def _initrd(builder: Path, work: Path) -> Path:
    tree = work / "tree"
    for folder in ("bin", "etc/acpi/PWRF", "dev", "proc", "sys", "run", "tmp", "mnt", "root", "usr/bin"):
        (tree / folder).mkdir(parents=True)
    shutil.copyfile(builder / "usr/bin/busybox", tree / "bin/busybox")
    (tree / "bin/busybox").chmod(0o755)
    applets = disk_images.run_in(builder, work, ["/usr/bin/busybox", "--list"]).split()
    for applet in applets:
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "sbin").symlink_to("bin")
    (tree / "init").symlink_to("bin/init")
    _with_libraries(builder, work, tree, "usr/bin/ping", "usr/bin/ping")
    for name, place, mode in (
        ("rc", "etc/rc", 0o755),
        ("dhcp", "etc/dhcp", 0o755),
        ("inittab", "etc/inittab", 0o644),
        ("power", "etc/acpi/PWRF/00000080", 0o755),
    ):
        shutil.copyfile(_FILES / name, tree / place)
        (tree / place).chmod(mode)
    _modules(builder, work, tree)
    script = "cd /tmp/tree && find . | sort | cpio --quiet --reproducible -H newc -o --owner=0:0 > /tmp/initrd.cpio"
    disk_images.run_in(builder, work, ["sh", "-ec", script])
    # Not compressed: unpacking it costs a guest without hardware acceleration more than reading it.
    return work / "initrd.cpio"


def _with_libraries(builder: Path, work: Path, tree: Path, program: str, place: str) -> None:
    """Copy a program and the shared libraries it needs, as the loader lists them: `name => path (address)`."""
    shutil.copyfile(builder / program, tree / place)
    (tree / place).chmod(0o755)
    loader = "lib64/ld-linux-x86-64.so.2"
    listed = disk_images.run_in(builder, work, [f"/{loader}", "--list", f"/{program}"])
    paths = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    for path in {*paths, f"/{loader}"}:
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        # Links lead through absolute paths of the builder's own root.
        shutil.copyfile(_inside(builder, path), target)
        target.chmod(0o755)


def _inside(builder: Path, path: str) -> Path:
    """Follow a path as seen inside the builder root to the file on the machine."""
    return Path(str(builder) + str(Path(str(builder) + path).resolve()).removeprefix(str(builder)))


def _modules(builder: Path, work: Path, tree: Path) -> None:
    version = max(builder.glob("usr/lib/modules/*")).name
    source = builder / "usr/lib/modules" / version
    found = {file.name.removesuffix(".ko.xz").replace("-", "_"): file for file in source.rglob("*.ko.xz")}
    target = tree / "lib/modules" / version
    needed = [name.replace("-", "_") for name in _MODULES]
    done: set[str] = set()
    while needed:
        name = needed.pop()
        if name in done or name not in found:
            continue
        done.add(name)
        content = lzma.decompress(found[name].read_bytes())
        place = target / found[name].relative_to(source).with_suffix("")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        needed += _depends(content)
    for file in ("modules.builtin", "modules.order"):
        shutil.copyfile(source / file, target / file)
    disk_images.run_in(builder, work, ["depmod", "-b", "/tmp/tree", version])


def _depends(module: bytes) -> list[str]:
    """Read what a module needs from its `.modinfo` section, whose entries are NUL-terminated `depends=a,b`."""
    for entry in module.split(b"\0"):
        if entry.startswith(b"depends="):
            return [name.replace("-", "_") for name in entry[8:].decode().split(",") if name]
    return []
