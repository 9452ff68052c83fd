"""`ringfence token`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ringfence.cli.options import LIST_LIMIT, LimitOption, OutputOption, YesOption, complete_accounts, confirm, connect
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one
from ringfence.client.sealing import Recipient

app = typer.Typer(no_args_is_help=True, help="Tokens: secrets that act for an account.")

COLUMNS = (
    field("NAME", "name"),
    field("ACCOUNT", "account"),
    Column(title="MAY", cell=lambda item: ", ".join(item.get("scope") or []) or "all its account may"),
    Column(title="EXPIRES", cell=lambda item: str(item.get("expires_at") or "never")[:19]),
    Column(title="LAST USED", cell=lambda item: str(item.get("last_used_at") or "never")[:16]),
    field("ID", "id"),
)
ForOption = Annotated[str | None, typer.Option("--account", help="Of this account.", autocompletion=complete_accounts)]


@app.command("list")
def list_tokens(
    ctx: typer.Context,
    account: ForOption = None,
    limit: LimitOption = LIST_LIMIT,
    output: OutputOption = Output.TABLE,
) -> None:
    """List your tokens; an administrator sees everybody's.

    Example: ringfence token list --account ci
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/tokens", limit=limit, account=account)), COLUMNS, output, what="tokens")


@app.command("create")
def create_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    account: Annotated[
        str | None, typer.Option("--account", help="A service's; else your own.", autocompletion=complete_accounts)
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="Only this permission; may be given again.")
    ] = None,
    days: Annotated[float | None, typer.Option("--days", min=0, help="It ends after so many days; else never.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a token. Its secret is printed now and never again.

    Example: ringfence token create nightly --account ci --scope vm:read --scope vm:create --days 90
    """
    ends = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
    body = {"name": name, "account": account, "scope": scope or [], "expires_at": ends}
    with connect(ctx) as client:
        # Sealed to a key of this program, so that nobody between has it, the web server included.
        recipient = Recipient()
        made = client.create("/v1/tokens", {**body, "recipient": recipient.public_key})
        made["secret"] = recipient.open(made.pop("sealed_secret"))
    show_one(made, (*COLUMNS, field("SECRET", "secret")), output)


@app.command("delete")
def delete_token(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(help="The token's id.")],
    yes: YesOption = False,
) -> None:
    """Delete a token: from now on its secret opens nothing.

    Example: ringfence token delete 0197a1c2-… --yes
    """
    confirm(f"Delete token {token}?", yes=yes)
    with connect(ctx) as client:
        client.delete(f"/v1/tokens/{token}")
    notice(f"Token {token} is deleted.")
