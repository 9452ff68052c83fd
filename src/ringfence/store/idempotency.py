"""Idempotency keys: a request that is sent twice is done once and answered twice.

With `begin_request`, the work and `finish_request` in one transaction, a crash leaves neither work nor key, and a
second request that comes meanwhile waits at the row and is answered from it. Work too long for a transaction begins in
one and finishes in another; a second request is then told to wait (`RequestInFlight`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ringfence.errors import IdempotencyKeyReused, Invalid, RequestInFlight
from ringfence.store import rows
from ringfence.store.ids import age_seconds, at, now
from ringfence.store.tables import idempotency as table

ABANDONED_SECONDS = 900
"""A request that was begun this long ago and never finished died with its controller: the next one begins anew."""
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the first request was answered. `body` is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


def begin_request(session: Session, *, account_id: str, route: str, key: str, digest: str) -> Reply | None:
    """Begin a request under a key: None if it is new, else the reply to the first one.

    `digest` is of the request's body. Another body is refused as `IdempotencyKeyReused`, a first request that has not
    ended as `RequestInFlight`.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise Invalid(field="Idempotency-Key", why=f"it has 1 to {LONGEST_KEY} characters")
    begun: dict[str, Any] = {"digest": digest, "status": None, "body": None, "headers": {}, "created_at": now()}
    if rows.insert_unless_there(session, table, {"account_id": account_id, "route": route, "key": key, **begun}):
        return None
    row = session.execute(select(table).where(_this(account_id, route, key)).with_for_update()).one_or_none()
    if row is None:
        # The first request failed and forgot its key between the two statements.
        raise RequestInFlight(key=key)
    if row.digest != digest:
        raise IdempotencyKeyReused(key=key)
    if row.status is not None:
        return Reply(status=row.status, body=row.body, headers=row.headers)
    if age_seconds(row.created_at) < ABANDONED_SECONDS:
        raise RequestInFlight(key=key)
    session.execute(update(table).where(_this(account_id, route, key)).values(**begun))
    return None


def finish_request(
    session: Session,
    *,
    account_id: str,
    route: str,
    key: str,
    status: int,
    body: Any,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Keep the reply for whoever sends the same request again."""
    reply = {"status": status, "body": body, "headers": dict(headers or {})}
    session.execute(update(table).where(_this(account_id, route, key)).values(**reply))


def forget_request(session: Session, *, account_id: str, route: str, key: str) -> None:
    """Forget a request whose work failed, so that it can be sent again; one that was answered stays."""
    session.execute(delete(table).where(_this(account_id, route, key), table.c.status.is_(None)))


def prune_requests(session: Session, *, older_than_seconds: float = 86400) -> int:
    """Remove keys that were first used that long ago."""
    old = table.c.created_at < at(seconds_from_now=-older_than_seconds)
    return len(session.execute(delete(table).where(old).returning(table.c.key)).all())


def _this(account_id: str, route: str, key: str) -> Any:
    return (table.c.account_id == account_id) & (table.c.route == route) & (table.c.key == key)
