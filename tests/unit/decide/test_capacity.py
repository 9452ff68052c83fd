"""Room for a zone is on hosts that take VMs, answer, and run nobody it may not stand beside."""

from __future__ import annotations

import pytest
from tests.unit.decide.test_placement import snapshot, zones

from ringfence.decide.capacity import room_for
from ringfence.model.hosts import Capacity
from ringfence.model.names import ZoneId

pytestmark = pytest.mark.unit

ZONES = zones({"red": [], "blue": ["green"], "green": ["blue"]})


@pytest.mark.parametrize(
    ("host", "open_to"),
    [
        ({"zones": []}, {"red", "blue", "green"}),
        ({"zones": ["red"]}, {"red"}),
        ({"zones": ["green"]}, {"blue", "green"}),
        ({"zones": ["red", "green"]}, set()),
        ({"zones": ["gone"]}, set()),
        ({"zones": [], "state": "cordoned"}, set()),
        ({"zones": [], "reachable": False}, set()),
    ],
    ids=str,
)
def test_a_host_counts_for_those_who_may_come(host: dict, open_to: set[str]) -> None:
    rooms = {name: room_for(ZONES[ZoneId(name)], [snapshot("h", host)], ZONES) for name in ZONES}
    assert {name for name, room in rooms.items() if room.hosts == 1} == open_to


def test_rooms_add_up_and_a_host_that_is_overfull_takes_nothing_from_the_others() -> None:
    fleet = [snapshot("a", {"memory_mib": 1000, "vcpus": 2}), snapshot("b", {"memory_mib": -500, "vcpus": -1})]
    room = room_for(ZONES[ZoneId("red")], fleet, ZONES)
    assert (room.hosts, room.free) == (2, Capacity(vcpus=2, memory_mib=1000, disk_bytes=2 * 65536 << 20))
