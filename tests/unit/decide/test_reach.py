"""Who may call whom, by example: one that opens more and less at once, and openings that cover others."""

from __future__ import annotations

import pytest

from ringfence.decide.reach import ALL_PORTS, Turn, diff_ways, parties_of, ways
from ringfence.model.names import FlavorId, ImageId, NetworkId, PolicyId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm, VmState

pytestmark = pytest.mark.unit


def vm(name: str, zone: str, **labels: str) -> Vm:
    port = Port(
        id=PortId(f"port-{name}"),
        vm_id=VmId(name),
        network_id=NetworkId("net"),
        mac="52:54:00:00:00:01",
        address="10.0.0.9",
        hosts=(),
    )
    return Vm(
        id=VmId(name),
        name=name,
        project_id=ProjectId("shop"),
        zone_id=ZoneId(zone),
        owner="ada",
        flavor_id=FlavorId("f"),
        image_id=ImageId("i"),
        state=VmState.RUNNING,
        labels=labels,
        ports=(port,),
    )


def policy(protocol: Protocol, *ports: int, number: int = 1) -> Policy:
    source, target = Selector(zone_id=ZoneId("red")), Selector(zone_id=ZoneId("blue"))
    return Policy(
        id=PolicyId(str(number)), name=f"p{number}", source=source, target=target, protocol=protocol, ports=ports
    )


VMS = (vm("a", "red"), vm("b", "red"), vm("c", "blue"))


def test_vms_are_told_apart_by_labels_only_where_a_policy_speaks_of_them() -> None:
    fleet = (vm("a", "red", tier="gold"), vm("b", "red", tier="lead"))
    assert len(parties_of(fleet, [policy(Protocol.TCP, 80)])) == 1
    of_gold = Policy(
        id=PolicyId("1"),
        name="gold",
        source=Selector(labels={"tier": "gold"}),
        target=Selector(zone_id=ZoneId("red")),
        protocol=Protocol.ANY,
    )
    assert [dict(party.labels) for party in parties_of(fleet, [of_gold])] == [{"tier": "gold"}, {}]


def test_a_change_that_trades_one_port_for_another_alters() -> None:
    before, after = [policy(Protocol.TCP, 80)], [policy(Protocol.TCP, 443)]
    parties = parties_of(VMS, before + after)
    (change,) = diff_ways(parties, ways(parties, before), ways(parties, after))
    assert (change.turn, change.vm_pairs) == (Turn.ALTERS, 2)
    assert (change.before, change.after) == (frozenset({(Protocol.TCP, 80)}), frozenset({(Protocol.TCP, 443)}))


def test_what_another_policy_opens_already_is_not_told_as_opened() -> None:
    all_tcp, one_port = policy(Protocol.TCP), policy(Protocol.TCP, 22, number=2)
    parties = parties_of(VMS, [all_tcp, one_port])
    both = ways(parties, [all_tcp, one_port])
    assert diff_ways(parties, ways(parties, [all_tcp]), both) == []
    assert [way.openings for way in both.values()] == [frozenset({(Protocol.TCP, ALL_PORTS)})]
    assert [way.policies for way in both.values()] == [(PolicyId("1"), PolicyId("2"))]


def test_a_vm_alone_is_no_pair_with_itself() -> None:
    among = Policy(
        id=PolicyId("1"),
        name="among",
        source=Selector(zone_id=ZoneId("blue")),
        target=Selector(zone_id=ZoneId("blue")),
        protocol=Protocol.ANY,
    )
    assert ways(parties_of(VMS, [among]), [among]) == {}
    pair = (*VMS, vm("d", "blue"))
    parties = parties_of(pair, [among])
    (change,) = diff_ways(parties, {}, ways(parties, [among]))
    assert change.vm_pairs == 2
