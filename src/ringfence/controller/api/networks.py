"""Networks over HTTP. Each change is brought into force by an operation."""

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
    apply_fence,
    change,
    create,
    cursor_for,
    etag,
    project_asked,
    told,
)
from ringfence.controller.api.shapes import Asked, Name, Ordered, PageOf, Ref, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.model.access import Permission
from ringfence.model.names import OperationId
from ringfence.model.networks import Network
from ringfence.store import networks, projects
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/networks", tags=["networks"])

Mtu = Annotated[int, Field(ge=576, le=9000)]


class NetworkAsked(Asked):
    name: Name
    cidr: str = Field(max_length=18, examples=["10.1.0.0/24"], description="An IPv4 range, /8 to /29.")
    project: Ref | None = Field(default=None, description="Only this project may use it; else every project.")
    mtu: Mtu = 1442


class NetworkChanges(Asked):
    name: Name | None = None
    mtu: Mtu | None = None


class NetworkTold(Told):
    """An overlay segment with one IPv4 range, whose first address is the DHCP server's."""

    id: str
    name: str
    cidr: str
    project: str | None
    project_id: str | None
    mtu: int
    revision: int
    operation: str | None = Field(default=None, description="In answers to changes: what brings it into force.")


def shown(session: Session, network: Network, operation: OperationId | None = None) -> NetworkTold:
    """Build the body that tells a network."""
    owner = projects.project(session, network.project_id) if network.project_id is not None else None
    return NetworkTold(
        id=network.id,
        name=network.name,
        cidr=network.cidr,
        project=owner.name if owner else None,
        project_id=network.project_id,
        mtu=network.mtu,
        revision=network.revision,
        operation=operation,
    )


@router.get("", response_model=PageOf[NetworkTold])
def list_networks(parts: WithParts, paging: WithPaging, access: WithAccess) -> Response:
    """List the networks one sees: those of one's projects, and those of none."""
    with parts.store.reading() as session:
        page = networks.networks(session, limit=paging.limit, after=paging.after, seen_by=access.grants)
        items = [shown(session, network) for network in page.items]
    return told(PageOf[NetworkTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=NetworkTold)
def create_network(
    parts: WithParts,
    request: Request,
    body: NetworkAsked,
    access: WithAccess,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a network. Its name is its project's own: another project may have one of the same name."""

    def do(session: Session) -> Done:
        project_id = project_asked(session, access.grants, body.project, Permission.NETWORK_MANAGE)
        added = networks.add_network(session, name=body.name, cidr=body.cidr, project=project_id, mtu=body.mtu)
        return _done(session, added, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=NetworkTold)
def get_network(parts: WithParts, ref: RefInPath) -> Response:
    """Show one network."""
    with parts.store.reading() as session:
        network = networks.network(session, ref)
        return told(shown(session, network), headers=etag(network.revision))


@router.patch("/{ref}", response_model=NetworkTold)
def change_network(parts: WithParts, ref: RefInPath, body: NetworkChanges, revision: IfMatch) -> Response:
    """Change a network's name or MTU. Guests learn a new MTU when they next renew their address."""

    def do(session: Session) -> Done:
        changed = networks.change_network(session, ref, revision=revision, name=body.name, mtu=body.mtu)
        return _done(session, changed, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=202, response_model=Ordered)
def delete_network(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a network on which there is no VM."""

    def do(session: Session) -> Done:
        network = networks.network(session, ref)
        networks.remove_network(session, ref, revision=revision)
        operation = apply_fence(
            session, subject_id=network.id, subject_name=network.name, project_id=network.project_id
        )
        headers = {"Location": f"/v1/operations/{operation}"}
        return Done(status=202, body=Ordered(operation=operation), headers=headers, operation_id=operation)

    return change(parts, do)


def _done(session: Session, network: Network, *, status: int) -> Done:
    operation = apply_fence(session, subject_id=network.id, subject_name=network.name, project_id=network.project_id)
    headers = {**etag(network.revision), "Location": f"/v1/networks/{network.id}"}
    return Done(status=status, body=shown(session, network, operation), headers=headers, operation_id=operation)
