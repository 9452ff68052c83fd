"""Who a request comes from: the account behind its token, what that holds, and whose doing its changes are.

What they may do with it is `decide/access`'s to say and `api/routes`'s to ask.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.types import Scope

from ringfence.controller.problems import TokenMissing, TokenUnknown
from ringfence.decide.access import Grants
from ringfence.errors import Invalid, Unreachable
from ringfence.model.accounts import Account, AccountKind, Token
from ringfence.model.actors import Actor, ActorKind
from ringfence.store import accounts, tokens
from ringfence.store.engine import Store

logger = logging.getLogger(__name__)

LONGEST_SECRET = 256
LONGEST_REASON = 500
_SECRET_SUBPROTOCOL = "ringfence.token."  # noqa: S105 - a prefix, not a secret
_KINDS = {AccountKind.PERSON: ActorKind.PERSON, AccountKind.SERVICE: ActorKind.SERVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One who was admitted: what they hold, and how they are told of. `token` is None for other ways of signing in."""

    grants: Grants
    actor: Actor
    token: Token | None = None


def access_of(store: Store, scope: Scope) -> Access:
    """Admit whoever the request's token belongs to; raises `TokenMissing` or `TokenUnknown`."""
    secret = bearer_in(scope)
    if len(secret) > LONGEST_SECRET:
        raise TokenUnknown
    with store.reading() as session:
        token = tokens.token_of(session, secret)
        if token is None:
            raise TokenUnknown
        grants = accounts.grants_of(session, token.account_id, token.scope)
    if not tokens.is_use_noted(token):
        _note_use(store, token)
    return Access(grants=grants, actor=actor_for(grants.account, scope), token=token)


def bearer_in(scope: Scope) -> str:
    """Find the token in the header; for a WebSocket, which browsers give no headers, among the subprotocols too."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, secret = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and secret.strip():
                return str(secret.strip())
    for offered in scope.get("subprotocols", []):
        if offered.startswith(_SECRET_SUBPROTOCOL):
            return str(offered.removeprefix(_SECRET_SUBPROTOCOL))
    raise TokenMissing


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


def _note_use(store: Store, token: Token) -> None:
    try:
        with store.transaction() as session:
            tokens.note_use(session, token.id)
    except Unreachable:
        # The request is not to fail because its note could not be written.
        logger.warning("the use of token %s could not be noted", token.id)
