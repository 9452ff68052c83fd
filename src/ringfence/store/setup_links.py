"""Set-up links: a secret by which, once, a person chooses the password of an account. Only its digest is kept."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from ringfence.model.sessions import LINK_SECONDS
from ringfence.model.signins import SetUpRefused
from ringfence.store.ids import at, new_id, now
from ringfence.store.tables import setup_links as table


def add_setup_link(session: Session, secret_sha256: str, *, account_id: str | None = None) -> str:
    """Add a link for this account, or for the first one; earlier ones for the same end. Gives when it expires."""
    session.execute(delete(table).where(table.c.account_id.is_not_distinct_from(account_id), table.c.used_at.is_(None)))
    expires_at = at(seconds_from_now=LINK_SECONDS)
    values = {
        "id": new_id(),
        "account_id": account_id,
        "secret_sha256": secret_sha256,
        "created_at": now(),
        "expires_at": expires_at,
    }
    session.execute(insert(table).values(**values))
    return expires_at


def check_setup_link(session: Session, secret_sha256: str) -> str | None:
    """Give the account's id of a link that can be used, None if it is the first start's. Raises `SetUpRefused`."""
    row = session.execute(select(table).where(table.c.secret_sha256 == secret_sha256)).one_or_none()
    if row is None:
        raise SetUpRefused(why="not one of this controller's, or was replaced by a newer one")
    if row.used_at is not None or row.expires_at <= now():
        raise SetUpRefused(why="used already" if row.used_at is not None else "expired")
    return row.account_id  # type: ignore[no-any-return]


def use_setup_link(session: Session, secret_sha256: str) -> str | None:
    """Use the link up; gives its account's id, None if it is the first start's. Raises `SetUpRefused`.

    Call it in the transaction that does what the link is for: if that fails, the link is as it was.
    """
    moment = now()
    # One statement finds and uses it up: of two who come with one link, the second changes no row.
    fresh = (table.c.secret_sha256 == secret_sha256) & table.c.used_at.is_(None) & (table.c.expires_at > moment)
    row = session.execute(update(table).where(fresh).values(used_at=moment).returning(table)).one_or_none()
    return check_setup_link(session, secret_sha256) if row is None else row.account_id


def prune_setup_links(session: Session, *, older_than_seconds: float = 30 * 86400) -> int:
    """Remove links that expired that long ago."""
    old = table.c.expires_at < at(seconds_from_now=-older_than_seconds)
    return len(session.execute(delete(table).where(old).returning(table.c.id)).all())
