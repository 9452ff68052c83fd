"""Custody: whose a VM was, where it was and beside whom, under which addresses, and who looked at its console."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Named:
    """Something by its name at that time, and its id."""

    name: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Neighbour:
    """Another VM that had its place on the same host."""

    vm: Named
    zone: Named
    host: Named


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Address:
    """An address that a VM's port had."""

    address: str
    mac: str
    network_id: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Viewer:
    """One who had the VM's console open, since when and from where."""

    name: str
    id: str
    source: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """A VM as it was. `host` is where it ran or would start; `places` all that hosts kept for it: two during a move."""

    vm: Named
    project_id: str
    zone: Named
    owner: str
    state: str
    host: Named | None
    places: tuple[Named, ...]
    neighbours: tuple[Neighbour, ...]
    addresses: tuple[Address, ...]
    viewers: tuple[Viewer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A time in which a VM's custody did not change: from `since` until before `until`, None if it lasts.

    `by` is whose change began it, `entry` the last entry of that change.
    """

    since: str
    until: str | None
    by: str
    entry: int
    custody: Custody
