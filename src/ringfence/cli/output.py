"""What a command prints: tables for people, JSON and YAML for programs, errors.

Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.errors import StyleSyntaxError
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ringfence.errors import RingfenceError

Json = dict[str, Any]
Cell = str | Text


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


STATE_STYLES = {
    "ready": "green",
    "running": "green",
    "done": "green",
    "kept": "green",
    "cordoned": "yellow",
    "draining": "yellow",
    "joining": "cyan",
    "importing": "cyan",
    "creating": "cyan",
    "starting": "cyan",
    "stopping": "cyan",
    "moving": "cyan",
    "deleting": "cyan",
    "pending": "cyan",
    "rolling-back": "yellow",
    "stopped": "dim",
    "quarantined": "bold red",
    "failed": "bold red",
    "broken": "bold red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, or one line of a single thing's sheet."""

    title: str
    cell: Callable[[Json], Cell]
    right: bool = False


def field(title: str, key: str) -> Column:
    """Show a field as it is; lists with commas, mappings as key=value."""
    return Column(title=title, cell=lambda item: shown(item.get(key)))


def state(title: str = "STATE", key: str = "state") -> Column:
    return Column(title=title, cell=lambda item: styled_state(str(item.get(key, ""))))


def size(title: str, key: str) -> Column:
    """Show a number of bytes in binary units."""
    return Column(title=title, cell=lambda item: binary_size(item.get(key)), right=True)


def age(title: str, key: str) -> Column:
    """Show a time in UTC as how long ago it was."""
    return Column(title=title, cell=lambda item: ago(item.get(key)))


def zone(title: str = "ZONE", key: str = "zone", colours: Mapping[str, str] | None = None) -> Column:
    """Show a zone's name in its colour."""
    return Column(title=title, cell=lambda item: zone_name(str(item.get(key) or ""), (colours or {})))


def zone_name(name: str, colours: Mapping[str, str]) -> Text:
    colour = re.sub(r"^#(\w)(\w)(\w)$", r"#\1\1\2\2\3\3", colours.get(name, ""))
    try:
        return Text(name, style=Style.parse(colour) if colour else "")
    except StyleSyntaxError:
        return Text(name)


def styled_state(text: str) -> Text:
    return Text(text, style=STATE_STYLES.get(text, ""))


def binary_size(value: object) -> str:
    """Format bytes: `1536` → `1.5 KiB`."""
    if not isinstance(value, int | float):
        return ""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024 or unit == "TiB":
            return f"{amount:.0f} {unit}" if amount == int(amount) else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


def ago(value: object, now: datetime | None = None) -> str:
    """Format an ISO 8601 time as an age: `3 min ago`; an empty string for none."""
    if not value:
        return ""
    seconds = int(((now or datetime.now(UTC)) - datetime.fromisoformat(str(value))).total_seconds())
    if seconds < 2:
        return "now"
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def shown(value: object) -> str:
    """Format any JSON value for a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{k}={shown(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(v) for v in value)
    return str(value)


def show_list(items: Sequence[Json], columns: Sequence[Column], output: Output, *, what: str) -> None:
    """Print a list; `what` names its items where there are none."""
    if output is not Output.TABLE:
        show_value(list(items), output)
        return
    if not items:
        notice(f"There are no {what}.")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for item in items:
        table.add_row(*(column.cell(item) for column in columns))
    out().print(table)


def show_one(item: Json, columns: Sequence[Column], output: Output) -> None:
    """Print one thing, a line for each column that is not empty."""
    if output is not Output.TABLE:
        show_value(item, output)
        return
    sheet = Table(box=None, show_header=False, pad_edge=False)
    sheet.add_column(style="bold")
    sheet.add_column(overflow="fold")
    for column in columns:
        cell = column.cell(item)
        if str(cell):
            sheet.add_row(column.title.lower(), cell)
    out().print(sheet)


def show_value(value: Any, output: Output) -> None:
    """Print a JSON value for a program."""
    if output is Output.YAML:
        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def notice(text: str) -> None:
    """Tell a person something that is not the result."""
    err().print(text, highlight=False, markup=False)


def show_error(error: RingfenceError) -> None:
    """Print what happened, its code, and what to do about it."""
    # The record tells what was meant, also of an error whose class only the controller knows.
    record = error.record()
    title = {"refused": "Refused", "unreachable": "Out of reach"}.get(record.family, "Not finished")
    console = err()
    console.print(Text.assemble((title, "bold red"), (f" [{record.code}]", "dim")))
    console.print(Text(error.message))
    if error.remedy:
        console.print(Text.assemble(("What to do: ", "bold"), error.remedy))


def out() -> Console:
    """Give the console of results; a width of its own when nobody watches, so that scripts see whole lines."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def err() -> Console:
    """Give the console of everything else; it does not break lines that a script may search."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
