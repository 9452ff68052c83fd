"""Policies as records. What they mean for the fence is compiled in `decide/segmentation`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.errors import Invalid
from ringfence.model.names import PolicyId, ProjectId, ZoneId, check_labels, check_name
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.store import rows
from ringfence.store.access import seen_policies
from ringfence.store.engine import changed, fence_changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page
from ringfence.store.tables import policies as table

KIND = "policy"


def add_policy(
    session: Session,
    *,
    name: str,
    source: Selector,
    target: Selector,
    protocol: Protocol,
    ports: Iterable[int] = (),
    project_id: ProjectId | None = None,
) -> Policy:
    """Add a policy; an id in a selector that nothing has is refused as `ReferenceLost`."""
    values = {
        "id": new_id(),
        "name": check_name(name),
        "project_id": project_id,
        **_selector_columns("source", source),
        **_selector_columns("target", target),
        "protocol": str(protocol),
        "ports": _checked_ports(protocol, ports),
    }
    rows.insert_row(session, table, KIND, values)
    _note(session, values["id"])
    return policy(session, values["id"])


def policy(session: Session, ref: str) -> Policy:
    """Read a policy by id."""
    return _built(rows.find_by_id(session, table, KIND, ref))


def policies(
    session: Session, *, limit: int = 100, after: str | None = None, seen_by: Grants | None = None
) -> Page[Policy]:
    """Read a page of the policies, of those that one sees if it is asked for someone."""
    where = None if seen_by is None else seen_policies(seen_by)
    return rows.page(session, table, _built, limit=limit, after=after, where=where)


def all_policies(session: Session) -> tuple[Policy, ...]:
    """Read every policy, oldest first."""
    return tuple(_built(row) for row in session.execute(select(table).order_by(table.c.id)))


def change_policy(
    session: Session,
    ref: str,
    *,
    revision: int | None = None,
    name: str | None = None,
    source: Selector | None = None,
    target: Selector | None = None,
    protocol: Protocol | None = None,
    ports: Iterable[int] | None = None,
) -> Policy:
    """Change what is given; a selector is given whole."""
    row = rows.find_by_id(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    wanted: dict[str, Any] = {}
    if name is not None:
        wanted["name"] = check_name(name)
    if source is not None:
        wanted |= _selector_columns("source", source)
    if target is not None:
        wanted |= _selector_columns("target", target)
    new_protocol = Protocol(row.protocol) if protocol is None else protocol
    wanted["protocol"] = str(new_protocol)
    wanted["ports"] = _checked_ports(new_protocol, row.ports if ports is None else ports)
    # Unlike other nouns, None is a value here: a selector without a zone.
    wanted = {column: value for column, value in wanted.items() if getattr(row, column) != value}
    if wanted:
        rows.bump_row(session, table, KIND, row, wanted)
        _note(session, row.id)
    return policy(session, row.id)


def remove_policy(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove a policy: what only it allowed is denied from now on."""
    row = rows.find_by_id(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    rows.remove_row(session, table, KIND, row, {})
    _note(session, row.id)


def _note(session: Session, policy_id: str) -> None:
    fence_changed(session)
    changed(session, KIND, policy_id)


def _checked_ports(protocol: Protocol, ports: Iterable[int]) -> list[int]:
    wanted = sorted(set(ports))
    if wanted and protocol not in (Protocol.TCP, Protocol.UDP):
        raise Invalid(field="ports", why=f"{protocol} has no ports; leave them out, or choose tcp or udp")
    if any(not 0 < port < 65536 for port in wanted) or len(wanted) > 100:
        raise Invalid(field="ports", why="at most 100 ports, each from 1 to 65535")
    return wanted


def _selector_columns(side: str, selector: Selector) -> dict[str, Any]:
    labels = check_labels(dict(selector.labels))
    if selector.zone_id is None and selector.project_id is None and not labels:
        raise Invalid(field=side, why="a selector names a zone, a project or labels; an empty one would select nothing")
    return {
        f"{side}_zone_id": selector.zone_id,
        f"{side}_project_id": selector.project_id,
        f"{side}_labels": labels,
    }


def _built(row: Row[Any]) -> Policy:
    return Policy(
        id=PolicyId(row.id),
        name=row.name,
        source=_selector(row.source_zone_id, row.source_project_id, row.source_labels),
        target=_selector(row.target_zone_id, row.target_project_id, row.target_labels),
        protocol=Protocol(row.protocol),
        ports=tuple(row.ports),
        project_id=None if row.project_id is None else ProjectId(row.project_id),
        revision=row.revision,
    )


def _selector(zone_id: str | None, project_id: str | None, labels: dict[str, str]) -> Selector:
    return Selector(
        zone_id=None if zone_id is None else ZoneId(zone_id),
        project_id=None if project_id is None else ProjectId(project_id),
        labels=labels,
    )
