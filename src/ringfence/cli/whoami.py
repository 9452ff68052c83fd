"""`ringfence whoami`: the account that the token acts for, and what it may."""

from __future__ import annotations

import typer

from ringfence.cli.options import OutputOption, connect
from ringfence.cli.output import Column, Output, show_one

app = typer.Typer(no_args_is_help=False)

COLUMNS = (
    Column(title="ACCOUNT", cell=lambda item: str(item["account"]["name"])),
    Column(title="KIND", cell=lambda item: str(item["account"]["kind"])),
    Column(title="ROLES", cell=lambda item: ", ".join(item["roles"]) or "none in the cloud"),
    Column(
        title="PROJECTS",
        cell=lambda item: ", ".join(f"{each['name']} ({each['role']})" for each in item["projects"]) or "none",
    ),
    Column(title="MAY", cell=lambda item: ", ".join(item["permissions"]) or "nothing beyond its projects"),
    Column(title="TOKEN EXPIRES", cell=lambda item: str(item["expires_at"] or "never")[:19]),
)


@app.command("whoami")
def whoami(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show which account you are, and what it may.

    Example: ringfence whoami
    """
    with connect(ctx) as client:
        show_one(client.get("/v1/session"), COLUMNS, output)
