"""Hand-overs: a VM that is offered to another owner, and changes hands when they accept. One offer a VM at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, delete, insert, or_, select
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.errors import Invalid, NotFound
from ringfence.model.accounts import Handover, NotAMember
from ringfence.model.names import AccountId, ProjectId, VmId
from ringfence.store import members, rows, vms
from ringfence.store.access import seen_vms
from ringfence.store.engine import changed
from ringfence.store.ids import new_id, now
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import accounts
from ringfence.store.tables import handovers as table
from ringfence.store.tables import vms as vm_table

KIND = "hand-over"


def offer(session: Session, vm_id: str, account: str, *, offered_by: str) -> Handover:
    """Offer the VM to an account that is a member of its project, in place of any offer there was."""
    vm = rows.find_by_id(session, vm_table, vms.KIND, vm_id)
    to = rows.find_row(session, accounts, "account", account)
    if to.name == vm.owner:
        raise Invalid(field="to", why=f"{to.name} owns the VM already")
    if members.role_in(session, vm.project_id, to.id) is None:
        raise NotAMember(account=to.name)
    session.execute(delete(table).where(table.c.vm_id == vm.id))
    values = {"id": new_id(), "vm_id": vm.id, "account_id": to.id, "offered_by": offered_by, "created_at": now()}
    session.execute(insert(table).values(**values))
    changed(session, "handover", str(values["id"]))
    return handover(session, str(values["id"]))


def handover(session: Session, handover_id: str) -> Handover:
    """Read an offer; raises `NotFound`."""
    row = session.execute(_offers().where(table.c.id == handover_id)).one_or_none()
    if row is None:
        raise NotFound(kind=KIND, ref=handover_id)
    return _built(row)


def handovers(
    session: Session, *, seen_by: Grants | None = None, limit: int = 100, after: str | None = None
) -> Page[Handover]:
    """Read a page of the offers, of those made to one or about VMs one sees if it is asked for someone."""
    query = _offers()
    if seen_by is not None:
        query = query.where(or_(table.c.account_id == seen_by.account.id, seen_vms(seen_by)))
    found, following = page_of_rows(session, query, table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(row) for row in found), next=following)


def accept(session: Session, handover_id: str) -> Handover:
    """Make the one it was offered to the VM's owner; gives the offer, which is gone then."""
    accepted = handover(session, handover_id)
    if members.role_in(session, accepted.project_id, accepted.to_id) is None:
        raise NotAMember(account=accepted.to)
    withdraw(session, handover_id)
    vms.change_vm(session, accepted.vm_id, owner=accepted.to)
    return accepted


def withdraw(session: Session, handover_id: str) -> None:
    """Take the offer away; the VM keeps its owner."""
    this = delete(table).where(table.c.id == handover_id).returning(table.c.vm_id)
    if session.execute(this).one_or_none() is None:
        raise NotFound(kind=KIND, ref=handover_id)
    changed(session, "handover", handover_id)


def _offers() -> Select[Any]:
    columns = (vm_table.c.name.label("vm"), vm_table.c.project_id, vm_table.c.owner, accounts.c.name.label("to"))
    joined = select(table, *columns).join(vm_table, vm_table.c.id == table.c.vm_id)
    return joined.join(accounts, accounts.c.id == table.c.account_id)


def _built(row: Row[Any]) -> Handover:
    return Handover(
        id=row.id,
        vm_id=VmId(row.vm_id),
        vm=row.vm,
        project_id=ProjectId(row.project_id),
        owner=row.owner,
        to_id=AccountId(row.account_id),
        to=row.to,
        offered_by=row.offered_by,
        created_at=row.created_at,
    )
