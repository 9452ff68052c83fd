"""What must not stand in a tracked file: registries, this machine's paths, leftovers, names that say nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.tidy

ROOT = Path(__file__).resolve().parents[2]
BANNED_NAMES = {"utils", "helpers", "common", "misc", "base", "manager", "handler", "service", "data", "info"}
# In two pieces each, so that this file passes its own test.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "deb.debian" + ".org", "npmjs" + ".com"]
LEFTOVERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|TO-" + r"WRITE)\b")
SUFFIXES = {".py", ".md", ".toml", ".txt", ".sh", ".yml", ".service", ".socket", ""}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.fail("these tests read the list of tracked files from git")
    names = [name for name in listed.stdout.split("\0") if name]
    return [path for path in (ROOT / name for name in names) if path.suffix in SUFFIXES and path.is_file()]


def found(pattern: re.Pattern[str]) -> list[str]:
    hits = []
    for path in tracked():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if pattern.search(line):
                hits.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return hits


def test_no_registry_stands_in_a_tracked_file() -> None:
    assert found(re.compile("|".join(re.escape(name) for name in REGISTRIES))) == []


def test_no_path_of_a_machine_stands_in_a_tracked_file() -> None:
    places = [r"/home/[a-z]", r"/Users/[A-Za-z]"]
    # A checkout at the top of the disk has a name too short to tell from any other path.
    if len(ROOT.parts) > 2:
        places.append(re.escape(str(ROOT)) + r"\b")
    assert found(re.compile("|".join(places))) == []


def test_nothing_is_left_for_later_in_a_tracked_file() -> None:
    assert found(LEFTOVERS) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [path for path in (ROOT / "src").rglob("*.py") if set(path.stem.split("_")) & BANNED_NAMES]
    assert named == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if not re.match(r'\s*(#.*\n)*\s*"""\S', path.read_text())
    ]
    assert silent == []
