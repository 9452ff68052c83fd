"""Create a VM: a place, an image, a disk, its fence, and then QEMU. Rolled back, nothing of it is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.errors import RingfenceError
from ringfence.model.names import VmId
from ringfence.model.vms import VmState
from ringfence.workflows.fence import apply_fence, bind_ports, wait_in_force
from ringfence.workflows.hosts import hold_image, prepare_disk, remove_from_host, start_on_host
from ringfence.workflows.placement import Place, choose_place
from ringfence.workflows.story import Story
from ringfence.workflows.vms import forget_vm, say_vm_is, take_vm


def create_vm(story: Story) -> Mapping[str, Any]:
    vm_id = take_vm(story)
    place: Place | None = None
    try:
        place = choose_place(story, vm_id)
        host_id = place.host_id
        # Written first, so that it reaches the host's switch while the disk is made.
        bind_ports(story, "fence its ports", vm_id, [host_id])
        hold_image(story, vm_id, host_id)
        prepare_disk(story, vm_id, host_id)
        # ORDER: the fence is in force on the host before QEMU starts. The VM's first packet meets it.
        wait_in_force(story, "wait for the fence", [host_id])
        start_on_host(story, vm_id, host_id)
    except RingfenceError:
        story.rolls_back()
        _undo(story, vm_id, place)
        raise
    say_vm_is(story, vm_id, VmState.RUNNING)
    return {"host_id": place.host_id, "host": place.host, "reason": place.reason, "rejected": place.rejected}


def _undo(story: Story, vm_id: VmId, place: Place | None) -> None:
    try:
        if place is not None and place.host_id in story.left_on:
            # ORDER: off the host first, while its ports are still fenced and its place still claimed.
            remove_from_host(story, "take it off the host", vm_id, place.host_id)
        bind_ports(story, "unbind its ports", vm_id, [], insist=True)
        if place is not None and place.host_id in story.left_on:
            wait_in_force(story, "wait until they are unbound", [place.host_id], insist=True)
    except RingfenceError:
        # It may run there yet. Its claim stays, so that nothing which must not be its neighbour comes beside it.
        bind_ports(story, "cut it off", vm_id, [], insist=True)
        say_vm_is(story, vm_id, VmState.QUARANTINED)
        return
    forget_vm(story, vm_id)
    apply_fence(story, "sweep the fence", insist=True)
