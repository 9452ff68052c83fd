"""The main job, shown: two zones that stay apart on three hosts, told point by point. `make demo` runs this.

Each point says what was seen. A point that could not be carried out is not ok, and says why; the points after it are
still tried where they do not depend on it. The result is a table, and `build/demo.json`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ringfence.errors import RingfenceError
from ringfence.lab.demo_points import POINTS, Story
from ringfence.lab.joined import Cloud

RESULT = Path("build/demo.json")


@dataclass(kw_only=True)
class Point:
    """One numbered point: `ok` is what was seen, `measured` the figures and facts, `seconds` how long it took."""

    n: int
    name: str
    ok: bool = False
    measured: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def show(console: Console, *, keep: bool, name: str = "demo", result: Path = RESULT) -> bool:
    """Run the whole demo on a lab of this name; True if every point was seen to hold."""
    began = time.monotonic()
    points: list[Point] = []
    cloud = Cloud(
        name=name,
        host_count=3,
        tell=lambda line: console.print(f"  [dim]{escape(line)}", no_wrap=True, overflow="ellipsis"),
    )
    try:
        console.rule("[bold]ringfence: a cloud of three hosts on this machine")
        cloud.up()
        story = Story(cloud=cloud, console=console)
        for number, (what, tell) in enumerate(POINTS, start=1):
            points.append(_tell(number, what, tell, story, console))
    finally:
        story_seconds = time.monotonic() - began
        _write(points, story_seconds, result)
        if not keep:
            with console.status("taking the cloud away"):
                cloud.down()
    console.print(_table(points))
    console.print(f"{story_seconds:.0f} s in all; the figures are in {result}")
    _how_to_look_further(console, cloud, keep=keep)
    return len(points) == len(POINTS) and all(point.ok for point in points)


def _tell(number: int, name: str, tell: Callable[[Story], dict[str, Any]], story: Story, console: Console) -> Point:
    point = Point(n=number, name=name)
    console.rule(f"[bold]{number}. {name}", align="left")
    began = time.monotonic()
    try:
        point.measured = tell(story)
        seen = [value for key, value in point.measured.items() if key.startswith("seen_")]
        point.ok = bool(seen) and all(seen)
    except (RingfenceError, OSError, TimeoutError, KeyError, StopIteration, ValueError) as problem:
        point.measured = {"problem": str(problem) or type(problem).__name__}
        console.print(f"[red]{point.measured['problem']}")
    point.seconds = round(time.monotonic() - began, 1)
    console.print(f"[{'green' if point.ok else 'red'}]{'seen' if point.ok else 'NOT seen'}[/] in {point.seconds} s")
    return point


def _write(points: list[Point], seconds: float, result: Path) -> None:
    result.parent.mkdir(exist_ok=True)
    told = {"points": [asdict(point) for point in points], "seconds": round(seconds, 1)}
    unfinished = result.with_suffix(".new")
    unfinished.write_text(json.dumps(told, indent=2) + "\n")
    unfinished.replace(result)


def _table(points: list[Point]) -> Table:
    table = Table(title="What was shown", title_justify="left")
    for heading in ("", "point", "seen", "measured", "s"):
        table.add_column(heading, justify="right" if heading in ("", "s") else "left", overflow="fold")
    for point in points:
        figures = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in _figures(point.measured).items())
        mark = "[green]yes" if point.ok else "[red]NO"
        table.add_row(
            str(point.n), point.name, mark, figures or str(point.measured.get("problem", "")), f"{point.seconds}"
        )
    return table


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    """The numbers among what was measured, and what ought to have been seen and was not."""
    missing = {
        key.removeprefix("seen_"): "NOT seen"
        for key, value in measured.items()
        if key.startswith("seen_") and not value
    }
    return missing | {
        key: value for key, value in measured.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _how_to_look_further(console: Console, cloud: Cloud, *, keep: bool) -> None:
    if keep:
        program = Path(sys.executable).with_name("ringfence")
        for line in (
            "The cloud is still there.",
            f"    In a browser: {cloud.url}/ (sign in with the API token: cat {cloud.token_file})",
            f"    Its API:      {cloud.url}/docs",
            "To use it from a terminal:",
            f"    export RINGFENCE_URL={cloud.url} RINGFENCE_TOKEN=$(cat {cloud.token_file})",
            f"    alias ringfence={program}",
            "    ringfence vm list",
            "    ringfence vm console red-1      (leave it with Ctrl-])",
            f"    ringfence lab shell host1 --name {cloud.lab.name}",
        ):
            console.print(line, highlight=False, soft_wrap=True)
    else:
        console.print("[bold]make demo KEEP=1[/] leaves the cloud running, to look around in it.")
    console.print(
        "[bold].venv/bin/ringfence --help[/] tells what else there is; [bold]make clean[/] takes everything away."
    )


def run() -> None:
    """`python -m ringfence.lab.demo`, with `KEEP=1` in the environment to leave the cloud running."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    if os.geteuid() != 0:
        console.print("The demo makes namespaces and starts hypervisors: run it as root.")
        sys.exit(2)
    sys.exit(0 if show(console, keep=os.environ.get("KEEP", "") not in ("", "0")) else 1)


if __name__ == "__main__":
    run()
