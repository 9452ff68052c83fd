"""`ringfence project`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    AccountArgument,
    LimitOption,
    OutputOption,
    ProjectArgument,
    ReasonOption,
    RenameOption,
    YesOption,
    changes,
    confirm,
    connect,
    parse_bytes,
)
from ringfence.cli.output import Column, Json, Output, binary_size, field, notice, show_list, show_one

app = typer.Typer(no_args_is_help=True, help="Projects: the tenants, each with an owner.")

QUOTA = {"vms": "VMs", "vcpus": "vCPUs", "memory_mib": "memory", "disk_bytes": "disk", "ports": "ports"}
SIZES = {"memory_mib": 1 << 20, "disk_bytes": 1}


def _amount(key: str, value: int) -> str:
    return binary_size(value * SIZES[key]) if key in SIZES else str(value)


def _used(item: Json) -> str:
    quota, used = item.get("quota") or {}, item.get("used") or {}
    told = []
    for key, word in QUOTA.items():
        most = quota.get(key)
        bound = "" if most is None else f" of {_amount(key, most)}"
        told.append(f"{_amount(key, used.get(key, 0))}{bound} {word}")
    return ", ".join(told)


COLUMNS = (
    field("NAME", "name"),
    field("OWNER", "owner"),
    Column(title="USED", cell=_used),
    field("ID", "id"),
)
MEMBER_COLUMNS = (field("ACCOUNT", "account"), field("ROLE", "role"), field("ID", "account_id"))
BoundOption = Annotated[str | None, typer.Option(help="At most so much; `none` for no bound.")]


@app.command("list")
def list_projects(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the projects.

    Example: ringfence project list
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/projects", limit=limit)), COLUMNS, output, what="projects")


@app.command("show")
def show_project(ctx: typer.Context, project: ProjectArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one project.

    Example: ringfence project show payments
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/projects/{project}"), COLUMNS, output)


@app.command("create")
def create_project(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new project's name.")],
    owner: Annotated[str, typer.Option("--owner", help="The person its VMs belong to, unless a VM names another.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a project.

    Example: ringfence project create payments --owner ada@example.org
    """
    with connect(ctx) as client:
        show_one(client.create("/v1/projects", {"name": name, "owner": owner}), COLUMNS, output)


@app.command("update")
def update_project(
    ctx: typer.Context,
    project: ProjectArgument,
    owner: Annotated[str | None, typer.Option("--owner", help="The new owner, of VMs made from now on.")] = None,
    name: RenameOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change a project.

    Example: ringfence project update payments --owner grace@example.org
    """
    body = changes(name=name, owner=owner)
    with connect(ctx) as client:
        show_one(client.change(f"/v1/projects/{project}", body), COLUMNS, output)


@app.command("quota")
def quota_of_project(
    ctx: typer.Context,
    project: ProjectArgument,
    vms: BoundOption = None,
    vcpus: BoundOption = None,
    memory: BoundOption = None,
    disk: BoundOption = None,
    ports: BoundOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a project has and may have, or say what it may; bounds that are not given stay.

    Example: ringfence project quota payments --vms 20 --memory 64GiB --disk none
    """
    given = {"vms": vms, "vcpus": vcpus, "memory_mib": memory, "disk_bytes": disk, "ports": ports}
    bounds = {key: _bound(key, text) for key, text in given.items() if text is not None}
    path = f"/v1/projects/{project}"
    with connect(ctx) as client:
        found = client.get(path)
        if bounds:
            found = client.change(path, {"quota": found["quota"] | bounds})
    show_one(found, COLUMNS, output)


@app.command("members")
def list_members(ctx: typer.Context, project: ProjectArgument, output: OutputOption = Output.TABLE) -> None:
    """List a project's members and their roles.

    Example: ringfence project members payments
    """
    with connect(ctx) as client:
        show_list(client.get(f"/v1/projects/{project}/members")["items"], MEMBER_COLUMNS, output, what="members")


@app.command("put-member")
def put_member(
    ctx: typer.Context,
    project: ProjectArgument,
    account: AccountArgument,
    role: Annotated[str, typer.Option("--role", help="project-owner, project-member or project-viewer.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Give an account a role in the project, in place of the one it had.

    Example: ringfence project put-member payments grace@example.org --role project-member
    """
    with connect(ctx) as client:
        show_one(client.put(f"/v1/projects/{project}/members/{account}", {"role": role}), MEMBER_COLUMNS, output)


@app.command("remove-member")
def remove_member(
    ctx: typer.Context, project: ProjectArgument, account: AccountArgument, yes: YesOption = False
) -> None:
    """Take an account out of a project; one that owns it, or a VM in it, is refused.

    Example: ringfence project remove-member payments grace@example.org --yes
    """
    confirm(f"Take {account} out of project {project}?", yes=yes)
    with connect(ctx) as client:
        client.delete(f"/v1/projects/{project}/members/{account}")
    notice(f"{account} is no member of {project} any more.")


def _bound(key: str, text: str) -> int | None:
    if text == "none":
        return None
    option = f"--{key.partition('_')[0]}"
    if key in SIZES:
        return parse_bytes(text, option=option) // SIZES[key]
    if not text.isdigit():
        raise typer.BadParameter(f"{text!r} is neither a number nor none", param_hint=option)
    return int(text)


@app.command("delete")
def delete_project(
    ctx: typer.Context, project: ProjectArgument, yes: YesOption = False, reason: ReasonOption = None
) -> None:
    """Delete a project that has no VMs and no networks.

    Example: ringfence project delete payments --yes --reason "no longer used"
    """
    confirm(f"Delete project {project}?", yes=yes)
    with connect(ctx, reason=reason) as client:
        client.delete(f"/v1/projects/{project}")
    notice(f"Project {project} is deleted.")
