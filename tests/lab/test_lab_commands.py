"""`ringfence lab` as a person uses it: what it prints where, and the exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.lab.cloud import Lab

pytestmark = pytest.mark.lab

RINGFENCE = Path(sys.executable).with_name("ringfence")


def ringfence(*argv, environment=None):
    return subprocess.run(
        [RINGFENCE, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | (environment or {}),
    )


@pytest.fixture
def name(lab_root):
    """The name of a lab that only this test uses, taken down after it."""
    assert lab_root.is_dir()
    name = f"l{os.getpid()}-own"
    yield name
    Lab(name).down()


def test_status_tells_every_host_what_runs_there_and_why_guests_run_under_what_they_do(lab):
    told = json.loads(ringfence("lab", "status", "--name", lab.name, "-o", "json").stdout)[lab.name]
    assert told["accelerator"] in {"kvm", "tcg"}
    assert told["accelerator_because"]
    hosts = {host["name"]: host for host in told["hosts"]}
    assert set(hosts) == {"central", "host1", "host2"}
    assert all(host["is_up"] for host in hosts.values())
    assert "libvirtd" in hosts["host1"]["runs"]
    table = ringfence("lab", "status", "--name", lab.name).stdout
    assert all(word in table for word in (*hosts, told["accelerator_because"], hosts["host1"]["address"]))


def test_shell_runs_in_the_host_and_leaves_with_its_exit_code(lab):
    ended = ringfence("lab", "shell", "host2", "--name", lab.name, "--", "sh", "-c", "hostname; exit 7")
    assert (ended.stdout.strip(), ended.returncode) == ("host2", 7)
    unknown = ringfence("lab", "shell", "host9", "--name", lab.name)
    assert unknown.returncode == 1
    assert "There is no lab host host9." in unknown.stderr


def test_a_lab_that_is_not_there_is_told_and_taking_it_down_is_no_error(name):
    asked = ringfence("lab", "status", "--name", name)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert f"There is no lab {name}." in asked.stderr
    inside = ringfence("lab", "shell", "host1", "--name", name)
    assert inside.returncode == 1
    assert f"ringfence lab up --name {name}" in inside.stderr
    assert ringfence("lab", "down", "--name", name).returncode == 0


def test_up_with_a_cloud_prints_what_a_shell_needs_to_talk_to_it_and_nothing_else(name):
    up = ringfence("lab", "up", "--cloud", "--hosts", "1", "--name", name)
    assert up.returncode == 0, up.stderr
    (line,) = up.stdout.splitlines()
    script = f'eval "$1"; exec {RINGFENCE} host list -o json'
    listed = subprocess.run(["sh", "-c", script, "sh", line], capture_output=True, text=True, check=True, timeout=60)
    assert [(host["name"], host["state"]) for host in json.loads(listed.stdout)] == [("host1", "ready")]
    assert ringfence("lab", "down", "--name", name).returncode == 0
    assert name not in json.loads(ringfence("lab", "status", "-o", "json").stdout)
