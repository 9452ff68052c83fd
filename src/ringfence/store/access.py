"""What a reference means to one who asks, and what of a list they may see. Who may what is `decide/access`'s.

A name is looked for among what the asker may see, so that nobody learns what others call theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, false, or_, select, true
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants, Subject, may, projects_where
from ringfence.errors import NotFound, SeveralNamed
from ringfence.model.access import NotPermitted, Permission
from ringfence.model.names import ProjectId
from ringfence.store import rows
from ringfence.store.tables import networks, operations, policies, projects, vms

P = Permission


def seen_vms(grants: Grants) -> ColumnElement[bool]:
    return _in(vms.c.project_id, projects_where(grants, P.VM_READ))


def seen_projects(grants: Grants) -> ColumnElement[bool]:
    return _in(projects.c.id, projects_where(grants, P.PROJECT_READ))


def seen_networks(grants: Grants) -> ColumnElement[bool]:
    """Those of one's projects, and those of no project."""
    shared = networks.c.project_id.is_(None) if may(grants, P.NETWORK_READ) else false()
    return or_(_in(networks.c.project_id, projects_where(grants, P.NETWORK_READ)), shared)


def seen_policies(grants: Grants) -> ColumnElement[bool]:
    """Those of one's projects, and those that concern one of them; those of no project are the cloud's."""
    within = projects_where(grants, P.POLICY_READ)
    columns = (policies.c.project_id, policies.c.source_project_id, policies.c.target_project_id)
    return or_(*(_in(column, within) for column in columns))


def seen_operations(grants: Grants) -> ColumnElement[bool]:
    """Those about something of one's projects; those about the cloud if one may read that."""
    of_cloud = operations.c.project_id.is_(None) if may(grants, P.CLOUD_READ) else false()
    within = projects_where(grants, P.VM_READ)
    of_projects = operations.c.project_id.is_not(None) if within is None else operations.c.project_id.in_(within)
    return or_(of_projects, of_cloud)


def vm_subject(session: Session, _: Grants, ref: str) -> Subject:
    row = rows.find_by_id(session, vms, "VM", ref)
    return _of_one("VM", row.id, P.VM_READ, row.project_id)


def project_subject(session: Session, grants: Grants, ref: str) -> Subject:
    row = _found(session, grants, projects, "project", ref)
    return _of_one("project", row.id, P.PROJECT_READ, row.id)


def network_subject(session: Session, grants: Grants, ref: str) -> Subject:
    row = _found(session, grants, networks, "network", ref)
    return _of_one("network", row.id, P.NETWORK_READ, row.project_id)


def policy_subject(session: Session, grants: Grants, ref: str) -> Subject:
    """A policy of the cloud is changed by whoever may do so everywhere; another needs it of each project it names."""
    row = _found(session, grants, policies, "policy", ref)
    of = None if row.project_id is None else ProjectId(row.project_id)
    ends = frozenset(ProjectId(each) if each else None for each in (row.source_project_id, row.target_project_id))
    return Subject(kind="policy", id=row.id, read=P.POLICY_READ, read_in=ends | {of}, change_in=ends | {of})


def operation_subject(session: Session, _: Grants, ref: str) -> Subject:
    row = rows.find_row(session, operations, "operation", ref)
    return _of_one("operation", row.id, P.VM_READ if row.project_id else P.CLOUD_READ, row.project_id)


def project_for(session: Session, grants: Grants, ref: str, permission: Permission) -> Row[Any]:
    """Find the project in which something is to be done; `NotFound` if unseen, `NotPermitted` if it may not be."""
    row = _found(session, grants, projects, "project", ref)
    if not may(grants, permission, ProjectId(row.id)):
        raise NotPermitted(permission=permission)
    return row


def network_for(session: Session, project_id: str, ref: str) -> Row[Any]:
    """Find the network that a VM of the project means: one of the project, else one of no project."""
    usable = or_(networks.c.project_id == project_id, networks.c.project_id.is_(None))
    by_id = session.execute(select(networks).where(networks.c.id == ref, usable)).one_or_none()
    if by_id is not None:
        return by_id
    named = session.execute(select(networks).where(networks.c.name == ref, usable)).all()
    # The project's own hides the cloud's of the same name.
    found = min(named, key=lambda row: row.project_id is None, default=None)
    if found is None:
        raise NotFound(kind="network", ref=ref)
    return found


_SEEN: Mapping[Table, Callable[[Grants], ColumnElement[bool]]] = {
    projects: seen_projects,
    networks: seen_networks,
    policies: seen_policies,
}


def _found(session: Session, grants: Grants, table: Table, kind: str, ref: str) -> Row[Any]:
    query = select(table).where(_SEEN[table](grants))
    by_id = session.execute(query.where(table.c.id == ref)).one_or_none() if rows.is_id(ref) else None
    if by_id is not None:
        return by_id
    named = session.execute(query.where(table.c.name == ref).limit(2)).all()
    if len(named) > 1:
        raise SeveralNamed(kind=kind, name=ref)
    if not named:
        raise NotFound(kind=kind, ref=ref)
    return named[0]


def _of_one(kind: str, noun_id: str, read: Permission, project_id: str | None) -> Subject:
    within = frozenset({None if project_id is None else ProjectId(project_id)})
    return Subject(kind=kind, id=noun_id, read=read, read_in=within, change_in=within)


def _in(column: ColumnElement[str], within: frozenset[ProjectId] | None) -> ColumnElement[bool]:
    return true() if within is None else column.in_(within)
