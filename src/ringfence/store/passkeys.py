"""Passkeys: the public keys that accounts can sign in by. Whether an answer is theirs is judged elsewhere."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.orm import Session

from ringfence.errors import NotFound
from ringfence.model.names import AccountId, PasskeyId
from ringfence.model.sessions import Passkey
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import new_id, now
from ringfence.store.tables import accounts
from ringfence.store.tables import passkeys as table

KIND = "passkey"


def add_passkey(
    session: Session, account_id: str, *, name: str, credential_id: str, public_key: bytes, uses: int
) -> Passkey:
    """Add a passkey to the account."""
    values = {
        "id": new_id(),
        "account_id": account_id,
        "name": name,
        "credential_id": credential_id,
        "public_key": public_key,
        "uses": uses,
        "created_at": now(),
        "last_used_at": None,
    }
    rows.insert_row(session, table, KIND, values)
    changed(session, KIND, str(values["id"]))
    return _built(rows.find_by_id(session, table, KIND, str(values["id"])))


def passkeys(session: Session, account_id: str) -> tuple[Passkey, ...]:
    """Read the account's passkeys, oldest first."""
    found = session.execute(select(table).where(table.c.account_id == account_id).order_by(table.c.id))
    return tuple(_built(row) for row in found)


def passkey_of(session: Session, credential_id: str) -> Passkey | None:
    """Find the passkey with this credential id, unless its account is disabled."""
    query = select(table).join(accounts, accounts.c.id == table.c.account_id)
    this = (table.c.credential_id == credential_id) & accounts.c.disabled.is_(False)
    row = session.execute(query.where(this)).one_or_none()
    return None if row is None else _built(row)


def note_use(session: Session, passkey: Passkey, *, uses: int) -> bool:
    """Write down that the passkey was used; tell whether nobody used it since it was read."""
    this = (table.c.id == passkey.id) & (table.c.uses == passkey.uses)
    noted = update(table).where(this).values(uses=uses, last_used_at=now()).returning(table.c.id)
    return session.execute(noted).one_or_none() is not None


def remove_passkey(session: Session, account_id: str, passkey_id: str) -> None:
    """Remove one of the account's passkeys; raises `NotFound`."""
    this = (table.c.id == passkey_id) & (table.c.account_id == account_id)
    if session.execute(delete(table).where(this).returning(table.c.id)).one_or_none() is None:
        raise NotFound(kind=KIND, ref=passkey_id)
    changed(session, KIND, passkey_id)


def _built(row: Row[Any]) -> Passkey:
    return Passkey(
        id=PasskeyId(row.id),
        account_id=AccountId(row.account_id),
        name=row.name,
        credential_id=row.credential_id,
        public_key=row.public_key,
        uses=row.uses,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
