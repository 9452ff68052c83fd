"""What the ledger costs: changes a second with it and without, and entries a second that an audit walks.

With: the store as it is, and the thread that places entries and signs them. Without: the same change on a database like
it, with the triggers taken away and nobody's name put to anything.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert, text
from sqlalchemy.orm import Session
from tests.store.conftest import furnish
from tests.store.postgres import postgres_cluster

from bench.figures import Figure, figure
from ringfence.client import audit as auditor
from ringfence.controller.ledger import LedgerKeeper
from ringfence.controller.ledger_key import LedgerKey
from ringfence.store import engine, ledger, ledger_audit, triggers, vms
from ringfence.store.engine import Store, open_store
from ringfence.store.ids import new_id
from ringfence.store.tables import zones

CHANGES = 200
ROUNDS = 9
ENTRIES = 100_000
WALKS = 5


def costs() -> Iterator[Figure]:
    """Yield `ledger` on SQLite, `ledger-postgresql`, and `ledger-verify`."""
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        place = Path(folder)
        yield _appended("ledger", f"sqlite:///{place}/with.db", f"sqlite:///{place}/without.db", place, "sqlite")
        with postgres_cluster() as cluster:
            yield _appended(
                "ledger-postgresql", cluster.database(), cluster.database(), place, "postgresql, without fsync"
            )
        yield _walked(place)


class _Bare(Store):
    """A store that puts no name to its changes."""

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._turn(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session
            # What a change of labels does at its end without a ledger, too.
            engine._bump_fence(session)  # noqa: SLF001


def _appended(name: str, with_url: str, without_url: str, folder: Path, database: str) -> Figure:
    full, bare = open_store(with_url), open_store(without_url)
    full_vm, bare_vm = furnish(full).add_vm("web").id, furnish(bare).add_vm("web").id
    with bare.engine.begin() as connection:
        for trigger, table in triggers._present(connection).items():  # noqa: SLF001
            on = f" ON {table}" if bare.engine.dialect.name == "postgresql" else ""
            connection.execute(text(f"DROP TRIGGER {trigger}{on}"))
    keeper = LedgerKeeper(full, LedgerKey(folder / f"key-{name}"), "bench")
    keeper.start()
    stripped = _Bare(bare.engine)
    ours, reference = [], []
    for number in range(ROUNDS + 1):
        with_it, without = _rate(full, full_vm, number), _rate(stripped, bare_vm, number)
        if number:
            ours.append(with_it)
            reference.append(without)
    keeper.stop()
    full.close()
    bare.close()
    return figure(
        name,
        ours,
        reference,
        reference_is="the change alone",
        unit="changes/s",
        change="labels of a VM, one transaction each, one entry each",
        database=database,
    )


def _rate(store: Store, vm_id: str, number: int) -> float:
    began = time.perf_counter()
    for each in range(CHANGES):
        with store.transaction() as session:
            vms.change_vm(session, vm_id, labels={"round": f"r{number}-{each}"})
    return CHANGES / (time.perf_counter() - began)


def _walked(folder: Path) -> Figure:
    store, key = open_store(f"sqlite:///{folder}/walked.db"), LedgerKey(folder / "key-walked")
    for begin in range(0, ENTRIES, 1000):
        with store.transaction() as session:
            fresh = [
                {"id": new_id(), "name": f"z{begin + at}", "colour": "", "classification": ""} for at in range(1000)
            ]
            session.execute(insert(zones), fresh)
    while True:
        with store.transaction() as session:
            if ledger.sequence(session, key) == 0:
                break
    with store.reading() as session:
        bodies = [body.encode() for body in ledger.bodies(session, first=0, most=ENTRIES)]
    ours, reference, busy = [], [], []
    for _ in range(WALKS):
        began, worked = time.perf_counter(), time.process_time()
        with store.reading() as session:
            found = ledger_audit.audit(session, key)
        assert (found.size, found.problems) == (ENTRIES, ())
        ours.append(ENTRIES / (time.perf_counter() - began))
        busy.append(ENTRIES / (time.process_time() - worked))
        began = time.perf_counter()
        auditor.tree_of(bodies)
        reference.append(ENTRIES / (time.perf_counter() - began))
    store.close()
    return figure(
        "ledger-verify",
        ours,
        reference,
        reference_is="the auditor's script, entries in memory",
        unit="entries/s",
        digits=0,
        entries=ENTRIES,
        bytes_an_entry=round(sum(map(len, bodies)) / ENTRIES),
        entries_per_second_of_cpu=round(sorted(busy)[WALKS // 2]),
        database="sqlite",
    )
