"""`ringfence policy`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringfence.cli.fence import try_change
from ringfence.cli.options import (
    LIST_LIMIT,
    LimitOption,
    OutputOption,
    PolicyArgument,
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
from ringfence.model.policies import Protocol

app = typer.Typer(no_args_is_help=True, help="Policies: what may pass between VMs; all else is denied.")


def _selected(key: str) -> Column:
    def cell(item: dict[str, Any]) -> str:
        selector = item.get(key) or {}
        if selector.get("elsewhere"):
            return "in a project you do not see"
        words = [f"{part} {selector[part]}" for part in ("zone", "project") if selector.get(part)]
        words += [f"{name}={value}" for name, value in (selector.get("labels") or {}).items()]
        return ", ".join(words)

    return Column(title={"source": "FROM", "target": "TO"}[key], cell=cell)


COLUMNS = (
    field("NAME", "name"),
    _selected("source"),
    _selected("target"),
    field("PROTOCOL", "protocol"),
    Column(title="PORTS", cell=lambda item: ", ".join(map(str, item.get("ports") or [])) or "all"),
    field("ID", "id"),
)

SELECTOR_HELP = "VMs, as zone=NAME, project=NAME, KEY=VALUE (a label); repeat to narrow."
FromOption = Annotated[list[str], typer.Option("--from", help=f"The {SELECTOR_HELP}")]
ToOption = Annotated[list[str], typer.Option("--to", help=f"The {SELECTOR_HELP}")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show which pairs of VMs it would open and close, and change nothing.")
]
PortOption = Annotated[list[int] | None, typer.Option("--port", min=1, max=65535, help="May be repeated; none is all.")]


@app.command("list")
def list_policies(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the policies.

    Example: ringfence policy list
    """
    with connect(ctx) as client:
        show_list(
            list(client.pages("/v1/policies", limit=limit)), COLUMNS, output, what="policies: everything is denied"
        )


@app.command("show")
def show_policy(ctx: typer.Context, policy: PolicyArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one policy.

    Example: ringfence policy show blue-to-red-web
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/policies/{policy}"), COLUMNS, output)


@app.command("create")
def create_policy(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The new policy's name.")],
    source: FromOption,
    target: ToOption,
    protocol: Annotated[Protocol, typer.Option("--protocol", help="What may pass.")] = Protocol.ANY,
    port: PortOption = None,
    project: Annotated[
        str | None,
        typer.Option("--project", "-p", help="Whose it is; else the cloud's.", autocompletion=complete_projects),
    ] = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Allow connections from some VMs to others; with --wait, return when every switch has it in force.

    Example: ringfence policy create blue-to-red-web --from zone=blue --to zone=red --protocol tcp --port 80
    """
    body = {
        "name": name,
        "project": project,
        "source": parse_selector(source, option="--from"),
        "target": parse_selector(target, option="--to"),
        "protocol": protocol.value,
        "ports": port or [],
    }
    with connect(ctx) as client:
        if dry_run:
            try_change(client, {"becomes": body}, output)
            return
        policy = client.create("/v1/policies", body)
        in_force(client, policy, wait=wait)
    show_one(policy, COLUMNS, output)


@app.command("update")
def update_policy(
    ctx: typer.Context,
    policy: PolicyArgument,
    protocol: Annotated[Protocol | None, typer.Option("--protocol", help="What may pass.")] = None,
    port: PortOption = None,
    all_ports: Annotated[bool, typer.Option("--all-ports", help="Let all ports of the protocol pass.")] = False,
    source: Annotated[list[str] | None, typer.Option("--from", help=f"The {SELECTOR_HELP}")] = None,
    target: Annotated[list[str] | None, typer.Option("--to", help=f"The {SELECTOR_HELP}")] = None,
    name: RenameOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change what a policy lets pass; what is given replaces what was there.

    Example: ringfence policy update blue-to-red-web --protocol tcp --port 80 --port 443 --dry-run
    """
    body = changes(
        name=name,
        protocol=protocol.value if protocol else None,
        ports=[] if all_ports else port or None,
        source=parse_selector(source, option="--from") if source else None,
        target=parse_selector(target, option="--to") if target else None,
    )
    with connect(ctx) as client:
        if dry_run:
            becomes = {**_as_asked(client.get(f"/v1/policies/{policy}")), **body}
            try_change(client, {"policy": policy, "becomes": becomes}, output)
            return
        changed = client.change(f"/v1/policies/{policy}", body)
        in_force(client, changed, wait=wait)
    show_one(changed, COLUMNS, output)


@app.command("delete")
def delete_policy(
    ctx: typer.Context,
    policy: PolicyArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a policy; what it let pass is denied again, open connections included.

    Example: ringfence policy delete blue-to-red-web --yes
    """
    if dry_run:
        with connect(ctx) as client:
            try_change(client, {"policy": policy}, output)
        return
    confirm(f"Delete policy {policy}?", yes=yes)
    with connect(ctx) as client:
        in_force(client, client.delete(f"/v1/policies/{policy}"), wait=wait)
    notice(f"Policy {policy} is deleted.")


def _as_asked(policy: dict[str, Any]) -> dict[str, Any]:
    """Give the policy as it would be asked for anew."""
    asked = {key: policy[key] for key in ("name", "project", "protocol", "ports")}
    sides = {
        side: {part: policy[side][part] for part in ("zone", "project", "labels")} for side in ("source", "target")
    }
    return {**asked, **sides}


def parse_selector(words: list[str], *, option: str) -> dict[str, Any]:
    """Read `zone=`, `project=` and label words into a selector, as the API has it."""
    selector: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key or not value:
            raise typer.BadParameter(f"{word!r} is not zone=NAME, project=NAME or KEY=VALUE", param_hint=option)
        if key in ("zone", "project"):
            selector[key] = value
        else:
            labels[key] = value
    if labels:
        selector["labels"] = labels
    return selector
