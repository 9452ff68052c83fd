"""A VM as libvirt's domain XML: a pure function. No libvirt here, no files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import PurePosixPath

from ringfence.agent.company import NAMESPACE
from ringfence.model.vms import Nic, VmSpec

PREFIX = "rf-"
DISK, SEED = "disk.qcow2", "seed.iso"


def domain_name(vm_id: str) -> str:
    """Name the domain by the VM's id: VM names are unique in a project only."""
    return PREFIX + vm_id


def domain_xml(spec: VmSpec, accelerator: str, *, folder: str, bridge: str, userspace_datapath: bool) -> str:
    """Write the VM's domain. `folder` holds its disk and seed; `accelerator` is kvm or tcg.

    `userspace_datapath`: the switch moves packets itself and fills in no checksums, so the guest must.
    """
    assert accelerator in {"kvm", "tcg"}, accelerator
    ET.register_namespace("rf", NAMESPACE)
    domain = ET.Element("domain", type="kvm" if accelerator == "kvm" else "qemu")
    _text(domain, "name", domain_name(spec.vm_id))
    _text(domain, "uuid", spec.vm_id)
    domain.append(_metadata(spec))
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    os = ET.SubElement(domain, "os")
    _text(os, "type", "hvm", arch="x86_64", machine="q35")
    ET.SubElement(os, "boot", dev="hd")
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    # QEMU's own model under TCG: every host has it, so a VM moves anywhere. Under KVM the host's, as libvirt knows it.
    if accelerator == "kvm":
        ET.SubElement(domain, "cpu", mode="host-model")
    else:
        _text(ET.SubElement(domain, "cpu", mode="custom", match="exact"), "model", "qemu64")
    ET.SubElement(domain, "clock", offset="utc")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    domain.append(_devices(spec, PurePosixPath(folder), bridge, userspace_datapath))
    ET.indent(domain)
    # Declared where it is used, as libvirt's own documents do: ElementTree declares it on the root.
    declaration = f' xmlns:rf="{NAMESPACE}"'
    text = ET.tostring(domain, encoding="unicode").replace(declaration, "", 1)
    return text.replace("<rf:vm", f"<rf:vm{declaration}", 1) + "\n"


def _metadata(spec: VmSpec) -> ET.Element:
    metadata = ET.Element("metadata")
    vm = ET.SubElement(metadata, f"{{{NAMESPACE}}}vm", id=spec.vm_id, name=spec.name)
    for key, value in (
        ("project", spec.project),
        ("owner", spec.owner),
        ("zone-id", spec.zone_id),
        ("zone", spec.zone),
    ):
        _text(vm, f"{{{NAMESPACE}}}{key}", value)
    for zone_id in sorted(spec.mixes_with):
        _text(vm, f"{{{NAMESPACE}}}mixes-with", zone_id)
    return metadata


def _devices(spec: VmSpec, folder: PurePosixPath, bridge: str, userspace_datapath: bool) -> ET.Element:
    devices = ET.Element("devices")
    _text(devices, "emulator", "/usr/bin/qemu-system-x86_64")
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    # Discard is ignored: what a guest discards would be freed on the host unseen, and uncleared (promise 3).
    ET.SubElement(disk, "driver", name="qemu", type="qcow2", discard="ignore")
    ET.SubElement(disk, "source", file=str(folder / DISK))
    ET.SubElement(disk, "target", dev="vda", bus="virtio")
    seed = ET.SubElement(devices, "disk", type="file", device="cdrom")
    ET.SubElement(seed, "driver", name="qemu", type="raw")
    ET.SubElement(seed, "source", file=str(folder / SEED))
    ET.SubElement(seed, "target", dev="sda", bus="sata")
    ET.SubElement(seed, "readonly")
    ET.SubElement(devices, "controller", type="usb", model="none")
    for nic in spec.nics:
        devices.append(_interface(nic, bridge, userspace_datapath))
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "target", port="0")
    console = ET.SubElement(devices, "console", type="pty")
    ET.SubElement(console, "target", type="serial", port="0")
    channel = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    _screen(devices)
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    ET.SubElement(devices, "memballoon", model="none")
    return devices


def _screen(devices: ET.Element) -> None:
    """Give the VM a screen, on which nothing listens: who may look is handed an end of a pair of sockets."""
    ET.SubElement(ET.SubElement(devices, "graphics", type="vnc"), "listen", type="none")
    # The plain VGA: every guest draws on it from its first instruction. No command queue, no 3D, nothing of the host's.
    ET.SubElement(ET.SubElement(devices, "video"), "model", type="vga", vram="16384", heads="1", primary="yes")
    # A pointer that is where the viewer's is, without USB; a guest without a driver has the PS/2 mouse.
    ET.SubElement(devices, "input", type="tablet", bus="virtio")


def _interface(nic: Nic, bridge: str, userspace_datapath: bool) -> ET.Element:
    interface = ET.Element("interface", type="bridge")
    ET.SubElement(interface, "mac", address=nic.mac)
    ET.SubElement(interface, "source", bridge=bridge)
    port = ET.SubElement(interface, "virtualport", type="openvswitch")
    ET.SubElement(port, "parameters", interfaceid=nic.port_id)
    ET.SubElement(interface, "model", type="virtio")
    if userspace_datapath:
        driver = ET.SubElement(interface, "driver")
        off = dict.fromkeys(("csum", "tso4", "tso6", "ecn", "ufo"), "off")
        ET.SubElement(driver, "host", off | {"gso": "off"})
        ET.SubElement(driver, "guest", off)
    ET.SubElement(interface, "mtu", size=str(nic.mtu))
    return interface


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element
