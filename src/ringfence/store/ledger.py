"""The ledger: gives each entry its place in the tree, under a signed checkpoint; reads entries. Never changes one.

What triggers and `signing` wrote with a change waits in `ledger_pending`, committed with that change. `sequence` moves
it, in the order it was written, and signs the tree it then is; changes that wait for one another keep their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from ringfence.decide import merkle
from ringfence.errors import Invalid, NotFound
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.ledger import Checkpoint, Entry, LedgerBroken, Outcome, Subject
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ledger_tree import Tree
from ringfence.store.pages import LIMIT, Page
from ringfence.store.tables import counters
from ringfence.store.tables import ledger_entries as table
from ringfence.store.tables import ledger_heads as heads
from ringfence.store.tables import ledger_pending as pending

KIND = "entry"
HEAD = "head"
BATCH = 1000


class Seal(Protocol):
    """Signs checkpoints, and knows its own: the controller's key."""

    def seal(self, size: int, root: bytes) -> str:
        """Give the signed note of a tree."""
        ...

    def open(self, note: str) -> tuple[int, bytes] | None:
        """Give size and root of a note that this key signed; None if it did not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries: those that match all that is given. `actor` is an id or a name; times are as entries have them.

    `projects` None: of any project and of none.
    """

    subject: str | None = None
    kind: str | None = None
    name: str | None = None
    actor: str | None = None
    since: str | None = None
    until: str | None = None
    projects: Sequence[str] | None = None


def sequence(session: Session, seal: Seal, *, most: int = BATCH) -> int:
    """Give waiting entries, at most so many, their places, and sign the tree; tell how many there were.

    Those who do it at once wait for each other, and find what is left.
    """
    rows.insert_unless_there(session, heads, {"name": HEAD, "size": 0, "note": seal.seal(0, merkle.EMPTY_ROOT)})
    head = session.execute(select(heads).where(heads.c.name == HEAD).with_for_update()).one()
    waiting = session.execute(select(pending).order_by(pending.c.seq).limit(most)).all()
    if not waiting:
        return 0
    size, tree = int(head.size), Tree(session)
    # SAFETY: what is not the tree that this key signed is not signed again, whoever made it so.
    if seal.open(head.note) != (size, merkle.root(size, tree.node)):
        raise LedgerBroken(size=size)
    placed = [_placed(size + number, row) for number, row in enumerate(waiting)]
    session.execute(insert(table), placed)
    tree.append(size, [merkle.leaf_hash(entry["body"].encode()) for entry in placed])
    size += len(placed)
    signed = seal.seal(size, merkle.root(size, tree.node))
    session.execute(update(heads).where(heads.c.name == HEAD).values(size=size, note=signed))
    session.execute(delete(pending).where(pending.c.seq.in_([row.seq for row in waiting])))
    changed(session, "ledger", str(size))
    return len(placed)


def is_waiting(session: Session) -> bool:
    """Tell whether any entry waits for its place."""
    return session.execute(select(pending.c.seq).limit(1)).one_or_none() is not None


def checkpoint(session: Session) -> Checkpoint:
    """Read the newest checkpoint; raises `NotFound` before the first."""
    row = session.execute(select(heads).where(heads.c.name == HEAD)).one_or_none()
    if row is None:
        raise NotFound(kind="checkpoint", ref="of the ledger")
    return Checkpoint(size=row.size, root=merkle.root(row.size, Tree(session).node), note=row.note)


def entry(session: Session, index: int) -> Entry:
    """Read one entry; raises `NotFound`."""
    row = session.execute(select(table).where(table.c.leaf == index)).one_or_none()
    if row is None:
        raise NotFound(kind=KIND, ref=str(index))
    return built(row.leaf, row.body)


def entries(session: Session, wanted: Wanted, *, limit: int, after: str | None = None) -> Page[Entry]:
    """Read a page of the entries that match, oldest first."""
    if not 1 <= limit <= LIMIT:
        raise Invalid(field="limit", why=f"a page has 1 to {LIMIT} items")
    query = select(table.c.leaf, table.c.body).where(*_conditions(wanted))
    if after is not None:
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            raise Invalid(field="cursor", why="it is not a cursor that an earlier page gave")
        query = query.where(table.c.leaf > int(after))
    found = session.execute(query.order_by(table.c.leaf).limit(limit + 1)).all()
    items = tuple(built(row.leaf, row.body) for row in found[:limit])
    return Page(items=items, next=str(items[-1].index) if len(found) > limit else None)


def position(session: Session, name: str) -> int:
    """Tell which entry comes next for one who reads the ledger on and on; 0 at first."""
    return session.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one_or_none() or 0


def set_position(session: Session, name: str, index: int) -> None:
    """Say which entry comes next for them."""
    if not rows.insert_unless_there(session, counters, {"name": name, "value": index}):
        session.execute(update(counters).where(counters.c.name == name).values(value=index))


def bodies(session: Session, *, first: int, most: int) -> list[str]:
    """Read the texts of entries in a row, oldest first."""
    within = (table.c.leaf >= first) & (table.c.leaf < first + most)
    return list(session.execute(select(table.c.body).where(within).order_by(table.c.leaf)).scalars())


def entries_of(session: Session, *conditions: ColumnElement[bool]) -> Iterator[Entry]:
    """Read every entry under the conditions, over columns of `ledger_entries`, oldest first."""
    query = select(table.c.leaf, table.c.body).where(*conditions).order_by(table.c.leaf)
    return (built(row.leaf, row.body) for row in session.execute(query))


def built(index: int, body: str) -> Entry:
    """Build an entry from its text."""
    told = json.loads(body)
    subject = told["subject"]
    return Entry(
        index=index,
        at=told["at"],
        actor=Actor(**{**told["actor"], "kind": ActorKind(told["actor"]["kind"])}, reason=told["reason"]),
        action=told["action"],
        subject=Subject(**subject, project_id=told["project_id"] or ""),
        before=told["before"],
        after=told["after"],
        outcome=Outcome(told["outcome"]),
        body=body,
    )


def columns_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the entry's columns beside its text say, from what its text says."""
    actor, subject = told["actor"], told["subject"]
    return {
        "at": told["at"],
        "actor_id": actor["id"],
        "actor_name": actor["name"],
        "action": told["action"],
        "subject_kind": subject["kind"],
        "subject_id": subject["id"],
        "subject_name": subject["name"],
        "related_id": subject["related_id"],
        "project_id": told["project_id"] or "",
    }


def _placed(index: int, row: Row[Any]) -> dict[str, Any]:
    told = {
        "index": index,
        "at": row.at,
        "actor": {
            "kind": row.actor_kind,
            "id": row.actor_id,
            "name": row.actor_name,
            "on_behalf_of": row.on_behalf_of,
            "source": row.source,
        },
        "reason": row.reason,
        "action": row.action,
        "subject": {
            "kind": row.subject_kind,
            "id": row.subject_id,
            "name": row.subject_name,
            "related_id": row.related_id,
        },
        "project_id": row.project_id or None,
        "before": _record(row.before),
        "after": _record(row.after),
        "outcome": row.outcome,
    }
    body = msgspec.json.encode(told, order="sorted").decode()
    return {"leaf": index, "body": body, **columns_of(told)}


def _record(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        # The triggers of SQLite leave the rarer control characters in texts as they are.
        return json.loads(text, strict=False)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.subject is not None:
        conditions.append(or_(table.c.subject_id == wanted.subject, table.c.related_id == wanted.subject))
    if wanted.kind is not None:
        conditions.append(table.c.subject_kind == wanted.kind)
    if wanted.name is not None:
        conditions.append(table.c.subject_name == wanted.name)
    if wanted.actor is not None:
        conditions.append(or_(table.c.actor_id == wanted.actor, table.c.actor_name == wanted.actor))
    if wanted.since is not None:
        conditions.append(table.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.c.at < wanted.until)
    if wanted.projects is not None:
        conditions.append(table.c.project_id.in_(wanted.projects))
    return conditions
