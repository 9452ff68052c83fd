"""Quotas: how much a project may have. Triggers hold them (`migrations/triggers_0005`); here refusals get facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ringfence.errors import Invalid
from ringfence.model.projects import Quota, QuotaExceeded, Usage
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.tables import ports, projects, vms
from ringfence.store.tables import quotas as table
from ringfence.store.translation import rule_broken

RULE = "quota-exceeded"
_COUNTED = tuple(field.name for field in fields(Quota))
_MOST = 1 << 60


def quotas_of(session: Session, project_ids: Collection[str]) -> dict[str, Quota]:
    """Read what each of these projects may have."""
    found = session.execute(select(table).where(table.c.project_id.in_(project_ids)))
    bounded = {row.project_id: Quota(**{name: getattr(row, name) for name in _COUNTED}) for row in found}
    return {project_id: bounded.get(project_id, Quota()) for project_id in project_ids}


def usage_of(session: Session, project_ids: Collection[str]) -> dict[str, Usage]:
    """Read what each of these projects has, counted as the triggers count it."""
    sums = [func.coalesce(func.sum(vms.c[name]), 0).label(name) for name in ("vcpus", "memory_mib", "disk_bytes")]
    of_vms = select(vms.c.project_id, func.count().label("vms"), *sums).where(vms.c.project_id.in_(project_ids))
    of_ports = select(vms.c.project_id, func.count().label("ports")).join(ports, ports.c.vm_id == vms.c.id)
    plugged = {
        row.project_id: int(row.ports)
        for row in session.execute(of_ports.where(vms.c.project_id.in_(project_ids)).group_by(vms.c.project_id))
    }
    used = {
        row.project_id: Usage(
            vms=int(row.vms),
            vcpus=int(row.vcpus),
            memory_mib=int(row.memory_mib),
            disk_bytes=int(row.disk_bytes),
            ports=plugged.get(row.project_id, 0),
        )
        for row in session.execute(of_vms.group_by(vms.c.project_id))
    }
    return {project_id: used.get(project_id, Usage()) for project_id in project_ids}


def set_quota(session: Session, project: str, quota: Quota) -> None:
    """Say what the project may have. Less than it has is no error: it then gets nothing more."""
    row = rows.find_row(session, projects, "project", project)
    values = asdict(quota)
    for name, most in values.items():
        if most is not None and not 0 <= most <= _MOST:
            raise Invalid(field=f"quota.{name}", why="it is a number from 0, or null for no bound")
    if not any(most is not None for most in values.values()):
        session.execute(delete(table).where(table.c.project_id == row.id))
    elif session.execute(select(table.c.project_id).where(table.c.project_id == row.id)).one_or_none() is None:
        session.execute(insert(table).values(project_id=row.id, **values))
    else:
        session.execute(update(table).where(table.c.project_id == row.id).values(**values))
    rows.bump_row(session, projects, "project", row, {})
    changed(session, "project", row.id)


@contextmanager
def within_quota(session: Session, project_id: str, asked: Mapping[str, int]) -> Iterator[None]:
    """Make what the triggers refuse inside a `QuotaExceeded` that says what was `asked`, is used, and is allowed."""
    try:
        with session.begin_nested():
            yield
    except DBAPIError as error:
        if rule_broken(error) != RULE:
            raise
        raise _exceeded(session, project_id, asked) from error


def _exceeded(session: Session, project_id: str, asked: Mapping[str, int]) -> QuotaExceeded:
    allowed: dict[str, Any] = asdict(quotas_of(session, [project_id])[project_id])
    used = asdict(usage_of(session, [project_id])[project_id])
    over = [what for what, more in asked.items() if allowed[what] is not None and used[what] + more > allowed[what]]
    # Another transaction may have given back meanwhile what was scarce; then the first that was asked for is told.
    what = over[0] if over else next(iter(asked))
    name = session.execute(select(projects.c.name).where(projects.c.id == project_id)).scalar_one()
    return QuotaExceeded(project=name, what=what, asked=asked[what], used=used[what], allowed=allowed[what] or 0)
