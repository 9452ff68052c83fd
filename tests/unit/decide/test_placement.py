"""Placement by tables of cases: each TOML file in `cases/placement` is one cloud, one VM and what must come of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ringfence.decide.placement import choose_host
from ringfence.model.hosts import Capacity, HostSnapshot, HostState, NoHostFits
from ringfence.model.images import ImageFormat
from ringfence.model.names import HostId, VmId, ZoneId
from ringfence.model.vms import VmSpec
from ringfence.model.zones import Zone

pytestmark = pytest.mark.unit

CASES = sorted((Path(__file__).parents[2] / "cases" / "placement").glob("*.toml"))


def zones(mixes: dict[str, list[str]]) -> dict[ZoneId, Zone]:
    return {
        ZoneId(name): Zone(
            id=ZoneId(name),
            name=name,
            colour=name,
            classification="",
            mixes_with=frozenset(ZoneId(other) for other in others),
        )
        for name, others in mixes.items()
    }


def snapshot(name: str, told: dict[str, Any]) -> HostSnapshot:
    free = Capacity(
        vcpus=told.get("vcpus", 8),
        memory_mib=told.get("memory_mib", 8192),
        disk_bytes=told.get("disk_mib", 65536) << 20,
    )
    return HostSnapshot(
        id=HostId(f"id-{name}"),
        name=name,
        state=HostState(told.get("state", "ready")),
        reachable=told.get("reachable", True),
        free=free,
        total=Capacity(vcpus=8, memory_mib=8192, disk_bytes=65536 << 20),
        zones=frozenset(ZoneId(zone) for zone in told.get("zones", [])),
    )


def spec(told: dict[str, Any]) -> VmSpec:
    zone = told.get("zone", "red")
    return VmSpec(
        vm_id=VmId("vm"),
        name="web",
        project="shop",
        owner="ann",
        zone_id=ZoneId(zone),
        zone=zone,
        mixes_with=(),
        vcpus=told.get("vcpus", 1),
        memory_mib=told.get("memory_mib", 1024),
        disk_bytes=told.get("disk_mib", 1024) << 20,
        image_digest="sha256:00",
        image_format=ImageFormat.RAW,
        nics=(),
    )


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_case_comes_out_as_its_table_says(file: Path) -> None:
    case = tomllib.loads(file.read_text())
    candidates = [snapshot(name, told) for name, told in case.get("hosts", {}).items()]
    asked = case.get("asked", {})

    def choose() -> Any:
        return choose_host(
            spec(case.get("vm", {})),
            candidates,
            zones(case.get("mixes", {"red": [], "blue": [], "green": []})),
            apart_from=[HostId(f"id-{name}") for name in asked.get("apart_from", [])],
            only=HostId(f"id-{asked['only']}") if "only" in asked else None,
            refused={HostId(f"id-{name}"): why for name, why in asked.get("refused", {}).items()},
        )

    if "chosen" not in case:
        with pytest.raises(NoHostFits) as refusal:
            choose()
        assert refusal.value.rejected == case["rejected"]
        return
    placement = choose()
    assert placement.host == case["chosen"]
    assert placement.host_id == f"id-{case['chosen']}"
    assert placement.rejected == case.get("rejected", {})
    if "reason" in case:
        assert placement.reason == case["reason"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
