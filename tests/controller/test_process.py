"""The controller as a program: what it prints, what it leaves on disk, how it ends, and TLS."""

from __future__ import annotations

import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.store

COMMAND = [sys.executable, "-c", "from ringfence.controller.main import run; run()"]
LOOPBACK = ["--listen", "127.0.0.1:0", "--agents-listen", "127.0.0.1:0"]


@contextmanager
def controller(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run a controller; gives what it told until it said that it is ready."""
    command = [*COMMAND, "--data", str(folder), *LOOPBACK, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told: dict[str, str] = {}
            for line in process.stdout:
                if line == "ready\n":
                    break
                for name in ("API", "hosts dial", "CA fingerprint", "admin token"):
                    if line.startswith(f"  {name} "):
                        told[name] = line.removeprefix(f"  {name} ").split()[0]
            else:
                pytest.fail(process.stderr.read())
            yield process, told
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> float:
    """Ask it to stop; gives how many seconds it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    return time.monotonic() - began


def test_the_token_is_shown_at_the_first_start_and_never_again(tmp_path) -> None:
    with controller(tmp_path / "data") as (process, first):
        asked = httpx.get(f"{first['API']}/v1/zones", headers={"Authorization": f"Bearer {first['admin token']}"})
        assert asked.status_code == 200
        assert httpx.get(f"{first['API']}/v1/about").json()["simulated"] is False
        assert "ringfence-simulated" not in asked.headers
        assert end(process) < 5
        assert process.returncode == 0
        assert first["admin token"] not in process.stderr.read()
    with controller(tmp_path / "data") as (process, second):
        assert "admin token" not in second
        assert second["CA fingerprint"] == first["CA fingerprint"]
        asked = httpx.get(f"{second['API']}/v1/zones", headers={"Authorization": f"Bearer {first['admin token']}"})
        assert asked.status_code == 200
    for folder, _folders, files in os.walk(tmp_path / "data"):
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700, folder
        for name in files:
            path = Path(folder) / name
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
            assert first["admin token"].encode() not in path.read_bytes(), path


def test_it_ends_soon_while_events_are_followed(tmp_path) -> None:
    with controller(tmp_path / "data") as (process, told):
        with httpx.Client(base_url=told["API"], headers={"Authorization": f"Bearer {told['admin token']}"}) as http:
            # Without a northbound every create ends refused, and each operation is followed to its end.
            network = http.post("/v1/networks", json={"name": "n", "cidr": "10.1.0.0/24"}).json()
            with http.stream("GET", f"/v1/operations/{network['operation']}/events") as events:
                last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
            assert '"fence-unset"' in last
            took = end(process)
        assert took < 5, f"it took {took:.1f} s"


def test_over_tls_the_api_shows_a_certificate_of_the_ca(tmp_path) -> None:
    with controller(tmp_path / "data", "--tls", "--names", "cloud.example") as (_, told):
        context = ssl.create_default_context(cafile=tmp_path / "data" / "ca" / "ca.crt")
        assert told["API"].startswith("https://")
        with httpx.Client(base_url=told["API"], verify=context, trust_env=False) as http:
            assert http.get("/openapi.json").json()["info"]["title"] == "ringfence"
        with httpx.Client(base_url=told["API"], trust_env=False) as http, pytest.raises(httpx.ConnectError):
            http.get("/")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--listen", "0.0.0.0:0"], "TLS"),
        (["--database", "mysql://x/y"], "sqlite"),
        (["--northbound", "unix:/nowhere"], "southbound"),
        (["--listen", "192.0.2.77:8470", "--tls"], "assign"),
    ],
)
def test_a_start_that_is_refused_says_why_in_one_line(tmp_path, flags, told) -> None:
    command = [*COMMAND, "--data", str(tmp_path / "data"), *LOOPBACK, *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_certify_issues_what_the_central_needs(tmp_path) -> None:
    command = [*COMMAND, "--data", str(tmp_path / "data"), "certify", "--name", "central"]
    command += ["--address", "192.0.2.250", "--address", "central.example", "--out", str(tmp_path / "pki")]
    files = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert [Path(file).name for file in files] == ["central.key", "central.crt", "ca.crt"]
    assert stat.S_IMODE(Path(files[0]).stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    context.load_verify_locations(files[2])


def test_a_bootstrap_of_no_southbound_is_refused(tmp_path) -> None:
    command = [*COMMAND, "--data", str(tmp_path / "data"), "bootstrap-southbound"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "--southbound" in ended.stderr
    assert "Traceback" not in ended.stderr
