"""A controller that was away has heard of no host for a while: what it goes on with does not fail for that."""

from __future__ import annotations

import pytest
from cloud import Cloud

from ringfence.model.operations import OperationKind

pytestmark = pytest.mark.simulation


def _heard_of_after(cloud: Cloud, seconds: float) -> None:
    begins = cloud.clock.seconds
    cloud.records.lives = lambda _host: cloud.clock.seconds - begins >= seconds  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", [OperationKind.CREATE_VM, OperationKind.MOVE_VM, OperationKind.START_VM])
def test_what_needs_a_host_waits_until_hosts_can_have_been_heard_of(cloud: Cloud, kind: OperationKind) -> None:
    cloud.launch()
    vm_id = cloud.new_vm("old")
    if kind is OperationKind.START_VM:
        cloud.must(vm_id, OperationKind.STOP_VM)
    _heard_of_after(cloud, 10)
    operation_id = cloud.ask_create("new")[1] if kind is OperationKind.CREATE_VM else cloud.ask(vm_id, kind)
    assert cloud.run(operation_id).error is None
    cloud.check()


def test_a_host_that_stays_silent_is_a_reason_in_the_end(cloud: Cloud) -> None:
    cloud.launch()
    _heard_of_after(cloud, 10**6)
    operation = cloud.run(cloud.ask_create("new")[1])
    assert operation.error is not None
    assert set(operation.error.facts["rejected"].values()) == {"its agent does not answer"}
    cloud.check()
