"""What can be permitted, and the names of the roles. Which role permits what is `decide/access`'s table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ringfence.errors import Refused


class Permission(StrEnum):
    """One thing that a role may permit: `noun:what`. Whoever may not read a thing is not told that it is there."""

    ZONE_READ = "zone:read"
    ZONE_MANAGE = "zone:manage"
    HOST_READ = "host:read"
    HOST_MANAGE = "host:manage"
    IMAGE_READ = "image:read"
    IMAGE_MANAGE = "image:manage"
    FLAVOR_READ = "flavor:read"
    FLAVOR_MANAGE = "flavor:manage"
    NETWORK_READ = "network:read"
    NETWORK_MANAGE = "network:manage"
    POLICY_READ = "policy:read"
    POLICY_MANAGE = "policy:manage"
    PROJECT_READ = "project:read"
    PROJECT_MANAGE = "project:manage"
    MEMBER_MANAGE = "member:manage"
    VM_READ = "vm:read"
    VM_CREATE = "vm:create"
    VM_CHANGE = "vm:change"
    VM_OPERATE = "vm:operate"
    VM_DELETE = "vm:delete"
    VM_CONSOLE = "vm:console"
    VM_HAND_OVER = "vm:hand-over"
    VM_PLACE = "vm:place"
    CLOUD_READ = "cloud:read"
    CLOUD_VERIFY = "cloud:verify"
    LEDGER_READ = "ledger:read"
    ACCOUNT_READ = "account:read"
    ACCOUNT_MANAGE = "account:manage"


class Role(StrEnum):
    """A role. Those of the cloud are held everywhere, those of a project in that project."""

    CLOUD_ADMIN = "cloud-admin"
    SECURITY_OFFICER = "security-officer"
    AUDITOR = "auditor"
    PROJECT_OWNER = "project-owner"
    PROJECT_MEMBER = "project-member"
    PROJECT_VIEWER = "project-viewer"


class RoleScope(StrEnum):
    """Where a role is held."""

    CLOUD = "cloud"
    PROJECT = "project"


@dataclass(eq=False)
class NotPermitted(Refused):
    """You lack the permission {permission} for this.

    Ask an owner of the project, or an administrator, for a role that has it; `ringfence role list` tells which do.
    """

    status: ClassVar[int] = 403
    permission: str
