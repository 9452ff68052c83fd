"""Projects over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

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
from ringfence.controller.api.shapes import Asked, Name, PageOf, Told
from ringfence.model.projects import Project
from ringfence.store import projects
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/projects", tags=["projects"])

Owner = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A person's name or address."""


class ProjectAsked(Asked):
    name: Name
    owner: Owner


class ProjectChanges(Asked):
    name: Name | None = None
    owner: Owner | None = None


class ProjectTold(Told):
    """A tenant. Its VMs are its owner's unless another owner is named."""

    id: str
    name: str
    owner: str
    revision: int


@router.get("", response_model=PageOf[ProjectTold])
def list_projects(parts: WithParts, paging: WithPaging) -> Response:
    """List the projects."""
    with parts.store.reading() as session:
        page = projects.projects(session, limit=paging.limit, after=paging.after)
    items = [ProjectTold.model_validate(project) for project in page.items]
    return told(PageOf[ProjectTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=ProjectTold)
def create_project(
    parts: WithParts, request: Request, body: ProjectAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a project."""

    def do(session: Session) -> Done:
        return _done(projects.add_project(session, name=body.name, owner=body.owner), status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=ProjectTold)
def get_project(parts: WithParts, ref: RefInPath) -> Response:
    """Show one project."""
    with parts.store.reading() as session:
        project = projects.project(session, ref)
    return told(ProjectTold.model_validate(project), headers=etag(project.revision))


@router.patch("/{ref}", response_model=ProjectTold)
def change_project(parts: WithParts, ref: RefInPath, body: ProjectChanges, revision: IfMatch) -> Response:
    """Change a project's name or owner; its VMs keep the owners they have."""

    def do(session: Session) -> Done:
        changed = projects.change_project(session, ref, revision=revision, name=body.name, owner=body.owner)
        return _done(changed, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_project(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a project that has nothing left."""
    with parts.store.transaction() as session:
        projects.remove_project(session, ref, revision=revision)
    return Response(status_code=204)


def _done(project: Project, *, status: int) -> Done:
    headers = {**etag(project.revision), "Location": f"/v1/projects/{project.id}"}
    return Done(status=status, body=ProjectTold.model_validate(project), headers=headers)
