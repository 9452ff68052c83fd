"""Projects over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from ringfence.controller.api.requests import (
    Done,
    IdempotencyKey,
    IfMatch,
    IfMatchMaybe,
    RefInPath,
    WithPaging,
    WithParts,
    change,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import AccountName, Asked, Name, PageOf, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.model.projects import Project, Quota
from ringfence.store import projects, quotas
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/projects", tags=["projects"])

Bound = Annotated[int, Field(ge=0, le=1 << 60)] | None


class QuotaAsked(Asked):
    """What a project may have at most; null: no bound."""

    vms: Bound = None
    vcpus: Bound = None
    memory_mib: Bound = None
    disk_bytes: Bound = None
    ports: Bound = None


class QuotaTold(Told):
    vms: int | None
    vcpus: int | None
    memory_mib: int | None
    disk_bytes: int | None
    ports: int | None


class UsageTold(Told):
    vms: int
    vcpus: int
    memory_mib: int
    disk_bytes: int
    ports: int


class ProjectAsked(Asked):
    name: Name
    owner: AccountName = Field(description="The account that owns it; made now, for a person, if there is none.")
    quota: QuotaAsked | None = None


class ProjectChanges(Asked):
    name: Name | None = None
    owner: AccountName | None = None
    quota: QuotaAsked | None = Field(default=None, description="Replaces all bounds.")


class ProjectTold(Told):
    """A tenant. Its VMs are its owner's unless another owner is named."""

    id: str
    name: str
    owner: str
    quota: QuotaTold
    used: UsageTold
    revision: int


@router.get("", response_model=PageOf[ProjectTold])
def list_projects(parts: WithParts, paging: WithPaging, access: WithAccess) -> Response:
    """List the projects one sees."""
    with parts.store.reading() as session:
        page = projects.projects(session, limit=paging.limit, after=paging.after, seen_by=access.grants)
        items = shown(session, page.items)
    return told(PageOf[ProjectTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=ProjectTold)
def create_project(
    parts: WithParts, request: Request, body: ProjectAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a project."""

    def do(session: Session) -> Done:
        added = projects.add_project(session, name=body.name, owner=body.owner)
        return _done(session, _set_quota(session, added, body.quota), status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=ProjectTold)
def get_project(parts: WithParts, ref: RefInPath) -> Response:
    """Show one project."""
    with parts.store.reading() as session:
        project = projects.project(session, ref)
        return told(shown(session, [project])[0], headers=etag(project.revision))


@router.patch("/{ref}", response_model=ProjectTold)
def change_project(parts: WithParts, ref: RefInPath, body: ProjectChanges, revision: IfMatch) -> Response:
    """Change a project's name, owner or quota; its VMs keep the owners they have."""

    def do(session: Session) -> Done:
        changed = projects.change_project(session, ref, revision=revision, name=body.name, owner=body.owner)
        return _done(session, _set_quota(session, changed, body.quota), status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_project(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a project that has nothing left."""
    with parts.store.transaction() as session:
        projects.remove_project(session, ref, revision=revision)
    return Response(status_code=204)


def shown(session: Session, found: Sequence[Project]) -> list[ProjectTold]:
    """Build the bodies that tell projects, each with what it may have and has."""
    ids = [project.id for project in found]
    allowed, used = quotas.quotas_of(session, ids), quotas.usage_of(session, ids)
    return [
        ProjectTold(
            id=project.id,
            name=project.name,
            owner=project.owner,
            quota=QuotaTold.model_validate(allowed[project.id]),
            used=UsageTold.model_validate(used[project.id]),
            revision=project.revision,
        )
        for project in found
    ]


def _set_quota(session: Session, project: Project, asked: QuotaAsked | None) -> Project:
    if asked is not None:
        quotas.set_quota(session, project.id, Quota(**asked.model_dump()))
        project = projects.project(session, project.id)
    return project


def _done(session: Session, project: Project, *, status: int) -> Done:
    headers = {**etag(project.revision), "Location": f"/v1/projects/{project.id}"}
    return Done(status=status, body=shown(session, [project])[0], headers=headers)
