"""Promise 1 during a move: nothing denied passes, and what is allowed goes on."""

import pytest
from tests.lab.tenants import address

from ringfence.lab.probes import HeldConnection, PingRun, know_neighbour, ping

pytestmark = pytest.mark.lab

RED = {"zone": "red"}


def test_a_live_move_lets_nothing_denied_pass_and_keeps_an_open_connection(tenants):
    mover, friend = tenants.pair()
    stranger = tenants.vm("blue")
    tenants.policy(RED, RED)
    source = mover["host"]
    shell, denied_shell = tenants.shell(friend), tenants.shell(stranger)
    held = HeldConnection(shell, address(mover))
    assert held.echoes("before")
    expression = f"src {address(stranger)} and dst {address(mover)}"
    know_neighbour(denied_shell, mover)
    with tenants.cloud.capture([source, friend["host"]], expression) as leaks:
        allowed = PingRun(shell, address(mover), per_second=50, seconds=90, name="allowed")
        denied = PingRun(denied_shell, address(mover), per_second=500, seconds=90, name="denied")
        operation = tenants.move(mover)
        assert operation["state"] == "done", operation["error"]
        assert ping(shell, address(mover), count=5).received > 0
        passed, kept_out = allowed.stop(), denied.stop()
    assert tenants.read(mover)["host"] not in (source, stranger["host"])
    assert leaks.worked
    assert leaks.count == 0
    assert kept_out.sent > 100
    assert kept_out.received == 0
    assert passed.received > 0
    assert held.echoes("after")
    # Back again: what was open at the first source is not what opens it now.
    assert tenants.move(mover)["state"] == "done"
    assert ping(shell, address(mover)).received > 0


def test_a_vm_is_not_moved_to_a_host_of_a_zone_apart(tenants):
    mover, _ = tenants.pair()
    stranger = tenants.vm("blue")
    operation = tenants.move(mover, host=stranger["host"])
    assert operation["state"] == "failed"
    assert operation["error"]["code"] == "no-host-fits"
    assert "blue" in operation["error"]["facts"]["rejected"][stranger["host"]]
    assert tenants.read(mover)["state"] == "running"
    assert tenants.read(mover)["host"] == mover["host"]
