"""Networks and ports: logical switches, and the NICs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringfence.errors import Refused
from ringfence.model.names import HostId, NetworkId, PortId, ProjectId, VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An overlay segment with one IPv4 range. `project_id` None: every project may use it."""

    id: NetworkId
    name: str
    cidr: str
    project_id: ProjectId | None = None
    mtu: int = 1442
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A VM's NIC. `hosts` are those that may bind it: one, or source and destination during a move."""

    id: PortId
    vm_id: VmId
    network_id: NetworkId
    mac: str
    address: str
    hosts: tuple[HostId, ...] = ()


@dataclass(eq=False)
class NetworkFull(Refused):
    """Network {network} has no free address left in {cidr}.

    Delete VMs on it, or make a network with a larger range.
    """

    status: ClassVar[int] = 409
    network: str
    cidr: str
