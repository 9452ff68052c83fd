"""Hosts: their state, what they reported last, and what is left of them for a placement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session

from ringfence.errors import NotFound, WrongState
from ringfence.model.hosts import Capacity, Certificate, Host, HostSnapshot, HostState
from ringfence.model.names import HostId, ZoneId, check_name
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import age_seconds, new_id, now
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import claims, host_reports, vms, zones
from ringfence.store.tables import hosts as table
from ringfence.wire import Heartbeat, SeenVm

KIND = "host"
REACHABLE_SECONDS = 15
_JOINED = select(table, host_reports.c.last_seen, host_reports.c.facts).join(
    host_reports, host_reports.c.host_id == table.c.id
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Who has a place on a host: zones by name, and how many VMs."""

    zones: tuple[str, ...]
    vms: int


def add_host(
    session: Session,
    *,
    name: str,
    underlay_address: str,
    agent_version: str = "",
    state: HostState = HostState.READY,
    id: str | None = None,  # noqa: A002
) -> Host:
    """Add a host that joins; its capacity is nothing until its first heartbeat."""
    host_id = id or new_id()
    values = {
        "id": host_id,
        "name": check_name(name),
        "state": str(state),
        "underlay_address": underlay_address,
    }
    rows.insert_row(session, table, KIND, values)
    report = {"host_id": host_id, "agent_version": agent_version, "facts": {}, "vms": []}
    session.execute(insert(host_reports).values(**report))
    changed(session, KIND, host_id)
    return host(session, host_id)


def rejoin_host(session: Session, host_id: str, *, underlay_address: str, agent_version: str) -> Host:
    """Have a known host join again, from this address; what it was and ran, it is and runs."""
    row = rows.find_row(session, table, KIND, host_id)
    rows.change_row(session, table, KIND, row, None, {"underlay_address": underlay_address})
    session.execute(update(host_reports).where(host_reports.c.host_id == row.id).values(agent_version=agent_version))
    changed(session, KIND, row.id)
    return host(session, row.id)


def host(session: Session, ref: str) -> Host:
    """Read a host by id or name."""
    found = rows.find_row(session, table, KIND, ref)
    return _built(session, session.execute(_JOINED.where(table.c.id == found.id)).all())[0]


def hosts(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Host]:
    found, following = page_of_rows(session, _JOINED, table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(session, found)), next=following)


def all_hosts(session: Session) -> Sequence[Host]:
    """Read every host, oldest first."""
    return _built(session, session.execute(_JOINED.order_by(table.c.id)).all())


def host_by_fingerprint(session: Session, fingerprint: str) -> Host:
    """Read the host that this certificate, or next certificate, belongs to; `NotFound` if there is none any more."""
    if not fingerprint:
        raise NotFound(kind=KIND, ref="without a certificate")
    its = (table.c.certificate_fingerprint == fingerprint) | (table.c.next_certificate_fingerprint == fingerprint)
    found = session.execute(_JOINED.where(its)).all()
    if not found:
        raise NotFound(kind=KIND, ref=f"with certificate {fingerprint}")
    return _built(session, found)[0]


def host_snapshots(session: Session) -> Sequence[HostSnapshot]:
    """Read what a placement needs to know of every host."""
    present: dict[str, set[ZoneId]] = defaultdict(set)
    for claim in session.execute(select(claims.c.host_id, claims.c.zone_id).distinct()):
        present[claim.host_id].add(ZoneId(claim.zone_id))
    return [
        HostSnapshot(
            id=one.id,
            name=one.name,
            state=one.state,
            reachable=one.reachable,
            free=Capacity(
                vcpus=one.total.vcpus - one.claimed.vcpus,
                memory_mib=one.total.memory_mib - one.claimed.memory_mib,
                disk_bytes=one.total.disk_bytes - one.claimed.disk_bytes,
            ),
            total=one.total,
            zones=frozenset(present[one.id]),
        )
        for one in all_hosts(session)
    ]


def company_of(session: Session, host_ids: Collection[str]) -> dict[str, Company]:
    """Read who has a place on these hosts; every one of them is told."""
    query = select(claims.c.host_id, zones.c.name, func.count()).join(zones, zones.c.id == claims.c.zone_id)
    query = query.where(claims.c.host_id.in_(host_ids)).group_by(claims.c.host_id, zones.c.name)
    found: dict[str, dict[str, int]] = {host_id: {} for host_id in host_ids}
    for host_id, zone, count in session.execute(query):
        found[host_id][zone] = count
    return {
        host_id: Company(zones=tuple(sorted(by_zone)), vms=sum(by_zone.values())) for host_id, by_zone in found.items()
    }


def set_certificate(session: Session, host_id: str, certificate: Certificate) -> None:
    """Make this the host's certificate; the one before, and a next one, are no good from now on."""
    _certify(session, host_id, now=certificate, following=None)


def offer_certificate(session: Session, host_id: str, certificate: Certificate) -> None:
    """Make this the host's next certificate; the one it has stays good until the host shows this one."""
    _certify(session, host_id, following=certificate)


def take_certificate(session: Session, host_id: str, fingerprint: str) -> None:
    """Have the next certificate, which the host has shown, take the place of the one before; again is no error."""
    row = rows.find_row(session, table, KIND, host_id)
    if row.next_certificate_fingerprint == fingerprint:
        shown = Certificate(
            serial=row.next_certificate_serial,
            fingerprint=fingerprint,
            expires_at=row.next_certificate_expires_at,
        )
        set_certificate(session, host_id, shown)


def _certify(session: Session, host_id: str, **wanted: Certificate | None) -> None:
    row = rows.find_row(session, table, KIND, host_id)
    values: dict[str, str | None] = {}
    for which, certificate in wanted.items():
        prefix = {"now": "certificate", "following": "next_certificate"}[which]
        for part in ("serial", "fingerprint", "expires_at"):
            values[f"{prefix}_{part}"] = None if certificate is None else getattr(certificate, part)
    session.execute(update(table).where(table.c.id == row.id).values(**values))
    changed(session, KIND, row.id)


def cordon(session: Session, ref: str) -> Host:
    """Let the host take no more VMs; again is no error."""
    return _turn(session, ref, "cordon", HostState.READY, HostState.CORDONED)


def uncordon(session: Session, ref: str) -> Host:
    """Let the host take VMs again; again is no error."""
    return _turn(session, ref, "uncordon", HostState.CORDONED, HostState.READY)


def set_host_state(session: Session, ref: str, state: HostState) -> Host:
    """Put the host into the state, from any other."""
    row = rows.find_row(session, table, KIND, ref)
    if rows.change_row(session, table, KIND, row, None, {"state": str(state)}):
        changed(session, KIND, row.id)
    return host(session, row.id)


def heartbeat(session: Session, host_id: str, beat: Heartbeat) -> None:
    """Record what an agent reports. Less capacity than is claimed is a fact, too: it only stops new claims."""
    row = rows.find_row(session, table, KIND, host_id)
    capacity = {"vcpus": beat.vcpus, "memory_mib": beat.memory_mib, "disk_bytes": beat.disk_bytes}
    if any(getattr(row, name) != value for name, value in capacity.items()):
        session.execute(update(table).where(table.c.id == row.id).values(**capacity))
    report = {
        "last_seen": now(),
        "agent_version": beat.agent_version,
        "facts": dict(beat.facts),
        "vms": msgspec.json.decode(msgspec.json.encode(beat.vms)),
    }
    session.execute(update(host_reports).where(host_reports.c.host_id == row.id).values(**report))
    changed(session, KIND, row.id)


def fellow_addresses(session: Session, host_id: str) -> tuple[str, ...]:
    """Read the underlay addresses of all other hosts, sorted, each once; one that was removed is none."""
    others = table.c.id != host_id, table.c.state != str(HostState.REMOVED)
    found = session.execute(select(table.c.underlay_address).where(*others).distinct())
    return tuple(sorted(row.underlay_address for row in found))


def host_vms(session: Session, host_id: str) -> tuple[SeenVm, ...]:
    """Read which VMs the host reported last."""
    seen = session.execute(select(host_reports.c.vms).where(host_reports.c.host_id == host_id)).scalar_one_or_none()
    if seen is None:
        raise NotFound(kind=KIND, ref=host_id)
    return msgspec.convert(seen, tuple[SeenVm, ...])


def remove_host(session: Session, ref: str) -> None:
    """Remove a host on which no VM has a claim: its record, mailbox, reports, and the worth of its certificate."""
    row = rows.find_row(session, table, KIND, ref)
    on_it = select(vms.c.name).join(claims, claims.c.vm_id == vms.c.id).where(claims.c.host_id == row.id)
    rows.remove_row(session, table, KIND, row, {"VM": on_it})
    session.execute(delete(host_reports).where(host_reports.c.host_id == row.id))
    changed(session, KIND, row.id)


def _turn(session: Session, ref: str, verb: str, before: HostState, after: HostState) -> Host:
    row = rows.find_row(session, table, KIND, ref)
    if row.state not in (before, after):
        raise WrongState(kind=KIND, name=row.name, state=row.state, verb=verb, needs=f"{before} or {after}")
    return set_host_state(session, row.id, after)


def _built(session: Session, found: Collection[Row[Any]]) -> list[Host]:
    sums = select(
        claims.c.host_id,
        func.sum(claims.c.vcpus).label("vcpus"),
        func.sum(claims.c.memory_mib).label("memory_mib"),
        func.sum(claims.c.disk_bytes).label("disk_bytes"),
    ).group_by(claims.c.host_id)
    if len(found) == 1:
        sums = sums.where(claims.c.host_id == next(iter(found)).id)
    taken = {row.host_id: _capacity(row) for row in session.execute(sums)}
    return [
        Host(
            id=HostId(row.id),
            name=row.name,
            state=HostState(row.state),
            underlay_address=row.underlay_address,
            total=_capacity(row),
            claimed=taken.get(row.id, Capacity()),
            certificate_fingerprint=row.certificate_fingerprint or "",
            certificate_expires_at=row.certificate_expires_at,
            last_seen=row.last_seen,
            reachable=row.last_seen is not None and age_seconds(row.last_seen) <= REACHABLE_SECONDS,
            facts=row.facts,
            revision=row.revision,
        )
        for row in found
    ]


def _capacity(row: Any) -> Capacity:
    # PostgreSQL sums whole numbers to decimals.
    return Capacity(vcpus=int(row.vcpus), memory_mib=int(row.memory_mib), disk_bytes=int(row.disk_bytes))
