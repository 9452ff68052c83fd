"""`ringfence zone`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    LimitOption,
    OutputOption,
    ReasonOption,
    RenameOption,
    YesOption,
    ZoneArgument,
    changes,
    complete_zones,
    confirm,
    connect,
)
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one, zone_name

app = typer.Typer(no_args_is_help=True, help="Security zones: who may share a host with whom.")

PLAIN_COLOURS = ("black", "blue", "cyan", "green", "magenta", "red", "white", "yellow")

COLUMNS = (
    Column(title="NAME", cell=lambda item: zone_name(item["name"], {item["name"]: item.get("colour", "")})),
    field("COLOUR", "colour"),
    field("CLASSIFICATION", "classification"),
    field("MIXES WITH", "mixes_with"),
    field("ID", "id"),
)

MixesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mixes-with", help="A zone that may share a host with it; may be repeated.", autocompletion=complete_zones
    ),
]
ColourOption = Annotated[str | None, typer.Option("--colour", help="A colour's name or #rrggbb, for screens.")]
ClassificationOption = Annotated[str | None, typer.Option("--classification", help="Such as public or secret.")]


@app.command("list")
def list_zones(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the zones.

    Example: ringfence zone list -o json
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/zones", limit=limit)), COLUMNS, output, what="zones")


@app.command("show")
def show_zone(ctx: typer.Context, zone: ZoneArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one zone.

    Example: ringfence zone show red
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/zones/{zone}"), COLUMNS, output)


@app.command("create")
def create_zone(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new zone's name.")],
    colour: ColourOption = None,
    classification: ClassificationOption = None,
    mixes_with: MixesOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a zone; it mixes with no other unless you say so.

    Example: ringfence zone create red --colour red --classification secret
    """
    body = {
        "name": name,
        "colour": colour or (name if name in PLAIN_COLOURS else ""),
        "classification": classification or "",
        "mixes_with": mixes_with or [],
    }
    with connect(ctx) as client:
        show_one(client.create("/v1/zones", body), COLUMNS, output)


@app.command("update")
def update_zone(
    ctx: typer.Context,
    zone: ZoneArgument,
    colour: ColourOption = None,
    classification: ClassificationOption = None,
    mixes_with: MixesOption = None,
    mixes_with_none: Annotated[bool, typer.Option("--mixes-with-none", help="Let it mix with no other zone.")] = False,
    name: RenameOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change a zone; --mixes-with replaces the whole list.

    Refused while a host runs VMs of both zones that would no longer mix.

    Example: ringfence zone update red --mixes-with amber
    """
    mixes = [] if mixes_with_none else mixes_with or None
    body = changes(name=name, colour=colour, classification=classification, mixes_with=mixes)
    with connect(ctx) as client:
        show_one(client.change(f"/v1/zones/{zone}", body), COLUMNS, output)


@app.command("delete")
def delete_zone(ctx: typer.Context, zone: ZoneArgument, yes: YesOption = False, reason: ReasonOption = None) -> None:
    """Delete a zone that no VM is in.

    Example: ringfence zone delete red --yes --reason "no longer used"
    """
    confirm(f"Delete zone {zone}?", yes=yes)
    with connect(ctx, reason=reason) as client:
        client.delete(f"/v1/zones/{zone}")
    notice(f"Zone {zone} is deleted.")
