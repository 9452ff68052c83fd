"""Puts a name to what the triggers wrote, and writes what is no change of a row. Places nothing in the tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, insert
from sqlalchemy.orm import Session

from ringfence.model.actors import Actor
from ringfence.model.ledger import Outcome, Subject
from ringfence.store.acting import current_actor
from ringfence.store.ids import now
from ringfence.store.tables import ledger_pending as table

_SIGN = (
    "UPDATE ledger_pending SET at = {0}, actor_kind = {0}, actor_id = {0}, actor_name = {0}, on_behalf_of = {0},"
    " source = {0}, reason = {0} WHERE actor_kind = ''"
)
_PLACEHOLDERS = {"sqlite": "?", "postgresql": "%s"}


def sign_off(connection: Connection, actor: Actor | None = None) -> None:
    """Name who made the changes of this transaction: `actor`, or the one who acts now."""
    who = actor or current_actor()
    told = (now(), str(who.kind), who.id, who.name, who.on_behalf_of, who.source, who.reason[:500])
    # As text for the driver: every transaction ends with it, and building it costs more than doing it.
    connection.exec_driver_sql(_SIGN.format(_PLACEHOLDERS[connection.dialect.name]), told)


def note(
    session: Session,
    action: str,
    subject: Subject,
    *,
    outcome: Outcome = Outcome.DONE,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry of what is no change of a row: a console opened, an attempt denied. `facts` hold no secrets."""
    values = {
        "action": action[:63],
        "subject_kind": subject.kind[:31],
        "subject_id": subject.id[:255],
        "subject_name": subject.name[:255],
        "related_id": subject.related_id[:255],
        "project_id": subject.project_id[:36],
        "after": None if facts is None else msgspec.json.encode(facts, order="sorted").decode(),
        "outcome": str(outcome),
    }
    session.execute(insert(table).values(**values))
