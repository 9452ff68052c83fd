"""Projects: tenants, each owned by an account that is one of its members."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.model.access import Role
from ringfence.model.names import ProjectId, check_name
from ringfence.model.projects import Project
from ringfence.store import accounts, members, rows
from ringfence.store.access import seen_projects
from ringfence.store.engine import changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page
from ringfence.store.tables import networks, policies, vms
from ringfence.store.tables import projects as table

KIND = "project"


def add_project(session: Session, *, name: str, owner: str) -> Project:
    """Add a project; its owner becomes a member, and has an account made if there is none of this name."""
    values = {
        "id": new_id(),
        "name": check_name(name),
        "owner": accounts.person_named(session, owner, field="owner").name,
    }
    rows.insert_row(session, table, KIND, values)
    members.put_member(session, values["id"], values["owner"], Role.PROJECT_OWNER)
    changed(session, KIND, values["id"])
    return project(session, values["id"])


def project(session: Session, ref: str) -> Project:
    """Read a project by id or name."""
    return _built(rows.find_row(session, table, KIND, ref))


def projects(
    session: Session, *, limit: int = 100, after: str | None = None, seen_by: Grants | None = None
) -> Page[Project]:
    """Read a page of the projects, of those that one sees if it is asked for someone."""
    where = None if seen_by is None else seen_projects(seen_by)
    return rows.page(session, table, _built, limit=limit, after=after, where=where)


def change_project(
    session: Session, ref: str, *, revision: int | None = None, name: str | None = None, owner: str | None = None
) -> Project:
    """Change what is given; the new owner becomes a member, as at the birth. VMs keep the owner they have."""
    row = rows.find_row(session, table, KIND, ref)
    wanted = {
        "name": None if name is None else check_name(name),
        "owner": None if owner is None else accounts.person_named(session, owner, field="owner").name,
    }
    if rows.change_row(session, table, KIND, row, revision, wanted):
        changed(session, KIND, row.id)
    if wanted["owner"] is not None:
        members.put_member(session, row.id, wanted["owner"], Role.PROJECT_OWNER)
    return project(session, row.id)


def remove_project(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove a project that nothing uses."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    of_policy = or_(
        policies.c.project_id == row.id, policies.c.source_project_id == row.id, policies.c.target_project_id == row.id
    )
    used_by = {
        "VM": select(vms.c.name).where(vms.c.project_id == row.id),
        "network": select(networks.c.name).where(networks.c.project_id == row.id),
        "policy": select(policies.c.name).where(of_policy),
    }
    rows.remove_row(session, table, KIND, row, used_by)
    changed(session, KIND, row.id)


def _built(row: Row[Any]) -> Project:
    return Project(id=ProjectId(row.id), name=row.name, owner=row.owner, revision=row.revision)
