"""The web interface's packages are pinned by their hashes, and nothing tells where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.tidy

WEB = Path(__file__).resolve().parents[2] / "web"
LOCK = (WEB / "package-lock.json").read_text()


def test_every_npm_package_is_pinned_by_a_hash_and_without_an_address() -> None:
    packages = {name: of for name, of in json.loads(LOCK)["packages"].items() if name}
    assert len(packages) > 100
    assert [name for name, of in packages.items() if not of.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, of in packages.items() if "resolved" in of] == []


def test_the_lock_says_what_the_package_asks_for() -> None:
    asked = json.loads((WEB / "package.json").read_text())
    locked = json.loads(LOCK)["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        assert locked[kind] == asked[kind], "run `npm install` in web/"
