"""The lab's commands are named in the help of `ringfence` without loading what they are made of."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.tidy

HEAVY = (
    "ringfence.lab.joined",
    "ringfence.lab.cloud",
    "ringfence.lab.guests",
    "ringfence.adapters",
    "sqlalchemy",
    "ovs",
)


def test_the_labs_commands_import_nothing_heavy_before_one_is_run():
    told = subprocess.run(
        [sys.executable, "-c", "import ringfence.lab.cli, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert not set(HEAVY) & set(told.stdout.split())
