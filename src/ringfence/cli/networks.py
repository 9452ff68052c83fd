"""`ringfence network`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    LimitOption,
    NetworkArgument,
    OutputOption,
    RenameOption,
    WaitOption,
    YesOption,
    changes,
    complete_projects,
    confirm,
    connect,
)
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one
from ringfence.cli.progress import in_force

app = typer.Typer(no_args_is_help=True, help="Networks: the logical switches VMs are on.")

COLUMNS = (
    field("NAME", "name"),
    field("RANGE", "cidr"),
    Column(title="PROJECT", cell=lambda item: item.get("project") or "any"),
    field("MTU", "mtu"),
    field("ID", "id"),
)


@app.command("list")
def list_networks(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the networks.

    Example: ringfence network list
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/networks", limit=limit)), COLUMNS, output, what="networks")


@app.command("show")
def show_network(ctx: typer.Context, network: NetworkArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one network.

    Example: ringfence network show backbone
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/networks/{network}"), COLUMNS, output)


@app.command("create")
def create_network(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new network's name.")],
    cidr: Annotated[str, typer.Option("--cidr", help="Its IPv4 range, such as 10.20.0.0/24.")],
    project: Annotated[
        str | None,
        typer.Option(
            "--project", "-p", help="The one project that may use it; else all may.", autocompletion=complete_projects
        ),
    ] = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create an overlay network. It joins VMs, and lets nothing pass between them until a policy does.

    Example: ringfence network create backbone --cidr 10.20.0.0/24
    """
    body = {"name": name, "cidr": cidr, "project": project}
    with connect(ctx) as client:
        network = client.create("/v1/networks", body)
        in_force(client, network, wait=wait)
    show_one(network, COLUMNS, output)


@app.command("update")
def update_network(
    ctx: typer.Context,
    network: NetworkArgument,
    mtu: Annotated[
        int | None, typer.Option("--mtu", min=576, max=9000, help="The largest packet; guests learn it by DHCP.")
    ] = None,
    name: RenameOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change a network.

    Example: ringfence network update backbone --mtu 1400
    """
    body = changes(name=name, mtu=mtu)
    with connect(ctx) as client:
        changed = client.change(f"/v1/networks/{network}", body)
        in_force(client, changed, wait=wait)
    show_one(changed, COLUMNS, output)


@app.command("delete")
def delete_network(
    ctx: typer.Context, network: NetworkArgument, yes: YesOption = False, wait: WaitOption = True
) -> None:
    """Delete a network that no VM is on.

    Example: ringfence network delete backbone --yes
    """
    confirm(f"Delete network {network}?", yes=yes)
    with connect(ctx) as client:
        in_force(client, client.delete(f"/v1/networks/{network}"), wait=wait)
    notice(f"Network {network} is deleted.")
