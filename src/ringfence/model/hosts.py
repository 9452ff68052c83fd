"""Hosts: the hypervisors under management, and what a placement needs to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ringfence.errors import Refused, Unfinished, Unreachable
from ringfence.model.names import HostId, ZoneId


class HostState(StrEnum):
    JOINING = "joining"
    READY = "ready"
    CORDONED = "cordoned"
    DRAINING = "draining"
    QUARANTINED = "quarantined"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """vCPUs, memory in MiB, disk in bytes: of a host, or taken from one."""

    vcpus: int = 0
    memory_mib: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the controller keeps of a host's certificate: `fingerprint` is the SHA-256 of its DER form, hex."""

    serial: str
    fingerprint: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A hypervisor. `underlay_address` carries the overlay and moves.

    `last_seen` and `certificate_expires_at` are UTC, ISO 8601, or None. The fingerprint is that of the certificate the
    host shows now; the next one, while it is renewed, the store knows.
    """

    id: HostId
    name: str
    state: HostState
    underlay_address: str
    total: Capacity = field(default_factory=Capacity)
    claimed: Capacity = field(default_factory=Capacity)
    certificate_fingerprint: str = ""
    certificate_expires_at: str | None = None
    last_seen: str | None = None
    reachable: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSnapshot:
    """A host as one placement sees it: `free` capacity, and the zones of the VMs that have a claim on it."""

    id: HostId
    name: str
    state: HostState
    reachable: bool
    free: Capacity
    total: Capacity
    zones: frozenset[ZoneId]


@dataclass(eq=False)
class NoHostFits(Refused):
    """No host can run VM {vm}: {rejected}.

    Add a host, lift a cordon, or free capacity, as the reasons say.
    """

    vm: str
    rejected: dict[str, str]


@dataclass(eq=False)
class CapacityExceeded(Refused):
    """Host {host} has too little {what} left.

    Another placement took it first; the placement is tried again.
    """

    host: str
    what: str


@dataclass(eq=False)
class HostFilledUp(Refused):
    """Host {host} was given another VM since it was chosen.

    The placement is made again, by what is free now.
    """

    host: str


@dataclass(eq=False)
class JoinTokenRefused(Refused):
    """The join token is {why}.

    Make a new one on the controller with `ringfence host invite NAME`; each serves once.
    """

    status: ClassVar[int] = 403
    why: str


@dataclass(eq=False)
class CertificateExpired(Refused):
    """The certificate of host {host} expired at {at}, so the controller does not know it any more; its VMs run on.

    Give it another: `ringfence host invite --again {host}` on the controller, then `ringfence-agent join` on the host.
    If it should not have expired yet, see to the host's clock.
    """

    status: ClassVar[int] = 403
    host: str
    at: str


@dataclass(eq=False)
class TokenInArguments(Refused):
    """A join token is not taken from the command line, where every user of the host could read it.

    Take that one for known, and make another: `ringfence host invite NAME`. Then run `ringfence-agent join`, and paste
    it, or give it on standard input or in a file (`--token-file`).
    """


@dataclass(eq=False)
class JoinedAlready(Refused):
    """This host has joined already, as {name}; nothing of that was touched.

    For a new certificate under its present name use a token of `ringfence host invite --again {name}`. To give up what
    it is and join as another, add `--anew`.
    """

    name: str


@dataclass(eq=False)
class VmsHere(Refused):
    """This host has VMs ({vms}), and they would be lost to the controller that knows them.

    Move or delete them first. For a new certificate under the host's present name use a token of `ringfence host invite
    --again NAME`: its VMs stay. VMs that no controller knows any more are yours to clear: their disks are in {folder}.
    """

    vms: list[str]
    folder: str


@dataclass(eq=False)
class HostUnreachable(Unreachable):
    """Host {host} has not answered {asked} within {patience_seconds} s.

    See that its agent runs (`systemctl status ringfence-agent`) and reaches the controller.
    """

    host: str
    asked: str
    patience_seconds: float


@dataclass(eq=False)
class CommandNotTaken(Unreachable):
    """Host {host} did not take the command {asked}; nothing was done there.

    See that its agent runs (`systemctl status ringfence-agent`) and reaches the controller.
    """

    host: str
    asked: str


@dataclass(eq=False)
class HostToolFailed(Unfinished):
    """{tool} failed on the host: {why}.

    See the host's journal (`journalctl -u ringfence-agent -u ringfence-agent-root`).
    """

    tool: str
    why: str


@dataclass(eq=False)
class HostDiskFull(Refused):
    """The host's disk has no room for {what}.

    Free space below {folder} on the host, or choose another host.
    """

    status: ClassVar[int] = 507
    what: str
    folder: str


@dataclass(eq=False)
class CommandUnknown(Refused):
    """The host's agent does not know the command {verb}.

    Update the agent on the host to the controller's version.
    """

    status: ClassVar[int] = 501
    verb: str


@dataclass(eq=False)
class NoScreen(Refused):
    """VM {vm_id} has no screen: {why}.

    Use its serial console (`ringfence vm console`), or do as the reason says.
    """

    vm_id: str
    why: str


@dataclass(eq=False)
class MoveFailed(Unfinished):
    """The move of VM {vm_id} failed: {why}.

    The VM goes on where it was; correct the cause and move it again.
    """

    vm_id: str
    why: str


@dataclass(eq=False)
class HostPartDown(Unreachable):
    """The agent's root part does not answer on the host: {why}.

    See that it runs (`systemctl status ringfence-agent-root`).
    """

    why: str


@dataclass(eq=False)
class ControllerAway(Unreachable):
    """The controller was not reached from the host: {why}.

    See that the controller runs and that the host's network leads to it.
    """

    why: str
