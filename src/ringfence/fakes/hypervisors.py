"""Many hosts in memory: `ports.Hypervisors` as real agents keep it, failing on demand.

Each host holds to promise 2 by itself, does one VM's commands in the order they came, and answers a key it has
answered before as it did then. Faults are chosen by `faults`, which is told each command. Nothing here waits, and
nothing stands for a hypervisor where a promise is shown to users.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ringfence.errors import ErrorRecord, NotFound, RingfenceError, Unfinished, WrongState, from_record
from ringfence.model.hosts import HostUnreachable
from ringfence.model.names import HostId
from ringfence.model.vms import VmSpec
from ringfence.model.zones import ZoneForbids
from ringfence.wire import (
    AnyResult,
    AnyVerb,
    CloseMove,
    Held,
    HoldImage,
    Moved,
    Nothing,
    ObserveVms,
    PrepareVm,
    ReceiveMove,
    RemoveVm,
    Seen,
    SeenVm,
    SendMove,
    StartVm,
    StopVm,
    Tunnel,
)


class Fault(StrEnum):
    """What may go wrong with one command.

    `untaken`: no agent fetches it. `unanswered`: it is done, and the answer lost. `late`: it is fetched, and done only
    before the host's next command. `fails`: the host answers an error, having done nothing. `breaks`: it answers an
    error, having done it. `dies`: the host loses power while it does it; `boots` brings it back.
    """

    UNTAKEN = "untaken"
    UNANSWERED = "unanswered"
    LATE = "late"
    FAILS = "fails"
    BREAKS = "breaks"
    DIES = "dies"


@dataclass(eq=False)
class FakeFailure(Unfinished):
    """The fake host failed at {verb}, as it was told to.

    Nothing to do: it is a test.
    """

    verb: str


@dataclass
class FakeDomain:
    """`state` in libvirt's word; `incoming` while a move comes in for it."""

    spec: VmSpec
    state: str
    incoming: bool = False


@dataclass
class FakeHost:
    """One host. `answers` outlives a loss of power, as an agent's journal of keys does; `late` does too."""

    host_id: HostId
    alive: bool = True
    images: set[str] = field(default_factory=set)
    disks: set[str] = field(default_factory=set)
    domains: dict[str, FakeDomain] = field(default_factory=dict)
    windows: set[str] = field(default_factory=set)
    answers: dict[str, AnyResult | ErrorRecord] = field(default_factory=dict)
    late: dict[str, AnyVerb] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """VMs that ran when the power went."""

    def running(self) -> list[VmSpec]:
        """What has, or is about to have, CPUs that run here."""
        return [domain.spec for domain in self.domains.values() if domain.state in ("running", "paused")]


class FakeHypervisors:
    """Implements `ports.Hypervisors`. `changed` is called after every change of any host."""

    def __init__(
        self,
        host_ids: list[HostId],
        *,
        faults: Callable[[HostId, AnyVerb, str], Fault | None] = lambda _host, _verb, _key: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.hosts = {host_id: FakeHost(host_id) for host_id in host_ids}
        self.faults = faults
        self.changed = changed
        self.done: list[tuple[HostId, AnyVerb, str]] = []
        self._lock = threading.RLock()

    def ask(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> AnyResult:
        """Have the host do the verb; see `ports.Hypervisors`."""
        with self._lock:
            host = self.hosts[host_id]
            fault = self.faults(host_id, verb, key)
            silent = HostUnreachable(host=host_id, asked=_tag(verb), patience_seconds=patience_seconds)
            if not host.alive or fault is Fault.UNTAKEN:
                raise silent
            if fault is Fault.LATE:
                host.late.setdefault(key, verb)
                raise silent
            self._catch_up(host)
            if fault is Fault.DIES:
                self._answer(host, verb, key)
                self.dies(host_id)
                raise silent
            if fault is Fault.FAILS and key not in host.answers:
                host.answers[key] = FakeFailure(verb=_tag(verb)).record()
            answer = self._answer(host, verb, key)
            if fault is Fault.BREAKS and not isinstance(answer, ErrorRecord):
                host.answers[key] = answer = FakeFailure(verb=_tag(verb)).record()
            if fault is Fault.UNANSWERED:
                raise silent
            if isinstance(answer, ErrorRecord):
                raise from_record(answer)
            return answer

    def withdraw(self, host_id: HostId, *, key: str) -> bool:
        """Take a command back; see `ports.Hypervisors`."""
        with self._lock:
            host = self.hosts[host_id]
            return key not in host.answers and key not in host.late

    def dies(self, host_id: HostId) -> None:
        """Take the host's power: what ran there runs no more, its disks stay, a half-received VM is gone."""
        with self._lock:
            host = self.hosts[host_id]
            host.alive = False
            host.windows.clear()
            for vm_id, domain in list(host.domains.items()):
                if domain.incoming:
                    del host.domains[vm_id]
                elif domain.state == "running":
                    host.lost.add(vm_id)
                domain.state = "shutoff"
            self.changed()

    def boots(self, host_id: HostId) -> None:
        with self._lock:
            self.hosts[host_id].alive = True

    def catch_up(self) -> None:
        """Have every living host do what it fetched and has not done."""
        with self._lock:
            for host in self.hosts.values():
                if host.alive:
                    self._catch_up(host)

    def _catch_up(self, host: FakeHost) -> None:
        # In the order fetched: no later command about a VM overtakes an earlier one.
        while host.late:
            key = next(iter(host.late))
            verb = host.late.pop(key)
            self._answer(host, verb, key)

    def _answer(self, host: FakeHost, verb: AnyVerb, key: str) -> AnyResult | ErrorRecord:
        if key not in host.answers:
            try:
                host.answers[key] = self._do(host, verb)
            except RingfenceError as error:
                host.answers[key] = error.record()
            self.done.append((host.host_id, verb, key))
            self.changed()
        return host.answers[key]

    def _do(self, host: FakeHost, verb: AnyVerb) -> AnyResult:  # noqa: C901 - one case a verb
        match verb:
            case HoldImage():
                fetched = 0 if verb.digest in host.images else verb.file_bytes
                host.images.add(verb.digest)
                return Held(fetched_bytes=fetched)
            case PrepareVm():
                return self._prepare(host, verb.vm)
            case StartVm():
                return self._start(host, verb.vm)
            case StopVm():
                domain = host.domains.get(verb.vm_id)
                changed = domain is not None and domain.state == "running"
                if domain is not None and not domain.incoming:
                    domain.state = "shutoff"
                return Nothing(changed=changed)
            case RemoveVm():
                changed = verb.vm_id in host.disks or verb.vm_id in host.domains
                self._clear(host, verb.vm_id)
                return Nothing(changed=changed)
            case ReceiveMove():
                return self._receive(host, verb)
            case SendMove():
                return self._send(host, verb)
            case CloseMove():
                return self._close(host, verb)
            case ObserveVms():
                return _seen(host)
            case _:
                raise FakeFailure(verb=_tag(verb))

    def _prepare(self, host: FakeHost, vm: VmSpec) -> AnyResult:
        if vm.image_digest not in host.images:
            raise NotFound(kind="image", ref=vm.image_digest)
        changed = vm.vm_id not in host.disks
        host.disks.add(vm.vm_id)
        return Nothing(changed=changed)

    def _start(self, host: FakeHost, vm: VmSpec) -> AnyResult:
        domain = host.domains.get(vm.vm_id)
        if domain is not None and domain.state == "running":
            return Nothing(changed=False)
        if vm.vm_id not in host.disks:
            raise NotFound(kind="disk of VM", ref=vm.vm_id)
        _admit(host, vm)
        host.domains[vm.vm_id] = FakeDomain(spec=vm, state="running")
        return Nothing()

    def _receive(self, host: FakeHost, verb: ReceiveMove) -> AnyResult:
        if verb.vm.vm_id in host.domains:
            return Nothing(changed=False)
        _admit(host, verb.vm)
        host.disks.add(verb.vm.vm_id)
        host.windows.add(verb.vm.vm_id)
        host.domains[verb.vm.vm_id] = FakeDomain(spec=verb.vm, state="paused", incoming=True)
        return Nothing()

    def _send(self, host: FakeHost, verb: SendMove) -> AnyResult:
        domain = host.domains.get(verb.vm_id)
        if domain is None or domain.state != "running":
            raise NotFound(kind="running VM", ref=verb.vm_id)
        destination = self.hosts[HostId(verb.destination_host_id)]
        arriving = destination.domains.get(verb.vm_id)
        if not destination.alive or arriving is None or verb.vm_id not in destination.windows:
            raise FakeFailure(verb="send-move")
        arriving.state, arriving.incoming = "running", False
        del host.domains[verb.vm_id]
        return Moved(downtime_ms=200, total_ms=1500, sent_bytes=1 << 28)

    def _close(self, host: FakeHost, verb: CloseMove) -> AnyResult:
        domain = host.domains.get(verb.vm_id)
        if not verb.keep and domain is not None and not domain.incoming:
            # It may be the only copy there is.
            raise WrongState(kind="VM", name=verb.vm_id, state=domain.state, verb="close-move", needs="incoming")
        changed = verb.vm_id in host.windows
        host.windows.discard(verb.vm_id)
        if not verb.keep:
            self._clear(host, verb.vm_id)
        return Nothing(changed=changed)

    def _clear(self, host: FakeHost, vm_id: str) -> None:
        host.domains.pop(vm_id, None)
        host.disks.discard(vm_id)
        host.windows.discard(vm_id)


def _admit(host: FakeHost, vm: VmSpec) -> None:
    """Refuse what does not mix with what runs here; both must say that they mix."""
    apart = [
        other.zone
        for other in host.running()
        if other.vm_id != vm.vm_id
        and other.zone_id != vm.zone_id
        and not (other.zone_id in vm.mixes_with and vm.zone_id in other.mixes_with)
    ]
    if apart:
        raise ZoneForbids(zone=vm.zone, host=host.host_id, beside=sorted(set(apart)))


def _seen(host: FakeHost) -> Seen:
    vms = tuple(
        SeenVm(
            vm_id=vm_id,
            name=domain.spec.name,
            state=domain.state,
            zone_id=domain.spec.zone_id,
            zone=domain.spec.zone,
            mixes_with=tuple(domain.spec.mixes_with),
        )
        for vm_id, domain in host.domains.items()
    )
    held = Tunnel(fellows=(), admitted_packets=0, refused_packets=0)
    return Seen(
        vms=vms, disks=tuple(sorted(host.disks)), windows=tuple(sorted(host.windows)), listening=(), tunnel=held
    )


def _tag(verb: AnyVerb) -> str:
    return str(type(verb).__struct_config__.tag)
