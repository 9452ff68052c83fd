"""`ringfence project`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    LimitOption,
    OutputOption,
    ProjectArgument,
    ReasonOption,
    RenameOption,
    YesOption,
    changes,
    confirm,
    connect,
)
from ringfence.cli.output import Output, field, notice, show_list, show_one

app = typer.Typer(no_args_is_help=True, help="Projects: the tenants, each with an owner.")

COLUMNS = (field("NAME", "name"), field("OWNER", "owner"), field("ID", "id"))


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
