"""Accounts: people, and the programs that act for them. What they may is `access`'s, how they sign in is not told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ringfence.errors import Refused
from ringfence.model.access import Permission, Role
from ringfence.model.names import AccountId, ProjectId, TokenId, VmId


class AccountKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One who may use the cloud. `roles` are those of the cloud; a disabled account's tokens open nothing."""

    id: AccountId
    name: str
    kind: AccountKind
    display_name: str = ""
    email: str = ""
    roles: frozenset[Role] = frozenset()
    disabled: bool = False
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account's place in a project: one role."""

    project_id: ProjectId
    project: str
    account_id: AccountId
    account: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret that acts for its account. `scope` empty: all its account may; `expires_at` None: it does not."""

    id: TokenId
    name: str
    account_id: AccountId
    account: str
    scope: frozenset[Permission]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


@dataclass(eq=False)
class LastAdministrator(Refused):
    """{account} is the last account that may administer the cloud.

    Give another account the role cloud-admin first.
    """

    account: str


@dataclass(eq=False)
class LastOwner(Refused):
    """{account} owns the project {project}.

    Give the project another owner first: `ringfence project update {project} --owner ACCOUNT`.
    """

    status: ClassVar[int] = 409
    account: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A VM offered by its `owner`, or on their behalf, to another, who has not accepted yet."""

    id: str
    vm_id: VmId
    vm: str
    project_id: ProjectId
    owner: str
    to_id: AccountId
    to: str
    offered_by: str
    created_at: str


@dataclass(eq=False)
class NotAMember(Refused):
    """{account} is not a member of the VM's project.

    Make the account a member first: `ringfence project put-member PROJECT ACCOUNT --role ROLE`.
    """

    account: str


@dataclass(eq=False)
class NotForYou(Refused):
    """Only {account} can accept this.

    Sign in as that account; a hand-over is withdrawn by whoever may offer it.
    """

    status: ClassVar[int] = 403
    account: str
