"""PROMISES.md: each line names a test that exists, or says that it is pending."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.tidy

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = range(1, 8)


def rows() -> list[tuple[int, str, list[str]]]:
    """Every promise's lines: its number, the line, and the cell that names tests."""
    found = []
    number = 0
    for line in (ROOT / "PROMISES.md").read_text().splitlines():
        if heading := re.match(r"## (\d)\. ", line):
            number = int(heading[1])
        elif line.startswith("| ") and not line.startswith(("| ---", "| what ")):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.append((number, cells[0].lstrip("| "), cells))
    return found


def named_tests(cells: list[str]) -> list[str]:
    return re.findall(r"`(tests/[^`]+\.py::[^`]+)`", " ".join(cells))


def test_every_promise_has_lines() -> None:
    assert {number for number, _, _ in rows()} == set(NUMBERS)


@pytest.mark.parametrize(("number", "line", "cells"), rows(), ids=lambda value: str(value)[:60])
def test_a_line_names_a_test_that_exists_or_says_pending(number: int, line: str, cells: list[str]) -> None:
    named = named_tests(cells)
    pending = "pending" in cells[-1]
    assert bool(named) != pending, f"promise {number}: {line}: either tests, or pending"
    for each in named:
        path, _, name = each.partition("::")
        assert (ROOT / path).is_file(), each
        defined = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")}
        assert name.split("[")[0] in defined, each
