"""What a VM must look like before anything on the host is made of it. What comes in is hostile. No effects."""

from __future__ import annotations

import ipaddress
import re
import struct

from ringfence.errors import Invalid
from ringfence.model.names import NAME_PATTERN, UUID_PATTERN
from ringfence.model.vms import Nic, VmSpec

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_QCOW2 = struct.Struct(">4sIQI")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]{1,255}")


def check_vm_id(vm_id: str) -> str:
    """Give the id back, or refuse it: it becomes a part of paths."""
    if not re.fullmatch(UUID_PATTERN, vm_id):
        raise Invalid(field="vm_id", why="it is not a UUID in lower case")
    return vm_id


def check_digest(digest: str) -> str:
    """Give the digest back, or refuse it: it becomes a file name."""
    if not _DIGEST.fullmatch(digest):
        raise Invalid(field="digest", why="it is not sha256: and 64 hexadecimal digits")
    return digest


def check_address(address: str, *, field: str) -> str:
    """Give the IPv4 address back, or refuse it."""
    try:
        return str(ipaddress.IPv4Address(address))
    except ValueError:
        raise Invalid(field=field, why="it is not an IPv4 address") from None


def check_vm(spec: VmSpec) -> VmSpec:
    """Give the spec back, or refuse it as `Invalid` for its first fault."""
    check_vm_id(spec.vm_id)
    check_digest(spec.image_digest)
    _must(re.fullmatch(NAME_PATTERN, spec.name), "vm.name", "it is not a name")
    for field in ("project", "owner", "zone"):
        _must(_PRINTABLE.fullmatch(getattr(spec, field)), f"vm.{field}", "it has 1 to 255 printable characters")
    for zone_id in (spec.zone_id, *spec.mixes_with):
        _must(re.fullmatch(UUID_PATTERN, zone_id), "vm.zone_id", "it is not a UUID in lower case")
    _must(len(spec.mixes_with) <= 10_000, "vm.mixes_with", "there are more than 10,000")
    _must(1 <= spec.vcpus <= 255, "vm.vcpus", "1 to 255 are possible")
    _must(1 <= spec.memory_mib <= 1 << 24, "vm.memory_mib", "1 MiB to 16 TiB are possible")
    _must(1 << 20 <= spec.disk_bytes <= 1 << 46 and spec.disk_bytes % 512 == 0, "vm.disk_bytes", "1 MiB to 64 TiB")
    _must(len(spec.nics) <= 8, "vm.nics", "there are more than 8")
    _must(len(spec.user_data.encode(errors="replace")) <= 1 << 16, "vm.user_data", "it is longer than 64 KiB")
    for nic in spec.nics:
        _check_nic(nic)
    return spec


def _check_nic(nic: Nic) -> None:
    _must(re.fullmatch(UUID_PATTERN, nic.port_id), "nic.port_id", "it is not a UUID in lower case")
    _must(_MAC.fullmatch(nic.mac), "nic.mac", "it is not a MAC address in lower case")
    check_address(nic.address, field="nic.address")
    _must(0 <= nic.prefix_length <= 32, "nic.prefix_length", "0 to 32 are possible")
    _must(68 <= nic.mtu <= 9000, "nic.mtu", "68 to 9000 are possible")


def _must(holds: object, field: str, why: str) -> None:
    if not holds:
        raise Invalid(field=field, why=why)


def check_qcow2_header(header: bytes) -> None:
    """Refuse a disk that refers to other files (docs/interop/qcow2.txt of QEMU: bytes 8 to 20, feature bit 2)."""
    if len(header) < 80:
        raise Invalid(field="disk", why="it is too short for a qcow2 file")
    magic, version, backing_offset, backing_length = _QCOW2.unpack(header[: _QCOW2.size])
    if magic != b"QFI\xfb" or version != 3:
        raise Invalid(field="disk", why="it is no qcow2 file of version 3")
    if backing_offset or backing_length:
        raise Invalid(field="disk", why="it has a backing file")
    if int.from_bytes(header[72:80], "big") & 0b100:
        raise Invalid(field="disk", why="it keeps its data in another file")
