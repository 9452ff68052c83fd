"""Promise 5: a host's certificate is short-lived and renewed by itself, and neither fence nor guests notice."""

import datetime as dt
import time

import pytest
from tests.lab.tenants import address

from ringfence.lab import agents
from ringfence.lab.probes import PingRun, know_neighbour

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

GOOD_SECONDS = 60
RED = {"zone": "red"}
FOLLOWED = ["ovn-nbctl", "--no-leader-only", "--timeout=20", "--wait=hv", "sync"]
DROP_ALL = ["ovs-appctl", "-t", "/run/ovn/ovnsb_db.ctl", "ovsdb-server/reconnect"]
LOG = f"/var/log/{agents.UNITS[1]}.log"


def expiry(cloud, name):
    """When the certificate expires that the controller knows the host by."""
    return dt.datetime.fromisoformat(cloud.client.get(f"/v1/hosts/{name}")["certificate_expires_at"])


def is_past(moment):
    # Certificates tell whole seconds.
    return dt.datetime.now(dt.UTC) > moment + dt.timedelta(seconds=1)


def await_true(there, what, *, timeout_seconds=120):
    deadline = time.monotonic() + timeout_seconds
    while not there():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)


def join_again(cloud, host):
    """Give the host a certificate for as long as the controller gives them now."""
    agents.kill(host)
    token = cloud.client.create("/v1/hosts/invitations", {"name": host.name, "again": True})["token"]
    agents.join(host, token)


def southbound_connections(host):
    said = host.run(["grep", "-c", "ssl:.*: connected", "/var/log/ovn/ovn-controller.log"], checked=False).out
    return int(said)


def test_a_certificate_is_renewed_the_southbound_knows_it_and_no_packet_notices(cloud, tenants):
    host = cloud.lab.host("host1")
    red, friend, stranger = tenants.all_vms(
        [{"zone": "red", "host": "host1"}, {"zone": "red", "host": "host2"}, {"zone": "blue", "host": "host3"}]
    )
    tenants.policy(RED, RED)
    with cloud.certificates_good_for(GOOD_SECONDS):
        join_again(cloud, host)
        agents.start(host)
        cloud.await_hosts()
        first = expiry(cloud, host.name)
        before = host.run(["sha256sum", agents.IDENTITY]).out
        shell, denied_shell = tenants.shell(friend), tenants.shell(stranger)
        know_neighbour(denied_shell, red)
        expression = f"src {address(stranger)} and dst {address(red)}"
        with cloud.capture(["host1", "host2"], expression) as leaks:
            allowed = PingRun(shell, address(red), per_second=20, seconds=300, name="allowed")
            denied = PingRun(denied_shell, address(red), per_second=100, seconds=300, name="denied")
            await_true(lambda: is_past(first), "the first certificate to expire")
            assert expiry(cloud, host.name) > dt.datetime.now(dt.UTC)
            assert host.run(["sha256sum", agents.IDENTITY]).out != before
            # Who dials the southbound now shows its certificate, and an expired one would be refused.
            connections = southbound_connections(host)
            cloud.lab.central.run(DROP_ALL)
            await_true(lambda: southbound_connections(host) > connections, "the switch to dial the southbound anew")
            # A server tells after the handshake whom it does not take: followed by every switch, it has taken them all.
            cloud.lab.central.run(FOLLOWED)
            passed, kept_out = allowed.stop(), denied.stop()
    assert passed.sent > 20 * GOOD_SECONDS / 2
    assert passed.received >= passed.sent - 1
    assert (kept_out.received, leaks.worked, leaks.count) == (0, True, 0)
    assert kept_out.sent > 1000
    # With the controller as it was, so is the certificate.
    await_true(lambda: expiry(cloud, host.name) > first + dt.timedelta(hours=70), "a certificate for three days")


def test_an_agent_whose_certificate_expired_says_so_and_what_to_do(cloud):
    host = cloud.lab.host("host1")
    with cloud.certificates_good_for(2):
        join_again(cloud, host)
        await_true(lambda: is_past(expiry(cloud, host.name)), "the certificate to expire")
    host.run(["truncate", "-s", "0", LOG])
    agents.start(host)
    try:
        told = ["grep", "-qF", "`ringfence host invite --again host1` on the controller"]
        await_true(lambda: host.run([*told, LOG], checked=False).ok, "the agent to say what to do", timeout_seconds=30)
        assert "The certificate of host host1 expired at" in host.run(["cat", LOG]).out
    finally:
        join_again(cloud, host)
        agents.start(host)
        cloud.await_hosts()
