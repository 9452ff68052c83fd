"""Judge the seven promises from what a verification saw. Pure; what was not seen is never judged kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from ringfence.model.evidence import CloudSighted, Finding, Promise, Verdict
from ringfence.model.hosts import HostState
from ringfence.model.vms import VmState
from ringfence.model.zones import may_mix

TUNNEL = ":6081"
"""Geneve's UDP port (RFC 8926): the overlay tunnel, one of the three exceptions of promise 5."""
RUNNING = frozenset({"running", "paused", "blocked"})
NO_PROOF = "simulated hosts prove nothing"
_AT_BEST = {Verdict.KEPT: Verdict.UNKNOWN, Verdict.UNKNOWN: Verdict.UNKNOWN, Verdict.PENDING: Verdict.PENDING}


def judge(seen: CloudSighted) -> tuple[Finding, ...]:
    """Judge every promise; at least one finding for each, and one of a promise not yet built says so."""
    findings = _each(seen)
    return tuple(_unproven(finding) for finding in findings) if seen.simulated else findings


def _each(seen: CloudSighted) -> tuple[Finding, ...]:
    return (
        *_fence(seen),
        *_company(seen),
        _pending(Promise.CLEARANCE, "Is every released resource cleared, read back and certified?"),
        *_custody(seen),
        *_ledger(seen),
        *_silence(seen),
        _tunnel(seen),
        _pending(Promise.SECRETS, "Does no copy of a password stay in memory?"),
        *_whole(seen),
    )


def _fence(seen: CloudSighted) -> Iterator[Finding]:
    yield _finding(
        Promise.FENCE,
        "Does the northbound say exactly what the policies say?",
        broken=seen.drift,
        kept=f"{seen.fence_ports} ports and every rule of theirs compared, no difference",
    )
    yield _finding(
        Promise.FENCE,
        "Do the switches of every host follow it?",
        broken=tuple(f"{_name(seen, host)}: {why}" for host, why in seen.late.items()),
        kept=f"{sum(1 for h in seen.hosts if h.domains is not None)} hosts have all of it in force",
        unknown=_silent(seen),
    )
    astray = []
    for vm in seen.vms:
        for port in vm.ports:
            strangers = [host for host in seen.bound.get(port.id, ()) if host not in port.hosts]
            astray += [f"port {port.id} of VM {vm.name} is bound on {_name(seen, host)}" for host in strangers]
    yield _finding(
        Promise.FENCE,
        "Is each VM's port bound only on the host that runs it?",
        broken=tuple(astray),
        kept=f"{sum(len(hosts) for hosts in seen.bound.values())} bindings, each on its own host",
    )


def _company(seen: CloudSighted) -> Iterator[Finding]:
    mixed = []
    domains = 0
    for sighted in seen.hosts:
        running = [domain for domain in sighted.domains or () if domain.state in RUNNING]
        domains += len(running)
        for one, other in combinations(running, 2):
            zones = (seen.zones.get(one.zone_id), seen.zones.get(other.zone_id))
            if zones[0] is None or zones[1] is None or not may_mix(zones[0], zones[1]):
                mixed.append(f"{one.name} beside {other.name} on {sighted.host.name}")
    yield _finding(
        Promise.COMPANY,
        "Does any host run VMs of zones that do not mix, by what libvirt says now?",
        broken=tuple(mixed),
        kept=f"{domains} running VMs on {len(seen.hosts)} hosts, none beside a stranger",
        unknown=_silent(seen),
    )
    nameless = tuple(
        f"{domain.name} on {sighted.host.name} carries no known zone"
        for sighted in seen.hosts
        for domain in sighted.domains or ()
        if domain.zone_id not in seen.zones
    )
    yield _finding(
        Promise.COMPANY,
        "Does every domain on every host carry its zone?",
        broken=nameless,
        kept=f"{sum(len(h.domains or ()) for h in seen.hosts)} domains, each with its zone",
        unknown=_silent(seen),
    )
    yield _finding(
        Promise.COMPANY,
        "Does the database refuse two zones that do not mix on one host?",
        broken=tuple(what for what, refusal in seen.database_refusals.items() if not refusal),
        kept="; ".join(f"{what}: {refusal}" for what, refusal in seen.database_refusals.items()),
        unknown=() if seen.database_refusals else ("there are no two zones apart to try it with",),
    )


def _custody(seen: CloudSighted) -> Iterator[Finding]:
    yield _finding(
        Promise.CUSTODY,
        "Has every VM a named owner?",
        broken=tuple(vm.name for vm in seen.vms if not vm.owner.strip()),
        kept=f"{len(seen.vms)} VMs, {len({vm.owner for vm in seen.vms})} owners",
    )


def _ledger(seen: CloudSighted) -> Iterator[Finding]:
    walked = seen.ledger
    yield _finding(
        Promise.CUSTODY,
        "Is every entry of the ledger as it was written, and is every change still written down?",
        broken=() if walked is None else walked.problems,
        kept="" if walked is None else f"{walked.size} entries; read and hashed again from entry {walked.first} on",
        unknown=("this controller holds no key of the ledger",) if walked is None else (),
    )


def _silence(seen: CloudSighted) -> Iterator[Finding]:
    open_sockets = tuple(
        f"{sighted.host.name}: {socket}"
        for sighted in seen.hosts
        for socket in sighted.listening
        if not _is_tunnel(socket) and not sighted.windows
    )
    windows = [f"{h.host.name} for VM {vm_id}" for h in seen.hosts for vm_id in h.windows]
    yield _finding(
        Promise.SILENCE,
        "Does any host listen on anything but the overlay tunnel?",
        broken=open_sockets,
        kept="nothing but the tunnel" + (f"; open for a move under way: {', '.join(windows)}" if windows else ""),
        unknown=_silent(seen),
    )


def _tunnel(seen: CloudSighted) -> Finding:
    """Judge the firewalls at the tunnel; a fellow that is not let in yet breaks nothing of silence."""
    addresses = {h.host.id: h.host.underlay_address for h in seen.hosts}
    wrong = []
    admitted = refused = 0
    for sighted in seen.hosts:
        if sighted.domains is None:
            continue
        if sighted.tunnel is None:
            wrong.append(f"{sighted.host.name}: no firewall holds the tunnel")
            continue
        fellows = {address for host_id, address in addresses.items() if host_id != sighted.host.id}
        wrong += [f"{sighted.host.name}: lets in {one}, no host's" for one in sorted(sighted.tunnel.fellows - fellows)]
        admitted += sighted.tunnel.admitted_packets
        refused += sighted.tunnel.refused_packets
    return _finding(
        Promise.SILENCE,
        "Does every host's firewall let only fellow hosts into the overlay tunnel?",
        broken=tuple(wrong),
        kept=f"{admitted} packets of fellow hosts let in, {refused} of others dropped",
        unknown=_silent(seen),
    )


def _whole(seen: CloudSighted) -> Iterator[Finding]:
    known = {vm.id: vm for vm in seen.vms}
    orphans = []
    for sighted in seen.hosts:
        here = {domain.vm_id for domain in sighted.domains or ()} | set(sighted.disks)
        for vm_id in sorted(here - seen.busy):
            vm = known.get(vm_id)
            if vm is None:
                orphans.append(f"{vm_id} is on {sighted.host.name}, and no VM")
            elif vm.host_id != sighted.host.id:
                orphans.append(f"{vm.name} has something on {sighted.host.name}, and runs elsewhere")
    yield _finding(
        Promise.WHOLE_OR_NOTHING,
        "Is there anything on a host that belongs to no VM there?",
        broken=tuple(orphans),
        kept="every domain and every disk belongs to a VM of that host",
        unknown=_silent(seen),
    )
    running = {d.vm_id for h in seen.hosts for d in h.domains or () if d.state in RUNNING}
    asked = {h.host.id for h in seen.hosts if h.domains is not None}
    yield _finding(
        Promise.WHOLE_OR_NOTHING,
        "Does every VM that should run, run?",
        broken=tuple(
            vm.name
            for vm in seen.vms
            if vm.state is VmState.RUNNING and vm.host_id in asked and vm.id not in running | seen.busy
        ),
        kept=f"{len(running)} VMs run",
        unknown=_silent(seen),
    )
    yield _finding(
        Promise.WHOLE_OR_NOTHING,
        "Has every operation ended, whole or rolled back?",
        broken=tuple(f"{op.kind} of {op.subject_name}, {op.state} since {op.created_at}" for op in seen.stuck),
        kept=f"{len(seen.unfinished)} under way, none stuck",
    )


def _finding(
    promise: Promise,
    question: str,
    *,
    broken: tuple[str, ...],
    kept: str,
    unknown: tuple[str, ...] = (),
) -> Finding:
    """Broken wins over unknown: what was seen to be broken is broken, whatever else was not seen."""
    if broken:
        return Finding(promise=promise, question=question, verdict=Verdict.BROKEN, seen=broken[0], items=broken)
    if unknown:
        return Finding(promise=promise, question=question, verdict=Verdict.UNKNOWN, seen=unknown[0], items=unknown)
    return Finding(promise=promise, question=question, verdict=Verdict.KEPT, seen=kept)


def _unproven(finding: Finding) -> Finding:
    """Call nothing kept that only simulated hosts were asked about. A defect found on them is a defect all the same."""
    if finding.verdict is Verdict.BROKEN:
        return finding
    return replace(finding, verdict=_AT_BEST[finding.verdict], seen=NO_PROOF, items=())


def _pending(promise: Promise, question: str) -> Finding:
    return Finding(promise=promise, question=question, verdict=Verdict.PENDING, seen="not built yet")


def _silent(seen: CloudSighted) -> tuple[str, ...]:
    return tuple(
        f"host {h.host.name} did not answer: {h.why}"
        for h in seen.hosts
        if h.domains is None and h.host.state is not HostState.REMOVED
    )


def _name(seen: CloudSighted, host_id: str) -> str:
    return next((h.host.name for h in seen.hosts if h.host.id == host_id), host_id)


def _is_tunnel(socket: str) -> bool:
    protocol, _, rest = socket.partition(" ")
    return protocol.startswith("udp") and rest.split(" ")[0].endswith(TUNNEL)
