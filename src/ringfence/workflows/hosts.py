"""Steps that hosts do: a command for the host's mailbox, with a key made of the operation and the step.

The same step is the same command, however often it is told. A host's error answer is final for its key: another try
gets another key. Which steps an operation takes is told in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from uuid import uuid4

import msgspec

from ringfence.errors import RingfenceError
from ringfence.model.hosts import CommandNotTaken, HostUnreachable
from ringfence.model.names import HostId, VmId
from ringfence.wire import (
    AnyResult,
    AnyVerb,
    CloseMove,
    Held,
    HoldImage,
    Moved,
    Nothing,
    ObserveVms,
    PrepareVm,
    ReceiveMove,
    RemoveVm,
    Seen,
    SendMove,
    StartVm,
    StopVm,
)
from ringfence.workflows.story import Done, Story

RUNS = "running"
"""libvirt's word for a domain whose CPUs run; one that a move is coming in for is paused."""


SENDING = "move it"
"""The step whose failure leaves open where the VM runs."""


class Whereabouts(StrEnum):
    """Where the VM of a move is. `stopped`: on the source, not running; `unknown`: either copy may be the true one."""

    SOURCE = "source"
    DESTINATION = "destination"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


def await_heard(story: Story, silent: Callable[[], bool]) -> None:
    """Give hosts that are `silent` the time to be heard of: when the controller was away, all are at first.

    For use within a step. Returns when they are silent no more, or after as long as they have to take a command.
    """
    until = story.clock.now() + story.patience.take_seconds
    while silent() and story.clock.now() < until:
        story.clock.pause(story.patience.pause_first_seconds)


def hold_image(story: Story, vm_id: VmId, host_id: HostId) -> None:
    asking = _Asking(story, "have the image", host_id, story.patience.image_seconds)

    def hold(_try: int) -> Done:
        image = story.world.records.image_of(vm_id)
        verb = HoldImage(digest=image.digest, format=image.format, file_bytes=image.file_bytes)
        held = asking.ask(verb)
        assert isinstance(held, Held), "hold-image is answered by held"
        return Done(f"{held.fetched_bytes >> 20} MiB fetched" if held.fetched_bytes else "it was there")

    story.step("have the image", hold)


def prepare_disk(story: Story, vm_id: VmId, host_id: HostId) -> None:
    def verb() -> PrepareVm:
        return PrepareVm(vm=story.world.records.vm_spec(vm_id))

    _leaving(story, host_id, lambda: _have(story, "prepare its disk", host_id, verb, story.patience.prepare_seconds))


def start_on_host(story: Story, vm_id: VmId, host_id: HostId) -> None:
    def verb() -> StartVm:
        return StartVm(vm=story.world.records.vm_spec(vm_id))

    _leaving(story, host_id, lambda: _have(story, "start it", host_id, verb, story.patience.start_seconds))


def stop_on_host(story: Story, vm_id: VmId, host_id: HostId) -> None:
    grace = story.patience.graceful_stop_seconds
    verb = StopVm(vm_id=vm_id, graceful_seconds=grace)
    _have(story, "stop it", host_id, lambda: verb, grace + story.patience.observe_seconds)


def pull_the_plug(story: Story, vm_id: VmId, host_id: HostId) -> None:
    """Have it stopped without asking the guest, however long the host takes to answer."""
    verb = StopVm(vm_id=vm_id, graceful_seconds=0)
    _have(story, "pull its plug", host_id, lambda: verb, story.patience.observe_seconds, insist=True)


def remove_from_host(story: Story, name: str, vm_id: VmId, host_id: HostId) -> None:
    """Have nothing of the VM left on the host, however long the host takes to answer."""
    verb = RemoveVm(vm_id=vm_id)
    _have(story, name, host_id, lambda: verb, story.patience.remove_seconds, insist=True)


def receive_move(story: Story, vm_id: VmId, *, source: HostId, destination: HostId) -> None:
    def verb() -> ReceiveMove:
        records = story.world.records
        return ReceiveMove(
            vm=records.vm_spec(vm_id),
            source_host_id=source,
            source_address=records.host(source).underlay_address,
            # It closes by itself after the longest the move can take, whatever becomes of the controller.
            window_seconds=story.patience.move_seconds + story.patience.receive_seconds,
        )

    name = "get the destination ready"
    _leaving(story, destination, lambda: _have(story, name, destination, verb, story.patience.receive_seconds))


def send_move(story: Story, vm_id: VmId, *, source: HostId, destination: HostId) -> Moved:
    """Have the source send the VM. After an error nobody knows where it runs: `find_vm` tells."""
    asking = _Asking(story, SENDING, source, story.patience.move_seconds + story.patience.observe_seconds)

    def send(_try: int) -> Done:
        verb = SendMove(
            vm_id=vm_id,
            destination_host_id=destination,
            destination_address=story.world.records.host(destination).underlay_address,
            timeout_seconds=story.patience.move_seconds,
        )
        moved = asking.ask(verb)
        assert isinstance(moved, Moved), "send-move is answered by moved"
        return Done(f"downtime {moved.downtime_ms} ms of {moved.total_ms} ms", msgspec.to_builtins(moved))

    # One try: a move that failed half way is not begun again before it is known where the VM runs.
    return msgspec.convert(story.step(SENDING, send, tries=1), Moved)


def close_window(story: Story, name: str, vm_id: VmId, host_id: HostId, *, keep: bool) -> None:
    """Close the move's window, however long the host takes; `keep` False removes what a failed move left."""
    verb = CloseMove(vm_id=vm_id, keep=keep)
    _have(story, name, host_id, lambda: verb, story.patience.remove_seconds, insist=True)


def find_vm(story: Story, vm_id: VmId, *, source: HostId, destination: HostId) -> Whereabouts:
    """Find out on which of the two hosts of a move the VM runs.

    Asks until it is known: only when the source has ended what it was told may its word be taken.
    """

    def find(_try: int) -> Done:
        if _state_on(story, vm_id, destination) == RUNS:
            return Done("it runs on the destination", Whereabouts.DESTINATION)
        # ORDER: a host does one VM's commands one after another, so this answer means that the sending has ended.
        _ask_anew(story, "find out where it runs", source, CloseMove(vm_id=vm_id, keep=True))
        there = _state_on(story, vm_id, destination)
        if there == RUNS:
            return Done("it runs on the destination", Whereabouts.DESTINATION)
        here = _state_on(story, vm_id, source)
        if here == RUNS:
            return Done("it runs on the source", Whereabouts.SOURCE)
        if here and there in ("", "paused"):
            return Done("it stopped on the source, and never ran on the destination", Whereabouts.STOPPED)
        return Done("it runs on neither host, and may have run on either", Whereabouts.UNKNOWN)

    return Whereabouts(story.insist("find out where it runs", find))


def runs_on(story: Story, vm_id: VmId, host_id: HostId) -> bool:
    """Find out whether the VM runs on the host, however long the host takes to answer."""

    def look(_try: int) -> Done:
        runs = _state_on(story, vm_id, host_id) == RUNS
        return Done("it runs" if runs else "it does not run", runs)

    return bool(story.insist("find out whether it runs", look))


def _leaving(story: Story, host_id: HostId, command: Callable[[], None]) -> None:
    """Do what leaves something on the host, and remember so, unless the host never took the command."""
    try:
        command()
    except CommandNotTaken:
        raise
    except RingfenceError:
        story.left_on.add(host_id)
        raise
    story.left_on.add(host_id)


def _state_on(story: Story, vm_id: VmId, host_id: HostId) -> str:
    """The state of the VM's domain on the host in libvirt's word; the empty string if there is none."""
    seen = _ask_anew(story, "observe", host_id, ObserveVms())
    assert isinstance(seen, Seen), "observe-vms is answered by seen"
    return next((vm.state for vm in seen.vms if vm.vm_id == vm_id), "")


def _have(
    story: Story,
    name: str,
    host_id: HostId,
    verb: Callable[[], AnyVerb],
    patience_seconds: float,
    *,
    insist: bool = False,
) -> None:
    """Have the host do a verb that is answered by `Nothing`."""
    asking = _Asking(story, name, host_id, patience_seconds)

    def effect(_try: int) -> Done:
        result = asking.ask(verb())
        assert isinstance(result, Nothing), "this verb is answered by nothing"
        return Done("" if result.changed else "it was so before")

    (story.insist if insist else story.step)(name, effect)


class _Asking:
    """One step's command to a host: the same key until it was answered, another one after an error answer."""

    def __init__(self, story: Story, name: str, host_id: HostId, patience_seconds: float) -> None:
        self._story = story
        self._name = name
        self._host_id = host_id
        self._patience_seconds = patience_seconds
        self._answered = 0

    def ask(self, verb: AnyVerb) -> AnyResult:
        hypervisors = self._story.world.hypervisors
        key = f"{self._story.operation.id}/{self._name}" + (f"/{self._answered + 1}" if self._answered else "")
        patience = _bounded(self._story, self._host_id, self._patience_seconds)
        try:
            return hypervisors.ask(self._host_id, verb, key=key, patience_seconds=patience)
        except HostUnreachable as silent:
            # ORDER: withdrawn before anybody builds on its not having been done.
            if hypervisors.withdraw(self._host_id, key=key) and not self._answered:
                raise CommandNotTaken(host=silent.host, asked=silent.asked) from silent
            raise
        except RingfenceError:
            self._answered += 1
            raise


def _ask_anew(story: Story, name: str, host_id: HostId, verb: AnyVerb) -> AnyResult:
    """Ask under a key of its own: what a host saw earlier is not what it sees now."""
    key = f"{story.operation.id}/{name}/{uuid4()}"
    patience = _bounded(story, host_id, story.patience.observe_seconds)
    return story.world.hypervisors.ask(host_id, verb, key=key, patience_seconds=patience)


def _bounded(story: Story, host_id: HostId, patience_seconds: float) -> float:
    reachable = story.world.records.host(host_id).reachable
    return patience_seconds if reachable else min(patience_seconds, story.patience.take_seconds)
