"""`ringfence config`: the settings file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ringfence.cli.options import OutputOption, url_of
from ringfence.cli.output import Output, field, notice, show_one
from ringfence.client.settings import check_url, read_settings, settings_file, write_settings

app = typer.Typer(no_args_is_help=True, help="Where the controller is, and the token for it.")


@app.command("show")
def show_config(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show the settings in force; of the token only whether there is one.

    Example: ringfence config show
    """
    settings = read_settings(url_of(ctx))
    seen = {
        "url": settings.url,
        "token": "set" if settings.token else "not set",
        "ca": str(settings.ca or ""),
        "file": str(settings_file()),
    }
    show_one(seen, [field(key.upper(), key) for key in seen], output)


@app.command("set")
def set_config(
    url: Annotated[str | None, typer.Option("--url", help="The controller's URL.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="A PEM file; for TLS it alone is trusted.", exists=True)
    ] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
) -> None:
    """Store settings in the settings file, which only you can read. A token is never an argument: others see those.

    Example: ringfence config set --url https://cloud.example.org:8470 --ca ca.pem --token-stdin < token
    """
    changes = {}
    if url:
        changes["url"] = check_url(url)
    if ca:
        changes["ca"] = str(ca.resolve())
    if token_stdin:
        changes["token"] = typer.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else _piped()
    if not changes:
        raise typer.BadParameter("say what to store: see --help")
    notice(f"Stored in {write_settings(changes)}.")


def _piped() -> str:
    return sys.stdin.readline().strip()
