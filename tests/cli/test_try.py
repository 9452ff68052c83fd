"""`ringfence try` as a program: what it shows and says of itself, that its cloud lives, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringfence.client.connection import Client
from ringfence.client.settings import Settings
from ringfence.controller.settings import Address
from ringfence.model.zones import ZoneForbids
from ringfence.tryout import example
from ringfence.tryout.crowd import add_crowd
from ringfence.tryout.life import Life
from ringfence.tryout.simulation import Simulation

pytestmark = pytest.mark.contract

PROGRAM = Path(sys.executable).parent / "ringfence"
BEGINS = "All VMs are there."


@dataclass
class Try:
    """A running `ringfence try`."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    told: str

    @property
    def client(self) -> Client:
        return Client(Settings(url=self.environment["RINGFENCE_URL"], token=self.environment["RINGFENCE_TOKEN"]))

    def read_until(self, words: str) -> str:
        for line in self.process.stdout:
            self.told += line
            if words in line:
                return self.told
        pytest.fail(self.told + self.process.stderr.read())

    def end(self, number: int = signal.SIGINT) -> tuple[float, str]:
        """Ask it to end; gives how many seconds it took, and what else it said."""
        began = time.monotonic()
        self.process.send_signal(number)
        said, complaints = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, complaints
        assert "Traceback" not in complaints
        return time.monotonic() - began, said


@contextmanager
def trying(folder: Path, *flags: str) -> Iterator[Try]:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), "XDG_CONFIG_HOME": str(folder / "config"), "NO_COLOR": "1"}
    with subprocess.Popen(
        [PROGRAM, "try", *flags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            running = Try(process, environment, "")
            running.read_until("End it with Ctrl-C.")
            exported = re.search(r"export RINGFENCE_URL=(\S+) RINGFENCE_TOKEN=(\S+)", running.told)
            assert exported, running.told
            environment |= {"RINGFENCE_URL": exported[1], "RINGFENCE_TOKEN": exported[2]}
            yield running
        finally:
            process.kill()


def test_it_says_what_it_is_and_leaves_nothing(tmp_path) -> None:
    with trying(tmp_path, "--vms", "9", "--still") as running:
        assert "SIMULATED" in running.told
        assert httpx.get(f"{running.environment['RINGFENCE_URL']}/v1/about").json()["simulated"] is True
        running.read_until(BEGINS)
        with running.client as client:
            zones = {host["name"]: set() for host in client.pages("/v1/hosts", limit=100)}
            vms = list(client.pages("/v1/vms", limit=100))
            for vm in vms:
                zones[vm["host"]].add(vm["zone"])
            assert client.simulated
            assert len(list(client.pages("/v1/operations", limit=100, kind="create-vm"))) >= len(vms)
        assert {vm["state"] for vm in vms} == {"running"}
        assert len(vms) == 9
        assert all(len(beside) == 1 or beside == set(example.MIXING) for beside in zones.values() if beside)

        commands = re.findall(r"^    (ringfence .*)$", running.told, re.MULTILINE)
        assert len(commands) == 3
        for command in commands:
            ran = subprocess.run(
                [PROGRAM, *command.split()[1:]],
                env=running.environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
            assert "SIMULATED" in ran.stderr
        assert "0 kept" in ran.stdout
        console = subprocess.run(
            [PROGRAM, "vm", "console", "mine"],
            env=running.environment,
            input="whoami\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert console.stdout.startswith("SIMULATED console of VM")
        took, said = running.end()
        assert took < 10, f"it took {took:.1f} s"
        assert "Nothing is left." in said
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "config").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.environment["RINGFENCE_URL"])


def test_its_cloud_lives_and_every_deed_can_be_done(tmp_path) -> None:
    with trying(tmp_path, "--vms", "9", "--still") as running, running.client as client:
        running.read_until(BEGINS)
        told: list[str] = []
        life = Life(client, seed=7, vm_count=9, ended=threading.Event(), tell=told.append)
        # Each deed by itself: what it may not do raises here, where living on would leave it.
        for deed in (life._create, life._move, life._stop, life._start, life._relabel, life._delete):
            deed()
        life._be_refused()
        life._cordon_and_uncordon()
        ended = list(client.pages("/v1/operations", limit=100))
        done = {operation["kind"] for operation in ended if operation["state"] == "done"}
        assert done >= {"create-vm", "move-vm", "stop-vm", "start-vm", "delete-vm", "apply-fence"}
        refused = [operation for operation in ended if operation["state"] == "failed"]
        assert [(one["kind"], one["error"]["code"]) for one in refused] == [("create-vm", "no-host-fits")]
        assert "does not mix" in json.dumps(refused[0]["error"]["facts"])
        assert {host["state"] for host in client.pages("/v1/hosts", limit=100)} == {"ready"}
        assert [line.split()[0] for line in told if line.endswith(": no-host-fits")] == ["create-vm"]
        assert [line.split(": ")[1] for line in told if line.startswith("host ")] == ["cordoned", "uncordoned"]


def test_something_happens_by_itself_and_the_end_does_not_wait_for_it(tmp_path) -> None:
    with trying(tmp_path, "--vms", "4") as running, running.client as client:
        running.read_until(BEGINS)
        before = {operation["id"] for operation in client.pages("/v1/operations", limit=200)}
        running.read_until("-vm ")
        assert {operation["id"] for operation in client.pages("/v1/operations", limit=200)} > before
        took, _ = running.end(signal.SIGTERM)
        assert took < 10, f"it took {took:.1f} s"


def test_a_cloud_that_was_kept_goes_on(tmp_path) -> None:
    kept = tmp_path / "kept"
    with trying(tmp_path, "--vms", "3", "--still", "--data", str(kept)) as running, running.client as client:
        running.read_until(BEGINS)
        first = {vm["id"]: vm["host"] for vm in client.pages("/v1/vms", limit=100)}
        assert len(first) == 3
        assert str(kept) in running.end()[1]
    with trying(tmp_path, "--still", "--data", str(kept)) as running, running.client as client:
        running.read_until(BEGINS)
        assert {vm["id"]: vm["host"] for vm in client.pages("/v1/vms", limit=100)} == first
        moved = _moved(client, next(iter(first)))
        assert moved["state"] == "done", moved
        running.end()


def test_a_crowd_is_whole_and_obeys_the_same_rules(tmp_path) -> None:
    asyncio.run(_crowd(tmp_path / "cloud"))


async def _crowd(folder: Path) -> None:
    simulation = Simulation(folder=folder, listen=Address(host="127.0.0.1", port=0), seed=1, hurried=True)
    async with simulation.running(example.host_names(9)):
        with simulation.client() as client:
            crowd = await asyncio.to_thread(_crowded, simulation, client)
            assert [vm["state"] for vm in crowd] == ["running"] * 9
            assert all(vm["ports"][0]["address"].startswith("10.") and vm["host"] for vm in crowd)
            moved = await asyncio.to_thread(_moved, client, crowd[0]["id"])
            assert moved["state"] == "done", moved
            # The database refuses strangers here as anywhere.
            stranger = {**next(example.wanted(1)), "name": "stranger", "zone": "hospital-lab"}
            with pytest.raises(ZoneForbids):
                await asyncio.to_thread(add_crowd, simulation.store, [stranger], ended=threading.Event())


def _crowded(simulation: Simulation, client: Client) -> list[dict[str, Any]]:
    example.furnish(client)
    assert add_crowd(simulation.store, list(example.wanted(9)), ended=threading.Event()) == 9
    simulation.adopt()
    return list(client.pages("/v1/vms", limit=100))


def _moved(client: Client, vm_id: str) -> dict[str, Any]:
    return list(client.follow(client.create(f"/v1/vms/{vm_id}/move")["id"]))[-1]


@pytest.mark.parametrize("count", [9, 1000, 10_000])
def test_the_example_keeps_strangers_apart_at_any_size(count) -> None:
    bodies = list(example.wanted(count))
    names = example.host_names(count)
    zones = {name: set() for name in names}
    for body in bodies:
        zones[body["host"]].add(body["zone"])
    assert all(len(beside) <= 1 or beside == set(example.MIXING) for beside in zones.values())
    assert len({(body["project"], body["name"]) for body in bodies}) == count


def test_it_listens_on_loopback_only(tmp_path) -> None:
    refused = subprocess.run(
        [PROGRAM, "try", "--listen", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert refused.returncode == 1
    assert "loopback" in refused.stderr
    assert list(tmp_path.iterdir()) == []
