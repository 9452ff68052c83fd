"""Hand-overs over HTTP: a VM gets another owner once that one accepts."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from ringfence.controller.api.requests import VmInPath, WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.shapes import AccountRef, Asked, PageOf, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.decide.access import Grants, may
from ringfence.errors import NotFound
from ringfence.model.access import NotPermitted, Permission
from ringfence.model.accounts import Handover, NotForYou
from ringfence.model.names import VmId
from ringfence.store import handovers
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1", tags=["vms"])


class HandoverAsked(Asked):
    to: AccountRef = Field(description="The account that is to own the VM: a member of its project.")


class HandoverTold(Told):
    """An offer. The VM is `owner`'s until `to` accepts."""

    id: str
    vm_id: VmId
    vm: str
    project_id: str
    owner: str
    to: str
    to_id: str
    offered_by: str
    created_at: str


@router.post("/vms/{vm_id}/handover", status_code=201, response_model=HandoverTold)
def offer_vm(parts: WithParts, vm_id: VmInPath, body: HandoverAsked, access: WithAccess) -> Response:
    """Offer a VM to another owner, in place of any offer before."""
    with parts.store.transaction() as session:
        offered = handovers.offer(session, vm_id, body.to, offered_by=access.grants.account.name)
    headers = {"Location": f"/v1/handovers/{offered.id}"}
    return told(HandoverTold.model_validate(offered), status=201, headers=headers)


@router.get("/handovers", response_model=PageOf[HandoverTold])
def list_handovers(parts: WithParts, paging: WithPaging, access: WithAccess) -> Response:
    """List the offers made to one, and those about VMs one sees."""
    with parts.store.reading() as session:
        page = handovers.handovers(session, limit=paging.limit, after=paging.after, seen_by=access.grants)
    items = [HandoverTold.model_validate(offered) for offered in page.items]
    return told(PageOf[HandoverTold](items=items, next=cursor_for(page.next)))


@router.post("/handovers/{handover_id}/accept", response_model=HandoverTold)
def accept_handover(parts: WithParts, handover_id: VmInPath, access: WithAccess) -> Response:
    """Accept a VM: one owns it from now on. Nobody accepts for another, and no token that may not hand over."""
    with parts.store.transaction() as session:
        offered = _seen(session, access.grants, handover_id)
        if offered.to_id != access.grants.account.id:
            raise NotForYou(account=offered.to)
        if not may(access.grants, Permission.VM_HAND_OVER, offered.project_id):
            raise NotPermitted(permission=Permission.VM_HAND_OVER)
        accepted = handovers.accept(session, handover_id)
    return told(HandoverTold.model_validate(accepted))


@router.delete("/handovers/{handover_id}", status_code=204, response_class=Response)
def delete_handover(parts: WithParts, handover_id: VmInPath, access: WithAccess) -> Response:
    """Decline an offer made to one, or withdraw one that one may make."""
    with parts.store.transaction() as session:
        offered = _seen(session, access.grants, handover_id)
        mine = offered.to_id == access.grants.account.id and access.grants.scope is None
        if not mine and not may(access.grants, Permission.VM_HAND_OVER, offered.project_id):
            raise NotPermitted(permission=Permission.VM_HAND_OVER)
        handovers.withdraw(session, handover_id)
    return Response(status_code=204)


def _seen(session: Session, grants: Grants, handover_id: str) -> Handover:
    offered = handovers.handover(session, handover_id)
    mine = offered.to_id == grants.account.id
    if not mine and not may(grants, Permission.VM_READ, offered.project_id):
        raise NotFound(kind=handovers.KIND, ref=handover_id)
    return offered
