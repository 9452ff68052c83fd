"""Who may do what: the one table of roles, and the questions asked of it.

Everything is denied that the table does not permit. Pure: what an account holds is read by the store, what a route
needs stands in `controller/api/routes`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ringfence.model.access import Permission, Role, RoleScope
from ringfence.model.accounts import Account
from ringfence.model.names import ProjectId

P = Permission

_READ = frozenset(each for each in Permission if each.endswith(":read"))
_VIEWER = frozenset(
    {P.PROJECT_READ, P.VM_READ, P.NETWORK_READ, P.POLICY_READ, P.ZONE_READ, P.IMAGE_READ, P.FLAVOR_READ}
)
_MEMBER = _VIEWER | {P.VM_CREATE, P.VM_CHANGE, P.VM_OPERATE, P.VM_DELETE, P.VM_CONSOLE, P.VM_HAND_OVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRow:
    """A role as the table has it."""

    role: Role
    scope: RoleScope
    about: str
    permissions: frozenset[Permission]


ROLES: Mapping[Role, RoleRow] = {
    row.role: row
    for row in (
        RoleRow(
            role=Role.CLOUD_ADMIN,
            scope=RoleScope.CLOUD,
            about="Runs the cloud: may do everything.",
            permissions=frozenset(Permission),
        ),
        RoleRow(
            role=Role.SECURITY_OFFICER,
            scope=RoleScope.CLOUD,
            about="Sees all, changes zones and policies, examines the promises; cannot touch guests.",
            permissions=_READ | {P.ZONE_MANAGE, P.POLICY_MANAGE, P.CLOUD_VERIFY},
        ),
        RoleRow(
            role=Role.AUDITOR,
            scope=RoleScope.CLOUD,
            about="Reads all, changes nothing.",
            permissions=_READ,
        ),
        RoleRow(
            role=Role.PROJECT_OWNER,
            scope=RoleScope.PROJECT,
            about="Runs a project: its VMs, networks, members, and the policies between its own VMs.",
            permissions=_MEMBER | {P.NETWORK_MANAGE, P.POLICY_MANAGE, P.MEMBER_MANAGE},
        ),
        RoleRow(
            role=Role.PROJECT_MEMBER,
            scope=RoleScope.PROJECT,
            about="Works with the project's VMs, their consoles included.",
            permissions=_MEMBER,
        ),
        RoleRow(
            role=Role.PROJECT_VIEWER,
            scope=RoleScope.PROJECT,
            about="Sees what the project has; no consoles.",
            permissions=_VIEWER,
        ),
    )
}
"""The reviewed table: the only place that says what a role permits."""

SHARED = frozenset({P.ZONE_READ, P.IMAGE_READ, P.FLAVOR_READ, P.NETWORK_READ})
"""Of what belongs to no project, what a role in any project lets one read: it is what its VMs are made of."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may be done."""


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not be done; `reason` is the permission that is missing."""

    reason: Permission

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What one holds who asks: roles of the cloud, a role in each of some projects.

    `scope` is what a token is narrowed to; None: not narrowed.
    """

    account: Account
    projects: Mapping[ProjectId, Role] = field(default_factory=dict)
    scope: frozenset[Permission] | None = None


def may(grants: Grants, permission: Permission, project_id: ProjectId | None = None) -> Allowed | Denied:
    """Tell whether it may be done: in the project, or to what belongs to none."""
    if grants.account.disabled or (grants.scope is not None and permission not in grants.scope):
        return Denied(permission)
    if permission in cloud_permissions(grants):
        return Allowed()
    if project_id is None:
        shared = permission in SHARED and any(permission in _of(role) for role in grants.projects.values())
        return Allowed() if shared else Denied(permission)
    role = grants.projects.get(project_id)
    if role is not None and permission in _of(role):
        return Allowed()
    return Denied(permission)


def projects_where(grants: Grants, permission: Permission) -> frozenset[ProjectId] | None:
    """Give the projects in which it may be done; None: in all there are."""
    if may(grants, permission) and permission in cloud_permissions(grants):
        return None
    return frozenset(project_id for project_id in grants.projects if may(grants, permission, project_id))


def cloud_permissions(grants: Grants) -> frozenset[Permission]:
    """Give what one may everywhere."""
    if grants.account.disabled:
        return frozenset()
    held = frozenset[Permission]().union(*(_of(role, RoleScope.CLOUD) for role in grants.account.roles))
    return held if grants.scope is None else held & grants.scope


def may_give(grants: Grants, roles: Collection[Role], project_id: ProjectId | None = None) -> Allowed | Denied:
    """Tell whether one may give or take these roles: nobody gives what they do not hold themselves."""
    for role in sorted(roles):
        for permission in sorted(ROLES[role].permissions):
            if not may(grants, permission, project_id):
                return Denied(permission)
    return Allowed()


def _of(role: Role, scope: RoleScope = RoleScope.PROJECT) -> frozenset[Permission]:
    row = ROLES[role]
    # A role that is held where it does not belong permits nothing.
    return row.permissions if row.scope is scope else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a request is about, as far as access goes.

    Whoever may `read` in one of `read_in` sees it; whoever changes it must be permitted to in all of `change_in`. None
    stands for the cloud itself.
    """

    kind: str
    id: str
    read: Permission
    read_in: frozenset[ProjectId | None]
    change_in: frozenset[ProjectId | None]
    own: bool = False
    """It is the asker themselves."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """It is not there, as far as the one who asks is told."""

    def __bool__(self) -> Literal[False]:
        return False


def judge(grants: Grants, permission: Permission, subject: Subject) -> Allowed | Denied | Unseen:
    """Tell whether it may be done to the subject, and if not, whether that may be told."""
    if not subject.own and not any(may(grants, subject.read, project_id) for project_id in subject.read_in):
        return Unseen()
    if permission is subject.read:
        return Allowed()
    if all(may(grants, permission, project_id) for project_id in subject.change_in):
        return Allowed()
    return Denied(permission)
