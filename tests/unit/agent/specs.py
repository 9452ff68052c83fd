"""A VM as tests tell it to the agent."""

from __future__ import annotations

from typing import Any

from ringfence.model.images import ImageFormat
from ringfence.model.names import VmId, ZoneId
from ringfence.model.vms import Nic, VmSpec

VM = "01920000-0000-7000-8000-000000000001"
RED = "01920000-0000-7000-8000-00000000000a"
BLUE = "01920000-0000-7000-8000-00000000000b"
PORT = "01920000-0000-7000-8000-0000000000f1"


def spec(**told: Any) -> VmSpec:
    usual: dict[str, Any] = {
        "vm_id": VmId(VM),
        "name": "web-1",
        "project": "shop",
        "owner": "rosa@bank.example",
        "zone_id": ZoneId(RED),
        "zone": "red",
        "mixes_with": (ZoneId(BLUE),),
        "vcpus": 2,
        "memory_mib": 256,
        "disk_bytes": 1 << 30,
        "image_digest": "sha256:" + "0" * 64,
        "image_format": ImageFormat.QCOW2,
        "nics": (Nic(port_id=PORT, mac="52:54:00:00:00:01", address="10.0.0.5", prefix_length=24, mtu=1442),),
    }
    return VmSpec(**usual | told)
