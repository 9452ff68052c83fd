"""Finds the entries that bear on one VM's custody. What they say is `decide/custody`'s to tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from ringfence.decide.custody import CONSOLE, CONTROLLER, PLACEMENT, VM
from ringfence.errors import NotFound
from ringfence.model.ledger import Entry
from ringfence.store.ledger import entries_of
from ringfence.store.tables import ledger_entries as table

_AT_ONCE = 500


def custody_entries(session: Session, vm_id: str) -> tuple[Entry, ...]:
    """Read every entry about the VM, the hosts it had a place on, and who else had one there, in the ledger's order.

    Raises `NotFound` if the ledger knows no such VM, whether it is there now or not.
    """
    found = {entry.index: entry for entry in entries_of(session, or_(_about(vm_id), _relating(vm_id)))}
    if not any(entry.subject.kind == VM for entry in found.values()):
        raise NotFound(kind="VM", ref=vm_id)
    places = [entry for entry in found.values() if entry.subject.kind == PLACEMENT]
    hosts = {entry.subject.related_id for entry in places}
    others = list(_each(session, table.c.subject_kind == PLACEMENT, table.c.related_id, hosts))
    vms = {entry.subject.id for entry in others} - {vm_id}
    others += _each(session, table.c.subject_kind == VM, table.c.subject_id, vms)
    zones = {str(entry.after["zone_id"]) for entry in (*found.values(), *others) if _is_vm(entry) and entry.after}
    others += _each(session, table.c.subject_kind.in_(["zone", "host"]), table.c.subject_id, hosts | zones)
    if any(entry.subject.kind == CONSOLE for entry in found.values()):
        others += entries_of(session, table.c.subject_kind == CONTROLLER)
    found |= {entry.index: entry for entry in others}
    return tuple(found[index] for index in sorted(found))


def _about(vm_id: str) -> ColumnElement[bool]:
    return table.c.subject_id == vm_id


def _relating(vm_id: str) -> ColumnElement[bool]:
    return (table.c.related_id == vm_id) & table.c.subject_kind.in_(["port", CONSOLE])


def _is_vm(entry: Entry) -> bool:
    return entry.subject.kind == VM


def _each(
    session: Session, kind: ColumnElement[bool], column: ColumnElement[str], ids: Collection[str]
) -> Iterable[Entry]:
    ordered = sorted(ids)
    for at in range(0, len(ordered), _AT_ONCE):
        yield from entries_of(session, kind, column.in_(ordered[at : at + _AT_ONCE]))
