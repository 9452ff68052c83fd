"""Custody from the ledger: entries in, what was when out. Pure; which entries bear on a VM is `store/custody`'s.

Entries are taken in the ledger's order. Times of several controllers may differ by their clocks: one that goes back
counts as the time before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ringfence.model.custody import Address, Custody, Named, Neighbour, Period, Viewer
from ringfence.model.ledger import Entry, Outcome

VM, PORT, PLACEMENT, CONSOLE, CONTROLLER = "VM", "port", "placement", "console", "controller"
OPENED = ("open-console", "open-screen")
_NAMED = ("zone", "host")


@dataclass
class _World:
    """What the entries read so far add up to."""

    records: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    places: set[tuple[str, str]] = field(default_factory=set)
    viewers: dict[str, tuple[Viewer, str]] = field(default_factory=dict)

    def read(self, entry: Entry) -> None:
        """Take one more entry in."""
        subject = entry.subject
        if entry.outcome is not Outcome.DONE:
            return
        if subject.kind == PLACEMENT:
            place = (subject.id, subject.related_id)
            self.places = self.places | {place} if entry.after is not None else self.places - {place}
        elif subject.kind == CONSOLE:
            self._look(entry)
        elif subject.kind == CONTROLLER:
            # A controller that starts has no console open: those of its run before ended with it.
            self.viewers = {key: seen for key, seen in self.viewers.items() if seen[1] != subject.id}
        elif subject.kind in (VM, PORT, *_NAMED):
            # What is gone keeps its name for those who ask what was.
            if entry.after is not None:
                self.records[subject.kind, subject.id] = entry.after
            elif subject.kind in (VM, PORT):
                self.records.pop((subject.kind, subject.id), None)

    def custody_of(self, vm_id: str) -> Custody | None:
        """Tell a VM's custody now; None if there is no such VM."""
        vm = self.records.get((VM, vm_id))
        if vm is None:
            return None
        own = {host_id for placed, host_id in self.places if placed == vm_id}
        ports = [port for (kind, _), port in self.records.items() if kind == PORT and port["vm_id"] == vm_id]
        host_id = vm["host_id"]
        return Custody(
            vm=Named(name=vm["name"], id=vm_id),
            project_id=vm["project_id"],
            zone=self._named("zone", vm["zone_id"]),
            owner=vm["owner"],
            state=vm["state"],
            host=None if host_id is None else self._named("host", host_id),
            places=tuple(sorted(self._named("host", host_id) for host_id in own)),
            neighbours=tuple(sorted(self._neighbours(vm_id, own))),
            addresses=tuple(
                sorted(Address(address=p["address"], mac=p["mac"], network_id=p["network_id"]) for p in ports)
            ),
            viewers=tuple(sorted(viewer for viewer, _ in self.viewers.values())),
        )

    def _neighbours(self, vm_id: str, hosts: set[str]) -> Iterable[Neighbour]:
        for other_id, host_id in self.places:
            other = self.records.get((VM, other_id))
            if host_id in hosts and other_id != vm_id and other is not None:
                yield Neighbour(
                    vm=Named(name=other["name"], id=other_id),
                    zone=self._named("zone", other["zone_id"]),
                    host=self._named("host", host_id),
                )

    def _look(self, entry: Entry) -> None:
        if entry.action in OPENED:
            actor = entry.actor
            viewer = Viewer(name=actor.name, id=actor.id, source=actor.source, since=entry.at)
            self.viewers[entry.subject.id] = (viewer, str((entry.after or {}).get("controller", "")))
        else:
            self.viewers.pop(entry.subject.id, None)

    def _named(self, kind: str, id_: str) -> Named:
        record = self.records.get((kind, id_))
        return Named(name=id_ if record is None else record["name"], id=id_)


def periods(vm_id: str, entries: Sequence[Entry]) -> tuple[Period, ...]:
    """Tell the VM's whole life as times in which nothing of its custody changed, oldest first."""
    world, told, latest = _World(), list[Period](), ""
    timed = []
    for entry in entries:
        latest = max(latest, entry.at)
        timed.append((latest, entry))
    for at, together in groupby(timed, key=lambda pair: pair[0]):
        last = None
        for _, last in together:
            world.read(last)
        assert last is not None
        custody = world.custody_of(vm_id)
        before = told[-1].custody if told and told[-1].until is None else None
        if custody == before:
            continue
        if before is not None:
            told[-1] = _ended(told[-1], at)
        if custody is not None:
            by = last.actor.on_behalf_of or last.actor.name
            told.append(Period(since=at, until=None, by=by, entry=last.index, custody=custody))
    return tuple(told)


def period_at(life: Sequence[Period], at: str) -> Period | None:
    """Find the period of a moment; None if the VM was not born yet, or gone. Times are as entries have them."""
    for period in reversed(life):
        if period.since <= at and (period.until is None or at < period.until):
            return period
    return None


def custody_at(vm_id: str, entries: Sequence[Entry], at: str) -> Custody | None:
    """Tell the VM's custody at a moment; None if it was not born yet, or gone."""
    period = period_at(periods(vm_id, entries), at)
    return None if period is None else period.custody


def _ended(period: Period, at: str) -> Period:
    return Period(since=period.since, until=at, by=period.by, entry=period.entry, custody=period.custody)
