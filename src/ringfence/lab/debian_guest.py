"""The Debian guest: a disk with Debian 13 as people expect it, with cloud-init (NoCloud) and the QEMU guest agent.

Its kernel and initramfs are kept current on a FAT boot partition by hooks in the guest, where SYSLINUX finds them. The
root grows to the disk it is given. There is no password and no key in it: who may log in is in the user data.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ringfence.lab import disk_images, rootfs
from ringfence.lab.rootfs import Tell

_BOOT_MIB = 256
_ROOT_MIB = 1792
_PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "systemd-resolved", "dbus", "udev"),
    *("cloud-init", "cloud-guest-utils", "e2fsprogs", "fdisk", "qemu-guest-agent", "openssh-server", "sudo"),
    *("bash-completion", "ca-certificates", "curl", "iproute2", "iputils-ping", "less", "netbase", "procps"),
    "vim-tiny",
)
RECIPE = rootfs.Recipe(name="debian", variant="minbase", packages=_PACKAGES)
_BOOT_FOLDER = "boot/start"
_KEEP_CURRENT = """\
#!/bin/sh
# Keep the kernel and the initramfs that SYSLINUX starts current: /vmlinuz and /initrd.img are links to the newest.
# Under new names first: a power cut in between leaves the pair that was there.
set -e
mountpoint -q /boot/start && [ -e /vmlinuz ] && [ -e /initrd.img ] || exit 0
cp /vmlinuz /boot/start/vmlinuz.new
cp /initrd.img /boot/start/initrd.new
sync -f /boot/start
mv /boot/start/vmlinuz.new /boot/start/vmlinuz
mv /boot/start/initrd.new /boot/start/initrd
sync -f /boot/start
"""
_FILES = {
    "etc/fstab": (
        f"LABEL=rfroot / ext4 discard,errors=remount-ro 0 1\nLABEL=RFBOOT /{_BOOT_FOLDER} vfat umask=0077 0 0\n"
    ),
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    # Empty: systemd makes one at the first boot, and no two guests have the same.
    "etc/machine-id": "",
    # Not preserved: cloud-init writes apt's sources, with Debian's mirror or the one that the user data names.
    "etc/cloud/cloud.cfg.d/90-ringfence.cfg": (
        "datasource_list: [NoCloud, None]\napt:\n  preserve_sources_list: false\n"
    ),
    "etc/initramfs-tools/conf.d/root": "RESUME=none\n",
}
_HOOKS = ("etc/initramfs/post-update.d/zz-boot-start", "etc/kernel/postinst.d/zz-boot-start")
# What the build leaves: the identity of nobody, this machine's package mirror.
_REMOVED = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/ssh/ssh_host_*",
    "var/lib/apt/lists/*_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/cache/apt/*.bin",
    "var/log/*.log",
    "var/log/apt/*",
)
_CONFIGURATION = """\
DEFAULT debian
PROMPT 0
TIMEOUT 0
LABEL debian
    LINUX vmlinuz
    INITRD initrd
    APPEND root=LABEL=rfroot ro console=tty0 console=ttyS0 net.ifnames=0 random.trust_cpu=on
"""


def build(builder: Path, work: Path, out: Path, tell: Tell) -> None:
    """Build the disk as a qcow2 file at `out`, with `work` as a scratch folder."""
    root = work / "root"
    rootfs.make(RECIPE, root, tell)
    _prepare(root)
    files = {"syslinux.cfg": work / "syslinux.cfg", "vmlinuz": work / "vmlinuz", "initrd": work / "initrd"}
    files["syslinux.cfg"].write_text(_CONFIGURATION, encoding="utf-8")
    shutil.copyfile(max(root.glob("boot/vmlinuz-*")), files["vmlinuz"])
    shutil.copyfile(max(root.glob("boot/initrd.img-*")), files["initrd"])
    boot = disk_images.boot_partition(builder, work, files, size_mib=_BOOT_MIB)
    partition = disk_images.root_partition(builder, work, root, label="rfroot", size_mib=_ROOT_MIB)
    disk_images.assemble(builder, work, boot, partition, out)


def _prepare(root: Path) -> None:
    for pattern in _REMOVED:
        for path in root.glob(pattern):
            path.unlink()
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (root / _BOOT_FOLDER).mkdir()
    for hook in _HOOKS:
        path = root / hook
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_KEEP_CURRENT, encoding="utf-8")
        path.chmod(0o755)
    # What `systemctl enable systemd-networkd` does, with nothing running.
    for unit, target in (("systemd-networkd.service", "multi-user"), ("systemd-networkd.socket", "sockets")):
        link = root / f"etc/systemd/system/{target}.target.wants" / unit
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"/usr/lib/systemd/system/{unit}")
