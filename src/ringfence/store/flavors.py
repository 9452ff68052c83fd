"""Flavors: the sizes VMs are born with. A flavor that changes does not resize the VMs that have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from ringfence.errors import Invalid
from ringfence.model.flavors import Flavor, PriorityClass
from ringfence.model.names import FlavorId, check_name
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page
from ringfence.store.tables import flavors as table
from ringfence.store.tables import vms

KIND = "flavor"


def add_flavor(
    session: Session,
    *,
    name: str,
    vcpus: int,
    memory_mib: int,
    disk_bytes: int,
    priority: PriorityClass = PriorityClass.NORMAL,
) -> Flavor:
    """Add a flavor; sizes are positive."""
    sizes = {"vcpus": vcpus, "memory_mib": memory_mib, "disk_bytes": disk_bytes}
    _check_sizes(sizes)
    flavor_id = new_id()
    values = {"id": flavor_id, "name": check_name(name), **sizes, "priority": str(priority)}
    rows.insert_row(session, table, KIND, values)
    changed(session, KIND, flavor_id)
    return flavor(session, flavor_id)


def flavor(session: Session, ref: str) -> Flavor:
    """Read a flavor by id or name."""
    return _built(rows.find_row(session, table, KIND, ref))


def flavors(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Flavor]:
    return rows.page(session, table, _built, limit=limit, after=after)


def change_flavor(
    session: Session,
    ref: str,
    *,
    revision: int | None = None,
    name: str | None = None,
    vcpus: int | None = None,
    memory_mib: int | None = None,
    disk_bytes: int | None = None,
    priority: PriorityClass | None = None,
) -> Flavor:
    """Change what is given, for VMs to come."""
    row = rows.find_row(session, table, KIND, ref)
    sizes = {"vcpus": vcpus, "memory_mib": memory_mib, "disk_bytes": disk_bytes}
    _check_sizes(sizes)
    names = {"name": None if name is None else check_name(name), "priority": priority and str(priority)}
    if rows.change_row(session, table, KIND, row, revision, {**sizes, **names}):
        changed(session, KIND, row.id)
    return flavor(session, row.id)


def remove_flavor(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove a flavor that no VM has."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    rows.remove_row(session, table, KIND, row, {"VM": select(vms.c.name).where(vms.c.flavor_id == row.id)})
    changed(session, KIND, row.id)


def _check_sizes(sizes: Mapping[str, int | None]) -> None:
    for field, size in sizes.items():
        # The largest is what the database's column holds.
        if size is not None and not 0 < size < (2**31 if field == "vcpus" else 2**63):
            raise Invalid(field=field, why="a size is a positive whole number, and not an absurd one")


def _built(row: Row[Any]) -> Flavor:
    return Flavor(
        id=FlavorId(row.id),
        name=row.name,
        vcpus=row.vcpus,
        memory_mib=row.memory_mib,
        disk_bytes=row.disk_bytes,
        priority=PriorityClass(row.priority),
        revision=row.revision,
    )
