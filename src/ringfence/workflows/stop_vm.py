"""Stop a VM, and let nobody carry its ports. If the host cannot say that it did, find out what is so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.errors import RingfenceError
from ringfence.model.names import HostId, VmId
from ringfence.model.vms import VmState
from ringfence.workflows.fence import bind_ports
from ringfence.workflows.hosts import runs_on, stop_on_host
from ringfence.workflows.story import Story
from ringfence.workflows.vms import host_of, say_vm_is, take_vm


def stop_vm(story: Story) -> Mapping[str, Any]:
    vm_id = take_vm(story)
    host_id = host_of(story, vm_id)
    if host_id is not None:
        try:
            stop_on_host(story, vm_id, host_id)
        except RingfenceError:
            if _still_runs(story, vm_id, host_id):
                raise
    # ORDER: after it stopped. What carries no port cannot say goodbye, and a stop that fails leaves it as it was.
    bind_ports(story, "unbind its ports", vm_id, [], insist=True)
    say_vm_is(story, vm_id, VmState.STOPPED)
    return {}


def _still_runs(story: Story, vm_id: VmId, host_id: HostId) -> bool:
    """Find out what came of a stop that failed; leave a record that is true if it runs, or nobody knows."""
    story.rolls_back()
    try:
        runs = runs_on(story, vm_id, host_id)
    except RingfenceError:
        say_vm_is(story, vm_id, VmState.QUARANTINED)
        raise
    if runs:
        say_vm_is(story, vm_id, VmState.RUNNING)
    return runs
