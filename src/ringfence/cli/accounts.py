"""`ringfence account`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli import own_account
from ringfence.cli.options import (
    LIST_LIMIT,
    AccountArgument,
    LimitOption,
    OutputOption,
    YesOption,
    changes,
    confirm,
    connect,
)
from ringfence.cli.output import Output, field, notice, show_list, show_one
from ringfence.model.accounts import AccountKind

app = typer.Typer(no_args_is_help=True, help="Accounts: the people and services that use the cloud, and your own.")
app.add_typer(own_account.app)

COLUMNS = (
    field("NAME", "name"),
    field("KIND", "kind"),
    field("ROLES", "roles"),
    field("DISPLAY NAME", "display_name"),
    field("EMAIL", "email"),
    field("DISABLED", "disabled"),
    field("ID", "id"),
)
RolesOption = Annotated[
    list[str] | None, typer.Option("--role", help="A role in the cloud; may be given again. See `ringfence role list`.")
]
DisplayNameOption = Annotated[str | None, typer.Option("--display-name", help="How people call them.")]
EmailOption = Annotated[str | None, typer.Option("--email", help="A mail address.")]


@app.command("list")
def list_accounts(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the accounts.

    Example: ringfence account list
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/accounts", limit=limit)), COLUMNS, output, what="accounts")


@app.command("show")
def show_account(ctx: typer.Context, account: AccountArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one account.

    Example: ringfence account show ada@example.org
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/accounts/{account}"), COLUMNS, output)


@app.command("create")
def create_account(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new account's name: a mail address, for example.")],
    service: Annotated[bool, typer.Option("--service", help="For a program, not a person.")] = False,
    role: RolesOption = None,
    display_name: DisplayNameOption = None,
    email: EmailOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create an account. Roles in a project are given by `ringfence project put-member`.

    Example: ringfence account create eve@example.org --role auditor
    """
    body = {
        "name": name,
        "kind": (AccountKind.SERVICE if service else AccountKind.PERSON).value,
        "roles": role or [],
        "display_name": display_name or "",
        "email": email or "",
    }
    with connect(ctx) as client:
        show_one(client.create("/v1/accounts", body), COLUMNS, output)


@app.command("update")
def update_account(
    ctx: typer.Context,
    account: AccountArgument,
    role: RolesOption = None,
    no_roles: Annotated[bool, typer.Option("--no-roles", help="Take all roles in the cloud away.")] = False,
    display_name: DisplayNameOption = None,
    email: EmailOption = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="A disabled account's tokens open nothing.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change an account; roles that are given replace those it has in the cloud.

    Example: ringfence account update eve@example.org --disable
    """
    roles = [] if no_roles else role or None
    body = changes(roles=roles, display_name=display_name, email=email, disabled=disabled)
    with connect(ctx) as client:
        show_one(client.change(f"/v1/accounts/{account}", body), COLUMNS, output)


@app.command("delete")
def delete_account(ctx: typer.Context, account: AccountArgument, yes: YesOption = False) -> None:
    """Delete an account and its tokens; one that owns a VM or a project is refused until those are handed over.

    Example: ringfence account delete eve@example.org --yes
    """
    confirm(f"Delete account {account}?", yes=yes)
    with connect(ctx) as client:
        client.delete(f"/v1/accounts/{account}")
    notice(f"Account {account} is deleted.")
