"""`ringfence verify`: has the controller examine the running cloud, and prints the evidence promise by promise."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ringfence.cli.main import EXIT_FAILED
from ringfence.cli.options import OutputOption, WaitOption, connect
from ringfence.cli.output import Output, out, show_value
from ringfence.cli.progress import finish
from ringfence.model.evidence import Promise, Verdict

app = typer.Typer(no_args_is_help=False)

MARKS = {
    Verdict.KEPT: ("✓", "green"),
    Verdict.BROKEN: ("✗", "bold red"),
    Verdict.UNKNOWN: ("?", "yellow"),
    Verdict.PENDING: ("·", "dim"),
}


@app.command("verify")
def verify(
    ctx: typer.Context,
    wait: WaitOption = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 also when something could not be looked at.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Examine the running cloud and print evidence, promise by promise; exits 1 if a promise is broken.

    Example: ringfence verify -o json
    """
    with connect(ctx) as client:
        operation = finish(client, client.create("/v1/verifications"), wait=wait, output=output)
    if operation is None:
        return
    findings = operation.get("result", {}).get("findings", [])
    if output is Output.TABLE:
        show_findings(findings, out())
    else:
        show_value(operation["result"], output)
    verdicts = {finding["verdict"] for finding in findings}
    # No findings is no evidence: a verification that looked at nothing has shown nothing.
    if not findings or Verdict.BROKEN in verdicts or (strict and Verdict.UNKNOWN in verdicts):
        raise typer.Exit(EXIT_FAILED)


def show_findings(findings: list[dict[str, Any]], console: Console) -> None:
    """Print each promise with the questions asked and what was seen."""
    ordered = sorted(findings, key=lambda finding: int(finding["promise"]))
    for number, group in groupby(ordered, key=lambda finding: int(finding["promise"])):
        title = Promise(number).name.replace("_", " ").capitalize()
        console.print(Text(f"{number}. {title}", style="bold"))
        for finding in group:
            mark, style = MARKS[Verdict(finding["verdict"])]
            console.print(Text.assemble("  ", (mark, style), f" {finding['question']} ", (finding["seen"], "dim")))
            for item in finding.get("items", [])[1:]:
                console.print(Text(f"      {item}", style=style))
    counts = [f"{sum(f['verdict'] == v for f in findings)} {v.value}" for v in Verdict]
    console.print(Text(", ".join(counts), style="bold"))
