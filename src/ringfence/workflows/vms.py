"""Steps on the VM's record: taking it for an operation, and saying what state it is in. Hosts are asked elsewhere."""

from __future__ import annotations

from ringfence.decide.lifecycle import TRANSITIONS
from ringfence.errors import NotFound, WrongState
from ringfence.model.names import HostId, VmId
from ringfence.model.operations import OperationState
from ringfence.model.vms import Vm, VmState
from ringfence.workflows.story import Done, Story


def vm_of(story: Story) -> VmId:
    return VmId(story.operation.subject_id)


def take_vm(story: Story) -> VmId:
    """Make sure that this operation alone acts on the VM, and put it in the state it is in meanwhile.

    The API has done the same when it accepted the operation; this holds even if two were accepted.
    """
    vm_id = vm_of(story)
    transition = TRANSITIONS.get(story.operation.kind)
    begins_in = transition.begins_in if transition else frozenset[VmState]()
    meanwhile = transition.meanwhile if transition else VmState.CREATING

    def take(_try: int) -> Done:
        records = story.world.records
        vm = records.vm(vm_id)
        if vm.state not in begins_in and vm.state is not meanwhile:
            raise _wrong_state(story, vm, vm.state)
        # ORDER: this operation was recorded as running before it looks. Of two that look at once each sees the other.
        for other in records.unfinished_operations():
            rival = other.subject_id == vm_id and other.id != story.operation.id
            if rival and other.state is not OperationState.PENDING:
                raise _wrong_state(story, vm, f"taken by operation {other.id}")
        if vm.state is not meanwhile:
            records.vm_became(vm_id, meanwhile)
        return Done(f"VM {vm.name} is {meanwhile}")

    story.step("take the VM", take)
    return vm_id


def host_of(story: Story, vm_id: VmId) -> HostId | None:
    """Read on which host the VM is, once for the whole operation."""
    host_id = story.step("look up its host", lambda _try: _host(story, vm_id))
    return HostId(host_id) if host_id else None


def _host(story: Story, vm_id: VmId) -> Done:
    vm = story.world.records.vm(vm_id)
    name = story.world.records.host(vm.host_id).name if vm.host_id else "none"
    return Done(f"host {name}", vm.host_id)


def claimed_hosts(story: Story, vm_id: VmId) -> dict[HostId, str]:
    """Read on which hosts something of the VM may be, by id and name, once for the whole operation."""

    def look(_try: int) -> Done:
        records = story.world.records
        hosts = {host_id: records.host(host_id).name for host_id in records.claimed_hosts(vm_id)}
        return Done(", ".join(sorted(hosts.values())) or "on no host", hosts)

    return {HostId(host_id): name for host_id, name in story.step("look up its hosts", look).items()}


def say_vm_is(story: Story, vm_id: VmId, state: VmState) -> None:
    """Record the state the VM is in now."""

    def say(_try: int) -> Done:
        try:
            story.world.records.vm_became(vm_id, state)
        except NotFound:
            return Done("the VM is gone")
        return Done(f"it is {state}")

    story.insist(f"say it is {state}", say)


def forget_vm(story: Story, vm_id: VmId) -> None:
    """Remove the VM's record, its ports and its claims. Only once nothing of it is left elsewhere."""

    def forget(_try: int) -> Done:
        story.world.records.forget_vm(vm_id)
        return Done("its record, addresses and claims are given back")

    story.insist("forget it", forget)


def _wrong_state(story: Story, vm: Vm, state: str) -> WrongState:
    transition = TRANSITIONS.get(story.operation.kind)
    needs = " or ".join(sorted(transition.begins_in)) if transition else VmState.CREATING
    return WrongState(kind="VM", name=vm.name, state=state, verb=story.operation.kind, needs=needs)
