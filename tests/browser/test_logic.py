"""What the web interface reckons by itself: its unit tests, run by Vitest."""

from __future__ import annotations

import subprocess

import pytest
from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser


def test_the_logic_of_the_pages_holds() -> None:
    ran = subprocess.run(
        ["npm", "run", "--silent", "test"], cwd=ROOT / "web", capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
