"""`ringfence vm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ringfence.cli import custody, handovers
from ringfence.cli.console import attach
from ringfence.cli.main import EXIT_FAILED
from ringfence.cli.options import (
    LIST_LIMIT,
    InProjectOption,
    LimitOption,
    OutputOption,
    ReasonOption,
    VmArgument,
    WaitOption,
    YesOption,
    complete_flavors,
    complete_hosts,
    complete_images,
    complete_networks,
    complete_projects,
    complete_zones,
    confirm,
    connect,
    parse_pairs,
)
from ringfence.cli.output import Column, Output, field, notice, show_list, show_one, show_value
from ringfence.cli.output import state as state_column
from ringfence.cli.output import zone as zone_column
from ringfence.cli.progress import finish, in_force
from ringfence.cli.vm_names import vm_id
from ringfence.client.connection import Client
from ringfence.model.vms import VmState

PLACE = (
    field("HOST", "host"),
    field("REASON", "reason"),
    field("AS WELL", "others"),
    Column(title="NOT ON", cell=lambda item: "\n".join(f"{host}: {why}" for host, why in item["rejected"].items())),
)

app = typer.Typer(no_args_is_help=True, help="VMs: create, start, stop, move, delete, console.")
handovers.add_commands(app)

ToHostOption = Annotated[
    str | None,
    typer.Option("--host", help="This host and no other; else one is chosen.", autocompletion=complete_hosts),
]


def _addresses(item: dict[str, Any]) -> str:
    return ", ".join(port.get("address", "") for port in item.get("ports", []))


def _columns(colours: dict[str, str]) -> tuple[Column, ...]:
    return (
        field("NAME", "name"),
        state_column(),
        zone_column(colours=colours),
        field("PROJECT", "project"),
        field("HOST", "host"),
        Column(title="ADDRESSES", cell=_addresses),
        field("FLAVOR", "flavor"),
        field("OWNER", "owner"),
    )


def _sheet(colours: dict[str, str]) -> tuple[Column, ...]:
    return (
        *_columns(colours),
        field("IMAGE", "image"),
        field("LABELS", "labels"),
        field("PLACED", "placement"),
        Column(
            title="PORTS", cell=lambda i: "\n".join(f"{p['address']} {p['mac']} {p['id']}" for p in i.get("ports", []))
        ),
        field("ID", "id"),
    )


@app.command("list")
def list_vms(
    ctx: typer.Context,
    project: InProjectOption = None,
    zone: Annotated[str | None, typer.Option("--zone", "-z", help="Only these.", autocompletion=complete_zones)] = None,
    host: Annotated[str | None, typer.Option("--host", help="Only those on it.", autocompletion=complete_hosts)] = None,
    state: Annotated[VmState | None, typer.Option("--state", help="Only those in this state.")] = None,
    limit: LimitOption = LIST_LIMIT,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the VMs.

    Example: ringfence vm list --zone red --state running
    """
    with connect(ctx) as client:
        wanted = {"project": project, "zone": zone, "host": host, "state": state and state.value}
        vms = list(client.pages("/v1/vms", limit=limit, **wanted))
        show_list(vms, _columns(_colours(client, output)), output, what="VMs")


@app.command("show")
def show_vm(
    ctx: typer.Context, vm: VmArgument, project: InProjectOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show one VM, with the reason for its place.

    Example: ringfence vm show web-1
    """
    with connect(ctx) as client:
        _show(client, vm_id(client, vm, project), output)


@app.command("create")
def create_vm(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new VM's name.")],
    project: Annotated[str, typer.Option("--project", "-p", help="Its project.", autocompletion=complete_projects)],
    zone: Annotated[str, typer.Option("--zone", "-z", help="Its security zone.", autocompletion=complete_zones)],
    flavor: Annotated[str, typer.Option("--flavor", help="Its size.", autocompletion=complete_flavors)],
    image: Annotated[str, typer.Option("--image", help="The disk it starts from.", autocompletion=complete_images)],
    network: Annotated[
        list[str] | None,
        typer.Option("--network", help="A NIC on it; may be repeated.", autocompletion=complete_networks),
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="A member of the project; else its owner.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="KEY=VALUE; may be repeated.")] = None,
    user_data: Annotated[
        Path | None, typer.Option("--user-data", help="A file for cloud-init.", exists=True, dir_okay=False)
    ] = None,
    host: ToHostOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a VM and start it.

    Example: ringfence vm create web-1 -p payments -z red --flavor small --image debian-13 --network backbone
    """
    body = {
        "name": name,
        "project": project,
        "zone": zone,
        "flavor": flavor,
        "image": image,
        "networks": network or [],
        "labels": parse_pairs(label or [], option="--label"),
    }
    body |= {key: value for key, value in {"owner": owner, "host": host}.items() if value}
    if user_data:
        body["user_data"] = user_data.read_text()
    with connect(ctx) as client:
        ended = finish(client, client.create("/v1/vms", body), wait=wait, output=output)
        if ended is not None:
            _show(client, ended["subject_id"], output)


@app.command("place")
def place_vm(
    ctx: typer.Context,
    zone: Annotated[str, typer.Option("--zone", "-z", help="Its security zone.", autocompletion=complete_zones)],
    flavor: Annotated[str, typer.Option("--flavor", help="Its size.", autocompletion=complete_flavors)],
    host: ToHostOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show where a VM would be placed now, and why not on the other hosts. Nothing is made; exits 1 if no host fits.

    Example: ringfence vm place -z red --flavor small
    """
    with connect(ctx) as client:
        place = client.create("/v1/placements", {"zone": zone, "flavor": flavor, "host": host})
    show_one(place, PLACE, output)
    if place["host"] is None:
        raise typer.Exit(EXIT_FAILED)


@app.command("start")
def start_vm(
    ctx: typer.Context,
    vm: VmArgument,
    project: InProjectOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start a VM that is stopped.

    Example: ringfence vm start web-1
    """
    _act(ctx, vm, project, "start", {}, wait=wait, output=output)


@app.command("stop")
def stop_vm(
    ctx: typer.Context,
    vm: VmArgument,
    project: InProjectOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop a VM: the guest is asked first, and switched off if it does not follow.

    Example: ringfence vm stop web-1
    """
    _act(ctx, vm, project, "stop", {}, wait=wait, output=output)


@app.command("move")
def move_vm(
    ctx: typer.Context,
    vm: VmArgument,
    host: ToHostOption = None,
    project: InProjectOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Move a running VM to another host, disk and all, while it runs.

    Example: ringfence vm move web-1 --host h2
    """
    _act(ctx, vm, project, "move", {"host": host} if host else {}, wait=wait, output=output)


@app.command("delete")
def delete_vm(
    ctx: typer.Context,
    vm: VmArgument,
    project: InProjectOption = None,
    yes: YesOption = False,
    reason: ReasonOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a VM with its disk.

    Example: ringfence vm delete web-1 --yes --reason "ticket 1042"
    """
    confirm(f"Delete VM {vm} and its disk?", yes=yes)
    with connect(ctx, reason=reason) as client:
        operation = client.delete(f"/v1/vms/{vm_id(client, vm, project)}")
        ended = finish(client, operation, wait=wait, output=output)
    if ended is None:
        return
    if output is Output.TABLE:
        notice(f"VM {vm} is deleted.")
    else:
        show_value(ended, output)


@app.command("label")
def label_vm(
    ctx: typer.Context,
    vm: VmArgument,
    words: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE|KEY-", help="Set, or take away.")] = None,
    project: InProjectOption = None,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set labels and take them away; policies that select by them follow at once. Without any, show them.

    Example: ringfence vm label web-1 role=web stage-
    """
    with connect(ctx) as client:
        path = f"/v1/vms/{vm_id(client, vm, project)}"
        labels = dict(client.get(path).get("labels") or {})
        if words:
            labels = changed_labels(labels, words)
            changed = client.change(path, {"labels": labels})
            in_force(client, changed, wait=wait)
            labels = dict(changed.get("labels") or {})
    show_one(labels, [field(key, key) for key in sorted(labels)], output)


@app.command("console")
def console_vm(ctx: typer.Context, vm: VmArgument, project: InProjectOption = None) -> None:
    """Attach to a VM's serial console; Ctrl-] leaves it. When input is not a terminal, bytes are piped both ways.

    Example: ringfence vm console web-1
    """
    with connect(ctx) as client:
        found = vm_id(client, vm, project)
        attach(client.settings, f"/v1/vms/{found}/console", title=vm)


@app.command("custody")
def show_custody(
    ctx: typer.Context,
    vm: VmArgument,
    at: Annotated[str | None, typer.Option("--at", help="One instant, such as 2026-01-31T12:00Z.")] = None,
    project: InProjectOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell from the ledger whose a VM was, where and beside whom, under which addresses, and who watched its console.

    A VM that is gone is told of, too, by its id, or by its name if it is the only one that ever had it.

    Example: ringfence vm custody web-1 --at 2026-01-31T12:00Z
    """
    with connect(ctx) as client:
        custody.show(client, custody.known_id(client, vm, project, vm_id), at, output)


def changed_labels(labels: dict[str, str], words: list[str]) -> dict[str, str]:
    """Apply `key=value` and `key-` words to labels."""
    taken = {word[:-1] for word in words if word.endswith("-") and "=" not in word}
    added = parse_pairs([word for word in words if word[:-1] not in taken or "=" in word], option="KEY=VALUE")
    return {**{key: value for key, value in labels.items() if key not in taken}, **added}


def _act(
    ctx: typer.Context,
    ref: str,
    project: str | None,
    verb: str,
    body: dict[str, Any],
    *,
    wait: bool,
    output: Output,
) -> None:
    with connect(ctx) as client:
        found = vm_id(client, ref, project)
        ended = finish(client, client.create(f"/v1/vms/{found}/{verb}", body), wait=wait, output=output)
        if ended is not None:
            _show(client, found, output)


def _show(client: Client, found: str, output: Output) -> None:
    show_one(client.get(f"/v1/vms/{found}"), _sheet(_colours(client, output)), output)


def _colours(client: Client, output: Output) -> dict[str, str]:
    """Fetch the zones' colours, where they will be seen."""
    if output is not Output.TABLE:
        return {}
    return {str(zone["name"]): str(zone.get("colour", "")) for zone in client.pages("/v1/zones", limit=LIST_LIMIT)}
