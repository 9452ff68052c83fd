"""A wheel of ringfence, installed into an empty environment without a compiler, looks around as a user without rights.

It installs the dependencies from the package index that pip is set up with.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.needs import missing

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
RIGHTS: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
"""Of `nobody`, where these tests run as root."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everyone may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="ringfence-wheel-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def program(folder: Path) -> Path:
    """`ringfence`, from a wheel, in an environment of its own."""
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT])
    (wheel,) = folder.glob("ringfence-*.whl")
    run([python_for_everyone(), "-m", "venv", folder / "venv"])
    tools = folder / "tools"
    tools.mkdir()
    # A laptop's PATH, without compilers.
    run([folder / "venv" / "bin" / "pip", "install", wheel], PATH=str(tools), CC="no-compiler")
    return folder / "venv" / "bin" / "ringfence"


def python_for_everyone() -> str:
    """Find a Python that a user without rights may run: the one of these tests may lie below root's own folder."""
    check = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    for python in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3"):
        try:
            if (
                subprocess.run([python, "-c", check], check=False, capture_output=True, cwd="/", **RIGHTS).returncode
                == 0
            ):
                return python
        except PermissionError:
            continue
    raise missing("no Python of 3.11 or newer here can be run by a user without rights")


def run(command: list[str | Path], **environment: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_it_installs_without_a_compiler_runs_without_rights_and_leaves_nothing(program, folder) -> None:
    home = folder / "home"
    home.mkdir()
    if RIGHTS:
        os.chown(home, NOBODY, NOBODY)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": str(home), "LANG": "C.UTF-8"}
    with subprocess.Popen(
        [program, "try", "--vms", "6"],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **RIGHTS,
    ) as process:
        try:
            told = ""
            # The first deed of its life: everything before it was made and works.
            for line in process.stdout:
                told += line
                if re.search(r"\d\d:\d\d:\d\d  ", line):
                    break
            else:
                pytest.fail(told + process.stderr.read())
            url, token = re.search(r"RINGFENCE_URL=(\S+) RINGFENCE_TOKEN=(\S+)", told).groups()
            answer = httpx.get(f"{url}/v1/vms", headers={"Authorization": f"Bearer {token}"})
            assert answer.headers["ringfence-simulated"] == "true"
            assert answer.json()["items"]
            assert httpx.get(f"{url}/docs").status_code == 200
            assert list(home.iterdir()) != []
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=60)
            assert process.returncode == 0, complaints
            assert time.monotonic() - began < 10
        finally:
            process.kill()
    assert list(home.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v1/about")
