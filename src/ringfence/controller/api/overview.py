"""The cloud at a glance: counts, and room by zone. Details are the nouns' own."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from ringfence.controller.api.hosts import CapacityTold
from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.shapes import Told
from ringfence.decide.capacity import room_for
from ringfence.store import hosts, overview, zones

router = APIRouter(prefix="/v1/overview", tags=["overview"])


class ZoneAtAGlance(Told):
    """What a zone uses, and what is free for it: on hosts that take VMs and run no zone apart from it."""

    id: str
    name: str
    colour: str
    classification: str
    vms: int
    hosts: int = Field(description="On which VMs of it are.")
    used: CapacityTold
    free: CapacityTold = Field(description="Zones that do not mix compete for empty hosts, so these overlap.")
    open_hosts: int = Field(description="On which a VM of it could be placed, if it is small enough.")


class OverviewTold(Told):
    vms: dict[str, int] = Field(description="How many VMs are in each state; states without any are left out.")
    hosts: dict[str, int] = Field(description="How many hosts are in each state.")
    unreachable: list[str] = Field(description="Hosts whose agents have not been heard of lately.")
    total: CapacityTold
    claimed: CapacityTold
    zones: list[ZoneAtAGlance]


@router.get("", response_model=OverviewTold)
def get_overview(parts: WithParts) -> Response:
    """Show the cloud at a glance."""
    with parts.store.reading() as session:
        seen = overview.counts(session)
        known = zones.all_zones(session)
        snapshots = hosts.host_snapshots(session)
        present = hosts.all_hosts(session)
    at_a_glance = []
    for zone in sorted(known.values(), key=lambda zone: zone.name):
        used, room = seen.zones.get(zone.id, overview.NOTHING), room_for(zone, snapshots, known)
        at_a_glance.append(
            ZoneAtAGlance(
                id=zone.id,
                name=zone.name,
                colour=zone.colour,
                classification=zone.classification,
                vms=used.vms,
                hosts=used.hosts,
                used=CapacityTold.model_validate(used.capacity),
                free=CapacityTold.model_validate(room.free),
                open_hosts=room.hosts,
            )
        )
    return told(
        OverviewTold(
            vms=dict(seen.vm_states),
            hosts=dict(seen.host_states),
            unreachable=sorted(host.name for host in present if not host.reachable),
            total=_sum([CapacityTold.model_validate(host.total) for host in present]),
            claimed=_sum([CapacityTold.model_validate(host.claimed) for host in present]),
            zones=at_a_glance,
        )
    )


def _sum(parts: list[CapacityTold]) -> CapacityTold:
    return CapacityTold(
        vcpus=sum(part.vcpus for part in parts),
        memory_mib=sum(part.memory_mib for part in parts),
        disk_bytes=sum(part.disk_bytes for part in parts),
    )
