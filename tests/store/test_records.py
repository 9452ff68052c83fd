"""The store as the workflows see it keeps to `ports.Records`."""

from __future__ import annotations

import pytest

from ringfence.errors import NotFound, StoreBusy
from ringfence.model.operations import OperationState, StepState
from ringfence.model.policies import Protocol, Selector
from ringfence.model.vms import VmState
from ringfence.model.zones import ZoneForbids
from ringfence.ports import Records
from ringfence.store import policies, vms
from ringfence.store.records import StoredRecords

pytestmark = pytest.mark.store


@pytest.fixture
def records(store) -> Records:
    return StoredRecords(store)


def test_a_whole_life_of_a_vm(cloud, records):
    one, two = cloud.add_host("h1"), cloud.add_host("h2")
    vm = cloud.add_vm("r")
    (operation,) = records.unfinished_operations()
    records.step_began(operation.id, 1, "choose a host")
    records.claim(vm.id, one, reason="emptiest")
    records.claim(vm.id, one, reason="emptiest")
    records.bind_ports(vm.id, [one])
    records.step_ended(operation.id, 1, StepState.DONE, "h1")
    records.vm_became(vm.id, VmState.RUNNING)
    records.operation_became(operation.id, OperationState.DONE, result={"host": "h1"})
    assert records.operation(operation.id).result == {"host": "h1"}
    assert records.unfinished_operations() == []
    assert (records.vm(vm.id).host_id, records.vm(vm.id).ports[0].hosts) == (one, (one,))
    records.claim(vm.id, two, reason="asked for")
    records.bind_ports(vm.id, [one, two])
    assert records.intent().ports[0].hosts == (one, two)
    records.settle(vm.id, two, reason="moved")
    records.bind_ports(vm.id, [two])
    records.release(vm.id, one)
    assert [snapshot.zones for snapshot in records.host_snapshots()] == [frozenset(), {cloud.red.id}]
    assert records.vm_spec(vm.id).name == records.vms()[0].name == "r"
    assert records.image_of(vm.id).name == "tiny"
    assert set(records.zones()) == {cloud.red.id, cloud.blue.id}
    assert records.host(two) in records.hosts()
    records.forget_vm(vm.id)
    records.forget_vm(vm.id)
    assert records.vms() == ()
    with pytest.raises(NotFound):
        records.vm(vm.id)


def test_bad_company_is_refused_whatever_was_decided(cloud, records):
    host = cloud.add_host("h1")
    records.claim(cloud.add_vm("r").id, host, reason="")
    with pytest.raises(ZoneForbids):
        records.claim(cloud.add_vm("b", zone="blue").id, host, reason="")


def test_intent_holds_everything_of_one_revision(cloud, records):
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        policies.add_policy(
            session,
            name="p",
            source=Selector(zone_id=cloud.blue.id),
            target=Selector(zone_id=cloud.red.id),
            protocol=Protocol.ICMP,
        )
    intent = records.intent()
    assert [network.name for network in intent.networks] == ["web"]
    assert (intent.vms, intent.ports) == ((vm,), vm.ports)
    assert [policy.name for policy in intent.policies] == ["p"]
    cloud.add_vm("s")
    assert records.intent().revision > intent.revision


def test_a_transaction_that_lost_a_race_is_tried_again(cloud, records, monkeypatch):
    vm = cloud.add_vm("r")
    tries = []
    really = vms.vm_became

    def late(session, vm_id, state):
        tries.append(state)
        if len(tries) < 3:
            raise StoreBusy
        really(session, vm_id, state)

    monkeypatch.setattr(vms, "vm_became", late)
    records.vm_became(vm.id, VmState.RUNNING)
    assert (len(tries), records.vm(vm.id).state) == (3, VmState.RUNNING)
