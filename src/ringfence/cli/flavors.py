"""`ringfence flavor`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    FlavorArgument,
    LimitOption,
    OutputOption,
    RenameOption,
    YesOption,
    changes,
    confirm,
    connect,
    parse_bytes,
)
from ringfence.cli.output import Column, Output, binary_size, field, notice, show_list, show_one, size
from ringfence.model.flavors import PriorityClass

app = typer.Typer(no_args_is_help=True, help="Flavors: the sizes a VM can have.")

COLUMNS = (
    field("NAME", "name"),
    Column(title="VCPUS", cell=lambda item: str(item["vcpus"]), right=True),
    Column(title="MEMORY", cell=lambda item: binary_size(item["memory_mib"] << 20), right=True),
    size("DISK", "disk_bytes"),
    field("PRIORITY", "priority"),
    field("ID", "id"),
)


@app.command("list")
def list_flavors(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the flavors.

    Example: ringfence flavor list
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/flavors", limit=limit)), COLUMNS, output, what="flavors")


@app.command("show")
def show_flavor(ctx: typer.Context, flavor: FlavorArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one flavor.

    Example: ringfence flavor show small
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/flavors/{flavor}"), COLUMNS, output)


@app.command("create")
def create_flavor(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new flavor's name.")],
    vcpus: Annotated[int, typer.Option("--vcpus", min=1, help="Virtual processors.")],
    memory: Annotated[str, typer.Option("--memory", help="Memory, such as 512MiB or 4GiB.")],
    disk: Annotated[str, typer.Option("--disk", help="Size of the disk, such as 10GiB.")],
    priority: Annotated[
        PriorityClass, typer.Option("--priority", help="Who goes first when room is short.")
    ] = PriorityClass.NORMAL,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a flavor.

    Example: ringfence flavor create small --vcpus 1 --memory 512MiB --disk 10GiB
    """
    body = {
        "name": name,
        "vcpus": vcpus,
        "memory_mib": parse_bytes(memory, option="--memory") >> 20,
        "disk_bytes": parse_bytes(disk, option="--disk"),
        "priority": priority.value,
    }
    with connect(ctx) as client:
        show_one(client.create("/v1/flavors", body), COLUMNS, output)


@app.command("update")
def update_flavor(
    ctx: typer.Context,
    flavor: FlavorArgument,
    vcpus: Annotated[int | None, typer.Option("--vcpus", min=1, help="Virtual processors.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Memory, such as 512MiB or 4GiB.")] = None,
    disk: Annotated[str | None, typer.Option("--disk", help="Size of the disk, such as 10GiB.")] = None,
    priority: Annotated[
        PriorityClass | None, typer.Option("--priority", help="Who goes first when room is short.")
    ] = None,
    name: RenameOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change a flavor. VMs that have it keep the size they were made with.

    Example: ringfence flavor update small --priority high
    """
    body = changes(
        name=name,
        vcpus=vcpus,
        memory_mib=parse_bytes(memory, option="--memory") >> 20 if memory else None,
        disk_bytes=parse_bytes(disk, option="--disk") if disk else None,
        priority=priority.value if priority else None,
    )
    with connect(ctx) as client:
        show_one(client.change(f"/v1/flavors/{flavor}", body), COLUMNS, output)


@app.command("delete")
def delete_flavor(ctx: typer.Context, flavor: FlavorArgument, yes: YesOption = False) -> None:
    """Delete a flavor that no VM has.

    Example: ringfence flavor delete small --yes
    """
    confirm(f"Delete flavor {flavor}?", yes=yes)
    with connect(ctx) as client:
        client.delete(f"/v1/flavors/{flavor}")
    notice(f"Flavor {flavor} is deleted.")
