"""Members: which role an account has in a project. A project's owner is one of its members, always."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.orm import Session

from ringfence.decide.access import ROLES
from ringfence.errors import Invalid, NotFound, StillUsed
from ringfence.model.access import Role, RoleScope
from ringfence.model.accounts import LastOwner, Member
from ringfence.model.names import AccountId, ProjectId
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.tables import accounts, projects, vms
from ringfence.store.tables import project_members as table

KIND = "member"


def members(session: Session, project: str) -> tuple[Member, ...]:
    """Read a project's members in the order of their names."""
    of_project = rows.find_row(session, projects, "project", project)
    query = select(table.c.role, accounts.c.id, accounts.c.name).join(accounts, accounts.c.id == table.c.account_id)
    found = session.execute(query.where(table.c.project_id == of_project.id).order_by(accounts.c.name))
    return tuple(_built(of_project, row, Role(row.role)) for row in found)


def memberships(session: Session, account_id: str) -> tuple[Member, ...]:
    """Read an account's memberships in the order of the projects' names."""
    of_account = rows.find_by_id(session, accounts, "account", account_id)
    query = select(table.c.role, projects.c.id, projects.c.name).join(projects, projects.c.id == table.c.project_id)
    found = session.execute(query.where(table.c.account_id == of_account.id).order_by(projects.c.name))
    return tuple(_built(row, of_account, Role(row.role)) for row in found)


def put_member(session: Session, project: str, account: str, role: Role) -> Member:
    """Give the account this role in the project, in place of the one it had."""
    of_project = rows.find_row(session, projects, "project", project)
    of_account = rows.find_row(session, accounts, "account", account)
    if ROLES[role].scope is not RoleScope.PROJECT:
        raise Invalid(field="role", why=f"{role} is held in the cloud, not in a project")
    if of_account.name == of_project.owner and role is not Role.PROJECT_OWNER:
        raise LastOwner(account=of_account.name, project=of_project.name)
    values = {"project_id": of_project.id, "account_id": of_account.id, "role": str(role)}
    if not rows.insert_unless_there(session, table, values):
        session.execute(update(table).where(_this(of_project, of_account)).values(role=str(role)))
    changed(session, "project", of_project.id)
    return _built(of_project, of_account, role)


def remove_member(session: Session, project: str, account: str) -> None:
    """Take the account out of the project; one that owns it, or a VM in it, is refused."""
    of_project = rows.find_row(session, projects, "project", project)
    of_account = rows.find_row(session, accounts, "account", account)
    if of_account.name == of_project.owner:
        raise LastOwner(account=of_account.name, project=of_project.name)
    owned = select(vms.c.name).where(vms.c.project_id == of_project.id, vms.c.owner == of_account.name)
    names = session.execute(owned.limit(10)).scalars().all()
    if names:
        raise StillUsed(kind=KIND, name=of_account.name, used_by=[f"VM {name}" for name in names])
    this = delete(table).where(_this(of_project, of_account))
    if session.execute(this.returning(table.c.role)).one_or_none() is None:
        raise NotFound(kind=KIND, ref=of_account.name)
    changed(session, "project", of_project.id)


def role_in(session: Session, project_id: str, account_id: str) -> Role | None:
    """Read the role the account has in the project."""
    this = (table.c.project_id == project_id) & (table.c.account_id == account_id)
    role = session.execute(select(table.c.role).where(this)).scalar_one_or_none()
    return None if role is None else Role(role)


def _this(of_project: Row[Any], of_account: Row[Any]) -> Any:
    return (table.c.project_id == of_project.id) & (table.c.account_id == of_account.id)


def _built(of_project: Any, of_account: Any, role: Role) -> Member:
    return Member(
        project_id=ProjectId(of_project.id),
        project=of_project.name,
        account_id=AccountId(of_account.id),
        account=of_account.name,
        role=role,
    )
