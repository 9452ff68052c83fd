"""Challenges: what a sign-in in two steps has to remember between them. Each is answered once, within minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from ringfence.store.ids import at, new_id, now
from ringfence.store.tables import challenges as table

VALID_SECONDS = 300.0


class Purpose(StrEnum):
    """What a challenge is for: it is no good for anything else."""

    SIGN_IN = "sign-in"
    REGISTER = "register"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """`account_id` is whose answer it has to be, None for anybody's."""

    account_id: str | None
    facts: Mapping[str, Any]


def add_challenge(
    session: Session, purpose: Purpose, facts: Mapping[str, Any], *, account_id: str | None = None
) -> str:
    """Remember a challenge; gives its id."""
    values = {
        "id": new_id(),
        "purpose": str(purpose),
        "account_id": account_id,
        "facts": dict(facts),
        "expires_at": at(seconds_from_now=VALID_SECONDS),
    }
    session.execute(insert(table).values(**values))
    return str(values["id"])


def take_challenge(session: Session, purpose: Purpose, challenge_id: str) -> Challenge | None:
    """Take the challenge: nobody gets it again, whatever comes of it now. None if there is none such."""
    this = (table.c.id == challenge_id) & (table.c.purpose == str(purpose)) & (table.c.expires_at > now())
    row = session.execute(delete(table).where(this).returning(table.c.account_id, table.c.facts)).one_or_none()
    return None if row is None else Challenge(account_id=row.account_id, facts=row.facts)


def prune_challenges(session: Session) -> int:
    """Remove those that nobody answered in time."""
    return len(session.execute(delete(table).where(table.c.expires_at < now()).returning(table.c.id)).all())
