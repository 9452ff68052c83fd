"""Who may call whom, by parties, is what the policies say of each pair of VMs; a dry run tells each that turns."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.test_segmentation_holds import allowed, intents

from ringfence.decide.reach import Turn, Way, diff_ways, parties_of, ways
from ringfence.decide.segmentation import Intent
from ringfence.model.networks import Port
from ringfence.model.policies import Protocol
from ringfence.model.vms import Vm

pytestmark = pytest.mark.unit

PROBES = [(Protocol.ICMP, 0), (Protocol.TCP, 80), (Protocol.TCP, 53), (Protocol.UDP, 53), (Protocol.UDP, 99)]


def vms_with_ports(intent: Intent) -> tuple[Vm, ...]:
    """The VMs as the store tells them: each with its ports."""
    ports = {vm.id: tuple(port for port in intent.ports if port.vm_id == vm.id) for vm in intent.vms}
    return tuple(
        Vm(**{name: getattr(vm, name) for name in Vm.__slots__ if name != "ports"}, ports=ports[vm.id])
        for vm in intent.vms
    )


def opens(way: Way | None, protocol: Protocol, port: int) -> bool:
    """The openings of a way, read once more: anything, all ports of a protocol, or this very port."""
    openings = way.openings if way is not None else frozenset()
    return bool({(Protocol.ANY, 0), (protocol, 0), (protocol, port)} & openings)


def pairs_of_ports(intent: Intent) -> list[tuple[Port, Port]]:
    return [(one, other) for one, other in itertools.permutations(intent.ports, 2) if one.vm_id != other.vm_id]


@given(intents())
def test_a_way_is_told_exactly_where_some_policy_lets_one_vm_call_the_other(intent: Intent) -> None:
    parties = parties_of(vms_with_ports(intent), intent.policies)
    told = ways(parties, intent.policies)
    at = {vm.id: place for place, party in enumerate(parties) for vm in party.vms}
    for source, target in pairs_of_ports(intent):
        if source.network_id == target.network_id:
            way = told.get((at[source.vm_id], at[target.vm_id]))
            for protocol, port in PROBES:
                assert opens(way, protocol, port) == allowed(intent, source, target, protocol, port)


@given(intents())
def test_vms_that_share_no_network_have_no_way(intent: Intent) -> None:
    parties = parties_of(vms_with_ports(intent), intent.policies)
    for source, target in ways(parties, intent.policies):
        assert parties[source].networks & parties[target].networks


@given(intents())
def test_every_vm_is_in_one_party_and_each_party_shares_what_policies_can_tell(intent: Intent) -> None:
    parties = parties_of(vms_with_ports(intent), intent.policies)
    assert sorted(vm.id for party in parties for vm in party.vms) == sorted(vm.id for vm in intent.vms)
    assert all(
        {(vm.zone_id, vm.project_id) for vm in party.vms} == {(party.zone_id, party.project_id)} for party in parties
    )


@given(intents(), st.data())
def test_a_dry_run_tells_every_pair_that_turns_and_no_other(intent: Intent, data: st.DataObject) -> None:
    left = tuple(policy for policy in intent.policies if data.draw(st.booleans(), label=f"keeps {policy.name}"))
    parties = parties_of(vms_with_ports(intent), intent.policies)
    before, after = ways(parties, intent.policies), ways(parties, left)
    changes = {change.pair: change for change in diff_ways(parties, before, after)}
    for pair in itertools.product(range(len(parties)), repeat=2):
        was = {probe for probe in PROBES if opens(before.get(pair), *probe)}
        then = {probe for probe in PROBES if opens(after.get(pair), *probe)}
        if pair not in changes:
            assert was == then
            continue
        # Taking policies away opens nothing.
        assert changes[pair].turn is Turn.CLOSES
        assert then <= was
        assert changes[pair].vm_pairs > 0


@given(intents())
def test_a_change_undone_tells_the_same_pairs_the_other_way_round(intent: Intent) -> None:
    parties = parties_of(vms_with_ports(intent), intent.policies)
    all_of_them, none = ways(parties, intent.policies), ways(parties, ())
    opened, closed = diff_ways(parties, none, all_of_them), diff_ways(parties, all_of_them, none)
    assert [(one.pair, one.before, one.after) for one in opened] == [
        (one.pair, one.after, one.before) for one in closed
    ]
    assert {one.turn for one in opened} <= {Turn.OPENS}
    assert {one.turn for one in closed} <= {Turn.CLOSES}
