#!/usr/bin/env python3
"""Build the Debian package of the agent: `build_deb.py OUTDIR` prints the file's path. Needs dpkg-deb.

The package carries what a hypervisor needs and nothing of the controller. Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "src" / "ringfence"
CARRIED = ("__init__.py", "errors.py", "wire.py", "model", "agent")
FOLDER = "usr/lib/ringfence-agent"
DEPENDS = (
    "python3 (>= 3.11)",
    "python3-cryptography",
    "python3-libvirt",
    "python3-msgspec",
    "python3-websockets",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "qemu-system-x86",
    "qemu-utils",
    "openvswitch-switch",
    "ovn-host",
    "nftables",
    "xorriso",
)
PLACES = {
    "agent.toml": ("etc/ringfence/agent.toml", 0o644),
    "hooks/qemu": ("etc/libvirt/hooks/qemu.d/50-ringfence", 0o755),
    "libvirt-qemu.apparmor": ("etc/apparmor.d/abstractions/libvirt-qemu.d/ringfence", 0o644),
    "ringfence-agent": ("usr/bin/ringfence-agent", 0o755),
    "run.py": (f"{FOLDER}/run.py", 0o644),
    "ringfence-agent.service": ("usr/lib/systemd/system/ringfence-agent.service", 0o644),
    "ringfence-firewall.service": ("usr/lib/systemd/system/ringfence-firewall.service", 0o644),
    "ringfence-agent-root.service": ("usr/lib/systemd/system/ringfence-agent-root.service", 0o644),
}


def version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', (SOURCE / "__init__.py").read_text())
    assert found
    return found[1]


def build(out: Path) -> Path:
    """Build the package in `out`; the same sources give the same bytes."""
    os.umask(0o022)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"ringfence-agent_{version()}_all.deb"
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for source, (place, mode) in PLACES.items():
            _put(HERE / source, root / place, mode)
        for carried in CARRIED:
            for file in sorted((SOURCE / carried).rglob("*.py")) or [SOURCE / carried]:
                _put(file, root / FOLDER / "ringfence" / file.relative_to(SOURCE), 0o644)
        _control(root)
        newest = max(int(f.stat().st_mtime) for f in (*HERE.rglob("*"), *SOURCE.rglob("*.py")))
        unfinished = package.with_suffix(".unfinished")
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", str(root), str(unfinished)],  # noqa: S607
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"SOURCE_DATE_EPOCH": str(newest)},
        )
        unfinished.replace(package)
    return package


def _control(root: Path) -> None:
    control = root / "DEBIAN"
    control.mkdir()
    fields = {
        "Package": "ringfence-agent",
        "Version": version(),
        "Architecture": "all",
        "Section": "admin",
        "Priority": "optional",
        "Maintainer": "ringfence developers <ringfence@localhost>",
        "Depends": ", ".join(DEPENDS),
        "Description": "ringfence's part on a hypervisor\n Runs VMs for a ringfence controller, and refuses a VM whose"
        " zone does not mix\n with those that run here. It dials out and listens on nothing.",
    }
    (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    (control / "conffiles").write_text("".join(f"/{p}\n" for p, _ in PLACES.values() if p.startswith("etc/")))
    for script in ("postinst", "prerm", "postrm"):
        _put(HERE / script, control / script, 0o755)


def _put(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build_deb.py OUTDIR")
    print(build(Path(sys.argv[1])))  # noqa: T201
