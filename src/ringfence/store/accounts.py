"""Accounts and the roles they hold in the cloud. What a role permits is `decide/access`'s; signing in is not here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ringfence.decide.access import ROLES, Grants, Subject
from ringfence.errors import Invalid, StillUsed
from ringfence.model.access import Permission, Role, RoleScope
from ringfence.model.accounts import Account, AccountKind, LastAdministrator
from ringfence.model.names import AccountId, ProjectId, check_account_name
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import account_roles, project_members, projects, vms
from ringfence.store.tables import accounts as table
from ringfence.store.translation import rule_broken

KIND = "account"
BOOTSTRAP = "bootstrap"
"""The service account of the first token: whoever started the controller first acts by it."""


def add_account(
    session: Session,
    *,
    name: str,
    kind: AccountKind,
    display_name: str = "",
    email: str = "",
    roles: Collection[Role] = (),
) -> Account:
    """Add an account; it may do nothing but what `roles`, of the cloud, permit."""
    values = _fresh(name, kind, display_name=display_name, email=email)
    rows.insert_row(session, table, KIND, values)
    _give(session, str(values["id"]), check_cloud_roles(roles))
    changed(session, KIND, str(values["id"]))
    return account(session, str(values["id"]))


def bootstrap(session: Session) -> Account | None:
    """Add the account of the first start; None if there is any already."""
    if session.execute(select(table.c.id).limit(1)).one_or_none() is not None:
        return None
    # Two controllers that start at once agree by the name being unique: the other one gets None.
    values = _fresh(BOOTSTRAP, AccountKind.SERVICE, display_name="Made at the controller's first start")
    if not rows.insert_unless_there(session, table, values):
        return None
    _give(session, str(values["id"]), [Role.CLOUD_ADMIN])
    return account(session, str(values["id"]))


def person_named(session: Session, name: str, *, field: str = "name") -> Account:
    """Give the account of this name, made now for a person if there is none: who owns something has an account."""
    values = _fresh(check_account_name(name, field=field), AccountKind.PERSON)
    if rows.insert_unless_there(session, table, values):
        changed(session, KIND, str(values["id"]))
    return account(session, name)


def account(session: Session, ref: str) -> Account:
    """Read an account by id or name."""
    return _built(session, [rows.find_row(session, table, KIND, ref)])[0]


def accounts(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Account]:
    found, following = page_of_rows(session, select(table), table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(session, found)), next=following)


def change_account(
    session: Session,
    ref: str,
    *,
    revision: int | None = None,
    display_name: str | None = None,
    email: str | None = None,
    roles: Collection[Role] | None = None,
    disabled: bool | None = None,
) -> Account:
    """Change what is given; `roles` replaces those held. Somebody who may administer the cloud always remains."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    held = _built(session, [row])[0]
    wanted_roles = held.roles if roles is None else check_cloud_roles(roles)
    if Role.CLOUD_ADMIN not in wanted_roles or disabled:
        _check_not_last(session, held)
    wanted = rows.differing(row, {"display_name": display_name, "email": email, "disabled": disabled})
    if wanted or wanted_roles != held.roles:
        rows.bump_row(session, table, KIND, row, wanted)
        session.execute(delete(account_roles).where(account_roles.c.account_id == row.id))
        _give(session, row.id, wanted_roles)
        changed(session, KIND, row.id)
    return account(session, row.id)


def remove_account(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove an account with its tokens and memberships; one that owns a VM or a project is refused as `StillUsed`."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    _check_not_last(session, _built(session, [row])[0])
    used_by = {
        "VM": select(vms.c.name).where(vms.c.owner == row.name),
        "project": select(projects.c.name).where(projects.c.owner == row.name),
    }
    try:
        with session.begin_nested():
            rows.remove_row(session, table, KIND, row, used_by)
    except DBAPIError as error:
        if rule_broken(error) == "account-owns":
            raise StillUsed(kind=KIND, name=row.name, used_by=["something it was given just now"]) from error
        raise
    changed(session, KIND, row.id)


def grants_of(session: Session, account_id: str, scope: frozenset[Permission] = frozenset()) -> Grants:
    """Read what an account holds, narrowed to the scope unless that is empty."""
    held = account(session, account_id)
    query = select(project_members.c.project_id, project_members.c.role)
    found = session.execute(query.where(project_members.c.account_id == held.id))
    return Grants(
        account=held,
        projects={ProjectId(row.project_id): Role(row.role) for row in found},
        scope=scope or None,
    )


def account_subject(session: Session, grants: Grants, ref: str) -> Subject:
    """Find the account a request is about; everybody sees their own."""
    row = rows.find_row(session, table, KIND, ref)
    of_cloud: frozenset[ProjectId | None] = frozenset({None})
    own = row.id == grants.account.id
    return Subject(kind=KIND, id=row.id, read=Permission.ACCOUNT_READ, read_in=of_cloud, change_in=of_cloud, own=own)


def check_cloud_roles(roles: Iterable[Role]) -> frozenset[Role]:
    """Give the roles back, or refuse those that are held in a project only."""
    for role in roles:
        if ROLES[role].scope is not RoleScope.CLOUD:
            raise Invalid(field="roles", why=f"{role} is held in a project: make the account a member of it")
    return frozenset(roles)


def _check_not_last(session: Session, held: Account) -> None:
    if Role.CLOUD_ADMIN not in held.roles or held.disabled:
        return
    # On PostgreSQL two administrators that remove each other wait here, and the second sees what the first did.
    query = select(account_roles.c.account_id).where(account_roles.c.role == Role.CLOUD_ADMIN)
    locked = session.execute(query.order_by(account_roles.c.account_id).with_for_update()).scalars().all()
    able = select(table.c.id).where(table.c.id.in_(locked), table.c.disabled.is_(False), table.c.id != held.id)
    if session.execute(able.limit(1)).one_or_none() is None:
        raise LastAdministrator(account=held.name)


def _give(session: Session, account_id: str, roles: Collection[Role]) -> None:
    for role in sorted(roles):
        session.execute(insert(account_roles).values(account_id=account_id, role=str(role)))


def _fresh(name: str, kind: AccountKind, *, display_name: str = "", email: str = "") -> dict[str, Any]:
    return {
        "id": new_id(),
        "name": check_account_name(name),
        "kind": str(kind),
        "display_name": display_name,
        "email": email,
        "disabled": False,
    }


def _built(session: Session, found: Collection[Row[Any]]) -> list[Account]:
    held: dict[str, set[Role]] = defaultdict(set)
    for row in session.execute(select(account_roles).where(account_roles.c.account_id.in_([row.id for row in found]))):
        held[row.account_id].add(Role(row.role))
    return [
        Account(
            id=AccountId(row.id),
            name=row.name,
            kind=AccountKind(row.kind),
            display_name=row.display_name,
            email=row.email,
            roles=frozenset(held[row.id]),
            disabled=row.disabled,
            revision=row.revision,
        )
        for row in found
    ]
