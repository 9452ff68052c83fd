"""`ringfence ledger`: read, prove, verify and export it. What verifies is the auditor's script, run here."""

from __future__ import annotations

import inspect
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from cryptography.exceptions import InvalidSignature

from ringfence.cli.options import LIST_LIMIT, LimitOption, OutputOption, connect
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one, show_value
from ringfence.client import audit
from ringfence.client.connection import Client
from ringfence.client.trusted import Trusted
from ringfence.errors import Unfinished

app = typer.Typer(no_args_is_help=True, help="The ledger: who changed what, and the proof that nobody changed that.")

IndexArgument = Annotated[int, typer.Argument(metavar="ENTRY", min=0, help="The entry's index.")]


class Form(StrEnum):
    JSONL = "jsonl"
    OCSF = "ocsf"


@dataclass(eq=False)
class LedgerNotProven(Unfinished):
    """The ledger is not what it should be: {why}.

    Keep what you have of it: this checkpoint, earlier ones, exports. Then find out who had the controller's database.
    """

    why: str


def _actor(item: dict[str, Any]) -> str:
    actor = item["actor"]
    return f"{actor['on_behalf_of']} (by {actor['name']})" if actor["on_behalf_of"] else str(actor["name"])


def _subject(item: dict[str, Any]) -> str:
    return f"{item['subject']['kind']} {item['subject']['name']}"


COLUMNS = (
    field("ENTRY", "index"),
    Column(title="AT", cell=lambda item: str(item["at"])[:19].replace("T", " ")),
    Column(title="WHO", cell=_actor),
    field("DID", "action"),
    Column(title="WHAT", cell=_subject),
    field("OUTCOME", "outcome"),
    field("REASON", "reason"),
)
SHEET = (
    *COLUMNS,
    Column(title="FROM", cell=lambda item: str(item["actor"]["source"])),
    Column(title="CHANGED", cell=lambda item: "\n".join(_changes(item))),
    Column(title="SUBJECT", cell=lambda item: str(item["subject"]["id"])),
    field("PROJECT", "project_id"),
    field("LEAF HASH", "leaf_hash"),
)


@app.command("list")
def list_entries(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Option("--subject", help="Only about this one, by its id.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only about this kind, such as VM or zone.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only by this one, by name or id.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only from then on, such as 2026-01-31T12:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before then.")] = None,
    limit: LimitOption = LIST_LIMIT,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the entries, newest last.

    Example: ringfence ledger list --kind policy --actor ann --since 2026-01-31T00:00Z
    """
    wanted = {"subject": subject, "kind": kind, "actor": actor, "since": since, "until": until}
    with connect(ctx) as client:
        entries = list(client.pages("/v1/ledger/entries", limit=limit, **wanted))
    show_list(entries, COLUMNS, output, what="entries")


@app.command("show")
def show_entry(ctx: typer.Context, entry: IndexArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one entry, and what it changed.

    Example: ringfence ledger show 1042
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/ledger/entries/{entry}"), SHEET, output)


@app.command("proof")
def prove_entry(ctx: typer.Context, entry: IndexArgument) -> None:
    """Print the proof that an entry is in the ledger, for `audit.py KEY entry FILE`.

    Example: ringfence ledger proof 1042 > proof.json
    """
    with connect(ctx) as client:
        show_value(client.get(f"/v1/ledger/entries/{entry}/proof"), Output.JSON)


@app.command("growth")
def prove_growth(
    ctx: typer.Context,
    first: Annotated[int, typer.Argument(min=1, help="The older checkpoint's size.")],
    second: Annotated[int, typer.Argument(min=1, help="The newer checkpoint's size.")],
) -> None:
    """Print the proof that one checkpoint's ledger begins another's, for `audit.py KEY growth OLD NEW FILE`.

    Example: ringfence ledger growth 1000 2000 > growth.json
    """
    with connect(ctx) as client:
        show_value(client.get("/v1/ledger/consistency", first=first, second=second), Output.JSON)


@app.command("checkpoint")
def show_checkpoint(ctx: typer.Context) -> None:
    """Print the signed checkpoint of the ledger as it is now. Keep it where the controller's people cannot reach it.

    Example: ringfence ledger checkpoint > checkpoint-2026-01-31
    """
    with connect(ctx) as client:
        sys.stdout.write(client.text("/v1/ledger/checkpoint"))


@app.command("key")
def show_key(ctx: typer.Context) -> None:
    """Print the key that checks checkpoints. Get it once, from somebody you trust.

    Example: ringfence ledger key > ledger.vkey
    """
    with connect(ctx) as client:
        print(client.get("/v1/ledger/key")["verifier"])


@app.command("auditor")
def show_auditor() -> None:
    """Print the auditor's script, which checks proofs and exports offline: a hundred lines to read.

    Example: ringfence ledger auditor > audit.py
    """
    sys.stdout.write(inspect.getsource(audit))


@app.command("export")
def export_entries(
    ctx: typer.Context,
    form: Annotated[Form, typer.Option("--format", help="Entries as they are hashed, or OCSF 1.3.0 events.")] = (
        Form.JSONL
    ),
    first: Annotated[int, typer.Option("--first", min=0, help="The entry to begin with.")] = 0,
) -> None:
    """Write all entries to standard output, one a line.

    Example: ringfence ledger export > ledger.jsonl
    """
    with connect(ctx) as client:
        for piece in client.stream("/v1/ledger/export", format=form.value, first=first):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@app.command("verify")
def verify_ledger(
    ctx: typer.Context,
    key: Annotated[
        str | None, typer.Option("--key", help="The verifier key; else the one that this machine saw first.")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what this machine knew of the ledger, and begin anew.")
    ] = False,
) -> None:
    """Prove the whole ledger: read every entry, hash it here, and compare with the signed checkpoint.

    This machine keeps the key and the checkpoint of the last time, so that a ledger that was written anew, with
    all its hashes and signatures, is found, too.

    Example: ringfence ledger verify
    """
    with connect(ctx) as client:
        trusted = Trusted.of(client.settings.url)
        if forget:
            trusted = trusted.forgotten()
        known = key or trusted.key or str(client.get("/v1/ledger/key")["verifier"])
        note = client.text("/v1/ledger/checkpoint")
        size, root = _opened(known, note)
        if trusted.note:
            _prove_growth(client, _opened(known, trusted.note), (size, root))
        if audit.tree_of(_lines(client.stream("/v1/ledger/export", size=size))) != (size, root):
            raise LedgerNotProven(why=f"its {size} entries do not make the tree that the checkpoint signs")
        since = f", and it begins with the {_opened(known, trusted.note)[0]} of the last time" if trusted.note else ""
        trusted.keep(known, note)
    notice(f"The ledger is whole: {size} entries, each as it was written{since}.")


def _opened(key: str, note: str) -> tuple[int, bytes]:
    try:
        return audit.signed_tree(key, note)
    except (ValueError, InvalidSignature):
        raise LedgerNotProven(why="its checkpoint is not signed with the key that was trusted before") from None


def _prove_growth(client: Client, old: tuple[int, bytes], new: tuple[int, bytes]) -> None:
    proven = old[0] <= new[0]
    if proven and old[0]:
        proof = client.get("/v1/ledger/consistency", first=old[0], second=new[0])
        try:
            proven = audit.begins(old, new, [b64decode(each) for each in proof["hashes"]])
        except ValueError:
            proven = False
    if not proven:
        raise LedgerNotProven(why=f"the {old[0]} entries of the last time are not its beginning any more")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Cut a stream into lines: faster than the client's own, which decodes each."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _changes(item: dict[str, Any]) -> Iterator[str]:
    before, after = item["before"] or {}, item["after"] or {}
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name, '')} → {after.get(name, '')}" if before else f"{name}: {after[name]}"
