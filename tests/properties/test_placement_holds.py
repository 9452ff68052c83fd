"""Placement, whatever the cloud looks like: never a host that may not take the VM, and the same one for any order."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.decide.placement import Placement, choose_host, needs_silent_host, why_not
from ringfence.model.hosts import Capacity, HostSnapshot, HostState, NoHostFits
from ringfence.model.images import ImageFormat
from ringfence.model.names import HostId, VmId, ZoneId
from ringfence.model.vms import VmSpec
from ringfence.model.zones import Zone, may_mix

pytestmark = pytest.mark.unit

NAMES = ("red", "blue", "green", "gold")

capacities = st.builds(
    Capacity,
    vcpus=st.integers(0, 4),
    memory_mib=st.integers(0, 4).map(lambda gib: gib << 10),
    disk_bytes=st.integers(0, 4).map(lambda gib: gib << 30),
)


@st.composite
def zone_tables(draw: st.DrawFn) -> dict[ZoneId, Zone]:
    return {
        ZoneId(name): Zone(
            id=ZoneId(name),
            name=name,
            colour="",
            classification="",
            mixes_with=frozenset(draw(st.sets(st.sampled_from([ZoneId(n) for n in NAMES if n != name])))),
        )
        for name in NAMES
    }


@st.composite
def clouds(draw: st.DrawFn) -> list[HostSnapshot]:
    return [
        HostSnapshot(
            id=HostId(f"id-{number}"),
            name=f"host-{number}",
            state=draw(st.sampled_from([HostState.READY] * 4 + list(HostState))),
            reachable=draw(st.booleans() | st.just(True)),
            free=draw(capacities),
            total=Capacity(vcpus=4, memory_mib=4096, disk_bytes=4 << 30),
            zones=draw(st.frozensets(st.sampled_from([ZoneId(n) for n in (*NAMES, "unknown")]), max_size=2)),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@st.composite
def specs(draw: st.DrawFn) -> VmSpec:
    zone = draw(st.sampled_from(NAMES))
    return VmSpec(
        vm_id=VmId("vm"),
        name="web",
        project="shop",
        owner="ann",
        zone_id=ZoneId(zone),
        zone=zone,
        mixes_with=(),
        vcpus=draw(st.integers(1, 3)),
        memory_mib=draw(st.integers(1, 3)) << 10,
        disk_bytes=draw(st.integers(1, 3)) << 30,
        image_digest="sha256:00",
        image_format=ImageFormat.RAW,
        nics=(),
    )


@given(specs(), clouds(), zone_tables(), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_the_host_chosen_may_take_the_vm_and_is_the_same_in_any_order(
    vm: VmSpec, cloud: list[HostSnapshot], zones: dict[ZoneId, Zone], order: random.Random
) -> None:
    shuffled = order.sample(cloud, len(cloud))
    placement, rejected = _outcome(vm, cloud, zones)
    again, rejected_again = _outcome(vm, shuffled, zones)
    assert again == placement
    assert list(rejected_again.items()) == list(rejected.items())
    assert all(rejected.values())
    if placement is None:
        assert set(rejected) == ({host.name for host in cloud} or {"cloud"}), "a host is not named"
        return
    chosen = next(host for host in cloud if host.id == placement.host_id)
    assert why_not(vm, chosen, zones) == ""
    assert set(placement.rejected) == {host.name for host in cloud if why_not(vm, host, zones)}


@given(specs(), clouds(), zone_tables())
@settings(max_examples=300)
def test_zones_that_do_not_mix_never_meet(vm: VmSpec, cloud: list[HostSnapshot], zones: dict[ZoneId, Zone]) -> None:
    try:
        placement = choose_host(vm, cloud, zones)
    except NoHostFits:
        return
    chosen = next(host for host in cloud if host.id == placement.host_id)
    assert all(zone in zones and may_mix(zones[vm.zone_id], zones[zone]) for zone in chosen.zones)
    assert chosen.free.vcpus >= vm.vcpus
    assert chosen.free.memory_mib >= vm.memory_mib
    assert chosen.free.disk_bytes >= vm.disk_bytes


@given(specs(), clouds(), zone_tables())
@settings(max_examples=100)
def test_a_host_that_refused_is_never_chosen(vm: VmSpec, cloud: list[HostSnapshot], zones: dict[ZoneId, Zone]) -> None:
    refused: dict[HostId, str] = {}
    for _ in range(len(cloud) + 1):
        placement, rejected = _outcome(vm, cloud, zones, refused)
        if placement is None:
            assert len(rejected) == max(len(cloud), 1)
            return
        assert placement.host_id not in refused
        refused[placement.host_id] = "it was taken meanwhile"
    raise AssertionError("more hosts were chosen than there are")


@given(specs(), clouds(), zone_tables())
@settings(max_examples=300, deadline=None)
def test_a_silent_host_is_needed_if_and_only_if_its_answer_alone_would_help(
    vm: VmSpec, cloud: list[HostSnapshot], zones: dict[ZoneId, Zone]
) -> None:
    placement, _ = _outcome(vm, cloud, zones)
    heard, _ = _outcome(vm, [replace(host, reachable=True) for host in cloud], zones)
    assert needs_silent_host(vm, cloud, zones) == (placement is None and heard is not None)


def _outcome(
    vm: VmSpec, cloud: list[HostSnapshot], zones: dict[ZoneId, Zone], refused: Mapping[HostId, str] | None = None
) -> tuple[Placement | None, Mapping[str, str]]:
    """The placement, if there is one, and why not elsewhere."""
    try:
        placement = choose_host(vm, cloud, zones, refused=refused or {})
    except NoHostFits as refusal:
        return None, refusal.rejected
    return placement, placement.rejected
