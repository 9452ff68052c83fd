"""Engines and transactions on SQLite and PostgreSQL. What goes into a transaction is the nouns' business."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text, update
from sqlalchemy.orm import Session

from ringfence.errors import Invalid, StoreBusy, StoreUnreachable
from ringfence.model.actors import OUTSIDE
from ringfence.store import signing, tables, triggers
from ringfence.store.translation import translated

__all__ = ["Session", "Store", "changed", "fence_changed", "make_engine", "migrate", "open_store"]

BUSY_SECONDS = 30
_LOG = logging.getLogger(__name__)
_MIGRATING = threading.Lock()
_MIGRATION_LOCK = 0x72696E67
_READING = "ringfence_reading"
_LOSABLE = "ringfence_losable"
_PRAGMAS = "ringfence_pragmas"
_CHANGES = "ringfence_changes"
_FENCE = "ringfence_fence_changed"


def open_store(url: str) -> Store:
    """Bring the database to this version's tables, and open it: what a controller does at its start."""
    migrate(url)
    return Store(make_engine(url))


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to this version's tables, in one transaction; safe when several controllers start at once.

    Another `revision` than the newest is for tests of the migrations.
    """
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        # A table of SQLite's is changed by making it anew, which its references must not notice: checked at the end.
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys = OFF"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        # Alembic keeps the migration that runs in a global: one at a time in a process.
        with _MIGRATING, translated(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                # Who starts second waits for the first; then no statement waits long for others, nor hangs the cloud.
                connection.execute(text("SET LOCAL lock_timeout = '60s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                connection.execute(text("SET LOCAL lock_timeout = '4s'"))
                connection.execute(text("SET LOCAL statement_timeout = '60s'"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if engine.dialect.name == "sqlite":
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                assert not broken, f"the migration left references to nothing: {broken[:3]}"
            if revision == "head":
                triggers.install(connection)
                signing.sign_off(connection)
    except CommandError as error:
        raise Invalid(field="database", why=f"its tables are not of this version or an older one ({error})") from error
    finally:
        engine.dispose()


def make_engine(url: str) -> Engine:
    """Make the engine for `sqlite:////path/file.db` or `postgresql://…`; refuses other URLs as `Invalid`.

    Nothing is created but SQLite's file, readable by its owner alone.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed)
    # SAFETY: a transaction that its program forgot must not hold a host's row, and with it every placement, for ever.
    options = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=20s -c timezone=UTC"
    return create_engine(
        parsed,
        pool_size=10,
        max_overflow=30,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 10, "options": options, "application_name": "ringfence"},
    )


def parse_url(url: str) -> URL:
    """Read the database's URL; refuses what is neither a SQLite file nor PostgreSQL."""
    with translated():
        parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite+pysqlite")
    raise Invalid(field="database", why="it is neither sqlite:////PATH/FILE nor postgresql://USER@HOST/NAME")


def _sqlite_engine(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        # SAFETY: made with its mode before SQLite opens it; its -wal and -shm files get the same mode from it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreUnreachable(why=f"{path}: {error.strerror}") from error
    engine = create_engine(url, pool_size=10, max_overflow=30, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not begin transactions of its own: `begin` below says which kind.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        _use_wal(connection)
        for pragma in ("foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING)
        # FULL: a claim that was told to a host must outlive a power cut. NORMAL loses at most what came last.
        losable = connection.get_execution_options().get(_LOSABLE)
        wanted = (
            f"PRAGMA query_only = {'ON' if reading else 'OFF'}",
            f"PRAGMA synchronous = {'NORMAL' if losable else 'FULL'}",
        )
        # Only where it differs: query_only has SQLite prepare every statement anew, with the triggers behind it.
        if connection.info.get(_PRAGMAS) != wanted:
            for pragma in wanted:
                connection.exec_driver_sql(pragma)
            connection.info[_PRAGMAS] = wanted
        # IMMEDIATE: a transaction that reads first and writes later could otherwise fail half-way, unrepeatable.
        connection.exec_driver_sql("BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for its busy timeout when two connections switch a new file to WAL at once.
    for _ in range(100):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY"):
                raise
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311
        else:
            return
    raise sqlite3.OperationalError("database is locked")


class Store:
    """One database, its transactions, and those who want to know of changes. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._readers = engine.execution_options(**_reading_options(engine))
        self._losers = engine.execution_options(**{_LOSABLE: True})
        self._bells: list[Callable[[str, str], None]] = []
        # SQLite has one writer at a time anyway, and its own waiting sleeps up to 100 ms: this only wakes writers of
        # this process sooner. What must not race is held by the database, not by this lock.
        self._writing = threading.Lock() if engine.dialect.name == "sqlite" else None

    def on_change(self, callback: Callable[[str, str], None]) -> None:
        """Have `callback(kind, id)` called after each commit, for each change in it; it must not block."""
        self._bells.append(callback)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Write: all of it or nothing. Errors of the database come out translated."""
        with self._turn(), translated(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            # Begin now and not at the first statement: a database that is busy or away says so before any work is done.
            connection = session.connection()
            if self._writing is not None:
                # SQLite's own shell checks no reference: what was changed there is told before it passes for ours.
                signing.sign_off(connection, OUTSIDE)
            yield session
            signing.sign_off(connection)
            if session.info.get(_FENCE):
                _bump_fence(session)
            changes = _changes(session)
        self._ring(changes)

    @contextmanager
    def losable(self) -> Iterator[Session]:
        """Write what a power cut may take back, and no ledger tells: counts, progress. It waits for no disk."""
        with self._turn(), translated(), Session(self._losers) as session, session.begin():
            if self.engine.dialect.name == "postgresql":
                session.execute(text("SET LOCAL synchronous_commit = off"))
            yield session
            changes = _changes(session)
        self._ring(changes)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read one consistent moment; writing in it is refused by the database."""
        with translated(), Session(self._readers) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection that no transaction holds."""
        self.engine.dispose()

    def _ring(self, changes: Iterable[tuple[str, str]]) -> None:
        for kind, noun_id in changes:
            for bell in self._bells:
                try:
                    bell(kind, noun_id)
                except Exception:  # noqa: BLE001
                    # The change is committed: a bell that fails must not make it look undone.
                    _LOG.exception("a bell failed at the change of %s %s", kind, noun_id)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._writing is None:
            yield
            return
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise StoreBusy
        with _released_after(self._writing):
            yield


@contextmanager
def _released_after(lock: threading.Lock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _reading_options(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "sqlite":
        return {_READING: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def changed(session: Session, kind: str, noun_id: str) -> None:
    """Ring for this change once the transaction is committed."""
    changes: dict[tuple[str, str], None] = session.info.setdefault(_CHANGES, {})
    changes[(kind, noun_id)] = None


def _changes(session: Session) -> list[tuple[str, str]]:
    return list(session.info.get(_CHANGES, ()))


def fence_changed(session: Session) -> None:
    """Say that this transaction changes what the fence is made from: its revision grows at the commit."""
    session.info[_FENCE] = True


def _bump_fence(session: Session) -> None:
    # ORDER: last before the commit. Every change of the fence waits at this row, so revisions grow in the order of
    # the commits, and no transaction holds the row while it waits for anything else.
    bump = update(tables.counters).where(tables.counters.c.name == "intent")
    bump = bump.values(value=tables.counters.c.value + 1)
    revision = session.execute(bump.returning(tables.counters.c.value)).scalar_one()
    changed(session, "intent", str(revision))
