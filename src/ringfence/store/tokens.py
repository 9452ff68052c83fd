"""Tokens: secrets that act for an account. Only their digests are kept (why a plain one is enough: `ids.digest_of`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, Select, or_, select, update
from sqlalchemy.orm import Session

from ringfence.errors import NotFound
from ringfence.model.access import Permission
from ringfence.model.accounts import Token
from ringfence.model.names import AccountId, TokenId, check_name
from ringfence.store import accounts, rows
from ringfence.store.engine import changed
from ringfence.store.ids import at, digest_of, new_id, new_secret, now
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import accounts as account_table
from ringfence.store.tables import tokens as table

KIND = "token"
FIRST = "admin"
USE_NOTED_SECONDS = 60.0
"""How long the use of a token goes without being written down again: a request is not to cost a write."""


def first_token(session: Session) -> str | None:
    """Make the account and the token of the first start, and give the secret, to be shown once.

    None if there is any account already.
    """
    account = accounts.bootstrap(session)
    return None if account is None else add_token(session, account=account.id, name=FIRST)[1]


def add_token(
    session: Session,
    *,
    account: str,
    name: str,
    scope: Collection[Permission] = (),
    valid_seconds: float | None = None,
) -> tuple[Token, str]:
    """Add a token; give it and its secret, which nobody can read again. `scope` empty: all that its account may."""
    secret = new_secret()
    added = add_token_by_digest(
        session, digest_of(secret), account=account, name=name, scope=scope, valid_seconds=valid_seconds
    )
    return added, secret


def add_token_by_digest(
    session: Session,
    secret_sha256: str,
    *,
    account: str,
    name: str,
    scope: Collection[Permission] = (),
    valid_seconds: float | None = None,
) -> Token:
    """Add a token whose secret was made elsewhere."""
    values: dict[str, Any] = {
        "id": new_id(),
        "account_id": accounts.account(session, account).id,
        "name": check_name(name),
        "secret_sha256": secret_sha256,
        "scope": sorted(scope),
        "created_at": now(),
        "expires_at": None if valid_seconds is None else at(seconds_from_now=valid_seconds),
    }
    rows.insert_row(session, table, KIND, values)
    changed(session, KIND, values["id"])
    return token(session, values["id"])


def token(session: Session, token_id: str) -> Token:
    """Read a token by id."""
    row = session.execute(_tokens().where(table.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFound(kind=KIND, ref=token_id)
    return _built(row)


def token_of(session: Session, secret: str) -> Token | None:
    """Find the token with this secret, unless it expired or its account is disabled; None if there is none."""
    valid = or_(table.c.expires_at.is_(None), table.c.expires_at > now())
    # The search is by digest: what its timing tells is about a digest, from which no secret can be made.
    this = _tokens().where(table.c.secret_sha256 == digest_of(secret), valid, account_table.c.disabled.is_(False))
    row = session.execute(this).one_or_none()
    return None if row is None else _built(row)


def is_ended(found: Token) -> bool:
    """Tell whether the token expired."""
    return found.expires_at is not None and found.expires_at <= now()


def is_use_noted(found: Token) -> bool:
    """Tell whether the token's last use is written down as nearly now."""
    return found.last_used_at is not None and found.last_used_at > at(seconds_from_now=-USE_NOTED_SECONDS)


def note_use(session: Session, token_id: str) -> None:
    """Write down that the token is used now."""
    session.execute(update(table).where(table.c.id == token_id).values(last_used_at=now()))


def tokens(session: Session, *, account: str | None = None, limit: int = 100, after: str | None = None) -> Page[Token]:
    """Read a page of the tokens, of one account if asked so."""
    query = _tokens()
    if account is not None:
        query = query.where(table.c.account_id == accounts.account(session, account).id)
    found, following = page_of_rows(session, query, table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(row) for row in found), next=following)


def remove_token(session: Session, token_id: str) -> None:
    """Remove a token: its secret opens nothing any more."""
    rows.remove_row(session, table, KIND, rows.find_by_id(session, table, KIND, token_id), {})
    changed(session, KIND, token_id)


def _tokens() -> Select[Any]:
    with_account = select(table, account_table.c.name.label("account"))
    return with_account.join(account_table, account_table.c.id == table.c.account_id)


def _built(row: Row[Any]) -> Token:
    return Token(
        id=TokenId(row.id),
        name=row.name,
        account_id=AccountId(row.account_id),
        account=row.account,
        scope=frozenset(Permission(each) for each in row.scope),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
