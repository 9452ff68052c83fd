"""`ringfence operation`."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import LimitOption, OperationArgument, OutputOption, connect
from ringfence.cli.output import Output, err, out, show_list, show_one, show_value
from ringfence.cli.progress import OPERATION_COLUMNS, failure, steps_table, watch
from ringfence.model.operations import OperationState

app = typer.Typer(no_args_is_help=True, help="Operations: the long-running actions, with their steps.")


@app.command("list")
def list_operations(
    ctx: typer.Context,
    state: Annotated[OperationState | None, typer.Option("--state", help="Only those in this state.")] = None,
    limit: LimitOption = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the operations, newest first.

    Example: ringfence operation list --state failed
    """
    with connect(ctx) as client:
        show_list(
            list(client.pages("/v1/operations", limit=limit, state=state and state.value)),
            OPERATION_COLUMNS,
            output,
            what="operations",
        )


@app.command("show")
def show_operation(ctx: typer.Context, operation: OperationArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one operation: its steps, and why it failed if it did.

    Example: ringfence operation show 0197a1c2-…
    """
    with connect(ctx) as client:
        found = client.get(f"/v1/operations/{operation}")
    show_one(found, OPERATION_COLUMNS, output)
    if output is Output.TABLE:
        out().print(steps_table(found))
        if found.get("error"):
            err().print(str(failure(found)), markup=False)


@app.command("watch")
def watch_operation(ctx: typer.Context, operation: OperationArgument, output: OutputOption = Output.TABLE) -> None:
    """Follow an operation to its end; exits 1 if it fails.

    Example: ringfence operation watch 0197a1c2-…
    """
    with connect(ctx) as client:
        ended = watch(client, {"id": operation})
    if output is not Output.TABLE:
        show_value(ended, output)
