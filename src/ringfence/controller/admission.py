"""Who a request comes from: the account behind its token or session, what that holds, and whose doing its changes are.

What they may do with it is `decide/access`'s to say and `api/routes`'s to ask.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, replace

from starlette.types import Scope

from ringfence.controller.problems import TokenMissing, TokenUnknown
from ringfence.decide.access import Grants
from ringfence.errors import Invalid, NotFound, Unreachable
from ringfence.model.accounts import Account, AccountKind, Token
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.sessions import SignedIn
from ringfence.model.signins import CsrfTokenWrong, SessionEnded
from ringfence.store import accounts, sessions, tokens
from ringfence.store.engine import Store

logger = logging.getLogger(__name__)

SESSION_COOKIE = "__Host-ringfence"
DEVICE_COOKIE = "__Host-ringfence-device"
LONGEST_SECRET = 256
LONGEST_REASON = 500
_SECRET_SUBPROTOCOL = "ringfence.token."  # noqa: S105 - a prefix, not a secret
_KINDS = {AccountKind.PERSON: ActorKind.PERSON, AccountKind.SERVICE: ActorKind.SERVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One who was admitted: what they hold, and how they are told of. It was by a token, or else by a session."""

    grants: Grants
    actor: Actor
    token: Token | None = None
    session: SignedIn | None = None
    csrf_token: str | None = None


def access_of(store: Store, scope: Scope) -> Access:
    """Admit whoever the request's token or session belongs to; raises `TokenMissing`, `TokenUnknown`, `SessionEnded`.

    A session's secret may come as a bearer token, which programs send on purpose only; or in the cookie, which browsers
    send by themselves: then a change needs the CSRF token too, or `CsrfTokenWrong` is raised.
    """
    bearer = bearer_in(scope)
    secret = bearer or cookie_in(scope, SESSION_COOKIE)
    if not secret:
        raise TokenMissing
    if len(secret) > LONGEST_SECRET:
        raise TokenUnknown
    with store.reading() as session:
        token = tokens.token_of(session, secret) if bearer else None
        signed_in = None if token else sessions.session_of(session, secret)
        if token is not None:
            grants = accounts.grants_of(session, token.account_id, token.scope)
        elif signed_in is not None:
            grants = accounts.grants_of(session, signed_in.account_id)
        else:
            raise TokenUnknown if bearer else SessionEnded
    if not bearer:
        check_own_page(scope, secret)
    _note_use(store, token, signed_in)
    return Access(
        grants=grants,
        actor=actor_for(grants.account, scope),
        token=token,
        session=signed_in,
        csrf_token=csrf_token_of(secret) if signed_in else None,
    )


def csrf_token_of(secret: str) -> str:
    """Give the CSRF token of the session with this secret: whoever has it could not find the secret by it."""
    return hmac.digest(secret.encode(), b"ringfence csrf", "sha256").hex()


def check_own_page(scope: Scope, secret: str) -> None:
    """Refuse a change that another site's page may have had the browser send, as `CsrfTokenWrong`."""
    headers = dict(scope["headers"])
    if scope["type"] == "websocket":
        # A browser lets a page give a WebSocket no header, and tells whose page it is.
        origin = headers.get(b"origin", b"").partition(b"://")[2]
        if not origin or origin != headers.get(b"host"):
            raise CsrfTokenWrong
    elif scope["method"] not in ("GET", "HEAD", "OPTIONS"):
        told = headers.get(b"x-csrf-token", b"").decode("latin-1")
        if not hmac.compare_digest(told.encode(), csrf_token_of(secret).encode()):
            raise CsrfTokenWrong


def cookie_in(scope: Scope, name: str) -> str:
    """Find a cookie's value; "" if there is none."""
    for header, value in scope["headers"]:
        if header == b"cookie":
            for each in value.decode("latin-1").split(";"):
                found, _, content = each.strip().partition("=")
                if found == name:
                    return str(content)
    return ""


def renewed(store: Store, access: Access) -> Access | None:
    """Read anew what who was admitted holds; None if they would not be admitted now."""
    with store.reading() as session:
        try:
            if access.token is not None and tokens.is_ended(tokens.token(session, access.token.id)):
                return None
            if access.session is not None and not sessions.is_open(session, access.session.id):
                return None
            grants = accounts.grants_of(session, access.grants.account.id, access.grants.scope or frozenset())
        except NotFound:
            return None
    return None if grants.account.disabled else replace(access, grants=grants)


def bearer_in(scope: Scope) -> str:
    """Find the token in the header; for a WebSocket, which browsers give no headers, among the subprotocols too.

    "" if there is none.
    """
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, secret = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and secret.strip():
                return str(secret.strip())
    for offered in scope.get("subprotocols", []):
        if offered.startswith(_SECRET_SUBPROTOCOL):
            return str(offered.removeprefix(_SECRET_SUBPROTOCOL))
    return ""


def actor_for(account: Account, scope: Scope) -> Actor:
    """Tell of the account as the one whose doing the request's changes are, with the reason it gives."""
    return Actor(
        kind=_KINDS[account.kind],
        id=account.id,
        name=account.name,
        source=source_of(scope),
        reason=_reason_in(scope),
    )


def source_of(scope: Scope) -> str:
    """Tell the address that the request came from, as the socket saw it: what headers say of it can be a lie."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _reason_in(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"ringfence-reason":
            try:
                reason = value.decode("utf-8")
            except UnicodeDecodeError:
                reason = "\0"
            if len(reason) > LONGEST_REASON or not reason.isprintable():
                raise Invalid(field="Ringfence-Reason", why=f"it has at most {LONGEST_REASON} printable characters")
            return str(reason)
    return ""


def _note_use(store: Store, token: Token | None, signed_in: SignedIn | None) -> None:
    try:
        if token is not None and not tokens.is_use_noted(token):
            with store.losable() as session:
                tokens.note_use(session, token.id)
        if signed_in is not None and not sessions.is_use_noted(signed_in):
            with store.losable() as session:
                sessions.note_use(session, signed_in.id)
    except Unreachable:
        # The request is not to fail because its note could not be written.
        logger.warning("the use of a token or session could not be noted")
