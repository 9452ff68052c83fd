"""`ringfence fence`: who may open connections to whom, and what a change of a policy would open and close."""

from __future__ import annotations

from typing import Any

import typer

from ringfence.cli.options import OutputOption, connect
from ringfence.cli.output import Column, Output, field, notice, show_list, show_value
from ringfence.client.connection import Client

app = typer.Typer(no_args_is_help=True, help="The fence: who may call whom. What is not told is denied.")

Json = dict[str, Any]


@app.command("list")
def list_ways(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List who may call whom, on what, and by which policies.

    Example: ringfence fence list
    """
    with connect(ctx) as client:
        told = client.get("/v1/fence")
    if output is not Output.TABLE:
        show_value(told, output)
        return
    show_list([_named(way, told["parties"]) for way in told["ways"]], _WAYS, output, what="ways: everything is denied")
    _tell_whole(told)


@app.command("matrix")
def show_matrix(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show who may call whom as a matrix: who calls down the side, who is called along the top.

    Example: ringfence fence matrix
    """
    with connect(ctx) as client:
        told = client.get("/v1/fence")
    if output is not Output.TABLE:
        show_value(told, output)
        return
    allowed = {(way["source"], way["target"]): openings(way["allowed"]) for way in told["ways"]}
    names = [_party(party) for party in told["parties"]]
    targets = [_target(number, allowed) for number in range(len(names))]
    rows = [{"number": number, "name": f"{number + 1}  {name}"} for number, name in enumerate(names)]
    show_list(rows, (field("FROM \\ TO", "name"), *targets), output, what="VMs")
    _tell_whole(told)


def try_change(client: Client, change: Json, output: Output) -> None:
    """Show which pairs of VMs a change of one policy would open and close; nothing is changed."""
    told = client.create("/v1/fence/dry-run", change)
    if output is not Output.TABLE:
        show_value(told, output)
        return
    show_list([_named(pair, told["parties"]) for pair in told["pairs"]], _PAIRS, output, what="pairs that it changes")
    notice(f"It would open {_pairs(told['opens'])} of VMs and close {_pairs(told['closes'])}. Nothing was changed.")
    _tell_whole(told)


def openings(told: list[Json]) -> str:
    """Format what may pass: `tcp 80, 443; icmp`; an empty string for nothing."""
    return "; ".join(f"{each['protocol']} {', '.join(map(str, each['ports']))}".strip() for each in told)


def _named(way: Json, parties: list[Json]) -> Json:
    return {**way, "source": _party(parties[way["source"]]), "target": _party(parties[way["target"]])}


def _target(number: int, allowed: dict[tuple[int, int], str]) -> Column:
    return Column(title=str(number + 1), cell=lambda row: allowed.get((row["number"], number), "-"))


def _party(party: Json) -> str:
    labels = "".join(f", {key}={value}" for key, value in party["labels"].items())
    more = "…" if party["vms"] > len(party["some"]) else ""
    return f"{party['zone']}, {party['project']}{labels} ({', '.join(party['some'])}{more})"


def _pairs(count: int) -> str:
    return f"{count} {'pair' if count == 1 else 'pairs'}"


def _tell_whole(told: Json) -> None:
    if not told["complete"]:
        notice("There are more than are shown here.")


_FROM_TO = (field("FROM", "source"), field("TO", "target"))
_WAYS = (
    *_FROM_TO,
    Column(title="ALLOWED", cell=lambda item: openings(item["allowed"])),
    field("BY", "policies"),
)
_PAIRS = (
    *_FROM_TO,
    field("TURN", "turn"),
    Column(title="BEFORE", cell=lambda item: openings(item["before"]) or "denied"),
    Column(title="AFTER", cell=lambda item: openings(item["after"]) or "denied"),
    Column(title="VM PAIRS", cell=lambda item: str(item["vm_pairs"]), right=True),
)
