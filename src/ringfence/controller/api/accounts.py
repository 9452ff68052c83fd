"""Accounts over HTTP: people and services, and the roles they hold in the cloud. How they sign in is told elsewhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StringConstraints

from ringfence.controller.api.requests import (
    PRINTABLE,
    Done,
    IdempotencyKey,
    IfMatch,
    IfMatchMaybe,
    WithPaging,
    WithParts,
    change,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import AccountName, Asked, Line, PageOf, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.decide.access import Denied, Grants, may_give
from ringfence.model.access import NotPermitted, Role
from ringfence.model.accounts import Account, AccountKind
from ringfence.store import accounts
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

AccountInPath = Annotated[str, Path(max_length=120, pattern=PRINTABLE, description="Its name or its id.")]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00-\x20\x7f]*$")]
CloudRoles = Annotated[list[Annotated[Role, Field(strict=False)]], Field(max_length=len(Role))]


class AccountAsked(Asked):
    name: AccountName
    kind: Annotated[AccountKind, Field(strict=False)] = AccountKind.PERSON
    display_name: Line = ""
    email: Email = ""
    roles: CloudRoles = Field(default=[], description="Roles held in the cloud; those in a project make a member.")


class AccountChanges(Asked):
    display_name: Line | None = None
    email: Email | None = None
    roles: CloudRoles | None = Field(default=None, description="Replaces those held in the cloud.")
    disabled: bool | None = Field(default=None, description="A disabled account's tokens open nothing.")


class AccountTold(Told):
    """A person, or a service that acts for itself. Its name and kind never change."""

    id: str
    name: str
    kind: AccountKind
    display_name: str
    email: str
    roles: list[Role]
    disabled: bool
    revision: int


def shown(account: Account) -> AccountTold:
    """Build the body that tells an account."""
    return AccountTold(
        id=account.id,
        name=account.name,
        kind=account.kind,
        display_name=account.display_name,
        email=account.email,
        roles=sorted(account.roles),
        disabled=account.disabled,
        revision=account.revision,
    )


@router.get("", response_model=PageOf[AccountTold])
def list_accounts(parts: WithParts, paging: WithPaging) -> Response:
    """List the accounts."""
    with parts.store.reading() as session:
        page = accounts.accounts(session, limit=paging.limit, after=paging.after)
    items = [shown(account) for account in page.items]
    return told(PageOf[AccountTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=AccountTold)
def create_account(
    parts: WithParts,
    request: Request,
    body: AccountAsked,
    access: WithAccess,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create an account. Nobody gives a role that permits more than they may themselves."""

    def do(session: Session) -> Done:
        check_may_give(access.grants, frozenset(body.roles))
        added = accounts.add_account(
            session,
            name=body.name,
            kind=body.kind,
            display_name=body.display_name,
            email=body.email,
            roles=body.roles,
        )
        return _done(added, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=AccountTold)
def get_account(parts: WithParts, ref: AccountInPath) -> Response:
    """Show one account; everybody sees their own."""
    with parts.store.reading() as session:
        account = accounts.account(session, ref)
    return told(shown(account), headers=etag(account.revision))


@router.patch("/{ref}", response_model=AccountTold)
def change_account(
    parts: WithParts, ref: AccountInPath, body: AccountChanges, revision: IfMatch, access: WithAccess
) -> Response:
    """Change an account. Somebody who may administer the cloud always remains."""

    def do(session: Session) -> Done:
        before = accounts.account(session, ref)
        check_may_give(access.grants, before.roles | frozenset(body.roles or ()))
        changed = accounts.change_account(
            session,
            ref,
            revision=revision,
            display_name=body.display_name,
            email=body.email,
            roles=body.roles,
            disabled=body.disabled,
        )
        return _done(changed, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_account(parts: WithParts, ref: AccountInPath, revision: IfMatchMaybe, access: WithAccess) -> Response:
    """Delete an account with its tokens. One that owns a VM or a project is refused until those are handed over."""
    with parts.store.transaction() as session:
        check_may_give(access.grants, accounts.account(session, ref).roles)
        accounts.remove_account(session, ref, revision=revision)
    return Response(status_code=204)


def check_may_give(grants: Grants, roles: frozenset[Role]) -> None:
    """Refuse as `NotPermitted` to give or take roles that permit more than one may oneself."""
    given = may_give(grants, roles)
    if isinstance(given, Denied):
        raise NotPermitted(permission=given.reason)


def _done(account: Account, *, status: int) -> Done:
    headers = {**etag(account.revision), "Location": f"/v1/accounts/{account.id}"}
    return Done(status=status, body=shown(account), headers=headers)
