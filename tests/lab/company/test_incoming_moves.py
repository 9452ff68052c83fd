"""Promise 2 on the destination of a move, whoever began it."""

import pytest
from tests.lab.orders import order, spec_of

from ringfence import wire

pytestmark = pytest.mark.lab

VIRSH = ["virsh", "-c", "qemu:///system"]


def test_a_host_refuses_to_get_ready_for_a_vm_of_a_zone_apart(cloud, tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    verb = wire.ReceiveMove(
        vm=spec_of(cloud, red["id"]),
        source_host_id=red["host_id"],
        source_address=cloud.lab.host(red["host"]).address,
        window_seconds=60.0,
    )
    answer = order(cloud, blue["host_id"], verb)
    assert answer.error is not None
    assert answer.error.code == "zone-forbids"
    folders = cloud.on_host(blue["host"], ["ls", "/var/lib/ringfence/vms"]).split()
    assert folders == [blue["id"]]


def test_a_source_that_sends_unasked_is_kept_out_and_the_vm_goes_on(cloud, tenants):
    red, blue = tenants.all_vms([{"zone": "red"}, {"zone": "blue"}])
    verb = wire.SendMove(
        vm_id=red["id"],
        destination_host_id=blue["host_id"],
        destination_address=cloud.lab.host(blue["host"]).address,
        timeout_seconds=30.0,
    )
    answer = order(cloud, red["host_id"], verb)
    assert answer.error is not None
    assert answer.error.code == "move-failed"
    assert red["id"] in cloud.on_host(red["host"], [*VIRSH, "list", "--uuid"])
    assert red["id"] not in cloud.on_host(blue["host"], [*VIRSH, "list", "--all", "--uuid"])
