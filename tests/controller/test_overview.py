"""The cloud at a glance, and the stream that says when to look again."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.browser.example import furnish, populate
from tests.controller.conftest import Cloud

pytestmark = pytest.mark.store


def test_the_overview_counts_what_there_is_and_what_room_is_left(cloud_on_both: Cloud) -> None:
    furnish(cloud_on_both)
    populate(cloud_on_both)
    seen = cloud_on_both.get("/v1/overview")
    assert seen["vms"] == {"running": 5, "stopped": 1}
    assert seen["hosts"] == {"ready": 3, "cordoned": 1}
    assert seen["unreachable"] == []
    assert (seen["claimed"]["memory_mib"], seen["total"]["memory_mib"]) == (6 * 1024, 4 * 32_768)
    zones = {zone["name"]: zone for zone in seen["zones"]}
    assert sorted(zones) == ["office", "payments", "public"]
    public = zones["public"]
    assert (public["vms"], public["hosts"], public["open_hosts"], public["used"]["vcpus"]) == (2, 1, 1, 2)
    # One host runs it, and no other may: they run zones that do not mix with it, or are cordoned.
    assert public["free"]["memory_mib"] == 32_768 - 2 * 1024
    hosts = {host["name"]: host for host in cloud_on_both.get("/v1/hosts")["items"]}
    assert [(hosts[name]["zones"], hosts[name]["vms"]) for name in ("h1", "h4")] == [(["public"], 2), ([], 0)]


def test_changes_are_told_by_kind_as_they_happen(cloud: Cloud) -> None:
    with cloud.http.stream("GET", "/v1/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": here"
        cloud.post("/v1/zones", {"name": "red"}, expect=201)
        kinds = next(json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        assert "zone" in kinds
        assert not {"intent", "command", "answer"} & set(kinds)
    answer = httpx.get(f"http://{cloud.controller.api_address}/v1/events", trust_env=False)
    assert answer.json()["code"] == "token-missing"
