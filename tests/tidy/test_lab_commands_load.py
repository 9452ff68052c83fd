"""The commands of the lab and of `try` are named in the help of `ringfence` without loading what they are made of."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.tidy

HEAVY = (
    "ringfence.lab.joined",
    "ringfence.lab.cloud",
    "ringfence.lab.guests",
    "ringfence.adapters",
    "ringfence.controller",
    "ringfence.tryout.simulation",
    "sqlalchemy",
    "ovs",
)


def test_these_commands_import_nothing_heavy_before_one_is_run():
    told = subprocess.run(
        [sys.executable, "-c", "import ringfence.lab.cli, ringfence.tryout.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert not set(HEAVY) & set(told.stdout.split())
