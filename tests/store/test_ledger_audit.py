"""Whatever is altered, removed or moved in the ledger's tables, whichever field of whichever row, is found."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import and_, delete, select, text, update
from sqlalchemy.orm import Session
from tests.store.ledgers import new_key, place

from ringfence.model.ledger import Audit, LedgerBroken
from ringfence.store import ledger, ledger_audit, signing, triggers, zones
from ringfence.store.engine import Store
from ringfence.store.ids import new_id
from ringfence.store.tables import ledger_entries, ledger_heads, ledger_tiles

pytestmark = pytest.mark.store

TABLES = (ledger_entries, ledger_tiles, ledger_heads)
NO_GUARDS = {
    "sqlite": ("DROP TRIGGER ledger_entries_stay_update", "DROP TRIGGER ledger_entries_stay_delete"),
    "postgresql": ("DROP TRIGGER ledger_entries_stay ON ledger_entries",),
}


class Undone(Exception):
    """Rolls back what was tried."""


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture
def kept(store, key):
    """A ledger of a few entries, audited half-way."""
    grow(store, 3)
    place(store, key)
    with store.transaction() as session:
        ledger_audit.remember(session, ledger_audit.audit(session, key))
    grow(store, 3)
    place(store, key)
    return store


def grow(store: Store, many: int) -> None:
    with store.transaction() as session:
        for number in range(many):
            zones.add_zone(session, name=f"z{number}-{new_id()[-6:]}")


def audited(store: Store, key, **how) -> Audit:
    with store.reading() as session:
        return ledger_audit.audit(session, key, **how)


def without_guards(session: Session) -> None:
    for statement in NO_GUARDS[session.get_bind().dialect.name]:
        session.execute(text(statement))


def flipped(value: Any) -> Any:
    if isinstance(value, int):
        return value ^ (1 << 20)
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return f"{value[:-1]}{'x' if value[-1] != 'x' else 'y'}" if value else "x"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_field_of_every_row_flipped_once_is_found(kept, key, table):
    assert audited(kept, key).problems == ()
    with kept.reading() as session:
        found = session.execute(select(table)).all()
    assert found
    for row in found:
        this = and_(*(own == getattr(row, own.name) for own in table.primary_key.columns))
        for column in table.columns:
            flip = update(table).where(this).values({column.name: flipped(getattr(row, column.name))})
            assert trying(kept, key, flip), f"{column.name} of {row}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_row_removed_is_found(kept, key, table):
    with kept.reading() as session:
        found = session.execute(select(table)).all()
    for row in found:
        this = and_(*(own == getattr(row, own.name) for own in table.primary_key.columns))
        problems = trying(kept, key, delete(table).where(this))
        # The audit before is a help, not a part of what it says.
        assert problems or (table is ledger_heads and row.name == ledger_audit.AUDITED), str(row)


def test_two_entries_that_changed_places_are_found(kept, key):
    swap = (
        "UPDATE ledger_entries SET body = (SELECT body FROM ledger_entries AS o WHERE o.leaf = 7 - ledger_entries.leaf)"
    )
    problems = trying(kept, key, text(f"{swap} WHERE leaf IN (3, 4)"))
    assert problems


def test_an_entry_slipped_in_at_the_end_is_found(kept, key):
    with kept.reading() as session:
        last = session.execute(select(ledger_entries).order_by(ledger_entries.c.leaf.desc()).limit(1)).one()
    more = {**last._mapping, "leaf": last.leaf + 1}
    problems = trying(kept, key, ledger_entries.insert().values(**more))
    assert f"there are {last.leaf + 2} entries, and the checkpoint tells of {last.leaf + 1}" in problems


def test_a_past_written_anew_with_all_its_hashes_is_found_by_the_audit_before(kept, key):
    """Who has the database and even the key cannot change what an earlier checkpoint signed."""
    with pytest.raises(Undone), kept.transaction() as session:  # noqa: PT012
        without_guards(session)
        for table in (ledger_tiles, ledger_entries):
            session.execute(delete(table))
        session.execute(delete(ledger_heads).where(ledger_heads.c.name == ledger.HEAD))
        for number in range(6):
            zones.add_zone(session, name=f"other{number}")
        signing.sign_off(session.connection())
        ledger.sequence(session, key)
        problems = ledger_audit.audit(session, key).problems
        raise Undone
    assert any("the audited checkpoint signs" in problem for problem in problems)


def test_another_key_finds_no_checkpoint_of_its_own(kept):
    problems = audited(kept, new_key()).problems
    assert "the head checkpoint is missing, or not signed by this controller's key" in problems


def test_a_tree_that_was_changed_is_not_signed_again(kept, key):
    with kept.transaction() as session:
        session.execute(update(ledger_tiles).values(hashes=b"\0" * 32))
    grow(kept, 1)
    with pytest.raises(LedgerBroken), kept.transaction() as session:
        ledger.sequence(session, key)


def test_a_trigger_that_was_taken_away_is_found(kept, key):
    with kept.reading() as session:
        name, table = next(iter(triggers._present(session.connection()).items()))
    on = f" ON {table}" if kept.engine.dialect.name == "postgresql" else ""
    assert trying(kept, key, text(f"DROP TRIGGER {name}{on}")) == (f"trigger {name} is missing",)


def test_an_audit_since_the_last_reads_only_what_came_after_it(store, key):
    for _ in range(3):
        grow(store, 150)
    place(store, key)
    with store.transaction() as session:
        whole = ledger_audit.audit(session, key)
        ledger_audit.remember(session, whole)
    assert (whole.first, whole.size, whole.problems) == (0, 450, ())
    grow(store, 300)
    place(store, key)
    since = audited(store, key, since_last=True)
    assert (since.first, since.size, since.problems) == (256, 750, ())
    for leaf, found in ((700, True), (300, True), (10, False)):
        changed = update(ledger_entries).where(ledger_entries.c.leaf == leaf).values(body="{}")
        assert bool(trying(store, key, changed, since_last=True)) is found
        assert trying(store, key, changed)


def trying(store: Store, key, *statements: Any, since_last: bool = False) -> tuple[str, ...]:
    """Audit with the statements done, then undo them."""
    with pytest.raises(Undone), store.transaction() as session:  # noqa: PT012
        without_guards(session)
        for statement in statements:
            session.execute(statement)
        problems = ledger_audit.audit(session, key, since_last=since_last).problems
        raise Undone
    return problems
