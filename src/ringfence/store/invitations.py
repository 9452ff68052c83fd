"""Invitations: a secret that lets one host of a given name join, once, or a known host join again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session

from ringfence.errors import Invalid, NameTaken, NotFound
from ringfence.model.hosts import JoinTokenRefused
from ringfence.model.names import check_name
from ringfence.store.ids import at, digest_of, new_id, new_secret, now
from ringfence.store.tables import hosts
from ringfence.store.tables import invitations as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Times are UTC, ISO 8601. The secret itself is not kept. `host_id`: of the host that joins again by it."""

    id: str
    name: str
    created_at: str
    expires_at: str
    used_at: str | None
    host_id: str | None


def add_invitation(
    session: Session, *, name: str, valid_seconds: float = 3600, again: bool = False
) -> tuple[Invitation, str]:
    """Invite a host, or one that is there `again`; give the invitation and its secret, which nobody can read again."""
    if not 0 < valid_seconds <= 30 * 86400:
        raise Invalid(field="valid_seconds", why="an invitation is valid for up to 30 days")
    known = session.execute(select(hosts.c.id).where(hosts.c.name == check_name(name))).scalar_one_or_none()
    if again and known is None:
        raise NotFound(kind="host", ref=name)
    if known is not None and not again:
        raise NameTaken(kind="host", name=name)
    secret = new_secret()
    values = {
        "id": new_id(),
        "name": name,
        "secret_sha256": digest_of(secret),
        "created_at": now(),
        "expires_at": at(seconds_from_now=valid_seconds),
        "host_id": known,
    }
    session.execute(insert(table).values(**values))
    return _built(session.execute(select(table).where(table.c.id == values["id"])).one()), secret


def use_invitation(session: Session, secret: str) -> Invitation:
    """Use the invitation up; raises `JoinTokenRefused` if it is unknown, used, expired, or of a host that is gone.

    Call it in the transaction that adds the host: a join that fails then leaves the invitation as it was.
    """
    this = table.c.secret_sha256 == digest_of(secret)
    moment = now()
    # One statement finds and uses it up: of two hosts with one token, the second changes no row.
    fresh = this & table.c.used_at.is_(None) & (table.c.expires_at > moment)
    row = session.execute(update(table).where(fresh).values(used_at=moment).returning(table)).one_or_none()
    if row is not None:
        if row.host_id and session.execute(select(hosts.c.id).where(hosts.c.id == row.host_id)).one_or_none() is None:
            raise JoinTokenRefused(why="for a host that was removed")
        return _built(row)
    known = session.execute(select(table).where(this)).one_or_none()
    if known is None:
        raise JoinTokenRefused(why="unknown")
    raise JoinTokenRefused(why="used already" if known.used_at is not None else "expired")


def prune_invitations(session: Session, *, older_than_seconds: float = 30 * 86400) -> int:
    """Remove invitations that expired that long ago."""
    old = table.c.expires_at < at(seconds_from_now=-older_than_seconds)
    return len(session.execute(delete(table).where(old).returning(table.c.id)).all())


def _built(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        host_id=row.host_id,
    )
