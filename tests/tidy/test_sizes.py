"""Modules and functions stay of a size one can read; what is too large may only shrink."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.tidy

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 60
RATCHET = tomllib.loads((Path(__file__).parent / "sizes.toml").read_text())


def modules() -> Iterator[Path]:
    return (path for path in (ROOT / "src").rglob("*.py") if "migrations/versions" not in path.as_posix())


def large_modules() -> dict[str, int]:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    return {name: size for name, size in sizes.items() if size > MODULE_LINES}


def large_functions() -> dict[str, int]:
    found = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES:
                    found[f"{path.relative_to(ROOT)}::{node.name}"] = size
    return found


@pytest.mark.parametrize(("kind", "measure"), [("modules", large_modules), ("functions", large_functions)])
def test_nothing_grows_past_its_limit_and_the_ratchet_only_goes_down(kind: str, measure) -> None:
    assert measure() == RATCHET.get(kind, {})
