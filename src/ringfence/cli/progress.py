"""An operation's progress: a live list of steps on a terminal, a line a step elsewhere; always on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ringfence.cli.output import Output, age, err, field, notice, show_one, state
from ringfence.client.connection import Client
from ringfence.errors import ErrorRecord, RingfenceError, Unfinished, from_record

Json = dict[str, Any]

VERBS = {
    "create-vm": "create VM",
    "start-vm": "start VM",
    "stop-vm": "stop VM",
    "delete-vm": "delete VM",
    "move-vm": "move VM",
    "apply-fence": "apply fence for",
    "import-image": "import image",
    "verify": "verify the",
}

OPERATION_COLUMNS = (
    field("ID", "id"),
    field("KIND", "kind"),
    field("SUBJECT", "subject_name"),
    state(),
    age("BEGAN", "created_at"),
    age("ENDED", "ended_at"),
)


def finish(client: Client, operation: Json, *, wait: bool, output: Output) -> Json | None:
    """Follow the operation to its end and give it; raises the error it failed with.

    With `wait` False the operation itself is printed as the result, and None is given.
    """
    if not wait:
        show_one(operation, OPERATION_COLUMNS, output)
        if output is Output.TABLE:
            notice(f"Follow it with: ringfence operation watch {operation['id']}")
        return None
    return watch(client, operation)


def in_force(client: Client, answer: Json, *, wait: bool) -> None:
    """Follow the operation that brings a change to the switches, where the answer names one."""
    if wait and answer.get("operation"):
        watch(client, {"id": answer["operation"]})


def watch(client: Client, operation: Json) -> Json:
    """Show the operation's steps until it ends; raises the error it failed with."""
    last = operation
    with _view() as view:
        for last in client.follow(str(operation["id"])):
            view.show(last)
    if last.get("state") == "failed":
        raise failure(last)
    return last


def failure(operation: Json) -> RingfenceError:
    """Build the error that the operation failed with."""
    told = operation.get("error")
    if not told:
        return Unfinished()
    return from_record(
        ErrorRecord(
            code=str(told.get("code", "")),
            family=str(told.get("family", "unfinished")),
            status=int(told.get("status", 500)),
            message=str(told.get("message", "")),
            remedy=str(told.get("remedy", "")),
            facts=dict(told.get("facts") or {}),
        )
    )


def steps_table(operation: Json, running: Spinner | None = None) -> Table:
    """Lay the operation's steps out; `running` stands before the one under way."""
    steps = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for step in operation.get("steps", []):
        under_way = step["state"] == "running"
        mark = (running or Text("…", style="cyan")) if under_way else _mark(step)
        steps.add_row(mark, step["name"], Text(_took(step), style="dim"), Text(step.get("detail") or "", style="dim"))
    return steps


class _LiveView:
    """Redraws the steps in place; the last picture stays."""

    def __init__(self, console: Console) -> None:
        self._operation: Json = {}
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, operation: Json) -> None:
        self._operation = operation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:  # Rich calls it
        yield _title(self._operation)
        yield steps_table(self._operation, self._spinner)


class _LineView:
    """Prints each step once, when it has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[tuple[int, str]] = set()
        self._titled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def show(self, operation: Json) -> None:
        if not self._titled:
            self._console.print(_title(operation))
            self._titled = True
        for step in self._new_steps(operation):
            parts = (" ", _mark(step), f" {step['name']} ", (_took(step), "dim"), f" {step.get('detail') or ''}")
            self._console.print(Text.assemble(*parts), soft_wrap=True)

    def _new_steps(self, operation: Json) -> Iterator[Json]:
        for step in operation.get("steps", []):
            key = (step["number"], step["state"])
            if step["state"] != "running" and key not in self._told:
                self._told.add(key)
                yield step


def _view() -> _LiveView | _LineView:
    console = err()
    return _LiveView(console) if console.is_terminal else _LineView(console)


def _title(operation: Json) -> Text:
    kind = str(operation.get("kind", ""))
    subject = str(operation.get("subject_name") or "")
    text = Text(f"{VERBS.get(kind, kind)} {subject}".strip(), style="bold")
    if operation.get("state") == "rolling-back":
        text.append(" (rolling back)", style="yellow")
    return text


def _mark(step: Json) -> Text:
    return Text("✗", style="red") if step["state"] == "failed" else Text("✓", style="green")


def _took(step: Json) -> str:
    if not step.get("ended_at"):
        return ""
    took = datetime.fromisoformat(step["ended_at"]) - datetime.fromisoformat(step["started_at"])
    return f"{took.total_seconds():.1f} s"
