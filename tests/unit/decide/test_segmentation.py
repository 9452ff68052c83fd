from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ringfence.decide.fabric import Direction, Rule, Verdict
from ringfence.decide.segmentation import Intent, apply_changes, compile_fabric, dhcp_server, diff_fabric, selects
from ringfence.fakes.switching import Packet, Switching, answer
from ringfence.model.names import FlavorId, HostId, ImageId, NetworkId, PolicyId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Network, Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm, VmState

pytestmark = pytest.mark.unit

NETWORK = Network(id=NetworkId("net"), name="net", cidr="10.1.0.0/24", mtu=1400)
RED, BLUE = Selector(zone_id=ZoneId("red")), Selector(zone_id=ZoneId("blue"))


def vm(name: str, zone: str, **labels: str) -> Vm:
    return Vm(
        id=VmId(name), name=name, project_id=ProjectId("p"), zone_id=ZoneId(zone), owner="o", flavor_id=FlavorId("f"),
        image_id=ImageId("i"), state=VmState.RUNNING, labels=labels, ports=(),
    )  # fmt: skip


def port(name: str, number: int, *hosts: str) -> Port:
    return Port(
        id=PortId(f"{name}-nic"), vm_id=VmId(name), network_id=NETWORK.id, mac=f"52:54:00:00:00:{number:02X}",
        address=f"10.1.0.{number}", hosts=tuple(HostId(host) for host in hosts),
    )  # fmt: skip


def policy(source: Selector, target: Selector, protocol: Protocol, *ports: int) -> Policy:
    return Policy(id=PolicyId("1"), name="x", source=source, target=target, protocol=protocol, ports=ports)


INTENT = Intent(
    revision=3,
    networks=(NETWORK,),
    vms=(vm("r1", "red"), vm("r2", "red"), vm("b1", "blue")),
    ports=(port("r1", 11, "h1"), port("r2", 12, "h1", "h2"), port("b1", 13)),
    policies=(policy(BLUE, RED, Protocol.UDP, 53),),
)


def test_an_empty_selector_selects_nothing() -> None:
    assert not selects(Selector(), vm("r1", "red", role="web"))
    fabric = compile_fabric(replace(INTENT, policies=(policy(Selector(), RED, Protocol.ANY),)))
    assert fabric.groups == {}
    assert {rule.holder for rule in fabric.rules} == {NETWORK.id}


def test_a_switch_without_policies_denies_everything_but_dhcp_to_its_own_server() -> None:
    fabric = compile_fabric(replace(INTENT, policies=()))
    assert {(rule.direction, rule.match) for rule in fabric.rules if rule.verdict == Verdict.DROP} == {
        (Direction.SENT, "1"),
        (Direction.RECEIVED, "1"),
        (Direction.RECEIVED, "(ip4 && eth.mcast) || ip4.dst == 255.255.255.255"),
    }
    (open_rule,) = (rule for rule in fabric.rules if rule.verdict != Verdict.DROP)
    assert open_rule.match == "udp.src == 68 && udp.dst == 67 && ip4.dst == {255.255.255.255, 10.1.0.1}"
    assert not Switching(fabric).may_ask("r1-nic", "r2-nic")


def test_no_rule_of_a_policy_tells_an_address() -> None:
    rules = [rule for rule in compile_fabric(INTENT).rules if rule.holder != NETWORK.id]
    assert rules
    assert not [rule for rule in rules if re.search(r"\d+\.\d+\.\d+\.\d+", rule.match)]


def test_names_and_labels_never_reach_a_match() -> None:
    hostile = 'x" || 1 || inport == "y'
    odd = Selector(zone_id=ZoneId(hostile), labels={hostile: hostile})
    intent = replace(
        INTENT, vms=(*INTENT.vms, vm("evil", hostile, **{hostile: hostile})), ports=(*INTENT.ports, port("evil", 14)),
        policies=(replace(policy(odd, odd, Protocol.ANY), name=hostile),),
    )  # fmt: skip
    fabric = compile_fabric(intent)
    (group,) = fabric.groups.values()
    assert group.members == {"evil-nic"}
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", name) for name in fabric.groups)
    assert not [rule for rule in fabric.rules if hostile in rule.match]


def test_equal_selectors_share_a_group_and_groups_keep_their_names() -> None:
    once = compile_fabric(INTENT)
    twice = compile_fabric(replace(INTENT, policies=(*INTENT.policies, policy(RED, BLUE, Protocol.ICMP))))
    assert set(twice.groups) == set(once.groups)


def test_a_port_that_nobody_may_bind_asks_for_a_host_that_cannot_be() -> None:
    ports = compile_fabric(INTENT).ports
    assert ports["b1-nic"].options == {"requested-chassis": "-"}
    assert ports["b1-nic"].tags == {"ringfence": "b1"}
    assert ports["r1-nic"].options == {"requested-chassis": "h1"}
    assert ports["r1-nic"].tags == {"ringfence": "r1", "rf-host-a": "h1"}


def test_a_port_on_the_move_waits_for_the_guest_to_announce_itself() -> None:
    port = compile_fabric(INTENT).ports["r2-nic"]
    assert port.options == {"requested-chassis": "h1,h2", "activation-strategy": "rarp"}
    assert port.tags == {"ringfence": "r2", "rf-host-a": "h1", "rf-host-b": "h2"}
    assert port.security == ("52:54:00:00:00:0c 10.1.0.12",)


def test_dhcp_offers_no_router_and_a_lease_without_end() -> None:
    address, mac = dhcp_server(NETWORK)
    assert compile_fabric(INTENT).switches["net"].dhcp == {
        "server_id": address, "server_mac": mac, "lease_time": "4294967295", "mtu": "1400",
    }  # fmt: skip


def test_two_ports_of_one_address_are_not_compiled() -> None:
    with pytest.raises(AssertionError, match="shares"):
        compile_fabric(replace(INTENT, ports=(port("r1", 11), replace(port("r2", 12), address="10.1.0.11"))))


def test_a_removed_policy_ends_replies_to_a_source_that_keeps_silent() -> None:
    switching = Switching(compile_fabric(INTENT))
    request = Packet(source="b1-nic", target="r1-nic", protocol=17, source_port=4000, target_port=53)
    assert switching.passes(request)
    assert switching.passes(answer(request))
    switching.fabric = compile_fabric(replace(INTENT, policies=()))
    assert not switching.passes(answer(request))
    switching.fabric = compile_fabric(INTENT)
    assert switching.passes(answer(request))


def test_tcp_that_opens_a_connection_is_no_reply_whatever_the_target_s_own_switch_lets_through() -> None:
    fabric = compile_fabric(replace(INTENT, policies=(policy(BLUE, RED, Protocol.TCP, 80),)))
    # The target's side is taken over: it sends what it likes.
    unheld = replace(fabric, rules=frozenset(rule for rule in fabric.rules if rule.direction == Direction.RECEIVED))
    opening = Packet(
        source="r1-nic", target="b1-nic", protocol=6, source_port=80, target_port=4000, flags=frozenset({1})
    )
    assert not Switching(unheld).passes(opening)
    assert Switching(unheld).passes(replace(opening, flags=frozenset({1, 4})))


def test_two_policies_on_networks_of_one_range_do_not_add_up() -> None:
    other = replace(NETWORK, id=NetworkId("other"))
    green = Selector(zone_id=ZoneId("green"))
    intent = Intent(
        revision=1,
        networks=(NETWORK, other),
        vms=(vm("r1", "red"), vm("r2", "red"), vm("b1", "blue"), vm("g1", "green")),
        ports=(
            port("r1", 11),
            port("r2", 12),
            replace(port("b1", 11), network_id=other.id),
            replace(port("g1", 12), network_id=other.id),
        ),
        # The blue one has the address of a red one, and so has the green one.
        policies=(policy(green, RED, Protocol.ANY), policy(RED, BLUE, Protocol.ANY)),
    )
    assert not Switching(compile_fabric(intent)).may_open("g1-nic", "b1-nic", protocol="icmp")


def test_a_change_is_told_in_words() -> None:
    observed = compile_fabric(replace(INTENT, policies=()))
    told = [str(change) for change in diff_fabric(observed, compile_fabric(INTENT))]
    assert any(re.fullmatch(r"group rf_[0-9a-f]{32} gains r1-nic, r2-nic", line) for line in told)
    assert any(line.startswith("add rule: allow-related to-lport on rf_") for line in told)


def test_one_more_vm_changes_only_what_is_its_own() -> None:
    more = replace(INTENT, vms=(*INTENT.vms, vm("r3", "red")), ports=(*INTENT.ports, port("r3", 15, "h1")))
    told = [str(change) for change in diff_fabric(compile_fabric(INTENT), compile_fabric(more))]
    assert [line.split(" ")[0] for line in told] == ["add", "group"]


def test_whatever_else_is_on_a_switch_is_removed() -> None:
    wanted = compile_fabric(INTENT)
    open_rule = Rule(holder="net", direction=Direction.SENT, priority=9, match="1", verdict="allow")
    floor = next(rule for rule in wanted.rules if rule.verdict == Verdict.DROP)
    altered = replace(
        wanted, rules=(wanted.rules - {floor}) | {open_rule},
        ports={**wanted.ports, "r1-nic": replace(wanted.ports["r1-nic"], security=(), strays=("enabled",))},
    )  # fmt: skip
    changes = diff_fabric(altered, wanted)
    assert [str(change).split(":")[0] for change in changes] == [
        "add rule", "remove rule", "correct security, strays of port r1-nic",
    ]  # fmt: skip
    assert apply_changes(altered, changes) == wanted
