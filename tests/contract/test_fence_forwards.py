"""What OVN's and OVS's own programs do with packets under a compiled fabric: one real switch, real connection state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.contract import packets
from tests.contract.ovn import SwitchHost, running_central, running_hosts
from tests.contract.packets import ACK, BROADCAST, PUSH_ACK, SYN, SYN_ACK, Nic

from ringfence.adapters.northbound import OvnFence
from ringfence.decide.segmentation import Intent, compile_fabric, dhcp_server
from ringfence.model.names import FlavorId, HostId, ImageId, NetworkId, PolicyId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Network, Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm, VmState

pytestmark = pytest.mark.contract

HOST = HostId("h1")
NETWORK = Network(id=NetworkId("net"), name="net", cidr="10.1.0.0/24", mtu=1400)
RED, BLUE, GREEN = (Selector(zone_id=ZoneId(zone)) for zone in ("red", "blue", "green"))
ZONES = {"r1": "red", "r2": "red", "b1": "blue", "b2": "blue", "g1": "green"}
NICS = {name: Nic(f"nic-{name}", f"52:54:00:00:00:{n:02x}", f"10.1.0.{10 + n}") for n, name in enumerate(ZONES)}
R1, R2, B1, B2, G1 = NICS.values()

WITHIN_RED = Policy(id=PolicyId("1"), name="within-red", source=RED, target=RED, protocol=Protocol.ANY)
BLUE_DNS = Policy(id=PolicyId("2"), name="dns", source=BLUE, target=RED, protocol=Protocol.UDP, ports=(53,))
BLUE_WEB = Policy(id=PolicyId("3"), name="web", source=BLUE, target=RED, protocol=Protocol.TCP, ports=(80, 443))


class Cloud:
    """One host with a guest of each name plugged in; what a guest sends is followed by a beacon that must arrive."""

    def __init__(self, host: SwitchHost, fence: OvnFence) -> None:
        self.host, self.fence, self.revision, self.beacons = host, fence, 0, 0

    def apply(self, *policies: Policy) -> None:
        self.revision += 1
        self.fence.apply(compile_fabric(intent(self.revision, *policies)))
        self.fence.wait_in_force([HOST], timeout_seconds=20)

    def sends(self, source: Nic, *sent: bytes) -> dict[str, list[bytes]]:
        """Send, and tell who received what of it. The beacon after it passes once all before it was dealt with."""
        before = {nic.port: len(self.host.received(nic.port)) for nic in NICS.values()}
        self.beacons += 1
        beacon = packets.discover(G1, number=0xBEAC0000 + self.beacons)
        self.host.send(source.port, *sent)
        self.host.send(G1.port, beacon)
        mark = (0xBEAC0000 + self.beacons).to_bytes(4, "big")

        def came(nic: Nic) -> list[bytes]:
            return self.host.received(nic.port)[before[nic.port] :]

        self.host.programs.await_true(lambda: any(mark in packet for packet in came(G1)), "the beacon to come back")
        got = {nic.port: [packet for packet in came(nic) if mark not in packet] for nic in NICS.values()}
        return {port: received for port, received in got.items() if received}


def intent(revision: int, *policies: Policy) -> Intent:
    vms = tuple(
        Vm(
            id=VmId(name), name=name, project_id=ProjectId("p"), zone_id=ZoneId(zone), owner="o", labels={}, ports=(),
            flavor_id=FlavorId("f"), image_id=ImageId("i"), state=VmState.RUNNING,
        )
        for name, zone in ZONES.items()
    )  # fmt: skip
    ports = tuple(
        Port(
            id=PortId(nic.port),
            vm_id=VmId(name),
            network_id=NETWORK.id,
            mac=nic.mac,
            address=nic.address,
            hosts=(HOST,),
        )
        for name, nic in NICS.items()
    )
    return Intent(revision=revision, networks=(NETWORK,), vms=vms, ports=ports, policies=policies)


@pytest.fixture(scope="module")
def running() -> Iterator[Cloud]:
    with running_central(Path(mkdtemp(prefix="rf"))) as central, running_hosts(central, [HOST]) as (host,):
        fence = OvnFence(northbound=central.northbound, southbound=central.southbound)
        cloud = Cloud(host, fence)
        cloud.apply()
        for nic in NICS.values():
            host.plug(nic.port)
        for nic in NICS.values():
            central.programs.await_true(lambda port=nic.port: fence.bound_hosts(port), f"{nic.port} to be bound")
            central.programs.await_true(
                lambda port=nic.port: "true" in central.sbctl("get", "Port_Binding", port, "up"), f"{nic.port} to be up"
            )
        yield cloud
        fence.close()


@pytest.fixture
def cloud(running: Cloud) -> Cloud:
    running.apply(WITHIN_RED, BLUE_DNS, BLUE_WEB)
    return running


def test_guests_that_a_policy_joins_reach_one_another(cloud: Cloud) -> None:
    assert list(cloud.sends(R1, packets.icmp(R1, R2))) == [R2.port]
    assert list(cloud.sends(R2, packets.icmp(R2, R1, kind=0))) == [R1.port]
    assert list(cloud.sends(R1, packets.arp(R1, R2.address))) == [R1.port], "OVN answers in the place of the other"


@pytest.mark.parametrize(("source", "target"), [(R1, B1), (B1, R1), (B1, B2), (G1, R1), (R1, G1), (B1, G1)])
def test_guests_that_no_policy_joins_do_not(cloud: Cloud, source: Nic, target: Nic) -> None:
    tcp = packets.tcp(source, target, 4000, 22, SYN)
    assert cloud.sends(source, packets.icmp(source, target), tcp, packets.udp(source, target, 4000, 54)) == {}


@pytest.mark.parametrize(("source", "target"), [(B1, B2), (G1, R1), (R1, G1), (G1, B1)])
def test_arp_is_within_what_policies_need(cloud: Cloud, source: Nic, target: Nic) -> None:
    ask = packets.arp(source, target.address)
    tell = packets.arp(source, target.address, operation=2, to=target.mac)
    assert cloud.sends(source, ask, tell, packets.arp(source, source.address, to=target.mac)) == {}


def test_arp_goes_both_ways_of_a_policy(cloud: Cloud) -> None:
    assert list(cloud.sends(B1, packets.arp(B1, R1.address))) == [B1.port]
    assert list(cloud.sends(R1, packets.arp(R1, B1.address))) == [R1.port]


def test_arp_never_tells_of_an_address_that_is_not_the_sender_s(cloud: Cloud) -> None:
    poison = packets.arp(R1, R2.address, operation=2, to=R2.mac, spoofed=B1.address)
    assert cloud.sends(R1, poison, packets.arp(R1, B1.address, spoofed=B1.address)) == {}


def test_spoofed_addresses_and_macs_go_nowhere(cloud: Cloud) -> None:
    with_address = packets.icmp(replace(R1, address=B1.address), R2)
    with_mac = packets.icmp(replace(R1, mac=B1.mac), R2)
    assert cloud.sends(R1, with_address, with_mac) == {}


def test_a_frame_to_the_mac_of_one_guest_cannot_carry_the_address_of_another(cloud: Cloud) -> None:
    # Blue may reach red; to send red's packet to the green guest's MAC gets it nowhere.
    assert cloud.sends(B1, packets.udp(B1, replace(R1, mac=G1.mac), 4000, 53)) == {}


@pytest.mark.parametrize("kind", [0x88CC, 0x8035, 0x1234, 0x8100, 0x8863, 0x8847, 0x0842, 0x0026, 0x88E5])
def test_other_kinds_of_frames_pass_nowhere(cloud: Cloud, kind: int) -> None:
    frames = [packets.ethernet(R1.mac, to, kind, bytes(60)) for to in (R2.mac, BROADCAST, "01:80:c2:00:00:0e")]
    assert cloud.sends(R1, *frames) == {}


def test_ipv6_passes_nowhere_though_ovn_lets_neighbour_discovery_pass_any_rule(cloud: Cloud) -> None:
    for sent in (
        packets.neighbour_solicitation(R1, "fe80::1"),
        packets.neighbour_advertisement(R1),
        packets.ipv6(R1, "ff02::1", 134, body=bytes(12)),
        packets.ipv6(R1, "ff02::2", 133, body=bytes(4)),
        packets.ipv6(R1, "ff02::2", 133, body=bytes(4), from_address="::"),
        packets.ipv6(R1, "ff02::16", 143, body=bytes(4)),
        packets.ipv6(R1, "ff02::16", 143, body=bytes(4), from_address="::"),
        packets.ipv6(R1, "ff02::1:ff00:1", 135, body=bytes(20), from_address="::"),
        packets.ipv6(R1, "ff02::1", 128, body=bytes(4)),
    ):
        assert cloud.sends(R1, sent) == {}


def test_a_guest_in_no_group_reaches_nothing_but_dhcp(cloud: Cloud) -> None:
    got = cloud.sends(G1, packets.icmp(G1, R1), packets.udp(G1, R1, 4000, 53), packets.discover(G1))
    assert list(got) == [G1.port]
    (offer,) = got[G1.port]
    assert bytes(int(part) for part in dhcp_server(NETWORK)[0].split(".")) in offer
    assert b"\x1a\x02\x05\x78" in offer, "the MTU"
    assert b"\x33\x04\xff\xff\xff\xff" in offer, "a lease without end"
    assert b"\x03\x04" not in offer, "no router"


def test_no_guest_can_be_a_dhcp_server_or_hear_a_dhcp_client(cloud: Cloud) -> None:
    answer = packets.udp(R1, Nic("", BROADCAST, "255.255.255.255"), 67, 68)
    assert cloud.sends(R1, answer, packets.udp(R1, B1, 67, 68)) == {}
    # What OVN cannot answer it would send on: to those who may call red, as if it were red's answer.
    every_udp = Policy(id=PolicyId("5"), name="udp", source=BLUE, target=RED, protocol=Protocol.UDP)
    cloud.apply(WITHIN_RED, every_udp)
    for mac in (BROADCAST, B1.mac):
        assert cloud.sends(R1, packets.udp(R1, Nic("", mac, "255.255.255.255"), 68, 67)) == {}
        assert cloud.sends(R1, packets.udp(R1, Nic("", mac, dhcp_server(NETWORK)[0]), 68, 67)) == {}


def test_a_frame_to_everyone_with_the_address_of_one_reaches_nobody(cloud: Cloud) -> None:
    everything = Policy(id=PolicyId("6"), name="all", source=BLUE, target=RED, protocol=Protocol.ANY)
    cloud.apply(WITHIN_RED, everything)
    for mac in (BROADCAST, "01:00:5e:00:00:01", "33:33:00:00:00:01"):
        assert (
            cloud.sends(R1, packets.icmp(R1, replace(R2, mac=mac)), packets.udp(R1, replace(R2, mac=mac), 1, 2)) == {}
        )


def test_broadcast_and_multicast_reach_nobody(cloud: Cloud) -> None:
    everyone = Nic("", BROADCAST, "255.255.255.255")
    subnet = Nic("", BROADCAST, "10.1.0.255")
    group = Nic("", "01:00:5e:00:00:fb", "224.0.0.251")
    assert cloud.sends(R1, *(packets.udp(R1, to, 5353, 5353) for to in (everyone, subnet, group))) == {}


def test_a_target_answers_and_does_not_call(cloud: Cloud) -> None:
    assert cloud.sends(R1, packets.tcp(R1, B1, 80, 4001, SYN)) == {}
    assert cloud.sends(R1, packets.tcp(R1, B1, 80, 4001, PUSH_ACK)) == {}
    assert cloud.sends(R1, packets.udp(R1, B1, 53, 4001)) == {}
    assert list(cloud.sends(B1, packets.tcp(B1, R1, 4001, 80, SYN))) == [R1.port]
    assert list(cloud.sends(R1, packets.tcp(R1, B1, 80, 4001, SYN_ACK, seq=5000, ack=1001))) == [B1.port]
    assert list(cloud.sends(B1, packets.tcp(B1, R1, 4001, 80, ACK, seq=1001, ack=5001))) == [R1.port]
    assert list(cloud.sends(R1, packets.tcp(R1, B1, 80, 4001, PUSH_ACK, seq=5001, ack=1001))) == [B1.port]
    assert cloud.sends(R1, packets.tcp(R1, B1, 443, 4001, PUSH_ACK, seq=5001, ack=1001)) == {}


def test_a_removed_policy_ends_answers_to_a_source_that_keeps_silent(cloud: Cloud) -> None:
    assert list(cloud.sends(B1, packets.udp(B1, R1, 4002, 53))) == [R1.port]
    stream = packets.udp(R1, B1, 53, 4002)
    assert list(cloud.sends(R1, stream)) == [B1.port]
    cloud.apply(WITHIN_RED, BLUE_WEB)
    assert cloud.sends(R1, stream, stream) == {}
    assert cloud.sends(B1, packets.udp(B1, R1, 4002, 53)) == {}
    cloud.apply(WITHIN_RED, BLUE_DNS, BLUE_WEB)
    assert list(cloud.sends(B1, packets.udp(B1, R1, 4002, 53))) == [R1.port]


def test_a_removed_policy_ends_an_open_tcp_connection_both_ways(cloud: Cloud) -> None:
    cloud.sends(B1, packets.tcp(B1, R1, 4003, 80, SYN))
    cloud.sends(R1, packets.tcp(R1, B1, 80, 4003, SYN_ACK, seq=5000, ack=1001))
    cloud.sends(B1, packets.tcp(B1, R1, 4003, 80, ACK, seq=1001, ack=5001))
    cloud.apply(WITHIN_RED, BLUE_DNS)
    assert cloud.sends(R1, packets.tcp(R1, B1, 80, 4003, PUSH_ACK, seq=5001, ack=1001)) == {}
    assert cloud.sends(B1, packets.tcp(B1, R1, 4003, 80, PUSH_ACK, seq=1001, ack=5001)) == {}


def test_a_guest_that_leaves_a_group_loses_its_open_connections(cloud: Cloud) -> None:
    cloud.sends(B1, packets.udp(B1, R1, 4004, 53))
    assert list(cloud.sends(R1, packets.udp(R1, B1, 53, 4004))) == [B1.port]
    was = intent(cloud.revision + 1, WITHIN_RED, BLUE_DNS, BLUE_WEB)
    moved = tuple(replace(vm, zone_id=ZoneId("green")) if vm.name == "b1" else vm for vm in was.vms)
    cloud.revision += 1
    cloud.fence.apply(compile_fabric(replace(was, vms=moved)))
    cloud.fence.wait_in_force([HOST], timeout_seconds=20)
    assert cloud.sends(R1, packets.udp(R1, B1, 53, 4004)) == {}


def test_fragments_do_not_go_round_the_ports_of_a_policy(cloud: Cloud) -> None:
    # Both zones may call the other on one port: what each lets through for answers must not add up to more.
    back = Policy(id=PolicyId("4"), name="back", source=RED, target=BLUE, protocol=Protocol.UDP, ports=(99,))
    cloud.apply(WITHIN_RED, BLUE_DNS, back)
    assert cloud.sends(B1, *packets.udp_fragments(B1, R1, 4005, 7777)) == {}
    assert cloud.sends(R1, *packets.udp_fragments(R1, B1, 4005, 7777)) == {}
    assert cloud.sends(B1, packets.icmp(B1, R1, kind=3)) == {}, "errors of no connection"


def test_fragments_pass_where_a_policy_names_no_ports(cloud: Cloud) -> None:
    assert [len(packet) for packet in cloud.sends(R1, *packets.udp_fragments(R1, R2, 4006, 53))[R2.port]] == [1434, 242]


def test_an_error_about_a_connection_reaches_who_opened_it(cloud: Cloud) -> None:
    request = packets.udp(B1, R1, 4007, 53)
    cloud.sends(B1, request)
    unreachable = packets.icmp(R1, B1, kind=3, payload=request[14 : 14 + 28])
    assert list(cloud.sends(R1, unreachable)) == [B1.port]


def test_the_fence_stands_while_everything_that_decides_is_dead(cloud: Cloud) -> None:
    programs = cloud.host.central.programs
    programs.stop("northd")
    cloud.host.programs.stop("controller", with_signal=9)
    (cloud.host.folder / "controller.ctl").unlink(missing_ok=True)
    try:
        # Beacons need ovn-controller: what comes is read until what is allowed has come.
        before = len(cloud.host.received(R2.port))
        cloud.host.send(R1.port, packets.icmp(R1, B1), packets.icmp(R1, G1), packets.icmp(R1, R2))
        programs.await_true(lambda: len(cloud.host.received(R2.port)) > before, "the allowed packet")
        assert all(packets.icmp(R1, to) not in cloud.host.received(to.port) for to in (B1, G1))
    finally:
        (cloud.host.central.folder / "northd.ctl").unlink(missing_ok=True)
        cloud.host.central.start_northd()
        cloud.host.start_controller()
    cloud.apply(WITHIN_RED)
    assert list(cloud.sends(R1, packets.icmp(R1, R2))) == [R2.port]
