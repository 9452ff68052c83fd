"""What there is, counted: for those who look at the whole cloud. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, func, select
from sqlalchemy.orm import Session

from ringfence.model.hosts import Capacity
from ringfence.model.names import ZoneId
from ringfence.store.tables import claims, hosts, vms


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a zone uses: its VMs, the hosts they have claims on, and what these claims hold."""

    vms: int
    hosts: int
    capacity: Capacity


NOTHING = Used(vms=0, hosts=0, capacity=Capacity())


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """States that nothing is in are left out."""

    vm_states: Mapping[str, int]
    host_states: Mapping[str, int]
    zones: Mapping[ZoneId, Used]


def counts(session: Session) -> Counts:
    """Count VMs and hosts by state, and what each zone uses."""
    sizes = [
        func.coalesce(func.sum(column), 0) for column in (claims.c.vcpus, claims.c.memory_mib, claims.c.disk_bytes)
    ]
    by_zone = select(claims.c.zone_id, func.count(claims.c.host_id.distinct()), *sizes).group_by(claims.c.zone_id)
    claimed = {row[0]: row for row in session.execute(by_zone)}
    members = _by(session, vms.c.zone_id)
    zones = {}
    for zone_id in claimed.keys() | members.keys():
        _, on_hosts, vcpus, memory_mib, disk_bytes = claimed.get(zone_id, (zone_id, 0, 0, 0, 0))
        # PostgreSQL sums whole numbers to decimals.
        capacity = Capacity(vcpus=int(vcpus), memory_mib=int(memory_mib), disk_bytes=int(disk_bytes))
        zones[ZoneId(zone_id)] = Used(vms=members.get(zone_id, 0), hosts=on_hosts, capacity=capacity)
    return Counts(
        vm_states=_by(session, vms.c.state),
        host_states=_by(session, hosts.c.state),
        zones=zones,
    )


def _by(session: Session, column: Column[str]) -> dict[str, int]:
    """Count rows by the column's value."""
    return {row[0]: row[1] for row in session.execute(select(column, func.count()).group_by(column))}
