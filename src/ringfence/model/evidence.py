"""What a verification saw, and what it concludes, promise by promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from ringfence.model.hosts import Host
from ringfence.model.ledger import Audit
from ringfence.model.names import HostId, VmId, ZoneId
from ringfence.model.operations import Operation
from ringfence.model.vms import Vm
from ringfence.model.zones import Zone


class Promise(IntEnum):
    FENCE = 1
    COMPANY = 2
    CLEARANCE = 3
    CUSTODY = 4
    SILENCE = 5
    SECRETS = 6
    WHOLE_OR_NOTHING = 7


class Verdict(StrEnum):
    """`UNKNOWN`: what had to be looked at could not be; it is never counted as kept."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of one promise: the question, the verdict, and what was seen, in a sentence and in items."""

    promise: Promise
    question: str
    verdict: Verdict
    seen: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDomain:
    """A domain as its host tells it, whoever started it. `state` is libvirt's word."""

    vm_id: VmId
    name: str
    state: str
    zone_id: ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTunnel:
    """Whom a host's firewall lets into the overlay tunnel, and what it counted."""

    fellows: frozenset[str]
    admitted_packets: int
    refused_packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSighted:
    """What one host told when asked. `domains` None: it did not answer, and `why` says how.

    `tunnel` None: no firewall holds it.
    """

    host: Host
    domains: tuple[SeenDomain, ...] | None = None
    disks: tuple[VmId, ...] = ()
    windows: tuple[VmId, ...] = ()
    listening: tuple[str, ...] = ()
    tunnel: SeenTunnel | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSighted:
    """Everything a verification looked at, within one short time.

    `drift` is what would have to change northbound for it to say what the policies say. `late` are hosts whose switches
    do not follow. `bound` tells for each port the hosts whose switches carry it. `database_refusals` holds, for each
    constraint that was tried, what the database answered, and "" where it let the attempt pass. `moving` and `busy`
    hold what operations under way at that time may be changing. `stale_minutes` is when an operation counts as stuck.
    `simulated`: there were no real hosts to look at.
    `ledger` is what a walk over it found since the last one, None if none could be made.
    """

    hosts: tuple[HostSighted, ...]
    vms: tuple[Vm, ...]
    zones: Mapping[ZoneId, Zone]
    drift: tuple[str, ...]
    fence_ports: int
    late: Mapping[HostId, str]
    bound: Mapping[str, tuple[HostId, ...]]
    database_refusals: Mapping[str, str]
    unfinished: tuple[Operation, ...] = ()
    stuck: tuple[Operation, ...] = ()
    busy: frozenset[VmId] = field(default_factory=frozenset)
    simulated: bool = False
    ledger: Audit | None = None
