"""`ringfence overview`: the cloud at a glance."""

from __future__ import annotations

from typing import Any

import typer

from ringfence.cli.options import OutputOption, connect
from ringfence.cli.output import Cell, Column, Output, binary_size, field, show_list, show_one, show_value, zone_name

app = typer.Typer()


@app.command("overview")
def show_overview(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show what there is in the cloud, and what room each zone has.

    Example: ringfence overview
    """
    with connect(ctx) as client:
        told = client.get("/v1/overview")
    if output is not Output.TABLE:
        show_value(told, output)
        return
    show_one(told, _SHEET, output)
    show_list(told["zones"], _ZONES, output, what="zones")


def _taken(item: dict[str, Any]) -> str:
    return f"{_room(item['claimed'])} of {_room(item['total'])}"


def _room(capacity: dict[str, int]) -> str:
    memory, disk = binary_size(capacity["memory_mib"] << 20), binary_size(capacity["disk_bytes"])
    return f"{capacity['vcpus']} vCPU, {memory}, {disk} disk"


def _zone(item: dict[str, Any]) -> Cell:
    return zone_name(item["name"], {item["name"]: item["colour"]})


_SHEET = (
    field("VMS", "vms"),
    field("HOSTS", "hosts"),
    field("UNREACHABLE", "unreachable"),
    Column(title="TAKEN", cell=_taken),
)
_ZONES = (
    Column(title="ZONE", cell=_zone),
    field("CLASSIFICATION", "classification"),
    Column(title="VMS", cell=lambda item: str(item["vms"]), right=True),
    Column(title="ON HOSTS", cell=lambda item: str(item["hosts"]), right=True),
    Column(title="USED", cell=lambda item: _room(item["used"])),
    Column(title="FREE", cell=lambda item: _room(item["free"])),
    Column(title="OPEN HOSTS", cell=lambda item: str(item["open_hosts"]), right=True),
)
