"""Steps on the fence: saying which hosts may carry a VM's ports, and waiting until every switch concerned knows.

What the fence should be is compiled in `decide.segmentation`, from all that the store holds, each time.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.model.names import HostId, VmId
from ringfence.workflows.story import Done, Story


def bind_ports(story: Story, name: str, vm_id: VmId, hosts: Sequence[HostId], *, insist: bool = False) -> None:
    """Let these hosts, and no others, carry the VM's ports; say so to the northbound."""

    def bind(_try: int) -> Done:
        # ORDER: recorded, then applied. After a crash in between the step repeats, and drift would show it.
        story.world.records.bind_ports(vm_id, hosts)
        return _apply(story)

    (story.insist if insist else story.step)(name, bind)


def apply_fence(story: Story, name: str, *, insist: bool = False) -> list[str]:
    """Make the northbound say what the store says now; give what was changed."""
    changes: list[str] = (story.insist if insist else story.step)(name, lambda _try: _apply(story))
    return changes


def wait_in_force(story: Story, name: str, hosts: Sequence[HostId], *, insist: bool = False) -> None:
    """Wait until the switches of these hosts follow the northbound."""

    def wait(_try: int) -> Done:
        story.world.fence.wait_in_force(hosts, timeout_seconds=story.patience.fence_seconds)
        return Done(f"in force on {len(hosts)} {'host' if len(hosts) == 1 else 'hosts'}")

    (story.insist if insist else story.step)(name, wait)


def _apply(story: Story) -> Done:
    changes = list(story.world.fence.apply(story.world.compile_fence(story.world.records.intent())))
    return Done("; ".join(changes) or "nothing to change", changes)
