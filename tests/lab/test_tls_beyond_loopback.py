"""The API beyond loopback: over TLS only, with the controller's own CA pinned by whoever asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.controller.authority import Authority

pytestmark = pytest.mark.lab

RINGFENCE = str(Path(sys.executable).with_name("ringfence"))


@pytest.fixture
def ringfence(cloud, tmp_path):
    """The command line, as its user has it: it knows what `ringfence config set` stored, and nothing else."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    environment["XDG_CONFIG_HOME"] = str(tmp_path)

    def run(*arguments, typed=""):
        return subprocess.run(
            [RINGFENCE, *arguments],
            input=typed,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    with cloud.over_tls():
        token = cloud.token_file.read_text()
        stored = run("config", "set", "--url", cloud.url, "--ca", str(cloud.ca_file), "--token-stdin", typed=token)
        assert stored.returncode == 0, stored.stderr
        yield run


def test_with_the_pinned_ca_the_command_line_works_and_with_another_it_is_not_spoken_to(cloud, ringfence, tmp_path):
    assert cloud.url.startswith("https://")
    assert "127.0.0.1" not in cloud.url
    listed = ringfence("host", "list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert {host["name"] for host in json.loads(listed.stdout)} == {"host1", "host2", "host3"}
    other = Authority(tmp_path / "other").certificate_file
    ringfence("config", "set", "--ca", str(other))
    refused = ringfence("host", "list")
    assert refused.returncode != 0
    assert "[controller-unreachable]" in refused.stderr
    assert "certificate verify failed" in refused.stderr
    ringfence("config", "set", "--ca", str(cloud.ca_file))
    in_clear = ringfence("--url", cloud.url.replace("https", "http"), "host", "list")
    assert "[unsafe-url]" in in_clear.stderr


def test_a_host_is_invited_and_joins_over_it(cloud, ringfence):
    leaves = cloud.lab.host("host3")
    gone = ringfence("host", "delete", leaves.name, "--yes", "--reason", "it is to join anew")
    assert gone.returncode == 0, gone.stderr
    invited = ringfence("host", "invite", leaves.name, "-o", "json")
    assert invited.returncode == 0, invited.stderr
    cloud.rejoin(leaves, token=json.loads(invited.stdout)["token"])
    shown = json.loads(ringfence("host", "show", leaves.name, "-o", "json").stdout)
    assert (shown["state"], shown["reachable"]) == ("ready", True)


@pytest.fixture
def booted(cloud, tenants):
    """A VM whose guest answers on its console."""
    vm = tenants.vm("red")
    with cloud.shell(vm):
        return vm


def test_a_console_goes_through_it(booted, ringfence):
    said = ringfence("vm", "console", booted["name"], typed="\n\necho the-answer-is-$((6 * 7))\n")
    assert said.returncode == 0, said.stderr
    assert "the-answer-is-42" in said.stdout
