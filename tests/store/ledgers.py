"""What several tests do with a ledger: a seal, placing what waits, and what the entries add up to."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ringfence.controller.ledger_key import LedgerKey
from ringfence.model.ledger import Entry
from ringfence.store import ledger
from ringfence.store.engine import Store
from ringfence.store.ledgered import LEDGERED
from ringfence.store.tables import metadata

Row = tuple[tuple[str, Any], ...]


def new_key() -> LedgerKey:
    with TemporaryDirectory() as folder:
        return LedgerKey(Path(folder) / "ledger")


def place(store: Store, key: LedgerKey) -> list[Entry]:
    """Give all that waits its place, and read every entry."""
    while True:
        with store.transaction() as session:
            if ledger.sequence(session, key) == 0:
                break
    with store.reading() as session:
        return list(ledger.entries_of(session))


def tables_now(session: Session) -> dict[str, set[str]]:
    """Read every ledgered table: its shown columns, a text for each row."""
    found = {}
    for name, told in LEDGERED.items():
        shown = [column for column in metadata.tables[name].columns if column.name in told.shown]
        rows = session.execute(select(*shown))
        found[told.kind] = {_text(dict(row._mapping)) for row in rows}
    return found


def tables_told(entries: list[Entry]) -> dict[str, set[str]]:
    """Tell what the tables must hold, from the entries alone: each takes a record away, puts one there, or both."""
    told: dict[str, set[str]] = {kind.kind: set() for kind in LEDGERED.values()}
    secret = {told_of.kind: told_of.secret for told_of in LEDGERED.values()}
    for entry in entries:
        kind = entry.subject.kind
        if kind not in told:
            continue
        shown = [
            None if record is None else {k: v for k, v in record.items() if k not in secret[kind]}
            for record in (entry.before, entry.after)
        ]
        if shown[0] is not None:
            told[kind].remove(_text(shown[0]))
        if shown[1] is not None:
            told[kind].add(_text(shown[1]))
    return told


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)
