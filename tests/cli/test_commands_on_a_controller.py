"""The command line as a program, against a real controller whose hosts obey."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.controller.conftest import Cloud
from tests.controller.tenants import sign_in

from ringfence import __version__

pytestmark = pytest.mark.contract

PROGRAM = Path(sys.executable).parent / "ringfence"


@dataclass
class Ringfence:
    """The program, told where the controller is."""

    environment: dict[str, str]

    def __call__(self, words: str, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, *words.split(), *more]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, words: str, *more: str) -> Any:
        return json.loads(self(words, *more, "-o", "json").stdout)


@pytest.fixture
def ringfence(cloud: Cloud, tmp_path: Path) -> Ringfence:
    return Ringfence(
        {
            **os.environ,
            "RINGFENCE_URL": str(cloud.http.base_url).rstrip("/"),
            "RINGFENCE_TOKEN": cloud.token,
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "NO_COLOR": "1",
        }
    )


@pytest.fixture
def furnished(cloud: Cloud, ringfence: Ringfence) -> Ringfence:
    """Two hosts, and all that a VM needs."""
    for name in ("h1", "h2"):
        cloud.run(cloud.join(name))
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    cloud.post("/v1/projects", {"name": "payments", "owner": "ada@example.org"}, expect=201)
    cloud.post("/v1/networks", {"name": "backbone", "cidr": "10.20.0.0/24"}, expect=201)
    small = {"name": "small", "vcpus": 1, "memory_mib": 64, "disk_bytes": 1 << 20}
    cloud.post("/v1/flavors", small, expect=201)
    cloud.upload("blank", bytes(1 << 20), f"sha256:{hashlib.sha256(bytes(1 << 20)).hexdigest()}")
    return ringfence


CREATE = "vm create web -p payments -z red --flavor small --image blank --network backbone --label role=web"


def test_a_vm_lives_its_life_by_the_command_line(furnished: Ringfence) -> None:
    made = furnished(CREATE)
    assert "running" in made.stdout
    assert "create VM web" in made.stderr, "progress is told, and not among the results"
    vm = furnished.json("vm show web")
    assert (vm["state"], vm["zone"], vm["owner"], vm["labels"]) == (
        "running",
        "red",
        "ada@example.org",
        {"role": "web"},
    )
    assert "role" in furnished("vm label web stage=x").stdout
    assert furnished.json("vm label web stage- role=db") == {"role": "db"}
    moved = furnished.json("vm move web")
    assert moved["host"] != vm["host"]
    assert furnished.json("vm stop web")["state"] == "stopped"
    assert furnished.json("vm start web")["state"] == "running"
    assert [each["name"] for each in furnished.json("vm list --zone red --state running")] == ["web"]
    furnished("vm delete web --yes")
    assert furnished.json("vm list") == []
    furnished("vm show web", code=1)


def test_the_version_is_told_without_a_command(ringfence: Ringfence) -> None:
    assert ringfence("--version").stdout == f"ringfence {__version__}\n"


def test_what_is_simulated_is_told_once_beside_the_result(furnished: Ringfence) -> None:
    listed = furnished("zone list", "-o", "json")
    assert listed.stderr.count("SIMULATED") == 1
    assert json.loads(listed.stdout)
    verified = furnished("verify")
    assert verified.stderr.count("SIMULATED") == 1
    assert "simulated hosts prove nothing" in verified.stdout
    assert "0 kept" in verified.stdout
    furnished("verify", "--strict", code=1)


def test_what_a_vm_needs_is_made_by_the_command_line(ringfence: Ringfence, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    ringfence("zone create amber")
    assert ringfence.json("zone create red --classification secret --mixes-with amber")["colour"] == "red"
    assert ringfence.json("zone update amber --mixes-with-none")["mixes_with"] == []
    assert ringfence.json("project create payments --owner ada@example.org")["owner"] == "ada@example.org"
    assert ringfence.json("network create backbone --cidr 10.20.0.0/24")["cidr"] == "10.20.0.0/24"
    assert ringfence.json("flavor create small --vcpus 1 --memory 64MiB --disk 1GiB")["disk_bytes"] == 1 << 30
    ringfence(f"image import {disk} --name blank --digest {'0' * 64}", code=1)
    assert ringfence.json(f"image import {disk} --name blank")["state"] == "ready"
    assert ringfence("host invite h1").stdout.startswith("rf1.")


def test_a_refusal_exits_1_and_says_why_for_every_host(furnished: Ringfence) -> None:
    for host in ("h1", "h2"):
        assert furnished.json(f"host cordon {host}")["state"] == "cordoned"
    refused = furnished(CREATE, code=1)
    assert "[no-host-fits]" in refused.stderr
    assert "h1: it is cordoned" in refused.stderr
    assert "h2: it is cordoned" in refused.stderr
    assert "What to do:" in refused.stderr
    assert furnished.json("vm list") == [], "nothing half-made is left"
    assert furnished.json("operation list --state failed")[0]["kind"] == "create-vm"


def test_an_operation_can_be_begun_and_watched_later(furnished: Ringfence) -> None:
    operation = furnished.json(f"{CREATE} --no-wait")
    assert furnished.json(f"operation watch {operation['id']}")["state"] == "done"
    shown = furnished(f"operation show {operation['id']}").stdout
    assert "✓" in shown
    assert "web" in shown


def test_a_policy_is_made_changed_and_taken_away(furnished: Ringfence) -> None:
    furnished("policy create web-in --from zone=red --to role=web --to project=payments --protocol tcp --port 80")
    assert furnished.json("policy update web-in --port 80 --port 443")["ports"] == [80, 443]
    listed = furnished("policy list").stdout
    assert "zone red" in listed
    assert "project payments, role=web" in listed
    furnished("policy delete web-in --yes")
    assert furnished.json("policy list") == []


def test_what_a_policy_would_do_is_shown_and_nothing_of_it_done(furnished: Ringfence) -> None:
    furnished(CREATE)
    furnished("vm create db -p payments -z red --flavor small --image blank --network backbone --label role=db")
    asked = "--from role=web --to role=db --protocol tcp --port 5432"
    tried = furnished(f"policy create web-to-db {asked} --dry-run")
    assert "tcp 5432" in tried.stdout
    assert "open 1 pair of VMs and close 0 pairs" in tried.stderr
    assert furnished.json("policy list") == []
    furnished(f"policy create web-to-db {asked}")
    wider = furnished.json("policy update web-to-db --port 5432 --port 5433 --dry-run")
    assert [pair["after"] for pair in wider["pairs"]] == [[{"protocol": "tcp", "ports": [5432, 5433]}]]
    assert furnished.json("policy delete web-to-db --dry-run")["closes"] == 1
    assert furnished.json("policy show web-to-db")["ports"] == [5432]


def test_who_may_call_whom_is_told_as_a_list_and_as_a_matrix(furnished: Ringfence) -> None:
    assert "everything is denied" in furnished("fence list").stderr
    furnished(CREATE)
    furnished("vm create db -p payments -z red --flavor small --image blank --network backbone --label role=db")
    furnished("policy create web-to-db --from role=web --to role=db --protocol tcp --port 5432")
    (way,) = [line for line in furnished("fence list").stdout.splitlines() if "5432" in line]
    assert way.index("role=web (web)") < way.index("role=db (db)") < way.index("tcp 5432") < way.index("web-to-db")
    # Who calls is a row, who is called a column, in one order.
    web, db = [line.split() for line in furnished("fence matrix").stdout.splitlines() if "role=" in line]
    assert (web[-3:], db[-2:]) == (["-", "tcp", "5432"], ["-", "-"])


def test_a_place_is_shown_and_not_taken(furnished: Ringfence) -> None:
    place = furnished("vm place -z red --flavor small --host h2")
    assert "h2" in place.stdout
    furnished("host cordon h2")
    refused = furnished("vm place -z red --flavor small --host h2", code=1)
    assert "h2:" in refused.stdout
    assert furnished.json("vm list") == []


def test_the_cloud_is_told_at_a_glance(furnished: Ringfence) -> None:
    furnished(CREATE)
    lines = furnished("overview").stdout.splitlines()
    assert any("running=1" in line for line in lines)
    (red,) = [line.split() for line in lines if line.split()[:1] == ["red"]]
    assert red[1:5] == ["1", "1", "1", "vCPU,"], "one VM, on one host, with what it uses"


def test_every_form_of_output_tells_the_same(furnished: Ringfence) -> None:
    as_json = furnished.json("zone list")
    assert yaml.safe_load(furnished("zone list -o yaml").stdout) == as_json
    assert "red" in furnished("zone list").stdout


def test_names_are_completed_by_asking_the_controller(furnished: Ringfence) -> None:
    furnished.environment |= {
        "_RINGFENCE_COMPLETE": "complete_bash",
        "COMP_WORDS": "ringfence host cordon h",
        "COMP_CWORD": "3",
    }
    assert furnished("").stdout.split() == ["h1", "h2"]


def test_nothing_is_destroyed_without_a_yes(furnished: Ringfence) -> None:
    furnished("zone delete red", code=1)
    assert [zone["name"] for zone in furnished.json("zone list")] == ["red"]


def test_a_controller_that_is_away_exits_3_and_wrong_usage_2(ringfence: Ringfence) -> None:
    ringfence("zone list --limit none", code=2)
    ringfence("zone update red", code=2)
    ringfence.environment["RINGFENCE_URL"] = "http://127.0.0.1:9"
    assert "[controller-unreachable]" in ringfence("zone list", code=3).stderr


def test_settings_are_stored_and_the_token_never_shown(ringfence: Ringfence) -> None:
    token = ringfence.environment.pop("RINGFENCE_TOKEN")
    assert "[no-token]" in ringfence("zone list", code=1).stderr
    subprocess.run(
        [PROGRAM, "config", "set", "--token-stdin"], input=token, text=True, env=ringfence.environment, check=True
    )
    ringfence("zone list")
    assert token not in ringfence("config show").stdout


def test_people_get_accounts_tokens_and_places_in_projects(ringfence: Ringfence) -> None:
    ringfence("project create payments --owner ada@example.org")
    made = ringfence.json("account create ci --service")
    assert (made["kind"], made["roles"]) == ("service", [])
    assert ringfence.json("account update ci --role auditor")["roles"] == ["auditor"]
    assert ringfence.json("account update ci --no-roles")["roles"] == []
    assert [row["name"] for row in ringfence.json("account list")] == ["bootstrap", "ada@example.org", "ci"]
    ringfence("project put-member payments ci --role project-member")
    members = {row["account"]: row["role"] for row in ringfence.json("project members payments")}
    assert members == {"ada@example.org": "project-owner", "ci": "project-member"}
    token = ringfence.json("token create nightly --account ci --scope vm:read --scope project:read --days 1")
    robot = Ringfence({**ringfence.environment, "RINGFENCE_TOKEN": token["secret"]})
    who = robot.json("whoami")
    assert (who["account"]["name"], who["permissions"]) == ("ci", [])
    assert who["projects"][0]["permissions"] == ["project:read", "vm:read"]
    assert "payments (project-member)" in robot("whoami").stdout
    assert "zone:manage" in robot("zone create green", code=1).stderr
    assert [row["name"] for row in robot.json("project list")] == ["payments"]
    assert "cloud-admin" in ringfence("role list").stdout
    assert ringfence.json("project quota payments --vms 3 --memory 2GiB")["quota"]["memory_mib"] == 2048
    assert ringfence.json("project quota payments --vms none")["quota"] == {
        "vms": None,
        "vcpus": None,
        "memory_mib": 2048,
        "disk_bytes": None,
        "ports": None,
    }
    assert "of 2 GiB memory" in ringfence("project show payments").stdout
    ringfence(f"token delete {token['id']} --yes")
    robot("whoami", code=1)
    ringfence("project remove-member payments ci --yes")
    ringfence("account delete ci --yes")
    assert "owns the project" in ringfence("project remove-member payments ada@example.org --yes", code=1).stderr


def test_a_vm_is_offered_and_accepted(cloud: Cloud, furnished: Ringfence) -> None:
    cloud.post("/v1/accounts", {"name": "grace"}, expect=201)
    furnished("project put-member payments grace --role project-member")
    furnished("vm create web-1 -p payments -z red --flavor small --image blank --network backbone")
    assert furnished.json("vm offer web-1 --to grace")["to"] == "grace"
    assert [row["vm"] for row in furnished.json("vm offers")] == ["web-1"]
    assert "only grace" in furnished("vm accept web-1", code=1).stderr.lower()
    with sign_in(cloud, "grace") as grace:
        secret = grace.headers["Authorization"].removeprefix("Bearer ")
    assert "yours" in Ringfence({**furnished.environment, "RINGFENCE_TOKEN": secret})("vm accept web-1").stderr
    assert furnished.json("vm show web-1")["owner"] == "grace"
    furnished("vm offer web-1 --to ada@example.org")
    furnished("vm decline web-1")
    assert furnished.json("vm offers") == []
