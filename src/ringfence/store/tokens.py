"""Tokens: what opens the API. Only their digests are kept (why a plain one is enough: `ids.digest_of`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from ringfence.model.names import check_name
from ringfence.store import rows
from ringfence.store.ids import digest_of, new_id, new_secret, now
from ringfence.store.pages import Page
from ringfence.store.tables import tokens as table

KIND = "token"
FIRST = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Who holds the secret. `scope` is `admin` for now; `expires_at` None: it does not."""

    id: str
    name: str
    scope: str
    created_at: str
    expires_at: str | None


def first_token(session: Session) -> str | None:
    """Make the first token and give its secret, to be shown once; None if there is any token already."""
    if session.execute(select(table.c.id).limit(1)).one_or_none() is not None:
        return None
    secret = new_secret()
    # Two controllers that start at once agree by the name being unique: the other one gets None.
    return secret if rows.insert_unless_there(session, table, _fresh(FIRST, secret)) else None


def add_token(session: Session, *, name: str) -> tuple[Token, str]:
    """Add a token; give it and its secret, which nobody can read again."""
    secret = new_secret()
    values = _fresh(check_name(name), secret)
    rows.insert_row(session, table, KIND, values)
    return token(session, str(values["id"])), secret


def token(session: Session, ref: str) -> Token:
    """Read a token by id or name."""
    return _built(rows.find_row(session, table, KIND, ref))


def token_of(session: Session, secret: str) -> Token | None:
    """Find the token with this secret, unless it expired; None if there is none."""
    valid = or_(table.c.expires_at.is_(None), table.c.expires_at > now())
    # The search is by digest: what its timing tells is about a digest, from which no secret can be made.
    row = session.execute(select(table).where(table.c.secret_sha256 == digest_of(secret), valid)).one_or_none()
    return None if row is None else _built(row)


def tokens(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Token]:
    return rows.page(session, table, _built, limit=limit, after=after)


def remove_token(session: Session, ref: str) -> None:
    """Remove a token: its secret opens nothing any more."""
    rows.remove_row(session, table, KIND, rows.find_row(session, table, KIND, ref), {})


def _fresh(name: str, secret: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "name": name,
        "secret_sha256": digest_of(secret),
        "scope": FIRST,
        "created_at": now(),
        "expires_at": None,
    }


def _built(row: Row[Any]) -> Token:
    return Token(id=row.id, name=row.name, scope=row.scope, created_at=row.created_at, expires_at=row.expires_at)
