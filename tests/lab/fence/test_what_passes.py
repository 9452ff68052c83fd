"""Promise 1, with real guests: nothing passes that no policy allows."""

import pytest
from tests.lab.tenants import address

from ringfence.lab import agents
from ringfence.lab.probes import ECHO_PORT, OTHER_PORT, HeldConnection, PingRun, know_neighbour, ping, tcp_echoes

pytestmark = pytest.mark.lab

RED, BLUE = {"zone": "red"}, {"zone": "blue"}


def test_two_vms_of_one_zone_reach_each_other_across_hosts_only_once_a_policy_allows_it(tenants):
    one, other = tenants.pair()
    shell = tenants.shell(one)
    tenants.shell(other)
    assert ping(shell, address(other)).received == 0
    assert not tcp_echoes(shell, address(other))
    tenants.policy(RED, RED)
    assert ping(shell, address(other)).received > 0
    assert tcp_echoes(shell, address(other))


def test_a_probe_is_not_told_of_the_denial_of_the_one_before_it(tenants):
    one, other = tenants.pair()
    shell = tenants.shell(one)
    tenants.shell(other)
    # Seven take over two seconds: by then the guest's kernel has asked for the MAC for the last of three times.
    assert ping(shell, address(other), count=7).received == 0
    tenants.policy(RED, RED)
    assert ping(shell, address(other)).received == 3


def test_a_guest_that_knows_a_strangers_mac_does_not_reach_it_either(tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    shell = tenants.shell(blue)
    tenants.shell(red)
    know_neighbour(shell, red)
    expression = f"src {address(blue)} and dst {address(red)}"
    with (
        tenants.cloud.capture([red["host"]], expression) as leaks,
        tenants.cloud.capture([blue["host"]], expression) as tried,
    ):
        assert ping(shell, address(red)).received == 0
        assert not tcp_echoes(shell, address(red))
    assert tried.count > 0
    assert leaks.worked
    assert leaks.count == 0


def test_zones_apart_are_denied_both_ways_and_their_arp_as_well(tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    tenants.policy(RED, RED)
    for here, there in ((red, blue), (blue, red)):
        shell = tenants.shell(here)
        assert ping(shell, address(there)).received == 0
        assert not tcp_echoes(shell, address(there))
        assert not shell.run(f"arping -c 2 -w 3 -I eth0 {address(there)}", timeout_seconds=15).ok


def test_a_policy_opens_one_port_one_way_and_its_removal_cuts_the_open_connection(tenants):
    red, blue = tenants.all_vms([{"zone": "red", "labels": {"app": "db"}}, {"zone": "blue"}])
    policy = tenants.policy(BLUE, {"zone": "red", "labels": {"app": "db"}}, "tcp", [ECHO_PORT])
    shell, back = tenants.shell(blue), tenants.shell(red)
    assert tcp_echoes(shell, address(red))
    assert not tcp_echoes(shell, address(red), OTHER_PORT)
    assert ping(shell, address(red)).received == 0
    assert not tcp_echoes(back, address(blue))
    held = HeldConnection(shell, address(red))
    assert held.echoes("before")
    tenants.drop_policy(policy)
    assert not held.echoes("after")
    assert not tcp_echoes(shell, address(red))


def test_policy_follows_a_label_that_is_given_and_taken_away(tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    tenants.policy(BLUE, {"zone": "red", "labels": {"open": "yes"}}, "icmp")
    shell = tenants.shell(blue)
    tenants.shell(red)
    assert ping(shell, address(red)).received == 0
    tenants.cloud.finish(tenants.cloud.client.change(f"/v1/vms/{red['id']}", {"labels": {"open": "yes"}}))
    assert ping(shell, address(red)).received > 0
    tenants.cloud.finish(tenants.cloud.client.change(f"/v1/vms/{red['id']}", {"labels": {}}))
    assert ping(shell, address(red)).received == 0


@pytest.mark.parametrize("lie", ["mac", "address"])
def test_a_guest_that_lies_about_who_it_is_reaches_nobody(tenants, lie):
    one, other = tenants.pair()
    tenants.policy(RED, RED)
    shell = tenants.shell(one)
    tenants.shell(other)
    assert ping(shell, address(other)).received > 0
    if lie == "mac":
        shell.run("ip link set eth0 down; ip link set eth0 address 52:54:00:de:ad:01; ip link set eth0 up")
    else:
        shell.run(f"ip addr flush dev eth0; ip addr add {address(other)[: address(other).rindex('.')]}.250/24 dev eth0")
    assert ping(shell, address(other)).received == 0


def test_the_fence_holds_and_what_is_allowed_passes_while_controller_and_agents_are_dead(tenants):
    one, other = tenants.pair()
    blue = tenants.vm("blue")
    tenants.policy(RED, RED)
    cloud = tenants.cloud
    friend, stranger = tenants.shell(one), tenants.shell(blue)
    know_neighbour(stranger, other)
    allowed = PingRun(friend, address(other), per_second=10, seconds=300, name="allowed")
    denied = PingRun(stranger, address(other), per_second=50, seconds=300, name="denied")
    try:
        cloud.kill_controller()
        for host in cloud.lab.hosts:
            agents.kill(host)
        # The event waited for: so many allowed packets have come, at a host without its agent, with no controller.
        expression = ["icmp", "and", "src", address(one), "and", "dst", address(other)]
        cloud.lab.host(other["host"]).run(
            ["tcpdump", "-i", "any", "-n", "-c", "60", "-w", "/dev/null", *expression], timeout_seconds=60
        )
    finally:
        cloud.start_controller()
        for host in cloud.lab.hosts:
            agents.start(host)
        cloud.await_hosts()
    passed = allowed.stop(tenants.shell(one))
    kept_out = denied.stop(tenants.shell(blue))
    assert passed.received > 20
    assert kept_out.sent > 20
    assert kept_out.received == 0
