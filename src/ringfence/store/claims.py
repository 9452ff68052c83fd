"""A VM's place on a host. Promise 2 in the database: triggers refuse company that does not mix, whatever SQL is run.

The triggers are in `migrations/triggers_0001`; here their refusals get their facts. Who should go where is decided in
`decide/placement`; this module only refuses.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ringfence.errors import NotFound, RingfenceError, WrongState
from ringfence.model.hosts import CapacityExceeded, HostFilledUp, HostState
from ringfence.model.zones import ZoneForbids
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.tables import claims as table
from ringfence.store.tables import hosts, vms, zones
from ringfence.store.translation import in_our_words, rule_broken
from ringfence.store.zones import zone as zone_of


def claim(session: Session, vm_id: str, host_id: str, *, reason: str, claimed_memory_mib: int | None = None) -> None:
    """Take the VM's place on the host; again is no error. The first claim also makes it the VM's host.

    `claimed_memory_mib` is what was claimed there when the host was chosen; None: whatever was. Raises `ZoneForbids`,
    `CapacityExceeded`, `WrongState` if the host is not ready, or `HostFilledUp` if more is claimed by now.
    """
    # Two claims of one VM wait for each other here, so that one of them is the first.
    session.execute(select(vms.c.id).where(vms.c.id == vm_id).with_for_update(key_share=True))
    row = rows.find_by_id(session, vms, "VM", vm_id)
    host = rows.find_by_id(session, hosts, "host", host_id)
    present = session.execute(select(table.c.host_id).where(table.c.vm_id == row.id)).scalars().all()
    if host.id in present:
        return
    values = {
        "vm_id": row.id,
        "host_id": host.id,
        "zone_id": row.zone_id,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "disk_bytes": row.disk_bytes,
    }
    try:
        with session.begin_nested():
            session.execute(insert(table).values(**values))
            # ORDER: after the insert, whose trigger locks the host: of claims that race, the later sees the earlier.
            if claimed_memory_mib is not None and _memory_of_others(session, row, host) > claimed_memory_mib:
                raise HostFilledUp(host=host.name)
    except DBAPIError as error:
        raise _refusal(session, row, host, error) from error
    if not present:
        session.execute(update(vms).where(vms.c.id == row.id).values(host_id=host.id, placement=reason))
    _note(session, row.id, host.id)


def release(session: Session, vm_id: str, host_id: str) -> None:
    """Give the VM's place on the host back; again is no error. A VM whose place this was has no host then."""
    this = (table.c.vm_id == vm_id) & (table.c.host_id == host_id)
    if session.execute(delete(table).where(this).returning(table.c.vm_id)).one_or_none() is None:
        return
    homeless = (vms.c.id == vm_id) & (vms.c.host_id == host_id)
    session.execute(update(vms).where(homeless).values(host_id=None, placement=""))
    _note(session, vm_id, host_id)


def settle(session: Session, vm_id: str, host_id: str, *, reason: str) -> None:
    """Make the host, on which the VM has a claim, the VM's host; `NotFound` without a claim."""
    this = (table.c.vm_id == vm_id) & (table.c.host_id == host_id)
    if session.execute(select(table.c.vm_id).where(this)).one_or_none() is None:
        raise NotFound(kind="claim", ref=f"of VM {vm_id} on host {host_id}")
    session.execute(update(vms).where(vms.c.id == vm_id).values(host_id=host_id, placement=reason))
    _note(session, vm_id, host_id)


def claims_of(session: Session, vm_id: str) -> tuple[str, ...]:
    """Read the ids of the hosts on which the VM has a claim."""
    return tuple(
        session.execute(select(table.c.host_id).where(table.c.vm_id == vm_id).order_by(table.c.host_id)).scalars()
    )


def _memory_of_others(session: Session, row: Row[Any], host: Row[Any]) -> int:
    others = (table.c.host_id == host.id) & (table.c.vm_id != row.id)
    return int(session.execute(select(func.coalesce(func.sum(table.c.memory_mib), 0)).where(others)).scalar_one())


def _note(session: Session, vm_id: str, host_id: str) -> None:
    changed(session, "vm", vm_id)
    changed(session, "host", host_id)


def _refusal(session: Session, row: Row[Any], host: Row[Any], error: DBAPIError) -> RingfenceError:
    rule = rule_broken(error)
    if rule == "zone-forbids":
        own = zone_of(session, row.zone_id)
        beside = select(zones.c.name).join(table, table.c.zone_id == zones.c.id).where(table.c.host_id == host.id)
        apart = beside.where(zones.c.id.not_in({own.id, *own.mixes_with})).distinct().order_by(zones.c.name)
        return ZoneForbids(zone=own.name, host=host.name, beside=list(session.execute(apart).scalars()))
    if rule == "capacity-exceeded":
        return CapacityExceeded(host=host.name, what=_scarce(session, row, host))
    if rule == "host-not-ready":
        state = session.execute(select(hosts.c.state).where(hosts.c.id == host.id)).scalar_one_or_none()
        told = str(state or HostState.REMOVED)
        return WrongState(kind="host", name=host.name, state=told, verb="claim", needs=HostState.READY)
    return in_our_words(error)


def _scarce(session: Session, row: Row[Any], host: Row[Any]) -> str:
    words = {"vcpus": "vCPUs", "memory_mib": "memory", "disk_bytes": "disk"}
    sums = [func.coalesce(func.sum(table.c[column]), 0).label(column) for column in words]
    taken = session.execute(select(*sums).where(table.c.host_id == host.id)).one()
    short = [
        word
        for column, word in words.items()
        if int(getattr(taken, column)) + getattr(row, column) > getattr(host, column)
    ]
    # Another transaction may have given back meanwhile what was scarce.
    return " and ".join(short) or "capacity"
