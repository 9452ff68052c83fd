"""Zones and which of them mix. That zones which do not mix never meet on a host is held by triggers (see `claims`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Row, delete, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ringfence.errors import StillUsed
from ringfence.model.names import ZoneId, check_name
from ringfence.model.zones import Zone
from ringfence.store import rows
from ringfence.store.engine import changed, fence_changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import claims, hosts, policies, vms, zone_mixes
from ringfence.store.tables import zones as table
from ringfence.store.translation import rule_broken

KIND = "zone"


def add_zone(
    session: Session, *, name: str, colour: str = "", classification: str = "", mixes_with: Iterable[str] = ()
) -> Zone:
    """Add a zone; the zones it mixes with then mix with it, too."""
    values = {"id": new_id(), "name": check_name(name), "colour": colour, "classification": classification}
    rows.insert_row(session, table, KIND, values)
    _set_mixes(session, rows.find_row(session, table, KIND, values["id"]), mixes_with)
    fence_changed(session)
    changed(session, KIND, values["id"])
    return zone(session, values["id"])


def zone(session: Session, ref: str) -> Zone:
    """Read a zone by id or name."""
    return _built(session, [rows.find_row(session, table, KIND, ref)])[0]


def zones(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Zone]:
    found, following = page_of_rows(session, select(table), table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(session, found)), next=following)


def all_zones(session: Session) -> dict[ZoneId, Zone]:
    """Read every zone, by id."""
    return {one.id: one for one in _built(session, session.execute(select(table)).all())}


def change_zone(
    session: Session,
    ref: str,
    *,
    revision: int | None = None,
    name: str | None = None,
    colour: str | None = None,
    classification: str | None = None,
    mixes_with: Iterable[str] | None = None,
) -> Zone:
    """Change what is given; taking away a mix that a host lives by is refused as `StillUsed`."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    wanted = {
        "name": check_name(name) if name is not None else None,
        "colour": colour,
        "classification": classification,
    }
    new = rows.differing(row, wanted)
    mixes_changed = mixes_with is not None and _set_mixes(session, row, mixes_with)
    if new or mixes_changed:
        rows.bump_row(session, table, KIND, row, new)
        fence_changed(session)
        changed(session, KIND, row.id)
    return zone(session, row.id)


def remove_zone(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove a zone that nothing uses."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    _set_mixes(session, row, ())
    of_policy = or_(policies.c.source_zone_id == row.id, policies.c.target_zone_id == row.id)
    used_by = {
        "VM": select(vms.c.name).where(vms.c.zone_id == row.id),
        "policy": select(policies.c.name).where(of_policy),
    }
    rows.remove_row(session, table, KIND, row, used_by)
    fence_changed(session)
    changed(session, KIND, row.id)


def _set_mixes(session: Session, row: Row[Any], mixes_with: Iterable[str]) -> bool:
    wanted = {rows.find_row(session, table, KIND, other).id for other in mixes_with} - {row.id}
    present = set(_mixes(session, [row.id])[row.id])
    for other in sorted(wanted - present):
        pair = sorted((row.id, other))
        # Somebody may let the same two mix at the same moment.
        rows.insert_unless_there(session, zone_mixes, {"zone_a": pair[0], "zone_b": pair[1]})
    for other in sorted(present - wanted):
        _unmix(session, row, other)
    # The other zone says the same from now on: whoever holds its old revision should read it again.
    for other in sorted(wanted ^ present):
        other_row = rows.find_row(session, table, KIND, other)
        rows.bump_row(session, table, KIND, other_row, {})
        changed(session, KIND, other)
    return wanted != present


def _unmix(session: Session, row: Row[Any], other: str) -> None:
    pair = sorted((row.id, other))
    try:
        with session.begin_nested():
            session.execute(delete(zone_mixes).where(zone_mixes.c.zone_a == pair[0], zone_mixes.c.zone_b == pair[1]))
    except DBAPIError as error:
        if rule_broken(error) != "mix-in-use":
            raise
        of_other = select(claims.c.host_id).where(claims.c.zone_id == other)
        both = select(hosts.c.name).join(claims, claims.c.host_id == hosts.c.id)
        both = both.where(claims.c.zone_id == row.id, claims.c.host_id.in_(of_other)).distinct().order_by(hosts.c.name)
        names = [f"host {name}" for name in session.execute(both).scalars()]
        other_name = rows.find_row(session, table, KIND, other).name
        raise StillUsed(kind="mix of zones", name=f"{row.name} and {other_name}", used_by=names) from error


def _mixes(session: Session, zone_ids: Collection[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    if len(zone_ids) == 1:
        of_these = or_(zone_mixes.c.zone_a.in_(zone_ids), zone_mixes.c.zone_b.in_(zone_ids))
        query = select(zone_mixes).where(of_these)
    else:
        query = select(zone_mixes)
    for pair in session.execute(query):
        found[pair.zone_a].add(pair.zone_b)
        found[pair.zone_b].add(pair.zone_a)
    return found


def _built(session: Session, found: Collection[Row[Any]]) -> list[Zone]:
    mixes = _mixes(session, [row.id for row in found])
    return [
        Zone(
            id=ZoneId(row.id),
            name=row.name,
            colour=row.colour,
            classification=row.classification,
            mixes_with=frozenset(ZoneId(other) for other in mixes[row.id]),
            revision=row.revision,
        )
        for row in found
    ]
