"""Verify the seven promises on the running cloud: look at everything, judge, tell the evidence. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from ringfence import wire
from ringfence.decide.promises import judge
from ringfence.errors import RingfenceError
from ringfence.model.evidence import CloudSighted, HostSighted, SeenDomain, SeenTunnel, Verdict
from ringfence.model.hosts import Host, HostState
from ringfence.model.ledger import Audit, LedgerBroken
from ringfence.model.names import HostId, VmId, ZoneId
from ringfence.model.operations import Operation, OperationKind
from ringfence.workflows.story import Done, Story

STUCK_AFTER_MINUTES = 15
DRIFT_LOOKS = 10
"""Drift that is still there at the last of so many looks, a second apart, is drift, whatever else goes on."""


def verify(story: Story) -> dict[str, Any]:
    """One step: a verification that was interrupted looks at everything anew, for half of it would be of another time.

    Gives `{"findings": […], "kept": n, "broken": n, …}`, findings as `model.evidence.Finding` has them.
    """

    def look(_tried: int) -> Done:
        findings = judge(_look(story))
        counts = {str(verdict): sum(f.verdict is verdict for f in findings) for verdict in Verdict}
        detail = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return Done(detail, {"findings": [asdict(finding) for finding in findings], **counts})

    result: dict[str, Any] = story.step("look and judge", look)
    return result


def _look(story: Story) -> CloudSighted:
    records, fence = story.world.records, story.world.fence
    # ORDER: operations before and after what they change, so that nothing they had in hand is taken for an orphan.
    under_way = {operation.id: operation for operation in _others(story)}
    hosts = tuple(_ask(story, host) for host in records.hosts() if host.state is not HostState.REMOVED)
    vms = tuple(records.vms())
    drift = _drift(story)
    late = _late(story, [sighted.host for sighted in hosts if sighted.domains is not None])
    bound: dict[str, tuple[HostId, ...]] = {
        port.id: tuple(fence.bound_hosts(port.id)) for vm in vms for port in vm.ports
    }
    refusals = records.company_refusals()
    under_way |= {operation.id: operation for operation in _others(story)}
    busy = frozenset(VmId(operation.subject_id) for operation in under_way.values())
    return CloudSighted(
        hosts=hosts,
        # A VM that came or went meanwhile is no evidence of anything.
        vms=tuple(vm for vm in vms if vm.id not in busy),
        zones=records.zones(),
        drift=drift,
        fence_ports=sum(len(vm.ports) for vm in vms),
        late=late,
        bound=bound,
        database_refusals=refusals,
        unfinished=tuple(under_way.values()),
        stuck=tuple(operation for operation in under_way.values() if _stuck(operation, story.clock.now())),
        busy=busy,
        simulated=story.world.simulated,
        ledger=_ledger(story),
    )


def _drift(story: Story) -> tuple[str, ...]:
    """What the northbound lacks or has too much, other than what an operation under way is just about to write."""
    records, fence = story.world.records, story.world.fence
    for _ in range(DRIFT_LOOKS):
        busy = _others(story)
        drift = tuple(fence.observe(story.world.compile_fence(records.intent())))
        if not drift or not (busy or _others(story)):
            break
        story.clock.pause(1)
    return drift


def _others(story: Story) -> list[Operation]:
    unfinished = story.world.records.unfinished_operations()
    return [operation for operation in unfinished if operation.kind is not OperationKind.VERIFY]


def _ask(story: Story, host: Host) -> HostSighted:
    patience = story.patience.observe_seconds
    # Each look is a look of its own: an answer given to an earlier one would be of another time.
    key = f"{story.operation.id}/observe/{story.clock.now()}"
    try:
        seen = story.world.hypervisors.ask(host.id, wire.ObserveVms(), key=key, patience_seconds=patience)
    except RingfenceError as error:
        return HostSighted(host=host, why=error.message)
    assert isinstance(seen, wire.Seen)
    return HostSighted(
        host=host,
        domains=tuple(
            SeenDomain(vm_id=VmId(vm.vm_id), name=vm.name, state=vm.state, zone_id=ZoneId(vm.zone_id))
            for vm in seen.vms
        ),
        disks=tuple(VmId(disk) for disk in seen.disks),
        windows=tuple(VmId(window) for window in seen.windows),
        listening=seen.listening,
        tunnel=None
        if seen.tunnel is None
        else SeenTunnel(
            fellows=frozenset(seen.tunnel.fellows),
            admitted_packets=seen.tunnel.admitted_packets,
            refused_packets=seen.tunnel.refused_packets,
        ),
    )


def _late(story: Story, hosts: list[Host]) -> dict[HostId, str]:
    """Which of these hosts do not follow the northbound in time, and how it was found."""
    late = {}
    for host in hosts:
        try:
            story.world.fence.wait_in_force([host.id], timeout_seconds=story.patience.observe_seconds)
        except RingfenceError as error:
            late[host.id] = error.message
    return late


def _ledger(story: Story) -> Audit | None:
    try:
        return story.world.records.ledger_audit()
    except LedgerBroken as broken:
        return Audit(first=0, size=broken.size, problems=(broken.message,))


def _stuck(operation: Operation, now: float) -> bool:
    age = datetime.fromtimestamp(now, UTC) - datetime.fromisoformat(operation.created_at)
    return age > timedelta(minutes=STUCK_AFTER_MINUTES)
