"""Virtual machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ringfence.model.images import ImageFormat
from ringfence.model.names import FlavorId, HostId, ImageId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Port


class VmState(StrEnum):
    CREATING = "creating"
    RUNNING = "running"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    MOVING = "moving"
    DELETING = "deleting"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A VM as the store knows it. `host_id` is where it runs, or will; `placement` is why there, in words.

    `owner` is never empty, from birth. `labels` are what policies select by. `user_data` is cloud-init's.
    """

    id: VmId
    name: str
    project_id: ProjectId
    zone_id: ZoneId
    owner: str
    flavor_id: FlavorId
    image_id: ImageId
    state: VmState
    labels: Mapping[str, str]
    ports: tuple[Port, ...]
    host_id: HostId | None = None
    placement: str = ""
    user_data: str = ""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A port as a host plugs it in. `port_id` is the OVN logical port's name."""

    port_id: str
    mac: str
    address: str
    prefix_length: int
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """Everything a host must know to run a VM, and nothing it could decide by.

    `mixes_with` holds the ids of the zones that may share a host with it. Sizes are MiB and bytes as named.
    """

    vm_id: VmId
    name: str
    project: str
    owner: str
    zone_id: ZoneId
    zone: str
    mixes_with: tuple[ZoneId, ...]
    vcpus: int
    memory_mib: int
    disk_bytes: int
    image_digest: str
    image_format: ImageFormat
    nics: tuple[Nic, ...]
    user_data: str = ""
