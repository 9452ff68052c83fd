"""Foreign errors of both databases, told in our own words: the one place where the store reads a driver's error.

A trigger of ours speaks by raising `ringfence:RULE`; `rule_broken` finds the rule, and the noun whose rule it is raises
its own error with the facts. What no noun foresaw becomes an error of a family that says what may be assumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ringfence.errors import (
    Invalid,
    NameTaken,
    ReferenceLost,
    RingfenceError,
    StoreBroken,
    StoreBusy,
    StoreFull,
    StoreUnreachable,
)

# SQLSTATE (PostgreSQL): the first two characters are the class.
_BUSY = {"40001", "40P01", "55P03", "57014"}
_FULL = {"53100"}
_UNREACHABLE_CLASSES = {"08", "53", "57"}


@contextmanager
def translated() -> Iterator[None]:
    """Let every error of SQLAlchemy or a driver out as one of ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise in_our_words(error) from error


def in_our_words(error: SQLAlchemyError) -> RingfenceError:
    """Give the error of ours that says the same."""
    if isinstance(error, PoolTimeoutError):
        return StoreBusy()
    if not isinstance(error, DBAPIError):
        return StoreBroken(why=str(error))
    if rule := rule_broken(error):
        return Invalid(field="database", why=f"the change breaks the rule {rule}")
    sqlstate = getattr(error.orig, "sqlstate", None)
    if isinstance(error, IntegrityError):
        if broken := unique_broken(error):
            return NameTaken(kind=broken, name="of the same value")
        return ReferenceLost() if foreign_key_broken(error) else Invalid(field="database", why=_line(error))
    if hasattr(error.orig, "sqlite_errorname"):
        return _of_sqlite(error)
    return _of_postgresql(error, sqlstate)


def rule_broken(error: SQLAlchemyError) -> str | None:
    """Tell which of our triggers refused, such as `zone-forbids`; None if it was none of them."""
    found = re.search(r"ringfence:([a-z-]+)", str(getattr(error, "orig", "")))
    return found.group(1) if found else None


def unique_broken(error: IntegrityError) -> str | None:
    """Tell table and columns of the broken unique constraint as `table_column_column`; None if it is another kind."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        if getattr(error.orig, "sqlstate", "") != "23505":
            return None
        return str(diagnosis.constraint_name).removeprefix("uq_")
    found = re.search(r"UNIQUE constraint failed: (.+)", str(error.orig))
    if not found:
        return None
    table, *columns = [part.strip() for part in re.split(r"[.,]", found.group(1))]
    return "_".join([table, *[column for column in columns if column != table]])


def foreign_key_broken(error: IntegrityError) -> bool:
    """Tell whether a reference points, or would point, to nothing."""
    return getattr(error.orig, "sqlstate", "") == "23503" or "FOREIGN KEY" in str(error.orig)


def _of_sqlite(error: DBAPIError) -> RingfenceError:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy()
    if name.startswith("SQLITE_FULL"):
        return StoreFull()
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_AUTH")):
        # On a full disk, SQLite cannot grow its shared-memory file and calls that an I/O error.
        return StoreFull() if name == "SQLITE_IOERR_SHMSIZE" else StoreUnreachable(why=_line(error))
    return StoreBroken(why=_line(error))


def _of_postgresql(error: DBAPIError, sqlstate: str | None) -> RingfenceError:
    if sqlstate in _BUSY:
        return StoreBusy()
    if sqlstate in _FULL:
        return StoreFull()
    # A connection that broke, or never was, has no SQLSTATE.
    if error.connection_invalidated or sqlstate is None or sqlstate[:2] in _UNREACHABLE_CLASSES:
        return StoreUnreachable(why=_line(error))
    return StoreBroken(why=_line(error))


def _line(error: DBAPIError) -> str:
    """Give the first line of what the driver said: without the statement and its values, which may be secret."""
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0]
