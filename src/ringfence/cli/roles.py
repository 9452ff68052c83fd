"""`ringfence role`: the table of what is permitted to whom."""

from __future__ import annotations

import typer

from ringfence.cli.options import OutputOption, connect
from ringfence.cli.output import Output, field, show_list

app = typer.Typer(no_args_is_help=True, help="Roles: what is permitted to whom.")

COLUMNS = (field("ROLE", "name"), field("HELD IN", "scope"), field("ABOUT", "about"), field("MAY", "permissions"))


@app.callback()
def roles() -> None:
    """Roles: what is permitted to whom."""


@app.command("list")
def list_roles(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show every role and what it permits; what no role permits is denied.

    Example: ringfence role list
    """
    with connect(ctx) as client:
        show_list(list(client.get("/v1/roles")["items"]), COLUMNS, output, what="roles")
