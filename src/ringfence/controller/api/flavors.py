"""Flavors over HTTP."""

from __future__ import annotations

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
from ringfence.controller.api.shapes import Asked, Name, PageOf, Told
from ringfence.model.flavors import Flavor, PriorityClass
from ringfence.store import flavors
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/flavors", tags=["flavors"])

Vcpus = Annotated[int, Field(ge=1, le=512)]
MemoryMib = Annotated[int, Field(ge=32, le=16 << 20, description="Memory in MiB.")]
DiskBytes = Annotated[int, Field(ge=1 << 20, le=64 << 40, multiple_of=512, description="Disk in bytes.")]
Priority = Annotated[PriorityClass, Field(strict=False)]


class FlavorAsked(Asked):
    name: Name
    vcpus: Vcpus
    memory_mib: MemoryMib
    disk_bytes: DiskBytes
    priority: Priority = PriorityClass.NORMAL


class FlavorChanges(Asked):
    """VMs keep the size they were made with."""

    name: Name | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None
    disk_bytes: DiskBytes | None = None
    priority: Priority | None = None


class FlavorTold(Told):
    """A size that a VM can have."""

    id: str
    name: str
    vcpus: int
    memory_mib: int
    disk_bytes: int
    priority: PriorityClass
    revision: int


@router.get("", response_model=PageOf[FlavorTold])
def list_flavors(parts: WithParts, paging: WithPaging) -> Response:
    """List the flavors."""
    with parts.store.reading() as session:
        page = flavors.flavors(session, limit=paging.limit, after=paging.after)
    items = [FlavorTold.model_validate(flavor) for flavor in page.items]
    return told(PageOf[FlavorTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=FlavorTold)
def create_flavor(
    parts: WithParts, request: Request, body: FlavorAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a flavor."""

    def do(session: Session) -> Done:
        flavor = flavors.add_flavor(
            session,
            name=body.name,
            vcpus=body.vcpus,
            memory_mib=body.memory_mib,
            disk_bytes=body.disk_bytes,
            priority=body.priority,
        )
        return _done(flavor, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=FlavorTold)
def get_flavor(parts: WithParts, ref: RefInPath) -> Response:
    """Show one flavor."""
    with parts.store.reading() as session:
        flavor = flavors.flavor(session, ref)
    return told(FlavorTold.model_validate(flavor), headers=etag(flavor.revision))


@router.patch("/{ref}", response_model=FlavorTold)
def change_flavor(parts: WithParts, ref: RefInPath, body: FlavorChanges, revision: IfMatch) -> Response:
    """Change a flavor."""

    def do(session: Session) -> Done:
        flavor = flavors.change_flavor(
            session,
            ref,
            revision=revision,
            name=body.name,
            vcpus=body.vcpus,
            memory_mib=body.memory_mib,
            disk_bytes=body.disk_bytes,
            priority=body.priority,
        )
        return _done(flavor, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_flavor(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a flavor that no VM has."""
    with parts.store.transaction() as session:
        flavors.remove_flavor(session, ref, revision=revision)
    return Response(status_code=204)


def _done(flavor: Flavor, *, status: int) -> Done:
    headers = {**etag(flavor.revision), "Location": f"/v1/flavors/{flavor.id}"}
    return Done(status=status, body=FlavorTold.model_validate(flavor), headers=headers)
