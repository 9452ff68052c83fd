"""Steps that choose a host for a VM and hold its place there. What makes a host fit is in `decide.placement`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ringfence.decide.placement import choose_host, needs_silent_host
from ringfence.errors import WrongState
from ringfence.model.hosts import CapacityExceeded, HostFilledUp, NoHostFits
from ringfence.model.names import HostId, VmId
from ringfence.model.zones import ZoneForbids
from ringfence.workflows.hosts import await_heard
from ringfence.workflows.story import Done, Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host chosen and claimed. `rejected` maps the other hosts' names to why not.

    `claimed_memory_mib` is what was claimed there when it was chosen.
    """

    host_id: HostId
    host: str
    reason: str
    rejected: dict[str, str]
    claimed_memory_mib: int


def asked_host(story: Story) -> HostId | None:
    """The one host the user asked for, if any."""
    asked = story.operation.asked.get("host_id")
    return HostId(asked) if asked else None


def choose_place(story: Story, vm_id: VmId, *, apart_from: tuple[HostId, ...] = ()) -> Place:
    """Choose a host and claim the VM's place on it; a claim lost in a race counts as that host's reason.

    A host that was given another VM since it was chosen is not the emptiest any more: it is chosen anew, and after
    some times taken as it is.
    """
    refused: dict[HostId, str] = {}
    for number in range(1, story.patience.placements + 1):
        again = f", choice {number}" if number > 1 else ""
        # ORDER: the choice is recorded before it is claimed. After a crash the same host is claimed, not a second one.
        place = _choose(story, f"choose a host{again}", vm_id, apart_from=apart_from, refused=refused)
        try:
            settles = number == story.patience.placements or asked_host(story) is not None
            _claim(story, f"claim its place{again}", vm_id, place, settles=settles)
        except HostFilledUp:
            continue
        except (ZoneForbids, CapacityExceeded, WrongState) as lost:
            refused[place.host_id] = f"another came first: {lost.message}"
        else:
            return place
    raise NoHostFits(vm=story.operation.subject_name, rejected={"cloud": "each host chosen was taken meanwhile"})


def _choose(
    story: Story, name: str, vm_id: VmId, *, apart_from: tuple[HostId, ...], refused: Mapping[HostId, str]
) -> Place:
    def choose(_try: int) -> Done:
        records = story.world.records
        vm, zones = records.vm_spec(vm_id), records.zones()
        wanted: dict[str, Any] = {"apart_from": apart_from, "only": asked_host(story), "refused": refused}
        await_heard(story, lambda: needs_silent_host(vm, records.host_snapshots(), zones, **wanted))
        chosen = choose_host(vm, records.host_snapshots(), zones, **wanted)
        place = Place(
            host_id=chosen.host_id,
            host=chosen.host,
            reason=chosen.reason,
            rejected=dict(chosen.rejected),
            claimed_memory_mib=chosen.claimed_memory_mib,
        )
        return Done(f"{chosen.host}: {chosen.reason}", asdict(place))

    return Place(**story.step(name, choose))


def _claim(story: Story, name: str, vm_id: VmId, place: Place, *, settles: bool) -> None:
    def claim(_try: int) -> Done:
        expected = None if settles else place.claimed_memory_mib
        story.world.records.claim(vm_id, place.host_id, reason=place.reason, claimed_memory_mib=expected)
        return Done(f"its place on {place.host} is its own")

    story.step(name, claim)


def give_place_back(story: Story, vm_id: VmId, host_id: HostId) -> None:
    """Release the VM's claim on the host. Only once nothing of it can run there."""

    def release(_try: int) -> Done:
        story.world.records.release(vm_id, host_id)
        return Done("its place is free")

    story.insist("give its place back", release)
