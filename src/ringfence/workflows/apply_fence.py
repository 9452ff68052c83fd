"""Apply the fence: make the northbound say what the store says, and wait until every host's switch follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.model.hosts import HostState
from ringfence.model.names import HostId
from ringfence.workflows import fence
from ringfence.workflows.story import Done, Story

NO_SWITCH_IN = (HostState.JOINING, HostState.REMOVED)


def apply_fence(story: Story) -> Mapping[str, Any]:
    changes = fence.apply_fence(story, "apply the fence")
    hosts = _hosts(story)
    # A host that is late fails the operation: what a policy took away may pass there until its switch follows.
    fence.wait_in_force(story, "wait for every host", [HostId(host_id) for host_id in hosts])
    return {"changes": changes, "hosts": sorted(hosts.values())}


def _hosts(story: Story) -> dict[str, str]:
    def look(_try: int) -> Done:
        hosts = [host for host in story.world.records.hosts() if host.state not in NO_SWITCH_IN]
        return Done(f"{len(hosts)} hosts", {host.id: host.name for host in hosts})

    hosts: dict[str, str] = story.step("look up the hosts", look)
    return hosts
