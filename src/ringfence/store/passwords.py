"""Hashes of passwords. Made, and compared, by the password process alone: here they are text that is kept."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ringfence.store import rows
from ringfence.store.ids import now
from ringfence.store.tables import accounts, passkeys
from ringfence.store.tables import passwords as table


def stored_password(session: Session, account_name: str) -> tuple[str, str]:
    """Give the id of the account of this name and the hash of its password; both "" if it may not sign in by one."""
    query = select(accounts.c.id, table.c.stored).join(table, table.c.account_id == accounts.c.id)
    row = session.execute(query.where(accounts.c.name == account_name, accounts.c.disabled.is_(False))).one_or_none()
    return ("", "") if row is None else (row.id, row.stored)


def put_password(session: Session, account_id: str, stored: str) -> None:
    """Give the account this password."""
    values = {"stored": stored, "changed_at": now()}
    if not rows.insert_unless_there(session, table, {"account_id": account_id, **values}):
        session.execute(update(table).where(table.c.account_id == account_id).values(**values))


def refresh_password(session: Session, account_id: str, *, old: str, fresh: str) -> None:
    """Replace a hash by one of the same password at today's cost, unless another password came meanwhile."""
    this = (table.c.account_id == account_id) & (table.c.stored == old)
    session.execute(update(table).where(this).values(stored=fresh))


def can_anybody_sign_in(session: Session) -> bool:
    """Tell whether any account has a password or a passkey."""
    return any(
        session.execute(select(each.c.account_id).limit(1)).one_or_none() is not None for each in (table, passkeys)
    )
