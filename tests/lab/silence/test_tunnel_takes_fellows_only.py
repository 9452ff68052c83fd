"""Promise 5 at the overlay tunnel's port: packets of fellow hosts pass, those of others are counted and dropped."""

import json
import re

import pytest

from ringfence.lab import agents

pytestmark = pytest.mark.lab

TUNNEL_PORT = 6081
KNOCKS = 5
# Geneve (RFC 8926) as OVN writes it: network 1, one option of OVN's class, and a broadcast frame inside.
FORGE = """
import socket, sys
geneve = bytes.fromhex("0240655800000100010280010001 8001".replace(" ", ""))
frame = bytes.fromhex("ffffffffffff 0250deadbeef 0806".replace(" ", "")) + bytes(46)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(int(sys.argv[3])):
        sender.sendto(geneve + frame, (sys.argv[1], int(sys.argv[2])))
"""
KNOCK = "import socket, sys; socket.socket().connect_ex((sys.argv[1], 9))"
FLOWS = "cookie=0x72660001/-1"


def in_userspace(cloud):
    """Whether packets reach the switch before nftables sees them: then flows do there what nftables does elsewhere."""
    return cloud.lab.record.datapath == "netdev"


def counted(cloud, host):
    """How many packets were dropped, by nftables or the switch, not by the product."""
    if in_userspace(cloud):
        # The switch counts a while later, unless it is made to.
        host.run(["ovs-appctl", "revalidator/purge"])
        flows = host.run(["ovs-ofctl", "dump-flows", "br-phy", FLOWS]).out.splitlines()
        return sum(int(re.search(r"n_packets=(\d+)", flow)[1]) for flow in flows if "actions=drop" in flow)
    listed = json.loads(host.run(["nft", "--json", "list", "counter", "inet", "ringfence", "tunnel_refused"]).out)
    return sum(each["counter"]["packets"] for each in listed["nftables"] if "counter" in each)


def forge(source, target):
    source.run(["python3", "-c", FORGE, target.address, str(TUNNEL_PORT), str(KNOCKS)])


def refused(cloud, source, target):
    """How many of the forged packets the target dropped."""
    before = counted(cloud, target)
    forge(source, target)
    # Its answer to this is behind the packets on the same wire: by then they were seen to.
    source.run(["python3", "-c", KNOCK, target.address])
    return counted(cloud, target) - before


def await_fellows(cloud, host, address, *, listed):
    """Return once the host lets the address in, or does not; the bound is some heartbeats."""
    looks = [f"nft list set inet ringfence fellows | grep -qw {address}"]
    if in_userspace(cloud):
        looks.append(f"ovs-ofctl dump-flows br-phy {FLOWS} | grep -q nw_src={address},")
    for look in looks:
        until = f"while {'! ' if listed else ''}{{ {look}; }}; do sleep 0.2; done"
        cloud.on_host(host.name, ["timeout", "20", "sh", "-c", until])


def take_all_rules_away(cloud, host):
    host.run(["nft", "flush", "ruleset"])
    if in_userspace(cloud):
        host.run(["ovs-ofctl", "del-flows", "br-phy", FLOWS])


def test_a_strangers_packets_are_counted_and_dropped_and_fellows_are_not(cloud):
    one, other, third = cloud.lab.hosts
    for target in (one, other, third):
        assert refused(cloud, cloud.lab.central, target) == KNOCKS
    assert refused(cloud, other, one) == 0
    assert refused(cloud, third, one) == 0


def test_a_removed_host_is_a_stranger_and_one_that_joins_is_a_fellow(cloud):
    one, other, leaves = cloud.lab.hosts
    assert refused(cloud, leaves, one) == 0
    try:
        cloud.client.delete(f"/v1/hosts/{leaves.name}")
        for host in (one, other):
            await_fellows(cloud, host, leaves.address, listed=False)
            assert refused(cloud, leaves, host) == KNOCKS
    finally:
        cloud.rejoin(leaves)
    for host in (one, other):
        await_fellows(cloud, host, leaves.address, listed=True)
        assert refused(cloud, leaves, host) == 0
        await_fellows(cloud, leaves, host.address, listed=True)


def test_what_a_host_knows_of_its_fellows_outlives_its_agent_and_a_flush_of_all_rules(cloud):
    target, fellow = cloud.lab.host("host1"), cloud.lab.host("host2")
    agents.kill(target)
    try:
        assert refused(cloud, cloud.lab.central, target) == KNOCKS
        take_all_rules_away(cloud, target)
        # The root part alone: nobody tells it anything.
        agents.start(target, name=agents.UNITS[0])
        await_fellows(cloud, target, fellow.address, listed=True)
        assert refused(cloud, cloud.lab.central, target) == KNOCKS
        assert refused(cloud, fellow, target) == 0
        take_all_rules_away(cloud, target)
        await_fellows(cloud, target, fellow.address, listed=True)
    finally:
        agents.start(target)
        cloud.await_hosts()


def test_a_host_that_knows_no_fellows_lets_nobody_in(cloud):
    target, fellow = cloud.lab.host("host1"), cloud.lab.host("host2")
    agents.kill(target)
    try:
        cloud.on_host(target.name, ["rm", "/var/lib/ringfence-root/fellows.json"])
        agents.start(target, name=agents.UNITS[0])
        await_fellows(cloud, target, fellow.address, listed=False)
        assert refused(cloud, fellow, target) == KNOCKS
    finally:
        agents.start(target)
        cloud.await_hosts()
    await_fellows(cloud, target, fellow.address, listed=True)


def test_verify_shows_what_the_firewalls_counted(cloud):
    forge(cloud.lab.central, cloud.lab.host("host1"))
    ended = cloud.done(cloud.client.create("/v1/verifications"))
    (finding,) = [
        f for f in ended["result"]["findings"] if "overlay tunnel?" in f["question"] and "firewall" in f["question"]
    ]
    assert finding["verdict"] == "kept", finding
    assert "of others dropped" in finding["seen"]
    cloud.on_host("host2", ["nft", "add", "element", "inet", "ringfence", "fellows", "{ 192.0.2.77 }"])
    try:
        ended = cloud.done(cloud.client.create("/v1/verifications"))
        (finding,) = [f for f in ended["result"]["findings"] if f["question"] == finding["question"]]
        assert finding["verdict"] == "broken"
        assert finding["items"] == ["host2: lets in 192.0.2.77, no host's"]
    finally:
        cloud.on_host("host2", ["nft", "delete", "element", "inet", "ringfence", "fellows", "{ 192.0.2.77 }"])
