"""What every noun does with its table: read by id or name, insert, change at a revision, remove. Knows no noun."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ringfence.errors import NameTaken, NotFound, StaleRevision, StillUsed
from ringfence.model.actors import ActorKind
from ringfence.model.ledger import ReasonMissing
from ringfence.model.names import UUID_PATTERN
from ringfence.store.acting import current_actor
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.translation import foreign_key_broken, in_our_words, rule_broken, unique_broken

T = TypeVar("T")
REASONED = frozenset({"host", "project", "zone"})
"""What nobody removes without a reason: much hangs on each, and it is done seldom."""


def is_id(ref: str) -> bool:
    """Tell an id from a name. A name may look like an id; then the id wins, and `find_row` tries both."""
    return re.fullmatch(UUID_PATTERN, ref) is not None


def find_row(session: Session, table: Table, kind: str, ref: str) -> Row[Any]:
    """Read the row with this id, or this unique name; raises `NotFound`."""
    row = session.execute(select(table).where(table.c.id == ref)).one_or_none() if is_id(ref) else None
    if row is None and "name" in table.c:
        row = session.execute(select(table).where(table.c.name == ref)).one_or_none()
    if row is None:
        raise NotFound(kind=kind, ref=ref)
    return row


def find_by_id(session: Session, table: Table, kind: str, ref: str) -> Row[Any]:
    """Read the row with this id; raises `NotFound`."""
    row = session.execute(select(table).where(table.c.id == ref)).one_or_none()
    if row is None:
        raise NotFound(kind=kind, ref=ref)
    return row


def page(
    session: Session,
    table: Table,
    build: Callable[[Row[Any]], T],
    *,
    limit: int,
    after: str | None,
    where: ColumnElement[bool] | None = None,
) -> Page[T]:
    """Read a page of the table, or of those rows `where` something holds, in the order of its ids."""
    query = select(table) if where is None else select(table).where(where)
    rows, following = page_of_rows(session, query, table.c.id, limit=limit, after=after)
    return Page(items=tuple(build(row) for row in rows), next=following)


def insert_row(session: Session, table: Table, kind: str, values: Mapping[str, Any]) -> None:
    """Insert the row; raises `NameTaken` if another has its name."""
    try:
        session.execute(insert(table).values(**values))
    except IntegrityError as error:
        raise _name_taken_or(error, kind, values) from error


def insert_unless_there(session: Session, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert the row unless one with a unique part of it is there; tell whether it was inserted.

    Waits for another transaction that is about to insert the same.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    first = next(iter(table.primary_key.columns))
    return session.execute(statement.returning(first)).one_or_none() is not None


def change_row(
    session: Session, table: Table, kind: str, row: Row[Any], revision: int | None, values: Mapping[str, Any]
) -> bool:
    """Change the row from the revision it was read at to the next one; tell whether anything changed.

    Values that are None are left as they are. Raises `StaleRevision` when the caller saw another revision, or when
    another change came first.
    """
    check_revision(kind, row, revision)
    wanted = differing(row, values)
    if not wanted:
        return False
    bump_row(session, table, kind, row, wanted)
    return True


def differing(row: Row[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Give those values that are not None and not what the row has."""
    return {name: value for name, value in values.items() if value is not None and getattr(row, name) != value}


def bump_row(session: Session, table: Table, kind: str, row: Row[Any], values: Mapping[str, Any]) -> None:
    """Write the values, and the next revision, unless the row changed since it was read (`StaleRevision`)."""
    seen = (table.c.id == row.id) & (table.c.revision == row.revision)
    try:
        result = session.execute(
            update(table).where(seen).values(**values, revision=row.revision + 1).returning(table.c.id)
        )
    except IntegrityError as error:
        raise _name_taken_or(error, kind, values) from error
    if result.one_or_none() is None:
        raise StaleRevision(kind=kind, name=row.name, asked=row.revision, current=row.revision + 1)


def check_revision(kind: str, row: Row[Any], revision: int | None) -> None:
    """Refuse as `StaleRevision` if the caller gave a revision and the row is at another one."""
    if revision is not None and revision != row.revision:
        raise StaleRevision(kind=kind, name=row.name, asked=revision, current=row.revision)


def remove_row(session: Session, table: Table, kind: str, row: Row[Any], used_by: Mapping[str, Any]) -> None:
    """Delete the row unless it is used.

    `used_by` maps words to queries of names, such as `"VM": select(vms.c.name)…`. References in the database guard what
    those queries miss.
    """
    users = [
        f"{word} {name}" for word, query in used_by.items() for name in session.execute(query.limit(10)).scalars().all()
    ]
    if users:
        raise StillUsed(kind=kind, name=row.name, used_by=users)
    actor = current_actor()
    if kind in REASONED and actor.kind is not ActorKind.CONTROLLER and not actor.reason:
        raise ReasonMissing(action="remove", kind=kind, name=row.name)
    try:
        session.execute(delete(table).where(table.c.id == row.id))
    except IntegrityError as error:
        if foreign_key_broken(error):
            raise StillUsed(kind=kind, name=row.name, used_by=["something added just now"]) from error
        raise


def _name_taken_or(error: IntegrityError, kind: str, values: Mapping[str, Any]) -> Exception:
    if (unique_broken(error) or "").endswith("_name") and "name" in values:
        return NameTaken(kind=kind, name=str(values["name"]))
    # What a trigger refused is for the noun whose rule it is.
    return error if rule_broken(error) else in_our_words(error)
