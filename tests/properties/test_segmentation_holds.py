"""Promise 1 on any intent: nothing passes that no policy allows, and no change on the way opens more than both ends."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.decide.fabric import Fabric
from ringfence.decide.segmentation import Intent, apply_changes, compile_fabric, diff_fabric
from ringfence.fakes.switching import ACK, Packet, Switching, answer
from ringfence.model.names import FlavorId, HostId, ImageId, NetworkId, PolicyId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Network, Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm, VmState

pytestmark = pytest.mark.unit

ZONES, PROJECTS, PORTS = ["red", "blue"], ["p", "q"], [53, 80]
LABELS = st.dictionaries(st.sampled_from(["role", "tier"]), st.sampled_from(["web", "db"]), max_size=2)
SELECTORS = st.builds(
    Selector,
    zone_id=st.none() | st.sampled_from(ZONES).map(ZoneId),
    project_id=st.none() | st.sampled_from(PROJECTS).map(ProjectId),
    labels=LABELS,
)
# Both networks have one range on purpose: an address alone says nothing.
NETWORKS = tuple(Network(id=NetworkId(name), name=name, cidr="10.0.0.0/24") for name in ("n1", "n2"))
PROBES = [("icmp", 0), ("tcp", 80), ("tcp", 53), ("udp", 53), ("udp", 99), ("132", 0)]


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    vms, ports = [], []
    for number in range(draw(st.integers(0, 5))):
        vm_id, network = VmId(f"vm{number}"), draw(st.sampled_from(NETWORKS))
        vms.append(
            Vm(
                id=vm_id,
                name=vm_id,
                owner="o",
                flavor_id=FlavorId("f"),
                image_id=ImageId("i"),
                state=VmState.RUNNING,
                project_id=ProjectId(draw(st.sampled_from(PROJECTS))),
                zone_id=ZoneId(draw(st.sampled_from(ZONES))),
                labels=draw(LABELS),
                ports=(),
            )
        )
        beside = sum(port.network_id == network.id for port in ports)
        hosts = draw(st.lists(st.sampled_from(["h1", "h2"]).map(HostId), max_size=2, unique=True))
        ports.append(
            Port(
                id=PortId(f"port{number}"),
                vm_id=vm_id,
                network_id=network.id,
                mac=f"52:54:00:00:00:{number:02x}",
                address=f"10.0.0.{10 + beside}",
                hosts=tuple(hosts),
            )
        )
    policies = []
    for number in range(draw(st.integers(0, 4))):
        protocol = draw(st.sampled_from(Protocol))
        with_ports = protocol in (Protocol.TCP, Protocol.UDP)
        chosen = draw(st.lists(st.sampled_from(PORTS), unique=True, max_size=2)) if with_ports else []
        policies.append(
            Policy(
                id=PolicyId(str(number)),
                name=f"policy-{number}",
                source=draw(SELECTORS),
                target=draw(SELECTORS),
                protocol=protocol,
                ports=tuple(chosen),
            )
        )
    return Intent(
        revision=draw(st.integers(1, 9)),
        networks=NETWORKS,
        vms=tuple(vms),
        ports=tuple(ports),
        policies=tuple(policies),
    )


def chosen_by(selector: Selector, vm: Vm) -> bool:
    """What a selector means, said again: all that it gives, and it gives something."""
    given = {("label", *pair) for pair in selector.labels.items()}
    given |= {("zone", selector.zone_id)} if selector.zone_id else set()
    given |= {("project", selector.project_id)} if selector.project_id else set()
    has = {("zone", vm.zone_id), ("project", vm.project_id), *(("label", *pair) for pair in vm.labels.items())}
    return bool(given) and given <= has


def allowed(intent: Intent, source: Port, target: Port, protocol: str, port: int) -> bool:
    """The promise itself, said again without switches: is there a policy for this packet?"""
    vms = {vm.id: vm for vm in intent.vms}
    return source.network_id == target.network_id and any(
        chosen_by(policy.source, vms[source.vm_id])
        and chosen_by(policy.target, vms[target.vm_id])
        and policy.protocol in (Protocol.ANY, protocol)
        and (not policy.ports or port in policy.ports)
        for policy in intent.policies
    )


def openings(fabric: Fabric) -> set[tuple[str, str, str, int]]:
    switching = Switching(fabric)
    return {
        (source, target, protocol, port)
        for source, target in itertools.permutations(fabric.ports, 2)
        for protocol, port in PROBES
        if switching.may_open(source, target, protocol=protocol, port=port)
    }


@given(intents())
@settings(max_examples=150)
def test_two_guests_can_talk_exactly_if_a_policy_lets_one_call_the_other(intent: Intent) -> None:
    opened = openings(compile_fabric(intent))
    for source, target in itertools.permutations(intent.ports, 2):
        for protocol, port in PROBES:
            expected = allowed(intent, source, target, protocol, port)
            assert ((source.id, target.id, protocol, port) in opened) == expected


@given(intents(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_no_packet_passes_that_is_neither_allowed_nor_an_answer_to_one_that_was(
    intent: Intent, chance: random.Random
) -> None:
    switching, passed = Switching(compile_fabric(intent)), set()
    ports = {port.id: port for port in intent.ports}
    if len(ports) < 2:
        return
    names = {1: "icmp", 6: "tcp", 17: "udp"}
    for _ in range(60):
        source, target = chance.sample(sorted(ports), 2)
        number = chance.choice([1, 6, 17])
        one, other = (chance.choice([53, 80, 4000]), chance.choice([53, 80, 4000])) if number != 1 else (0, 0)
        flags = frozenset(chance.sample([1, ACK], chance.randint(0, 2))) if number == 6 else frozenset[int]()
        packet = Packet(
            source=source, target=target, protocol=number, source_port=one, target_port=other, flags=flags,
            icmp_type=chance.choice([0, 3, 8, 11]) if number == 1 else 0,
        )  # fmt: skip
        if switching.passes(packet):
            flow = (source, target, number, one, other)
            back = answer(packet)
            reply = (back.source, back.target, number, back.source_port, back.target_port)
            is_allowed = allowed(intent, ports[source], ports[target], names[number], other)
            assert is_allowed or reply in passed, f"{packet} passed"
            if is_allowed:
                passed.add(flow)


@given(intents(), intents())
@settings(max_examples=100)
def test_applying_a_difference_leaves_none(before: Intent, after: Intent) -> None:
    observed, wanted = compile_fabric(before), compile_fabric(after)
    applied = apply_changes(observed, diff_fabric(observed, wanted), revision=wanted.revision)
    assert applied == wanted
    assert diff_fabric(applied, wanted) == ()


@given(intents(), intents())
@settings(max_examples=60)
def test_no_step_of_a_change_opens_what_neither_end_does(before: Intent, after: Intent) -> None:
    fabric, wanted = compile_fabric(before), compile_fabric(after)
    bound = openings(fabric) | openings(wanted)
    for change in diff_fabric(fabric, wanted):
        fabric = apply_changes(fabric, [change])
        assert openings(fabric) <= bound, f"{change} opens more"


@given(intents(), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_the_order_in_which_things_are_told_changes_nothing(intent: Intent, chance: random.Random) -> None:
    def shuffled(things: tuple) -> tuple:
        return tuple(chance.sample(things, len(things)))

    other = Intent(
        revision=intent.revision,
        networks=shuffled(intent.networks),
        vms=shuffled(intent.vms),
        ports=shuffled(intent.ports),
        policies=shuffled(intent.policies),
    )
    assert compile_fabric(other) == compile_fabric(intent)


@given(intents())
@settings(max_examples=80)
def test_each_group_holds_exactly_the_ports_its_selector_selects_on_one_network(intent: Intent) -> None:
    fabric = compile_fabric(intent)
    vms = {vm.id: vm for vm in intent.vms}
    expected = {
        members
        for policy in intent.policies
        for network in intent.networks
        for selector in (policy.source, policy.target)
        if (members := frozenset(
            port.id for port in intent.ports if port.network_id == network.id and chosen_by(selector, vms[port.vm_id])
        ))
    }  # fmt: skip
    assert {group.members for group in fabric.groups.values()} <= expected
    for group in fabric.groups.values():
        assert len({fabric.ports[member].switch for member in group.members}) == 1
