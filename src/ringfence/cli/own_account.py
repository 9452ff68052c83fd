"""`ringfence account password`, `sessions`, `revoke` and `invite`: how accounts are signed in to."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import LIST_LIMIT, LimitOption, OutputOption, connect
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one
from ringfence.cli.secrets import ask_secret, with_sealed
from ringfence.client.sealing import Recipient

app = typer.Typer(no_args_is_help=True, help="Your account: its password, its sessions.")

SESSIONS = (
    Column(title="", cell=lambda item: "*" if item.get("current") else ""),
    field("CLIENT", "client"),
    field("FROM", "source"),
    field("BY", "means"),
    field("BEGAN", "created_at"),
    field("USED", "used_at"),
    field("ID", "id"),
)


@app.command("password")
def change_password(ctx: typer.Context) -> None:
    """Change your password; it is asked for. Your other sessions end.

    Example: ringfence account password
    """
    current = ask_secret("Current password")
    new = ask_secret("New password", twice=True)
    with connect(ctx) as client:
        with_sealed(client, lambda sealed: client.replace("/v1/account/password", sealed), current=current, new=new)
    notice("Your password is changed. Other sessions of yours have ended.")


@app.command("invite")
def invite_account(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="The account whose password is to be chosen.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a set-up link, by which a person chooses the password of an account, once, within a day.

    Example: ringfence account invite grace
    """
    recipient = Recipient()
    with connect(ctx) as client:
        made = client.create(f"/v1/accounts/{account}/setup-link", {"recipient": recipient.public_key})
    link = {"link": made["page"] + "#" + recipient.open(made["sealed_secret"]), "expires_at": made["expires_at"]}
    show_one(link, [field("LINK", "link"), field("EXPIRES", "expires_at")], output)


@app.command("sessions")
def list_sessions(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List your sessions; a star marks the one that asks.

    Example: ringfence account sessions
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/account/sessions", limit=limit)), SESSIONS, output, what="sessions")


@app.command("revoke")
def revoke_session(ctx: typer.Context, session: Annotated[str, typer.Argument(help="The session's id.")]) -> None:
    """End one of your sessions: whoever uses it has to sign in again.

    Example: ringfence account revoke 01926f3e-7b1c-7a2b-8c3d-4e5f60718293
    """
    with connect(ctx) as client:
        client.delete(f"/v1/account/sessions/{session}")
    notice("The session has ended.")
