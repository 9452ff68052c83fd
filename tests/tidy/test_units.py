"""The agent's systemd units: systemd understands every line, and finds each no more exposed than it was."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.needs import missing

pytestmark = pytest.mark.tidy

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "agent"
MOST_EXPOSED = {"ringfence-agent.service": 2.0, "ringfence-agent-root.service": 3.5, "ringfence-firewall.service": 3.0}
"""As `systemd-analyze security` counts: 0 is confined, 10 is not at all. Entries only shrink."""


def analyze(*arguments: str) -> str:
    """Run systemd-analyze; gives all that it said."""
    if shutil.which("systemd-analyze") is None:
        raise missing("no systemd-analyze: install systemd")
    ran = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


def complaints(units: list[Path], folder: Path) -> list[str]:
    """What systemd says against the units, with a program where each wants one."""
    program = folder / "ringfence-agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for unit in units:
        copies.append(folder / unit.name)
        copies[-1].write_text(unit.read_text().replace("/usr/bin/ringfence-agent", str(program)))
    # Of the machine's own units it may say what it likes.
    return [line for line in analyze("verify", *map(str, copies)).splitlines() if "ringfence" in line]


def test_systemd_understands_every_line_of_our_units(tmp_path: Path) -> None:
    assert {unit.name for unit in FOLDER.glob("*.service")} == set(MOST_EXPOSED)
    assert complaints(sorted(FOLDER.glob("*.service")), tmp_path) == []


def test_a_line_that_systemd_does_not_understand_is_found(tmp_path: Path) -> None:
    unit = tmp_path / "ringfence-odd.service"
    unit.write_text("[Service]\nExecStart=/usr/bin/ringfence-agent run\nProtectEverything=yes\n")
    (tmp_path / "copies").mkdir()
    assert any("ProtectEverything" in line for line in complaints([unit], tmp_path / "copies"))


@pytest.mark.parametrize("name", MOST_EXPOSED)
def test_a_unit_is_no_more_exposed_than_it_was(name: str) -> None:
    said = analyze("security", "--offline=true", str(FOLDER / name))
    told = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert told, said
    assert float(told[1]) <= MOST_EXPOSED[name], said
