"""Promise 2 on the host: who may join those that run here. Asked by libvirt's hook for every start, and by the agent.

One file a VM in the company folder says who was admitted; a lock makes looking and adding one act. Files that are out
of date can only refuse. Run as a program it is the hook: it then takes the place of libvirt's word for a domain, and
uses the standard library only, because libvirt waits for it. It starts, stops and moves nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NAMESPACE = "urn:ringfence:vm:1"
REFUSAL = "ringfence-refused:"
FOLDER = Path("/run/ringfence/company")
WINDOWS = Path("/run/ringfence/windows")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 1 << 20


class Member(NamedTuple):
    """A VM as its company sees it. `until`: a place kept, to this Unix time, for a VM on its way; 0: it runs."""

    vm_id: str
    name: str
    zone_id: str
    zone: str
    mixes_with: tuple[str, ...]
    until: float = 0.0


class NotAdmittedError(Exception):
    """The VM may not start here. `beside` names the zones it does not mix with; empty: it is no VM of ringfence."""

    def __init__(self, zone: str, beside: Sequence[str], why: str) -> None:
        super().__init__(why)
        self.zone, self.beside, self.why = zone, list(beside), why

    def line(self) -> str:
        """Put it in one line that survives libvirt's error text."""
        facts = json.dumps({"zone": self.zone, "beside": self.beside, "why": self.why})
        return REFUSAL + facts.encode().hex()


def read_refusal(text: str) -> NotAdmittedError | None:
    """Find a refusal of the hook in an error text of libvirt's."""
    found = re.search(re.escape(REFUSAL) + r"([0-9a-f]+)", text)
    if not found:
        return None
    try:
        facts = json.loads(bytes.fromhex(found[1]))
        return NotAdmittedError(str(facts["zone"]), [str(zone) for zone in facts["beside"]], str(facts["why"]))
    except (ValueError, KeyError, TypeError):
        return None


def strangers(newcomer: Member, present: Sequence[Member]) -> list[str]:
    """Name the zones present that do not mix with the newcomer's. Both must allow it; a zone mixes with itself."""
    return sorted(
        {
            member.zone
            for member in present
            if member.vm_id != newcomer.vm_id
            and member.zone_id != newcomer.zone_id
            and not (member.zone_id in newcomer.mixes_with and newcomer.zone_id in member.mixes_with)
        }
    )


def admit(newcomer: Member, folder: Path = FOLDER) -> bool:
    """Add the VM to the company or raise `NotAdmittedError`; False if it was there already, just so."""
    with _locked(folder):
        present = _members(folder)
        beside = strangers(newcomer, present)
        if beside:
            raise NotAdmittedError(newcomer.zone, beside, f"zone {newcomer.zone} does not mix with {', '.join(beside)}")
        known = next((member for member in present if member.vm_id == newcomer.vm_id), None)
        if known is not None and known.until == 0 and newcomer.until != 0:
            return False  # it runs: a place kept for it adds nothing
        if known == newcomer:
            return False
        _write(folder, newcomer)
        return known is None


def leave(vm_id: str, folder: Path = FOLDER) -> None:
    """Take the VM out of the company; no error if it is not in it."""
    with _locked(folder):
        (folder / f"{vm_id}.json").unlink(missing_ok=True)


def reconcile(present: Sequence[Member], every_domain: set[str], *, now: float, folder: Path = FOLDER) -> None:
    """Make the folder say what libvirt says. `present` run now; `every_domain` are the ids of all domains, any state.

    An entry younger than a minute stays: its domain may be on its way. Missing entries of running VMs are added, even
    if they should not be together: the next start is then refused.
    """
    with _locked(folder):
        for file in folder.glob("*.json"):
            with contextlib.suppress(NotAdmittedError):
                _read(file)
                continue
            # What runs is written anew below; what was on its way starts anew, and is judged anew.
            file.unlink()
        known = {member.vm_id: member for member in _members(folder)}
        for vm_id, member in known.items():
            file = folder / f"{vm_id}.json"
            if vm_id not in every_domain and member.until < now and file.stat().st_mtime < now - 60:
                file.unlink()
        for member in present:
            if member.vm_id not in known or known[member.vm_id].until != 0:
                _write(folder, member)


def members(folder: Path = FOLDER) -> list[Member]:
    with _locked(folder):
        return _members(folder)


def member_of(domain_xml: str) -> Member:
    """Read the VM's zone from the domain's metadata; raises `NotAdmittedError` if there is none that makes sense."""
    try:
        root = ET.fromstring(domain_xml)  # noqa: S314  (libvirt wrote it: no DTD comes through its formatter)
    except ET.ParseError:
        raise NotAdmittedError("", [], "the domain's XML cannot be read") from None
    vm = root.find(f"metadata/{{{NAMESPACE}}}vm")
    vm_id = root.findtext("uuid") or ""
    zone_id = vm.findtext(f"{{{NAMESPACE}}}zone-id") if vm is not None else None
    if vm is None or not zone_id or not _UUID.fullmatch(vm_id) or vm.get("id") != vm_id:
        raise NotAdmittedError("", [], "the domain is no VM of ringfence: nobody knows its zone")
    mixes_with = tuple(sorted(zone.text or "" for zone in vm.findall(f"{{{NAMESPACE}}}mixes-with")))
    return Member(vm_id, vm.get("name", ""), zone_id, vm.findtext(f"{{{NAMESPACE}}}zone") or zone_id, mixes_with)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _members(folder: Path) -> list[Member]:
    return [_read(file) for file in sorted(folder.glob("*.json"))]


def _read(file: Path) -> Member:
    """Read an entry. One that cannot be read raises, and whoever wants to start is refused."""
    try:
        told = json.loads(file.read_bytes())
        return Member(**{**told, "mixes_with": tuple(told["mixes_with"])})
    except (ValueError, KeyError, TypeError):
        raise NotAdmittedError("", [], f"nobody knows whom {file.name} admitted") from None


def _write(folder: Path, member: Member) -> None:
    file = folder / f"{member.vm_id}.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(member._asdict()))
    fresh.replace(file)


def hook(arguments: Sequence[str], domain_xml: str) -> None:
    """Do libvirt's hook: `NAME OPERATION SUBOPERATION EXTRA`; raises `NotAdmittedError` to refuse."""
    match tuple(arguments[1:3]):
        case ("prepare", "begin"):
            admit(member_of(domain_xml))
        case ("migrate", "begin"):
            newcomer = member_of(domain_xml)
            check_incoming(domain_xml, _window(newcomer.vm_id))
            admit(newcomer._replace(until=time.time() + 60))
        case ("release", "end"):
            with contextlib.suppress(NotAdmittedError):
                leave(member_of(domain_xml).vm_id)


def _window(vm_id: str) -> dict[str, Any]:
    try:
        window: dict[str, Any] = json.loads((WINDOWS / f"{vm_id}.json").read_bytes())
    except FileNotFoundError:
        raise NotAdmittedError("", [], "no move of this VM to this host is under way") from None
    if window["until"] < time.time():
        raise NotAdmittedError("", [], "the move's window has closed")
    return window


_DEVICES = frozenset({
    "emulator", "disk", "controller", "interface", "serial", "console", "channel", "input", "memballoon", "rng",
    "audio", "graphics", "video", "watchdog",
})  # fmt: skip
_DOMAIN = frozenset({
    "name", "uuid", "metadata", "memory", "currentMemory", "vcpu", "os", "features", "cpu", "clock", "on_poweroff",
    "on_reboot", "on_crash", "pm", "devices", "resource",
})  # fmt: skip


def check_incoming(domain_xml: str, window: dict[str, Any]) -> None:
    """Refuse an incoming domain that is not, in all that touches the host, the VM this host was told to receive.

    The source may be compromised: it must not reach this host's files, devices or networks through a domain it sends.
    """
    root = ET.fromstring(domain_xml)  # noqa: S314  (libvirt wrote it)
    wanted = ET.fromstring(window["xml"])  # noqa: S314  (the agent wrote it)

    def touched(domain: ET.Element) -> dict[str, Any]:
        return {
            "memory": _kib(domain.find("memory")),
            "vcpus": domain.findtext("vcpu"),
            "emulator": domain.findtext("devices/emulator"),
            "zone": member_of(ET.tostring(domain, encoding="unicode"))[:5],
            "disks": sorted(
                (disk.get("device", ""), disk.get("type", ""), file)
                for disk in domain.findall("devices/disk")
                for file in [_attribute(disk, "source", "file")]
            ),
            "nics": sorted(
                (
                    nic.get("type", ""),
                    _attribute(nic, "source", "bridge"),
                    _attribute(nic, "mac", "address"),
                    _attribute(nic, "virtualport/parameters", "interfaceid"),
                )
                for nic in domain.findall("devices/interface")
            ),
            "random": [(rng.findtext("backend"),) for rng in domain.findall("devices/rng")],
        }

    strange = {child.tag for child in root} - _DOMAIN
    strange |= {device.tag for device in root.findall("devices/*")} - _DEVICES
    strange |= {part.tag for part in root.findall("os/*")} - {"type", "boot", "bios"}
    strange |= {f"serial {port.get('type')}" for port in root.findall("devices/serial") if port.get("type") != "pty"}
    strange |= {f"console {port.get('type')}" for port in root.findall("devices/console") if port.get("type") != "pty"}
    strange |= {
        "channel"
        for channel in root.findall("devices/channel")
        if channel.get("type") != "unix" or channel.find("source[@path]") is not None
    }
    strange |= set(_strange_screen(root))
    strange |= {inner.tag for disk in root.findall("devices/disk") for inner in disk.findall("backingStore/*")}
    strange |= {"log" for _ in root.findall("devices/*/log")}
    if strange:
        raise NotAdmittedError("", [], f"the domain that comes in has {', '.join(sorted(strange))[:200]}")
    coming, told = touched(root), touched(wanted)
    differing = sorted(key for key in told if coming[key] != told[key])
    if differing:
        raise NotAdmittedError("", [], f"the domain that comes in differs from the VM told in {', '.join(differing)}")


def _strange_screen(root: ET.Element) -> Iterator[str]:
    """Name what of a screen, keyboard, pointer or sound would listen, or reach a device or file of the host."""
    for graphics in root.findall("devices/graphics"):
        listens = [(inner.tag, dict(inner.attrib)) for inner in graphics]
        if dict(graphics.attrib) != {"type": "vnc"} or listens != [("listen", {"type": "none"})]:
            yield "graphics that listen"
    for video in root.findall("devices/video"):
        inside = {part.tag for part in video} | {part.tag for part in video.findall("model/*")}
        if _attribute(video, "model", "type") != "vga" or not inside <= {"model", "alias", "address"}:
            yield "video"
    for device in root.findall("devices/input"):
        if device.get("type") not in {"keyboard", "mouse", "tablet"} or device.find("source") is not None:
            yield "input"
    for audio in root.findall("devices/audio"):
        if audio.get("type") != "none":
            yield "audio"


def _attribute(element: ET.Element, path: str, name: str) -> str:
    found = element.find(path)
    return (found.get(name) or "") if found is not None else ""


def _kib(element: ET.Element | None) -> int:
    if element is None:
        return 0
    return int(element.text or "0") * {"KiB": 1, "MiB": 1024, "GiB": 1 << 20}[element.get("unit", "KiB")]


def main() -> int:
    """Run as libvirt's hook. Whatever goes wrong refuses the start."""
    try:
        hook(sys.argv[1:], sys.stdin.read(_LONGEST))
    except NotAdmittedError as refused:
        sys.stderr.write(f"zone-forbids: {refused.why} {refused.line()}\n")
        return 1
    except Exception as error:  # noqa: BLE001  (fails closed: an error in the guard admits nobody)
        failed = NotAdmittedError("", [], f"the guard itself failed: {type(error).__name__}: {error}"[:300])
        sys.stderr.write(f"zone-forbids: {failed.why} {failed.line()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
