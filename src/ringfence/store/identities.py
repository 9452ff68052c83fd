"""Which account a provider's identity is. Whether somebody is that identity, the provider judges."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ringfence.errors import NameTaken, NotFound
from ringfence.model.accounts import Account, AccountKind
from ringfence.store import accounts
from ringfence.store.ids import now
from ringfence.store.tables import identities as table
from ringfence.store.tables import passkeys, passwords


def account_of(session: Session, issuer: str, subject: str) -> str | None:
    """Give the id of the account of this identity, None if it has none yet."""
    query = select(table.c.account_id).where(table.c.issuer == issuer, table.c.subject == subject)
    return session.execute(query).scalar_one_or_none()


def give_account(session: Session, issuer: str, subject: str, *, name: str, display_name: str, email: str) -> Account:
    """Give the identity an account of this name, made now unless one waits for it; raises `NameTaken`.

    An account waits for somebody if its name is an address that the provider verified to be theirs, nobody could ever
    sign in to it, and it has no role in the cloud: one that was made for the owner of a project.
    """
    try:
        account = accounts.account(session, name)
    except NotFound:
        account = accounts.add_account(
            session, name=name, kind=AccountKind.PERSON, display_name=display_name, email=email
        )
    else:
        if account.name != email or account.roles or account.kind is not AccountKind.PERSON:
            raise NameTaken(kind=accounts.KIND, name=name)
        for each in (table, passkeys, passwords):
            if session.execute(select(each.c.account_id).where(each.c.account_id == account.id).limit(1)).first():
                raise NameTaken(kind=accounts.KIND, name=name)
    session.execute(insert(table).values(issuer=issuer, subject=subject, account_id=account.id, created_at=now()))
    return account
