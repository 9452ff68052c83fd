"""Choose a host for a VM, with the reason: capacity, zone, cordon. An engine for large clouds can take its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ringfence.model.hosts import HostSnapshot, HostState, NoHostFits
from ringfence.model.names import HostId, ZoneId
from ringfence.model.vms import VmSpec
from ringfence.model.zones import Zone, may_mix


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The host chosen, why, and why no other (`rejected`: host name → reason).

    `claimed_memory_mib` is what others have claimed there: were it more, another host might be the better one.
    """

    host_id: HostId
    host: str
    reason: str
    rejected: Mapping[str, str]
    claimed_memory_mib: int


def choose_host(
    vm: VmSpec,
    candidates: Sequence[HostSnapshot],
    zones: Mapping[ZoneId, Zone],
    *,
    apart_from: Sequence[HostId] = (),
    only: HostId | None = None,
    refused: Mapping[HostId, str] = MappingProxyType({}),
) -> Placement:
    """Choose the host with most free memory that may run the VM; refuse with every host's reason.

    Hosts that a VM of the same name group already fills are not known here: spreading comes from choosing the emptiest.
    `apart_from` are hosts that are out of the question (the source of a move); `only` is the one host asked for;
    `refused` are those that turned out not to take it after all, with the reason.
    """
    rejected = {
        host.name: why
        for host in sorted(candidates, key=lambda host: host.name)
        if (why := refused.get(host.id) or why_not(vm, host, zones, apart_from=apart_from, only=only))
    }
    fitting = [host for host in candidates if host.name not in rejected]
    if not fitting:
        raise NoHostFits(vm=vm.name, rejected=rejected or {"cloud": "it has no hosts"})
    # Ties break by name, so that a replayed workflow chooses the same host.
    best = min(fitting, key=lambda host: (-host.free.memory_mib / max(host.total.memory_mib, 1), host.name))
    beside = sorted(zones[zone].name for zone in best.zones if zone in zones)
    company = f"beside {', '.join(beside)} only" if beside else "with no VM on it"
    reason = f"most free memory ({best.free.memory_mib} of {best.total.memory_mib} MiB), {company}"
    claimed = best.total.memory_mib - best.free.memory_mib
    return Placement(host_id=best.id, host=best.name, reason=reason, rejected=rejected, claimed_memory_mib=claimed)


def needs_silent_host(
    vm: VmSpec,
    candidates: Sequence[HostSnapshot],
    zones: Mapping[ZoneId, Zone],
    *,
    apart_from: Sequence[HostId] = (),
    only: HostId | None = None,
    refused: Mapping[HostId, str] = MappingProxyType({}),
) -> bool:
    """Tell whether `choose_host` would refuse, and would not if the agents that are silent answered."""

    def fits(host: HostSnapshot) -> bool:
        return host.id not in refused and not why_not(vm, host, zones, apart_from=apart_from, only=only)

    return not any(fits(host) for host in candidates) and any(
        fits(replace(host, reachable=True)) for host in candidates
    )


def why_not(
    vm: VmSpec,
    host: HostSnapshot,
    zones: Mapping[ZoneId, Zone],
    *,
    apart_from: Sequence[HostId] = (),
    only: HostId | None = None,
) -> str:
    """Say why the host may not run the VM; the empty string if it may."""
    if only is not None and host.id != only:
        return "another host was asked for"
    if host.id in apart_from:
        return "the VM runs there already"
    if host.state is not HostState.READY:
        return f"it is {host.state}"
    if not host.reachable:
        return "its agent does not answer"
    strangers = sorted(
        zones[zone].name if zone in zones else zone
        for zone in host.zones
        if zone not in zones or not may_mix(zones[vm.zone_id], zones[zone])
    )
    if strangers:
        return f"it runs zone {', '.join(strangers)}, which does not mix with {vm.zone}"
    if host.free.memory_mib < vm.memory_mib:
        return f"{host.free.memory_mib} MiB memory free, {vm.memory_mib} needed"
    if host.free.vcpus < vm.vcpus:
        return f"{host.free.vcpus} vCPUs free, {vm.vcpus} needed"
    if host.free.disk_bytes < vm.disk_bytes:
        return f"{host.free.disk_bytes >> 20} MiB disk free, {vm.disk_bytes >> 20} needed"
    return ""
