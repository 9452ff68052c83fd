"""The documents agree with the code, and with one another."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.tidy

ROOT = Path(__file__).resolve().parents[2]


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["cli.md", "errors.md", "roles.md"])
def test_a_generated_page_is_fresh(page: str) -> None:
    pages = {path.name: text for path, text in generator().pages().items()}
    assert (ROOT / "docs" / "reference" / page).read_text() == pages[page], "run `make generate`"


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).parent / "mkdocs"
    done = subprocess.run(
        [mkdocs, "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in tmp_path.rglob("*.html"):
        asked = re.findall(r'(?:src|<link[^>]* href)="(?:https?:)?//[^"]+', page.read_text())
        assert not [a for a in asked if 'rel="canonical"' not in a], f"{page.name} asks another server for something"


def test_the_changelog_has_its_form() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    versions = [line for line in lines if line.startswith("## ")]
    assert versions
    for line in versions:
        assert re.fullmatch(r"## (Unreleased|\d+\.\d+\.\d+ — \d{4}-\d{2}-\d{2})", line), line
    for line in (line for line in lines if line.startswith("### ")):
        assert line[4:] in ("Added", "Changed", "Fixed", "Removed", "Security"), line


def test_the_licence_is_the_one_the_project_names() -> None:
    assert re.search(r"Apache License\s+Version 2\.0", (ROOT / "LICENSE").read_text())
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_the_readme_shows_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "    make demo" in readme
    assert "    make test" in readme


def test_every_decision_has_its_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    # Branches that are written at the same time take numbers from ranges of their own: a gap says nothing.
    assert len(set(numbers)) == len(numbers) >= 22, "each number once"
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Status"], page.name


def test_requirements_agree_with_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {name_of(each) for each in [*project["dependencies"], *project["optional-dependencies"]["dev"]]}
    pinned: set[str] = set()
    asked_for: set[str] = set()
    name = ""
    text = (ROOT / "requirements.txt").read_text()
    for line in text.splitlines():
        if found := re.match(r"([a-z0-9-]+)==", line):
            name = found[1]
            pinned.add(name)
        if re.search(r"\bringfence\b.*\(pyproject\.toml\)", line):
            asked_for.add(name)
    assert wanted - pinned == set(), "run `make requirements`"
    assert asked_for - {"psycopg-binary"} == wanted, "run `make requirements`"
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(pinned)


def name_of(requirement: str) -> str:
    return re.split(r"[\[=<>~; ]", requirement)[0].lower().replace("_", "-")
