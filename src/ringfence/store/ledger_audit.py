"""Walks the ledger as it lies in the database, and finds what is not as it was written. Mends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from ringfence.decide.merkle import leaf_hash, root, root_of
from ringfence.model.ledger import Audit
from ringfence.store import rows, triggers
from ringfence.store.ledger import HEAD, Seal
from ringfence.store.ledger_tree import HASH_BYTES, WIDTH, Tree, hashes_in
from ringfence.store.tables import ledger_entries as entries
from ringfence.store.tables import ledger_heads as heads
from ringfence.store.tables import ledger_tiles as tiles

AUDITED = "audited"
MOST_PROBLEMS = 20
_READ_AT_ONCE = 4096
_COLUMNS = (
    "at",
    "actor_id",
    "actor_name",
    "action",
    "subject_kind",
    "subject_id",
    "subject_name",
    "related_id",
    "project_id",
)


class _Actor(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str


class _Subject(msgspec.Struct, frozen=True, gc=False):
    kind: str
    id: str
    name: str
    related_id: str


class _Body(msgspec.Struct, frozen=True, gc=False):
    index: int
    at: str
    actor: _Actor
    action: str
    subject: _Subject
    project_id: str | None


_decode = msgspec.json.Decoder(_Body).decode


def audit(session: Session, seal: Seal, *, since_last: bool = False) -> Audit:
    """Walk over all entries, or over those since the last audit that found everything whole (`remember`).

    What was audited before is then held by its own signed checkpoint: the tree must still begin with that one.
    """
    walk = _Walk(session, seal)
    walk.triggers()
    size, first = walk.head(), walk.audited()
    if size is not None:
        first = min(first, size) // WIDTH * WIDTH if since_last else 0
        walk.tree(first, size, walk.entries(first, size))
    return Audit(first=first, size=size or 0, problems=tuple(walk.problems[:MOST_PROBLEMS]))


def remember(session: Session, audited: Audit) -> None:
    """Keep the checkpoint of an audit that found everything whole: the next one may begin there."""
    head = session.execute(select(heads).where(heads.c.name == HEAD)).one_or_none()
    if audited.problems or head is None or head.size != audited.size:
        return
    if not rows.insert_unless_there(session, heads, {"name": AUDITED, "size": head.size, "note": head.note}):
        session.execute(update(heads).where(heads.c.name == AUDITED).values(size=head.size, note=head.note))


class _Walk:
    """One walk. Each part adds what it finds to `problems`, and goes on."""

    def __init__(self, session: Session, seal: Seal) -> None:
        self._session = session
        self._seal = seal
        self._tree = Tree(session)
        self._heads = {row.name: row for row in session.execute(select(heads))}
        self.problems: list[str] = []

    def triggers(self) -> None:
        """See that every change is written down at all."""
        self.problems += [f"trigger {name} is missing" for name in triggers.missing(self._session.connection())]

    def head(self) -> int | None:
        """Check the newest checkpoint, and give its size; None if it cannot be believed."""
        strangers = sorted(set(self._heads) - {HEAD, AUDITED})
        self.problems += [f"there is a checkpoint named {name}" for name in strangers]
        return self._opened(HEAD)

    def audited(self) -> int:
        """Check that the tree still begins with the one that was audited last, and give that one's size."""
        return (self._opened(AUDITED) or 0) if AUDITED in self._heads else 0

    def entries(self, first: int, size: int) -> list[bytes]:
        """Check each entry against its columns, its place and its hash in the tree; give all hashes, from `first`."""
        hashes: list[bytes] = []
        for rows_read in self._rows(first):
            at = first + len(hashes)
            read = [leaf_hash(row[-1].encode()) for row in rows_read]
            # All at once first: nearly always all is well, and telling which is not takes four times as long.
            say_so = all(map(_says, rows_read, range(at, at + len(read))))
            if not say_so or self._leaves(at, len(read)) != b"".join(read):
                self._tell_wrong(rows_read, at)
            hashes += read
            if len(self.problems) > MOST_PROBLEMS:
                break
        if len(hashes) != size - first:
            told = first + len(hashes)
            self.problems.append(f"there are {told} entries, and the checkpoint tells of {size}")
        return hashes

    def _leaves(self, first: int, many: int) -> bytes:
        """Read the hashes that the tree holds for so many entries; `first` begins a tile."""
        numbers = range(first // WIDTH, -(-(first + many) // WIDTH))
        return b"".join(self._tree.tile(0, number) for number in numbers)[: many * HASH_BYTES]

    def _tell_wrong(self, rows_read: Sequence[Row[Any]], at: int) -> None:
        for expected, row in enumerate(rows_read, start=at):
            offset = expected % WIDTH * HASH_BYTES
            held = self._tree.tile(0, expected // WIDTH)[offset : offset + HASH_BYTES]
            if row[0] != expected:
                self.problems.append(f"entry {expected} is missing, or not at its place")
                return
            if not _says(row, expected):
                self.problems.append(f"entry {expected} says something else than its columns")
            if leaf_hash(row[-1].encode()) != held:
                self.problems.append(f"entry {expected} is not the one that the tree holds")

    def tree(self, first: int, size: int, hashes: list[bytes]) -> None:
        """Check each tile over these leaves, that there is no other, and that the root is the one signed."""
        expected: set[tuple[int, int]] = set()
        level, begin, count = 0, first, size
        while count:
            numbers = range(begin // WIDTH, -(-count // WIDTH))
            expected |= {(level, number) for number in range(-(-count // WIDTH))}
            own = self._tree.tile(level, numbers.start)[: begin % WIDTH * HASH_BYTES]
            whole = own + b"".join(hashes)
            full: list[bytes] = []
            for at, number in enumerate(numbers):
                tile = whole[at * WIDTH * HASH_BYTES : (at + 1) * WIDTH * HASH_BYTES]
                if self._tree.tile(level, number) != tile:
                    self.problems.append(f"tile {number} of level {level} is not what lies under it")
                if len(tile) == WIDTH * HASH_BYTES:
                    full.append(root_of(hashes_in(tile)))
            level, begin, count, hashes = level + 1, begin // WIDTH, count // WIDTH, full
        present = {(row.level, row.number) for row in self._session.execute(select(tiles.c.level, tiles.c.number))}
        for level, number in sorted(present ^ expected):
            self.problems.append(f"tile {number} of level {level} is missing, or one too many")

    def _rows(self, first: int) -> Iterator[Sequence[Row[Any]]]:
        query = select(entries.c.leaf, *(entries.c[name] for name in _COLUMNS), entries.c.body)
        if first:
            query = query.where(entries.c.leaf >= first)
        options = {"yield_per": _READ_AT_ONCE}
        result: Any = self._session.execute(query.order_by(entries.c.leaf), execution_options=options)
        return cast("Iterator[Sequence[Row[Any]]]", result.partitions())

    def _opened(self, name: str) -> int | None:
        row = self._heads.get(name)
        opened = None if row is None else self._seal.open(row.note)
        if row is None or opened is None or opened[0] != row.size:
            self.problems.append(f"the {name} checkpoint is missing, or not signed by this controller's key")
            return None
        if root(row.size, self._tree.node) != opened[1]:
            self.problems.append(f"the tree of {row.size} entries is not the one that the {name} checkpoint signs")
        return opened[0]


def _says(row: Row[Any], index: int) -> bool:
    """Tell whether an entry is at its place, and the columns beside its text say what the text does."""
    place, at, actor_id, actor_name, action, kind, subject_id, name, related_id, project_id, body = tuple(row)
    try:
        told = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    actor, subject = told.actor, told.subject
    return bool(
        told.index == index == place
        and told.at == at
        and actor.id == actor_id
        and actor.name == actor_name
        and told.action == action
        and subject.kind == kind
        and subject.id == subject_id
        and subject.name == name
        and subject.related_id == related_id
        and (told.project_id or "") == project_id
    )
