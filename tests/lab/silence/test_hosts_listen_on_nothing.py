"""Promise 5: what a host shows to the network, always and during a move."""

import pytest
from tests.lab.orders import order, spec_of

from ringfence import wire
from ringfence.lab import agents

pytestmark = pytest.mark.lab

MOVE_PORT = 8472
OVERLAY = "udp 0.0.0.0:6081"
KNOCK = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()"


def shown(cloud, host):
    """The sockets that others could reach, by `ss`, not by the product."""
    lines = cloud.on_host(host, ["ss", "-H", "-l", "-n", "-t", "-u"]).splitlines()
    sockets = {f"{line.split()[0]} {line.split()[4]}" for line in lines}
    return {each for each in sockets if " 127." not in each and " [::1]" not in each}


def reaches(cloud, host, address):
    return cloud.lab.host(host).run(["python3", "-c", KNOCK, address, str(MOVE_PORT)], checked=False).ok


def test_a_host_listens_on_nothing_but_the_overlay_tunnel(cloud):
    for host in cloud.lab.hosts:
        assert shown(cloud, host.name) <= {OVERLAY, "udp [::]:6081"}, host.name


def test_during_a_move_one_peer_reaches_one_port_and_afterwards_nobody_does(cloud, tenants):
    red = tenants.vm("red")
    hosts = {host["name"]: host for host in cloud.client.pages("/v1/hosts", limit=10)}
    target, other = sorted(set(hosts) - {red["host"]})
    address = cloud.lab.host(target).address
    before = shown(cloud, target)
    opened = order(
        cloud,
        hosts[target]["id"],
        wire.ReceiveMove(
            vm=spec_of(cloud, red["id"]),
            source_host_id=red["host_id"],
            source_address=cloud.lab.host(red["host"]).address,
            window_seconds=120.0,
        ),
    )
    assert opened.error is None
    assert shown(cloud, target) - before == {f"tcp {address}:{MOVE_PORT}"}
    assert reaches(cloud, red["host"], address)
    assert not reaches(cloud, other, address)
    closed = order(cloud, hosts[target]["id"], wire.CloseMove(vm_id=red["id"], keep=False))
    assert closed.error is None
    assert shown(cloud, target) == before
    assert not reaches(cloud, red["host"], address)


def test_a_window_closes_by_itself_though_the_agent_is_dead(cloud, tenants):
    red = tenants.vm("red")
    hosts = {host["name"]: host for host in cloud.client.pages("/v1/hosts", limit=10)}
    target = min(set(hosts) - {red["host"]})
    verb = wire.ReceiveMove(
        vm=spec_of(cloud, red["id"]),
        source_host_id=red["host_id"],
        source_address=cloud.lab.host(red["host"]).address,
        window_seconds=3.0,
    )
    assert order(cloud, hosts[target]["id"], verb).error is None
    agents.kill(cloud.lab.host(target))
    # The firewall counts for itself: wait for it, not for the agent.
    wait = "while nft list set inet ringfence move_peers | grep -q elements; do sleep 0.2; done"
    cloud.on_host(target, ["timeout", "15", "sh", "-c", wait])
    assert shown(cloud, target) <= {OVERLAY, "udp [::]:6081"}
    agents.start(cloud.lab.host(target))
    assert order(cloud, hosts[target]["id"], wire.CloseMove(vm_id=red["id"], keep=False)).error is None
