"""Tell how much room each zone still has: only hosts whose present company it may join count. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ringfence.model.hosts import Capacity, HostSnapshot, HostState
from ringfence.model.names import ZoneId
from ringfence.model.zones import Zone, may_mix


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is free for one zone, on how many hosts. Zones that may not mix compete for empty hosts: rooms overlap."""

    hosts: int
    free: Capacity


def room_for(zone: Zone, hosts: Sequence[HostSnapshot], zones: Mapping[ZoneId, Zone]) -> Room:
    """Add up what is free on hosts that take VMs and run no zone apart from this one."""
    open_to = [
        host
        for host in hosts
        if host.state is HostState.READY
        and host.reachable
        and all(other in zones and may_mix(zone, zones[other]) for other in host.zones)
    ]
    return Room(
        hosts=len(open_to),
        free=Capacity(
            # A host may report less than what is claimed on it; that takes nothing from the others.
            vcpus=sum(max(host.free.vcpus, 0) for host in open_to),
            memory_mib=sum(max(host.free.memory_mib, 0) for host in open_to),
            disk_bytes=sum(max(host.free.disk_bytes, 0) for host in open_to),
        ),
    )
