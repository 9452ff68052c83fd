"""Start a stopped VM where its disk is: its claim checked again, its fence, then QEMU. Rolled back, it is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.errors import RingfenceError, WrongState
from ringfence.model.hosts import HostState
from ringfence.model.names import HostId, VmId
from ringfence.model.vms import VmState
from ringfence.workflows.fence import bind_ports, wait_in_force
from ringfence.workflows.hosts import await_heard, pull_the_plug, start_on_host
from ringfence.workflows.story import Done, Story
from ringfence.workflows.vms import say_vm_is, take_vm

MAY_START_ON = (HostState.READY, HostState.CORDONED)
"""A cordon keeps new VMs away; one whose disk is there may start."""


def start_vm(story: Story) -> Mapping[str, Any]:
    vm_id = take_vm(story)
    host_id: HostId | None = None
    try:
        host_id = _check_place(story, vm_id)
        # ORDER: the fence is in force on the host before QEMU starts.
        bind_ports(story, "fence its ports", vm_id, [host_id])
        wait_in_force(story, "wait for the fence", [host_id])
        start_on_host(story, vm_id, host_id)
    except RingfenceError:
        story.rolls_back()
        _undo(story, vm_id, host_id)
        raise
    say_vm_is(story, vm_id, VmState.RUNNING)
    return {"host_id": host_id}


def _check_place(story: Story, vm_id: VmId) -> HostId:
    """Check that its host may still run it: what was true when it was placed may have changed since."""

    def check(_try: int) -> Done:
        records = story.world.records
        vm = records.vm(vm_id)
        if vm.host_id is None:
            raise WrongState(kind="VM", name=vm.name, state="on no host", verb="start", needs="on a host")
        home = vm.host_id
        await_heard(story, lambda: not records.host(home).reachable)
        host = records.host(home)
        if host.state not in MAY_START_ON or not host.reachable:
            state = host.state if host.reachable else "unreachable"
            raise WrongState(kind="host", name=host.name, state=state, verb=f"starting {vm.name}", needs="ready")
        # The constraint on claims is asked again: it refuses if the claim is gone and the place with it.
        records.claim(vm_id, vm.host_id, reason=vm.placement)
        return Done(f"{host.name} may run it", vm.host_id)

    return HostId(story.step("check its place", check))


def _undo(story: Story, vm_id: VmId, host_id: HostId | None) -> None:
    try:
        if host_id is not None and host_id in story.left_on:
            pull_the_plug(story, vm_id, host_id)
        bind_ports(story, "unbind its ports", vm_id, [], insist=True)
    except RingfenceError:
        bind_ports(story, "cut it off", vm_id, [], insist=True)
        say_vm_is(story, vm_id, VmState.QUARANTINED)
        return
    say_vm_is(story, vm_id, VmState.STOPPED)
