"""`ringfence ledger` and `vm custody` as a program: what they print is what an auditor checks, and lies are found."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from sqlalchemy import delete, text
from tests.cli.test_commands_on_a_controller import CREATE, Ringfence, furnished, ringfence  # noqa: F401
from tests.controller.conftest import Cloud

from ringfence.store.tables import ledger_entries, ledger_heads, ledger_tiles

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def own_state(ringfence: Ringfence, tmp_path) -> None:  # noqa: F811
    ringfence.environment["XDG_STATE_HOME"] = str(tmp_path / "state")


def test_an_auditor_walks_by_the_command_line(ringfence: Ringfence, tmp_path) -> None:  # noqa: F811
    ringfence("zone create red")
    ringfence("zone delete red --yes", code=1)
    ringfence("zone delete red --yes --reason", "größer geplant")
    entry = ringfence.json("ledger list --kind zone")[-1]
    assert (entry["action"], entry["reason"]) == ("remove", "größer geplant")
    assert "größer geplant" in ringfence(f"ledger show {entry['index']}").stdout
    for name, words in (
        ("audit.py", "ledger auditor"),
        ("proof", f"ledger proof {entry['index']}"),
        ("checkpoint", "ledger checkpoint"),
        ("ledger.jsonl", "ledger export"),
    ):
        (tmp_path / name).write_text(ringfence(words).stdout)
    key = ringfence("ledger key").stdout.strip()
    for words in (["entry", "proof"], ["log", "checkpoint", "ledger.jsonl"]):
        command = [sys.executable, "audit.py", key, *words]
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    events = ringfence("ledger export --format ocsf").stdout.splitlines()
    assert json.loads(events[-1])["metadata"]["version"] == "1.3.0"


def test_verify_knows_the_last_time_and_finds_a_past_written_anew(ringfence: Ringfence, cloud: Cloud) -> None:  # noqa: F811
    ringfence("zone create red")
    assert "whole" in ringfence("ledger verify").stderr
    ringfence("zone create blue")
    assert "begins with" in ringfence("ledger verify").stderr
    store = cloud.controller._parts.store
    with store.transaction() as session:
        for event in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER ledger_entries_stay_{event}"))
        for table in (ledger_entries, ledger_tiles, ledger_heads):
            session.execute(delete(table))
    for number in range(9):
        ringfence(f"zone create other{number}")
    assert "not its beginning any more" in ringfence("ledger verify", code=1).stderr
    assert "whole" in ringfence("ledger verify --forget").stderr


def test_custody_is_told_of_a_vm_that_is_gone(furnished: Ringfence) -> None:  # noqa: F811
    furnished(CREATE)
    now = furnished.json("vm custody web")
    assert [address["address"] for address in now["periods"][-1]["addresses"]] == ["10.20.0.2"]
    furnished("vm delete web --yes")
    life = furnished.json("vm custody web")["periods"]
    assert life[-1]["until"] is not None
    placed = next(period for period in life if period["host"])
    told = furnished(f"vm custody web --at {placed['since']}").stdout
    assert "ada@example.org" in told
    assert placed["host"] in told
    furnished("vm custody web --at 2000-01-01T00:00Z", code=1)
