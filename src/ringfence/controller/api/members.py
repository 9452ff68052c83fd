"""Members over HTTP: which role an account has in a project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from ringfence.controller.api.accounts import AccountInPath
from ringfence.controller.api.requests import RefInPath, WithParts, told
from ringfence.controller.api.shapes import Asked, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.decide.access import Denied, Grants, may_give
from ringfence.model.access import NotPermitted, Role
from ringfence.model.names import ProjectId
from ringfence.store import accounts, members
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/projects", tags=["projects"])


class MemberAsked(Asked):
    role: Annotated[Role, Field(strict=False, description="project-owner, project-member or project-viewer.")]


class MemberTold(Told):
    project_id: str
    project: str
    account_id: str
    account: str
    role: Role


class MembersTold(Told):
    items: list[MemberTold]


@router.get("/{ref}/members", response_model=MembersTold)
def list_members(parts: WithParts, ref: RefInPath) -> Response:
    """List a project's members; there are never so many that they need pages."""
    with parts.store.reading() as session:
        found = members.members(session, ref)
    return told(MembersTold(items=[MemberTold.model_validate(member) for member in found]))


@router.put("/{ref}/members/{account}", response_model=MemberTold)
def put_member(
    parts: WithParts, ref: RefInPath, account: AccountInPath, body: MemberAsked, access: WithAccess
) -> Response:
    """Give an account a role in the project, in place of the one it had. Nobody gives more than they may themselves."""
    with parts.store.transaction() as session:
        _check_may_change(session, access.grants, ref, account, body.role)
        member = members.put_member(session, ref, account, body.role)
    return told(MemberTold.model_validate(member))


@router.delete("/{ref}/members/{account}", status_code=204, response_class=Response)
def delete_member(parts: WithParts, ref: RefInPath, account: AccountInPath, access: WithAccess) -> Response:
    """Take an account out of the project. One that owns it, or a VM in it, is refused until that is handed over."""
    with parts.store.transaction() as session:
        _check_may_change(session, access.grants, ref, account, None)
        members.remove_member(session, ref, account)
    return Response(status_code=204)


def _check_may_change(session: Session, grants: Grants, project_id: str, account: str, role: Role | None) -> None:
    held = members.role_in(session, project_id, accounts.account(session, account).id)
    concerned = {each for each in (held, role) if each is not None}
    given = may_give(grants, concerned, ProjectId(project_id))
    if isinstance(given, Denied):
        raise NotPermitted(permission=given.reason)
