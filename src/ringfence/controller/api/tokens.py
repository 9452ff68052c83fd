"""Tokens over HTTP: secrets that act for an account, shown once."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, Field

from ringfence.controller.admission import Access
from ringfence.controller.api.accounts import check_may_give
from ringfence.controller.api.requests import Filter, VmInPath, WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.sealed import Recipient, octets
from ringfence.controller.api.shapes import AccountRef, Asked, Name, PageOf, Told
from ringfence.controller.enforcement import WithAccess, check_may
from ringfence.controller.parts import Parts
from ringfence.decide.access import may
from ringfence.errors import Invalid, NotFound
from ringfence.model.access import NotPermitted, Permission
from ringfence.model.accounts import Account, AccountKind, Token
from ringfence.store import accounts, tokens
from ringfence.store.ids import digest_of, new_secret

router = APIRouter(prefix="/v1/tokens", tags=["accounts"])

Scope = Annotated[list[Annotated[Permission, Field(strict=False)]], Field(max_length=len(Permission))]


class TokenAsked(Asked):
    name: Name
    account: AccountRef | None = Field(default=None, description="A service's; one's own if not given.")
    scope: Scope = Field(default=[], description="Narrows what it may; none: all that its account may.")
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None, description="When it ends, with an offset; never if not given."
    )
    recipient: Recipient | None = None


class TokenTold(Told):
    """A token. `last_used_at` is right to the minute."""

    id: str
    name: str
    account: str
    account_id: str
    scope: list[Permission]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class NewTokenTold(TokenTold):
    """A token just made. The secret is not shown again. For a recipient it is sealed, and never was in this server."""

    secret: str | None = None
    sealed_secret: str | None = Field(default=None, description="A libsodium sealed box to the recipient, in base64.")


@router.get("", response_model=PageOf[TokenTold])
def list_tokens(parts: WithParts, paging: WithPaging, access: WithAccess, account: Filter = None) -> Response:
    """List one's own tokens; everybody's if one may read accounts, or those of one account."""
    if not may(access.grants, Permission.ACCOUNT_READ):
        own = access.grants.account
        if account not in (None, own.id, own.name):
            raise NotFound(kind="account", ref=str(account))
        account = own.id
    with parts.store.reading() as session:
        page = tokens.tokens(session, account=account, limit=paging.limit, after=paging.after)
    items = [TokenTold(**_fields(token)) for token in page.items]
    return told(PageOf[TokenTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=NewTokenTold)
def create_token(parts: WithParts, body: TokenAsked, access: WithAccess) -> Response:
    """Make a token. It may at most what the one who makes it may, and lives no longer than the token it is made with.

    There is no idempotency here, since a repetition would have to keep the secret; an unused token can be deleted.
    """
    scope = frozenset(body.scope)
    _check_no_more_than(access, body, scope)
    digest, secret_told = _new_secret(parts, body.recipient)
    with parts.store.transaction() as session:
        own = access.grants.account
        account = own if body.account is None else accounts.account(session, body.account)
        if account.id != own.id:
            _check_may_make_for(access, account)
        token = tokens.add_token_by_digest(
            session,
            digest,
            account=account.id,
            name=body.name,
            scope=scope,
            valid_seconds=None if body.expires_at is None else (body.expires_at - datetime.now(UTC)).total_seconds(),
        )
    made = NewTokenTold(**_fields(token), **secret_told)
    headers = {"Cache-Control": "no-store", "Location": f"/v1/tokens/{token.id}"}
    return told(made, status=201, headers=headers)


@router.delete("/{token_id}", status_code=204, response_class=Response)
def delete_token(parts: WithParts, token_id: VmInPath, access: WithAccess) -> Response:
    """Delete a token: from now on its secret opens nothing."""
    grants = access.grants
    with parts.store.transaction() as session:
        token = tokens.token(session, token_id)
        this = access.token is not None and access.token.id == token.id
        # A token that was narrowed ends itself and no other.
        if not this and (token.account_id != grants.account.id or grants.scope is not None):
            if token.account_id != grants.account.id and not may(grants, Permission.ACCOUNT_READ):
                raise NotFound(kind=tokens.KIND, ref=token_id)
            check_may(grants, Permission.ACCOUNT_MANAGE)
            check_may_give(grants, accounts.account(session, token.account_id).roles)
        tokens.remove_token(session, token_id)
    return Response(status_code=204)


def _new_secret(parts: Parts, recipient: str | None) -> tuple[str, dict[str, Any]]:
    """Make a secret; give its digest, and the field that tells it. For a recipient, this process never has it."""
    if recipient is None:
        secret = new_secret()
        return digest_of(secret), {"secret": secret}
    made = parts.passwords.make_secret(octets(recipient))
    return made.sha256, {"sealed_secret": base64.b64encode(made.sealed).decode()}


def _check_no_more_than(access: Access, body: TokenAsked, scope: frozenset[Permission]) -> None:
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise Invalid(field="expires_at", why="it is in the past")
    own_end = access.token.expires_at if access.token is not None else None
    if own_end is not None and (body.expires_at is None or body.expires_at > datetime.fromisoformat(own_end)):
        raise Invalid(field="expires_at", why=f"the token it is made with ends at {own_end}")
    narrowed = access.grants.scope
    if narrowed is None:
        return
    check_may(access.grants, Permission.ACCOUNT_MANAGE)
    if not scope or not scope <= narrowed:
        raise NotPermitted(permission=min(scope - narrowed, default=Permission.ACCOUNT_MANAGE))


def _check_may_make_for(access: Access, account: Account) -> None:
    check_may(access.grants, Permission.ACCOUNT_MANAGE)
    if account.kind is not AccountKind.SERVICE:
        raise Invalid(field="account", why="a person's tokens are made by that person")
    if access.grants.scope is None:
        check_may_give(access.grants, account.roles)


def _fields(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "account": token.account,
        "account_id": token.account_id,
        "scope": sorted(token.scope),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }
