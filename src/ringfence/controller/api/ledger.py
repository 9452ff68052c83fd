"""The ledger over HTTP: its entries, their proofs, its checkpoint, all of it as a stream. Nothing here changes it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from pydantic import Field

from ringfence.controller.api.requests import PRINTABLE, WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.shapes import PageOf, Told
from ringfence.controller.parts import Parts
from ringfence.decide import merkle, ocsf
from ringfence.errors import Invalid, NotFound
from ringfence.model.actors import ActorKind
from ringfence.model.ledger import Entry, Outcome
from ringfence.store import ledger
from ringfence.store.ledger_tree import Tree

router = APIRouter(prefix="/v1/ledger", tags=["ledger"])

STREAMED_AT_ONCE = 2000
Index = Annotated[int, Path(ge=0, lt=1 << 53, description="Its place among all entries, from 0.")]
Moment = Annotated[str | None, Query(max_length=40, description="RFC 3339, with an offset.")]
Word = Annotated[str | None, Query(max_length=255, pattern=PRINTABLE)]
Size = Annotated[int, Query(ge=1, lt=1 << 53)]


class Form(StrEnum):
    JSONL = "jsonl"
    OCSF = "ocsf"


class ActorTold(Told):
    """Who did it. `on_behalf_of` is who asked for it, where another carried it out."""

    kind: ActorKind
    id: str
    name: str
    on_behalf_of: str
    source: str


class SubjectTold(Told):
    """What it is about, by the name it had. `related_id`: the host of a placement, the VM of a port or a console."""

    kind: str
    id: str
    name: str
    related_id: str


class EntryTold(Told):
    """One entry. `before` and `after` are the record's columns that are no secret; null where there was none."""

    index: int
    at: str
    actor: ActorTold
    reason: str
    action: str
    subject: SubjectTold
    project_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome
    leaf_hash: str = Field(description="RFC 6962 hash of the entry's text, in base64.")


class ProofTold(Told):
    """That an entry is in the tree a checkpoint signs: all that an auditor needs besides the verifier key."""

    index: int
    body: str = Field(description="The entry's text, byte for byte what is hashed.")
    hashes: list[str] = Field(description="From the leaf's neighbour up to the root, in base64.")
    checkpoint: str


class ConsistencyTold(Told):
    """That the tree of `first` entries is the beginning of that of `second` (RFC 6962, 2.1.2)."""

    first: int
    second: int
    hashes: list[str]


class KeyTold(Told):
    """What checks checkpoints: a verifier key as in C2SP's signed-note, `NAME+ID+KEY`."""

    origin: str
    verifier: str


def shown(entry: Entry) -> EntryTold:
    """Build the body that tells an entry."""
    actor, subject = entry.actor, entry.subject
    return EntryTold(
        index=entry.index,
        at=entry.at,
        actor=ActorTold(
            kind=actor.kind, id=actor.id, name=actor.name, on_behalf_of=actor.on_behalf_of, source=actor.source
        ),
        reason=actor.reason,
        action=entry.action,
        subject=SubjectTold(kind=subject.kind, id=subject.id, name=subject.name, related_id=subject.related_id),
        project_id=subject.project_id or None,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
        outcome=entry.outcome,
        leaf_hash=_base64(merkle.leaf_hash(entry.body.encode())),
    )


@router.get("/entries", response_model=PageOf[EntryTold])
def list_ledger_entries(
    parts: WithParts,
    paging: WithPaging,
    subject: Word = None,
    kind: Word = None,
    name: Word = None,
    actor: Word = None,
    since: Moment = None,
    until: Moment = None,
) -> Response:
    """List the entries, newest last: about one thing (its id), of one kind and name, by one actor (id or name)."""
    parts.ledger.catch_up()
    wanted = ledger.Wanted(
        subject=subject,
        kind=kind,
        name=name,
        actor=actor,
        since=moment(since, field="since"),
        until=moment(until, field="until"),
    )
    with parts.store.reading() as session:
        page = ledger.entries(session, wanted, limit=paging.limit, after=paging.after)
    return told(PageOf[EntryTold](items=[shown(entry) for entry in page.items], next=cursor_for(page.next)))


@router.get("/entries/{index}", response_model=EntryTold)
def get_ledger_entry(parts: WithParts, index: Index) -> Response:
    """Show one entry."""
    with parts.store.reading() as session:
        return told(shown(ledger.entry(session, index)))


@router.get("/entries/{index}/proof", response_model=ProofTold)
def prove_ledger_entry(parts: WithParts, index: Index) -> Response:
    """Prove that an entry is in the ledger as it is now."""
    parts.ledger.catch_up()
    with parts.store.reading() as session:
        entry, checkpoint = ledger.entry(session, index), ledger.checkpoint(session)
        hashes = merkle.inclusion_proof(index, checkpoint.size, Tree(session).node)
    told_hashes = [_base64(each) for each in hashes]
    return told(ProofTold(index=index, body=entry.body, hashes=told_hashes, checkpoint=checkpoint.note))


@router.get("/checkpoint", response_class=PlainTextResponse)
def get_ledger_checkpoint(parts: WithParts) -> Response:
    """Sign the ledger as it is now: a C2SP checkpoint. Keep it elsewhere: later ones must be consistent with it."""
    parts.ledger.catch_up()
    with parts.store.reading() as session:
        return PlainTextResponse(ledger.checkpoint(session).note)


@router.get("/consistency", response_model=ConsistencyTold)
def prove_ledger_consistency(parts: WithParts, first: Size, second: Size) -> Response:
    """Prove that the ledger of `second` entries begins with the one of `first`."""
    with parts.store.reading() as session:
        size = ledger.checkpoint(session).size
        if not first <= second <= size:
            raise Invalid(field="second", why=f"the sizes grow from first to second, and the ledger has {size} entries")
        hashes = merkle.consistency_proof(first, second, Tree(session).node)
    return told(ConsistencyTold(first=first, second=second, hashes=[_base64(each) for each in hashes]))


@router.get("/key", response_model=KeyTold)
def get_ledger_key(parts: WithParts) -> Response:
    """Show the key that checks the checkpoints. Get it once, from somebody you trust, and keep it."""
    return told(KeyTold(origin=parts.ledger.key.origin, verifier=parts.ledger.key.verifier))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "One entry a line."}},
)
def export_ledger(
    parts: WithParts,
    first: Annotated[int, Query(ge=0, lt=1 << 53, description="The entry to begin with.")] = 0,
    size: Annotated[int | None, Query(ge=0, lt=1 << 53, description="Where to end, as a checkpoint says.")] = None,
    form: Annotated[Form, Query(alias="format")] = Form.JSONL,
) -> StreamingResponse:
    """Stream all entries: each line of `jsonl` is what the tree hashes, byte for byte; `ocsf` is for a SIEM."""
    parts.ledger.catch_up()
    with parts.store.reading() as session:
        end = ledger.checkpoint(session).size
    if size is not None and size > end:
        raise NotFound(kind="entry", ref=str(size - 1))
    lines = _lines(parts, first, end if size is None else size, form)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def moment(text: str | None, *, field: str) -> str | None:
    """Write a moment as the store does; refuses what is none, or has no offset."""
    if text is None:
        return None
    try:
        # A plus that was not escaped in a URL arrives as a blank.
        parsed = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        in_utc = None if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        in_utc = None
    if in_utc is None:
        raise Invalid(field=field, why="it is no time with an offset, such as 2026-01-31T12:00:00Z")
    return in_utc.isoformat(timespec="microseconds")


def _lines(parts: Parts, first: int, end: int, form: Form) -> Iterator[bytes]:
    while first < end:
        # A transaction for each piece: who reads slowly holds nothing in the database.
        with parts.store.reading() as session:
            bodies = ledger.bodies(session, first=first, most=min(STREAMED_AT_ONCE, end - first))
        if not bodies:
            return
        if form is Form.OCSF:
            bodies = [ocsf.event(ledger.built(first + number, body)) for number, body in enumerate(bodies)]
        yield "".join(f"{body}\n" for body in bodies).encode()
        first += len(bodies)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
