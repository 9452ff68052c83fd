"""`ringfence setup`: the set-up link, used at a terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import meet, url_of
from ringfence.cli.output import notice
from ringfence.cli.secrets import ask_secret, with_sealed
from ringfence.client.settings import read_settings, write_settings

app = typer.Typer()


@app.command("setup")
def setup(
    ctx: typer.Context,
    account: Annotated[
        str | None,
        typer.Option("--account", help="The first administrator's name; other links know their account."),
    ] = None,
    display_name: Annotated[str, typer.Option("--display-name", help="How people know you.")] = "",
) -> None:
    """Use a set-up link, which is asked for, as is the new password; then you are signed in.

    The controller's first start prints a link; `ringfence account invite` makes others.

    Example: ringfence setup --account ada
    """
    link = ask_secret("Set-up link")
    page, _, fragment = link.partition("#")
    origin = page.removesuffix("/").removesuffix("/setup")
    settings = read_settings(url_of(ctx) or origin or None)
    password = ask_secret("New password", twice=True)
    named = {"account": account} if account else {}
    with meet(settings) as client:
        who, secret = with_sealed(
            client,
            lambda sealed: client.begin_session("/v1/setup", {**named, "display_name": display_name, **sealed}),
            secret=fragment,
            password=password,
        )
    path = write_settings({"url": settings.url, "session": secret})
    notice(f"You are {who['account']['name']}, and signed in. The session is in {path}.")
