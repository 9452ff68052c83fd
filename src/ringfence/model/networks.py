"""Networks and ports: logical switches, and the NICs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringfence.errors import Refused, Unfinished, Unreachable
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


@dataclass(eq=False)
class NetworksOverlap(Refused):
    """Networks {one} ({one_cidr}) and {other} ({other_cidr}) overlap, and a VM on both could not tell them apart.

    Put the VM on one of them, or make a network whose range is its own.
    """

    one: str
    one_cidr: str
    other: str
    other_cidr: str


@dataclass(eq=False)
class FenceUnreachable(Unreachable):
    """OVN's {database} database at {where} does not answer: {why}.

    The fence stays as it is; nothing opens. See that the database runs and that the controller reaches it.
    """

    database: str
    where: str
    why: str


@dataclass(eq=False)
class FenceLate(Unreachable):
    """The switches of {hosts} have not followed the fence within {timeout_seconds} s.

    Until they do, they hold the rules they had. See that ovn-controller runs there and reaches the southbound.
    """

    hosts: list[str]
    timeout_seconds: float


@dataclass(eq=False)
class FenceUnsound(Unfinished):
    """OVN does not hold what was written: {differences}.

    Somebody else writes to it, or its version is unknown: compare with `ringfence verify`, and apply the fence again.
    """

    differences: list[str]
