"""Promise 2 on the host itself: it refuses a stranger whoever asks, and by whatever way."""

import re
import time
import uuid

import pytest

from ringfence import wire
from ringfence.store import commands
from ringfence.store.engine import Store, make_engine
from ringfence.store.records import StoredRecords

pytestmark = pytest.mark.lab

VIRSH = ["virsh", "-c", "qemu:///system"]


def copy_of(tenants, vm, *, zone_id):
    """The XML of a diskless twin of the VM, of another zone ("" for none), as somebody might start it by hand."""
    xml = tenants.cloud.on_host(vm["host"], [*VIRSH, "dumpxml", "--inactive", vm["id"]])
    xml = xml.replace(vm["id"], str(uuid.uuid4()))
    xml = re.sub(r"^  <name>.*?</name>", "  <name>by-hand</name>", xml, flags=re.MULTILINE)
    xml = re.sub(r"<(disk|interface|channel|serial|console)\b.*?</\1>", "", xml, flags=re.DOTALL)
    if not zone_id:
        return re.sub(r"<metadata\b.*?</metadata>", "", xml, flags=re.DOTALL)
    return xml.replace(vm["zone_id"], zone_id)


def start_by_hand(tenants, host, xml):
    return tenants.cloud.lab.host(host).run(
        [*VIRSH, "create", "/dev/stdin"], input_text=xml, timeout_seconds=60, checked=False
    )


def test_a_domain_of_a_zone_apart_is_refused_when_started_by_hand(tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    tried = start_by_hand(tenants, red["host"], copy_of(tenants, red, zone_id=blue["zone_id"]))
    assert not tried.ok
    assert "does not mix with" in tried.err
    running = tenants.cloud.on_host(red["host"], [*VIRSH, "list", "--name"])
    assert "by-hand" not in running


def test_a_domain_without_a_zone_is_refused_when_started_by_hand(tenants):
    red = tenants.vm("red")
    assert not start_by_hand(tenants, red["host"], copy_of(tenants, red, zone_id="")).ok


def test_the_twin_of_the_same_zone_would_have_started_so_the_refusals_mean_something(tenants):
    red = tenants.vm("red")
    tried = start_by_hand(tenants, red["host"], copy_of(tenants, red, zone_id=red["zone_id"]))
    assert tried.ok, tried.err
    tenants.cloud.lab.host(red["host"]).run([*VIRSH, "destroy", "by-hand"])


def test_the_agent_refuses_a_stranger_though_the_controller_orders_it(tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    # A controller gone wrong: the order is put into the mailbox past all that would refuse it.
    store = Store(make_engine(f"sqlite:///{tenants.cloud.data / 'ringfence.db'}"))
    try:
        spec = StoredRecords(store).vm_spec(blue["id"])
        order = wire.StartVm(vm=spec)
        with store.transaction() as session:
            commands.add_command(session, red["host_id"], order, key=f"test/{blue['id']}", patience_seconds=60)
        answer = None
        deadline = time.monotonic() + 60
        while answer is None and time.monotonic() < deadline:
            with store.reading() as session:
                answer = commands.answer_of(session, red["host_id"], f"test/{blue['id']}")
    finally:
        store.close()
    assert answer is not None
    assert answer.error is not None
    assert answer.error.code == "zone-forbids"
    assert blue["id"] not in tenants.cloud.on_host(red["host"], [*VIRSH, "list", "--uuid"])
