"""The ledger's nouns: an entry, whom and what it is about, and a checkpoint of the tree that all entries form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from ringfence.errors import Refused, Unfinished
from ringfence.model.actors import Actor


class Outcome(StrEnum):
    """Whether what the entry tells was done, or was refused."""

    DONE = "done"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an entry is about, by the name it had then.

    `related_id` is the other thing it is about, "" if none: the host of a placement, the VM of a port or a console.
    """

    kind: str
    id: str
    name: str
    related_id: str = ""
    project_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry. `before` and `after` are the record's shown columns, None where there was none.

    `body` is the text that the tree hashes, byte for byte; `index` its place among all entries, from 0.
    """

    index: int
    at: str
    actor: Actor
    action: str
    subject: Subject
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    outcome: Outcome
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The tree as it was at a size. `note` is the C2SP checkpoint that signs it, `root` its RFC 6962 hash."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a walk over the ledger found: `problems` is empty if entries `first` to `size` are as they were written."""

    first: int
    size: int
    problems: tuple[str, ...]


@dataclass(eq=False)
class ReasonMissing(Refused):
    """To {action} {kind} {name} needs a reason.

    Say why: `--reason` on the command line, the header `Ringfence-Reason` over HTTP. It is kept in the ledger.
    """

    status: ClassVar[int] = 428
    action: str
    kind: str
    name: str


@dataclass(eq=False)
class LedgerBroken(Unfinished):
    """The ledger's tree of {size} entries is not the one that this controller's key signed; nothing is added to it.

    If this controller is new, give it the key of the one before (`ledger/ledger.key` in its data folder). Otherwise
    somebody changed the database: keep a copy of it, and see `ringfence ledger verify`.
    """

    size: int
