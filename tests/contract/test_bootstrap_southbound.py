"""`ringfence-controller bootstrap-southbound`, as an operator runs it, on a real southbound."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.contract.ovn import Central, lab_root

from ringfence.adapters.southbound import ROLE

pytestmark = pytest.mark.contract

COMMAND = [sys.executable, "-c", "from ringfence.controller.main import run; run()"]


@pytest.fixture
def central() -> Iterator[Central]:
    # A socket's path is short; pytest's folders are not.
    made = Central(lab_root(), Path(mkdtemp(prefix="rf")))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_the_role_is_there_afterwards_wherever_the_flag_stands(central: Central, tmp_path: Path) -> None:
    flag, verb = ["--southbound", central.southbound], ["bootstrap-southbound"]
    for words in (flag + verb, verb + flag):
        command = [*COMMAND, "--data", str(tmp_path / "data"), *words]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        roles = central.sbctl("--bare", "--columns=name", "list", "RBAC_Role").split()
        assert roles.count(ROLE) == 1
