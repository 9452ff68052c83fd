"""Delete a VM: off its host, out of the fence, out of the records. It goes forward only, until nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.errors import RingfenceError
from ringfence.model.vms import VmState
from ringfence.workflows.fence import apply_fence, bind_ports, wait_in_force
from ringfence.workflows.hosts import remove_from_host
from ringfence.workflows.story import Story
from ringfence.workflows.vms import claimed_hosts, forget_vm, say_vm_is, take_vm


def delete_vm(story: Story) -> Mapping[str, Any]:
    vm_id = take_vm(story)
    hosts = claimed_hosts(story, vm_id)
    try:
        for host_id, name in hosts.items():
            remove_from_host(story, f"take it off {name}", vm_id, host_id)
        # ORDER: no switch carries its ports any more before its addresses are given to somebody else.
        bind_ports(story, "unbind its ports", vm_id, [], insist=True)
        if hosts:
            wait_in_force(story, "wait until they are unbound", list(hosts), insist=True)
    except RingfenceError:
        # It may be there yet, whole or in part: it is neither deleted nor what it was.
        story.rolls_back()
        bind_ports(story, "cut it off", vm_id, [], insist=True)
        say_vm_is(story, vm_id, VmState.QUARANTINED)
        raise
    forget_vm(story, vm_id)
    apply_fence(story, "sweep the fence", insist=True)
    return {}
