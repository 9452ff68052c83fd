"""`ringfence host`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    HostArgument,
    LimitOption,
    OutputOption,
    ReasonOption,
    YesOption,
    confirm,
    connect,
)
from ringfence.cli.output import (
    Column,
    Output,
    age,
    binary_size,
    field,
    notice,
    show_list,
    show_one,
    show_value,
    state,
    styled_state,
)

app = typer.Typer(no_args_is_help=True, help="Hosts: the hypervisors under management.")


def _used(key: str, unit: int | None = None) -> Column:
    """Show claimed of total; `unit` is the bytes in one of the field's unit, None for a bare count."""

    def cell(item: dict[str, Any]) -> str:
        amounts = [(item.get(part) or {}).get(key, 0) for part in ("claimed", "total")]
        shown = [str(amount) if unit is None else binary_size(amount * unit) for amount in amounts]
        return " of ".join(shown)

    title = {"vcpus": "VCPUS", "memory_mib": "MEMORY", "disk_bytes": "DISK"}[key]
    return Column(title=title, cell=cell, right=True)


COLUMNS = (
    field("NAME", "name"),
    state(),
    Column(title="AGENT", cell=lambda item: styled_state("ready" if item.get("reachable") else "silent")),
    _used("vcpus"),
    _used("memory_mib", 1 << 20),
    _used("disk_bytes", 1),
    age("LAST SEEN", "last_seen"),
    field("UNDERLAY", "underlay_address"),
)
SHEET = (*COLUMNS, field("CERTIFICATE UNTIL", "certificate_expires_at"), field("FACTS", "facts"), field("ID", "id"))


@app.command("list")
def list_hosts(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the hosts, with what VMs claim of each.

    Example: ringfence host list
    """
    with connect(ctx) as client:
        show_list(
            list(client.pages("/v1/hosts", limit=limit)), COLUMNS, output, what="hosts: see `ringfence host invite`"
        )


@app.command("show")
def show_host(ctx: typer.Context, host: HostArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one host.

    Example: ringfence host show h1
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/hosts/{host}"), SHEET, output)


@app.command("invite")
def invite_host(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The name the host will have.")],
    again: Annotated[
        bool,
        typer.Option("--again", help="For a host that is here: it gets a new certificate, and stays what it is."),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a join token for a host. It serves once, and carries the fingerprint of the controller's CA.

    Example: ringfence host invite h1    (then, on the host: ringfence-agent join)
    """
    with connect(ctx) as client:
        invitation = client.create("/v1/hosts/invitations", {"name": name, "again": again})
    if output is not Output.TABLE:
        show_value(invitation, output)
        return
    notice(
        f"On the host that {'is' if again else 'is to be'} {name}, as root, run `ringfence-agent join` and paste this:"
    )
    print(invitation["token"])


@app.command("cordon")
def cordon_host(ctx: typer.Context, host: HostArgument, output: OutputOption = Output.TABLE) -> None:
    """Place no more VMs on a host; those on it stay.

    Example: ringfence host cordon h1
    """
    with connect(ctx) as client:
        show_one(client.create(f"/v1/hosts/{host}/cordon"), SHEET, output)


@app.command("uncordon")
def uncordon_host(ctx: typer.Context, host: HostArgument, output: OutputOption = Output.TABLE) -> None:
    """Let a host have VMs again.

    Example: ringfence host uncordon h1
    """
    with connect(ctx) as client:
        show_one(client.create(f"/v1/hosts/{host}/uncordon"), SHEET, output)


@app.command("delete")
def delete_host(ctx: typer.Context, host: HostArgument, yes: YesOption = False, reason: ReasonOption = None) -> None:
    """Take a host that runs no VM out of the cloud; its certificate is refused from then on.

    Example: ringfence host delete h1 --yes --reason "no longer used"
    """
    confirm(f"Remove host {host} from the cloud?", yes=yes)
    with connect(ctx, reason=reason) as client:
        client.delete(f"/v1/hosts/{host}")
    notice(f"Host {host} is removed.")
