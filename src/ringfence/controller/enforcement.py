"""Holds every request to what its route needs, before the route runs. Who may what is decided in `decide/access`.

A dependency of the whole application, so that no route can forget it; a route without a need is refused. What one may
not see answers 404, what one sees and may not do 403. Routes that list, or whose subject is in the body, ask for
themselves, by `store/access`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated

import anyio.to_thread
from fastapi import Depends
from starlette.requests import HTTPConnection

from ringfence.controller.admission import Access
from ringfence.controller.parts import Parts
from ringfence.decide.access import Denied, Grants, Subject, Unseen, judge, may
from ringfence.errors import Invalid, NotFound
from ringfence.model.access import NotPermitted, Permission
from ringfence.store import access as found
from ringfence.store import accounts
from ringfence.store.engine import Session

LONGEST_REF = 120
_REF = re.compile(rf"[^\x00-\x1f\x7f]{{1,{LONGEST_REF}}}")


class Of(Enum):
    """What a permission is needed of."""

    CLOUD = auto()
    """The cloud: the nouns that belong to no project."""
    PROJECT = auto()
    NETWORK = auto()
    POLICY = auto()
    VM = auto()
    OPERATION = auto()
    ACCOUNT = auto()
    LIST = auto()
    """What one may see of a list: the route filters."""
    BODY = auto()
    """The project that the body names: the route asks."""
    ASKER = auto()
    """One's own things: whoever has an account."""
    OWN = auto()
    """How one signs in: whoever has an account, but no token that was narrowed."""
    NOBODY = auto()
    """Nothing: no account is needed."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route needs."""

    permission: Permission | None
    of: Of = Of.CLOUD


_SUBJECTS: Mapping[Of, Callable[[Session, Grants, str], Subject]] = {
    Of.PROJECT: found.project_subject,
    Of.NETWORK: found.network_subject,
    Of.POLICY: found.policy_subject,
    Of.VM: found.vm_subject,
    Of.OPERATION: found.operation_subject,
    Of.ACCOUNT: accounts.account_subject,
}


def access_in(connection: HTTPConnection) -> Access:
    """Give who asks, and what they hold."""
    access = connection.state.access
    assert isinstance(access, Access)
    return access


WithAccess = Annotated[Access, Depends(access_in)]


def enforcing(needs: Mapping[str, Need]) -> Callable[[HTTPConnection], Awaitable[None]]:
    """Make the dependency that holds each request to its route's need."""

    async def enforce(connection: HTTPConnection) -> None:
        # A route that is not in the table fails here, as a bug: closed.
        need = needs[connection.scope["route"].name]
        if need.of is Of.NOBODY:
            return
        grants = access_in(connection).grants
        if need.of is Of.OWN and grants.scope is not None:
            raise NotPermitted(permission=Permission.ACCOUNT_MANAGE)
        if need.of in _SUBJECTS:
            parts: Parts = connection.app.state.parts
            name, ref = next(iter(connection.path_params.items()))
            if not _REF.fullmatch(str(ref)):
                raise Invalid(field=name, why=f"a name or an id has 1 to {LONGEST_REF} characters, none of control")
            subject = await anyio.to_thread.run_sync(check_subject, parts, grants, need, str(ref))
            # From here on the name means what it meant to the asker, whatever others call theirs.
            connection.scope["path_params"][name] = subject.id
        elif need.of is Of.CLOUD and need.permission is not None:
            _check_cloud(grants, need.permission, connection.path_params)

    return enforce


def check_subject(parts: Parts, grants: Grants, need: Need, ref: str) -> Subject:
    """Give the subject, or refuse: `NotFound` if it is not to be seen, `NotPermitted` if it may not be done."""
    with parts.store.reading() as session:
        subject = _SUBJECTS[need.of](session, grants, ref)
    assert need.permission is not None
    judged = judge(grants, subject.read if need.of is Of.OPERATION else need.permission, subject)
    if isinstance(judged, Unseen):
        raise NotFound(kind=subject.kind, ref=ref)
    if isinstance(judged, Denied):
        raise NotPermitted(permission=judged.reason)
    return subject


def check_may(grants: Grants, permission: Permission) -> None:
    """Refuse as `NotPermitted` what one may not do in the cloud."""
    if not may(grants, permission):
        raise NotPermitted(permission=permission)


def _check_cloud(grants: Grants, permission: Permission, path: Mapping[str, object]) -> None:
    noun = permission.partition(":")[0]
    if path and not may(grants, Permission(f"{noun}:read")):
        raise NotFound(kind=noun, ref=str(next(iter(path.values())))[:LONGEST_REF])
    check_may(grants, permission)
