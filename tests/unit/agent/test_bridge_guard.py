"""The tunnel's guard on a userspace bridge: from the flows that are there to those that should be."""

import pytest

from ringfence.agent.bridge_guard import Guarded, plan_flows, read_flows

pytestmark = pytest.mark.unit

DUMPED = """NXST_FLOW reply (xid=0x4):
 cookie=0x72660001, duration=2.542s, table=0, n_packets=7, n_bytes=590, idle_age=1, priority=65000,udp,nw_src=192.0.2.12,nw_dst=192.0.2.11,tp_dst=6081 actions=NORMAL
 cookie=0x72660001, duration=2.542s, table=0, n_packets=5, n_bytes=590, idle_age=2, priority=64000,udp,nw_dst=192.0.2.11,tp_dst=6081 actions=drop
 cookie=0x72660001, duration=2.542s, table=0, n_packets=1, n_bytes=90, idle_age=2, priority=64000,udp6,tp_dst=6081 actions=drop
"""  # noqa: E501


def planned(seen, *fellows):
    return plan_flows(seen, fellows, address="192.0.2.11", port=6081)


def test_what_is_there_is_read_back_with_its_counts():
    assert read_flows(DUMPED) == Guarded({"192.0.2.12": 7}, 6, whole=True)


def test_a_guard_that_lacks_a_drop_is_not_whole():
    assert not read_flows("").whole
    assert not read_flows("\n".join(line for line in DUMPED.splitlines() if "udp6" not in line)).whole
    assert not read_flows(DUMPED.replace("actions=drop", "actions=NORMAL")).whole


def test_what_is_there_already_is_not_touched():
    assert planned(read_flows(DUMPED), "192.0.2.12") == []


def test_from_nothing_the_drops_come_first():
    first, second, third = planned(Guarded(), "192.0.2.12")
    assert first.endswith("udp,nw_dst=192.0.2.11,tp_dst=6081,actions=drop")
    assert second.endswith("udp6,tp_dst=6081,actions=drop")
    assert third.endswith("nw_src=192.0.2.12,actions=NORMAL")


def test_one_that_left_is_taken_out_and_one_that_came_is_put_in():
    gone, come = planned(read_flows(DUMPED), "192.0.2.13")
    assert gone.startswith("delete cookie=0x72660001/-1,")
    assert gone.endswith("nw_src=192.0.2.12")
    assert come.endswith("nw_src=192.0.2.13,actions=NORMAL")
