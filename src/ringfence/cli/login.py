"""`ringfence login`: begins a session, and keeps its secret in the settings file, which only you can read."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import meet, url_of
from ringfence.cli.output import notice
from ringfence.cli.secrets import ask_secret, with_sealed
from ringfence.client.settings import read_settings, write_settings

app = typer.Typer()


@app.command("login")
def login(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="Your account's name; asked for if it is not given.")] = "",
) -> None:
    """Sign in with your password, which is sealed before it leaves this program.

    Example: ringfence login ada
    """
    settings = read_settings(url_of(ctx))
    account = account or typer.prompt("Account", err=True)
    password = ask_secret(f"Password of {account}")
    with meet(settings) as client:
        who, secret = with_sealed(
            client,
            lambda sealed: client.begin_session("/v1/session", {"account": account, **sealed}),
            password=password,
        )
    path = write_settings({"url": settings.url, "session": secret})
    notice(f"Signed in as {who['account']['name']}, until {who['expires_at']} at most. The session is in {path}.")
