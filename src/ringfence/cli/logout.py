"""`ringfence logout`: ends the session that `ringfence login` began."""

from __future__ import annotations

import typer

from ringfence.cli.options import connect
from ringfence.cli.output import notice
from ringfence.client.settings import write_settings

app = typer.Typer()


@app.command("logout")
def logout(ctx: typer.Context) -> None:
    """Sign out. A stored token is not a session: it stays.

    Example: ringfence logout
    """
    try:
        with connect(ctx) as client:
            client.delete("/v1/session")
    finally:
        # Also if the controller is away: the session then ends there by itself, and nobody here has its secret.
        write_settings({"session": ""})
    notice("Signed out.")
