"""Move a running VM to another host, live. Both hosts may carry its ports meanwhile; the first that does not is last.

Until the VM runs on the destination, all goes back to the source; from then on, all goes forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.errors import RingfenceError
from ringfence.model.hosts import CommandNotTaken
from ringfence.model.names import HostId, VmId
from ringfence.model.vms import VmState
from ringfence.wire import Moved
from ringfence.workflows.fence import bind_ports, wait_in_force
from ringfence.workflows.hosts import (
    SENDING,
    Whereabouts,
    close_window,
    find_vm,
    receive_move,
    remove_from_host,
    send_move,
)
from ringfence.workflows.placement import Place, choose_place, give_place_back
from ringfence.workflows.story import Done, Story
from ringfence.workflows.vms import host_of, say_vm_is, take_vm


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    vm_id: VmId
    source: HostId
    destination: Place


def move_vm(story: Story) -> Mapping[str, Any]:
    vm_id = take_vm(story)
    source = host_of(story, vm_id)
    try:
        destination = choose_place(story, vm_id, apart_from=(source,) if source else ())
    except RingfenceError:
        story.rolls_back()
        say_vm_is(story, vm_id, VmState.RUNNING)
        raise
    assert source is not None, "a running VM has a host"
    route = _Route(vm_id=vm_id, source=source, destination=destination)
    hosts = [source, destination.host_id]
    moved: Moved | None = None
    try:
        # ORDER: both hosts may carry its ports, and know so, before it moves: no gap at the switch, and no open door.
        bind_ports(story, "let both hosts carry its ports", vm_id, hosts)
        wait_in_force(story, "wait for the fence on both", hosts)
        receive_move(story, vm_id, source=source, destination=destination.host_id)
        moved = send_move(story, vm_id, source=source, destination=destination.host_id)
    except RingfenceError as error:
        if not _arrived_after(story, route, error):
            raise
    _settle(story, route)
    figures = (
        {"downtime_ms": moved.downtime_ms, "total_ms": moved.total_ms, "sent_bytes": moved.sent_bytes} if moved else {}
    )
    return {
        "from_host_id": source,
        "to_host_id": destination.host_id,
        "to_host": destination.host,
        "reason": destination.reason,
        "rejected": destination.rejected,
        **figures,
    }


def _arrived_after(story: Story, route: _Route, error: RingfenceError) -> bool:
    """Find out what the error left; undo the move unless the VM arrived after all."""
    where = Whereabouts.SOURCE
    if _was_sent(story, error):
        try:
            # ORDER: where it runs is found out before anything is undone: undoing could destroy the only copy.
            where = find_vm(story, route.vm_id, source=route.source, destination=route.destination.host_id)
        except RingfenceError:
            where = Whereabouts.UNKNOWN
    if where is Whereabouts.DESTINATION:
        return True
    story.rolls_back()
    if where is Whereabouts.UNKNOWN:
        # Either disk may be the one that counts. Both places stay claimed, and nobody carries its ports.
        bind_ports(story, "cut it off", route.vm_id, [], insist=True)
        say_vm_is(story, route.vm_id, VmState.QUARANTINED)
    else:
        _undo(story, route, runs=where is Whereabouts.SOURCE)
    return False


def _was_sent(story: Story, error: RingfenceError) -> bool:
    """Tell whether the source may have begun to send when it failed."""
    return story.has_told(SENDING) and not isinstance(error, CommandNotTaken)


def _undo(story: Story, route: _Route, *, runs: bool) -> None:
    """Leave nothing on the destination, and the source as it was. What cannot be removed there keeps its claim."""
    vm_id, destination = route.vm_id, route.destination.host_id
    try:
        if destination in story.left_on:
            close_window(story, "clear the destination", vm_id, destination, keep=False)
        cleared = True
    except RingfenceError:
        cleared = False
    hosts = [route.source] if runs else []
    bind_ports(story, "let the source alone carry its ports" if runs else "unbind its ports", vm_id, hosts, insist=True)
    if cleared:
        # ORDER: the destination no longer carries its ports before its place is given away.
        try:
            wait_in_force(story, "wait for the fence to follow", [destination], insist=True)
            give_place_back(story, vm_id, destination)
        except RingfenceError:
            pass  # the claim stays: a host whose switch does not follow takes nobody else in its place
    say_vm_is(story, vm_id, VmState.RUNNING if runs else VmState.STOPPED)


def _settle(story: Story, route: _Route) -> None:
    """The VM runs on the destination: make that its host, and leave nothing on the source. Forward only."""
    vm_id, destination = route.vm_id, route.destination

    def settle(_try: int) -> Done:
        story.world.records.settle(vm_id, destination.host_id, reason=destination.reason)
        return Done(f"{destination.host} is its host")

    story.insist("make the destination its host", settle)
    try:
        bind_ports(story, "let the destination alone carry its ports", vm_id, [destination.host_id], insist=True)
        wait_in_force(story, "wait for the fence to follow", [destination.host_id, route.source], insist=True)
        close_window(story, "close the window", vm_id, destination.host_id, keep=True)
        remove_from_host(story, "clear the source", vm_id, route.source)
        give_place_back(story, vm_id, route.source)
    except RingfenceError:
        # It runs where its record says. What is left on the source keeps its claim there.
        say_vm_is(story, vm_id, VmState.RUNNING)
        raise
    say_vm_is(story, vm_id, VmState.RUNNING)
