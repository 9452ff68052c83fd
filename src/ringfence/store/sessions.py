"""Sessions, and the devices that accounts were signed in to from. Only digests of their secrets are kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.orm import Session

from ringfence.errors import NotFound
from ringfence.model.names import AccountId, SessionId
from ringfence.model.sessions import DEVICE_SECONDS, IDLE_SECONDS, LONGEST_SECONDS, Means, SignedIn
from ringfence.store.engine import changed
from ringfence.store.ids import at, digest_of, new_id, new_secret, now
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import accounts, known_devices
from ringfence.store.tables import sessions as table

KIND = "session"
USE_NOTED_SECONDS = 60.0
"""How long the use of a session goes without being written down again: a request is not to cost a write."""


def add_session(session: Session, account_id: str, means: Means, *, source: str, client: str) -> tuple[SignedIn, str]:
    """Begin a session; give it and its secret, which nobody can read again."""
    secret = new_secret()
    values = {
        "id": new_id(),
        "account_id": account_id,
        "secret_sha256": digest_of(secret),
        "means": str(means),
        "source": source[:63],
        "client": "".join(each for each in client if each.isprintable())[:200],
        "created_at": now(),
        "used_at": now(),
        "expires_at": at(seconds_from_now=LONGEST_SECONDS),
    }
    session.execute(insert(table).values(**values))
    changed(session, KIND, str(values["id"]))
    return _built(session.execute(select(table).where(table.c.id == values["id"])).one()), secret


def session_of(session: Session, secret: str) -> SignedIn | None:
    """Find the session with this secret, unless it ended, or its account is disabled."""
    query = select(table).join(accounts, accounts.c.id == table.c.account_id)
    this = (table.c.secret_sha256 == digest_of(secret)) & accounts.c.disabled.is_(False)
    row = session.execute(query.where(this, _lasting())).one_or_none()
    return None if row is None else _built(row)


def is_open(session: Session, session_id: str) -> bool:
    """Tell whether the session has not ended."""
    return session.execute(select(table.c.id).where(table.c.id == session_id, _lasting())).one_or_none() is not None


def is_use_noted(found: SignedIn) -> bool:
    """Tell whether the session's last use is written down as nearly now."""
    return found.used_at > at(seconds_from_now=-USE_NOTED_SECONDS)


def note_use(session: Session, session_id: str) -> None:
    """Write down that the session is used now."""
    session.execute(update(table).where(table.c.id == session_id).values(used_at=now()))


def sessions(session: Session, account_id: str, *, limit: int = 100, after: str | None = None) -> Page[SignedIn]:
    """Read a page of the account's sessions that have not ended."""
    query = select(table).where(table.c.account_id == account_id, _lasting())
    found, following = page_of_rows(session, query, table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(row) for row in found), next=following)


def remove_session(session: Session, account_id: str, session_id: str) -> None:
    """End one session of this account; raises `NotFound`."""
    this = (table.c.id == session_id) & (table.c.account_id == account_id)
    if session.execute(delete(table).where(this).returning(table.c.id)).one_or_none() is None:
        raise NotFound(kind=KIND, ref=session_id)
    changed(session, KIND, session_id)


def remove_session_of(session: Session, secret: str) -> None:
    """End the session with this secret, if there is one."""
    session.execute(delete(table).where(table.c.secret_sha256 == digest_of(secret)))


def remove_sessions(session: Session, account_id: str, *, but: str | None = None) -> None:
    """End the account's sessions, all or all but one, and forget its devices: its password is another one now."""
    session.execute(delete(table).where(table.c.account_id == account_id, table.c.id != (but or "")))
    session.execute(delete(known_devices).where(known_devices.c.account_id == account_id))
    changed(session, KIND, account_id)


def add_known_device(session: Session, account_id: str) -> str:
    """Know the device by which the account was signed in to from now on; gives the secret it is known by."""
    secret = new_secret()
    values = {
        "id": new_id(),
        "account_id": account_id,
        "secret_sha256": digest_of(secret),
        "created_at": now(),
        "expires_at": at(seconds_from_now=DEVICE_SECONDS),
    }
    session.execute(insert(known_devices).values(**values))
    return secret


def known_device(session: Session, account_name: str, secret: str) -> str | None:
    """Give the id of the device with this secret, if this account was signed in to from it."""
    query = select(known_devices.c.id).join(accounts, accounts.c.id == known_devices.c.account_id)
    this = (known_devices.c.secret_sha256 == digest_of(secret)) & (accounts.c.name == account_name)
    return session.execute(query.where(this, known_devices.c.expires_at > now())).scalar_one_or_none()


def prune_sessions(session: Session) -> int:
    """Remove sessions that ended, and devices that were not seen for half a year."""
    session.execute(delete(known_devices).where(known_devices.c.expires_at < now()))
    return len(session.execute(delete(table).where(~_lasting()).returning(table.c.id)).all())


def _lasting() -> ColumnElement[bool]:
    return and_(table.c.expires_at > now(), table.c.used_at > at(seconds_from_now=-IDLE_SECONDS))


def _built(row: Row[Any]) -> SignedIn:
    return SignedIn(
        id=SessionId(row.id),
        account_id=AccountId(row.account_id),
        means=Means(row.means),
        created_at=row.created_at,
        used_at=row.used_at,
        expires_at=row.expires_at,
        source=row.source,
        client=row.client,
    )
