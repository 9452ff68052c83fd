"""Set-up links over HTTP: by one, once, a person gets an account and chooses its password."""

from __future__ import annotations

import base64
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

from ringfence.controller.api.requests import RefInPath, WithParts, told
from ringfence.controller.api.sealed import Recipient, Sealed, SealedToKey, octets
from ringfence.controller.api.sessions import AccountName, SessionTold, begun_response, sign_ins_of
from ringfence.controller.api.shapes import Asked, Told
from ringfence.controller.enforcement import access_in
from ringfence.controller.parts import Parts
from ringfence.controller.signing_in import SET_UP, Attempt, SignIns
from ringfence.decide.access import Denied, may_give
from ringfence.errors import Invalid
from ringfence.model.access import NotPermitted, Role
from ringfence.model.accounts import Account, AccountKind
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.sessions import Means
from ringfence.model.signins import SetUpRefused
from ringfence.store import accounts, passwords, sessions, setup_links
from ringfence.store.acting import acting
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/setup", tags=["setup"])
accounts_router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

DisplayName = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class SetUpTold(Told):
    """Whether nobody can sign in yet."""

    needed: bool


class SetUpAsked(SealedToKey):
    """`account` is the name to have, for the first administrator's link; another link knows its account."""

    sealed_secret: Sealed
    sealed_password: Sealed
    account: AccountName | None = None
    display_name: DisplayName = ""


class SetUpLinkAsked(Asked):
    recipient: Recipient


class SetUpLink(Told):
    """A link: `page`, a `#`, and the secret, which is sealed to the recipient."""

    page: str
    sealed_secret: str
    expires_at: str


@router.get("", response_model=SetUpTold)
def get_setup(parts: WithParts) -> Response:
    """Tell whether the first administrator is still to be made."""
    with parts.store.reading() as session:
        return told(SetUpTold(needed=not passwords.can_anybody_sign_in(session)))


@router.post("", status_code=201, response_model=SessionTold)
async def create_setup(parts: WithParts, request: Request, body: SetUpAsked) -> Response:
    """Use a set-up link: choose the password, and be signed in."""
    sign_ins = sign_ins_of(request)
    attempt = await sign_ins.hear(request.scope, SET_UP)
    return await anyio.to_thread.run_sync(_set_up, parts, request, sign_ins, attempt, body, limiter=sign_ins.limiter)


@accounts_router.post("/{account}/setup-link", status_code=201, response_model=SetUpLink)
def create_setup_link(parts: WithParts, request: Request, account: RefInPath, body: SetUpLinkAsked) -> Response:
    """Make a set-up link for an account: whoever has it chooses the account's password, once, within a day."""
    grants = access_in(request).grants
    with parts.store.reading() as session:
        found = accounts.account(session, account)
    # Whoever chooses its password has what the account has.
    if isinstance(given := may_give(grants, found.roles), Denied):
        raise NotPermitted(permission=given.reason)
    made = parts.passwords.make_secret(octets(body.recipient))
    with parts.store.transaction() as session:
        expires_at = setup_links.add_setup_link(session, made.sha256, account_id=found.id)
    page = f"{parts.page_url}/setup"
    sealed = base64.b64encode(made.sealed).decode()
    return told(SetUpLink(page=page, sealed_secret=sealed, expires_at=expires_at), status=201)


def _set_up(parts: Parts, request: Request, sign_ins: SignIns, attempt: Attempt, body: SetUpAsked) -> Response:
    digest = parts.passwords.digest(body.key_id, octets(body.sealed_secret))
    try:
        with parts.store.reading() as session:
            account_id = setup_links.check_setup_link(session, digest)
            name = accounts.account(session, account_id).name if account_id else body.account
    except SetUpRefused as refused:
        sign_ins.denied(attempt, f"set-up link {refused.why}")
        raise
    if name is None:
        raise Invalid(field="account", why="this link makes the first administrator: say which name to have")
    # ORDER: hashed before the link is used up, so that a password that is not taken costs no link.
    names = (name, *name.split("@"), *body.display_name.split(), *_host_names(parts))
    stored = parts.passwords.hash(body.key_id, octets(body.sealed_password), names=names)
    person = Actor(kind=ActorKind.PERSON, id=account_id or "", name=name, source=attempt.source)
    with acting(person), parts.store.transaction() as session:
        account = _account(session, digest, name, body.display_name)
        passwords.put_password(session, account.id, stored)
        sessions.remove_sessions(session, account.id)
        begun = sign_ins.begin_in(session, request.scope, attempt, accounts.grants_of(session, account.id), Means.LINK)
    return begun_response(parts, begun)


def _account(session: Session, digest: str, name: str, display_name: str) -> Account:
    account_id = setup_links.use_setup_link(session, digest)
    if account_id is not None:
        return accounts.account(session, account_id)
    return accounts.add_account(
        session, name=name, kind=AccountKind.PERSON, display_name=display_name, roles=[Role.CLOUD_ADMIN]
    )


def _host_names(parts: Parts) -> tuple[str, ...]:
    return tuple(parts.settings.public_url.partition("://")[2].partition(":")[0].split("."))
