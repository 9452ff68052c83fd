"""VMs over HTTP: what is asked of them becomes an operation. Their consoles are in `consoles.py` beside this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints

from ringfence.controller.api.operations import OperationTold
from ringfence.controller.api.operations import shown as operation_shown
from ringfence.controller.api.requests import (
    PRINTABLE,
    Done,
    Filter,
    IdempotencyKey,
    IfMatch,
    IfMatchMaybe,
    VmInPath,
    WithPaging,
    WithParts,
    apply_fence,
    change,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import AccountRef, Asked, Labels, Name, PageOf, Ref, Told
from ringfence.controller.enforcement import WithAccess, access_in, check_may
from ringfence.controller.parts import Parts
from ringfence.decide.access import Grants, may
from ringfence.errors import NotFound, StaleRevision
from ringfence.model.access import Permission
from ringfence.model.names import HostId, OperationId, VmId, check_labels
from ringfence.model.operations import Operation, OperationKind
from ringfence.model.vms import Vm, VmState
from ringfence.store import hosts, vms
from ringfence.store.access import project_for
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/vms", tags=["vms"])

UserData = Annotated[str, StringConstraints(max_length=65_536)]


class VmAsked(Asked):
    name: Name
    project: Ref
    zone: Ref
    owner: AccountRef | None = Field(default=None, description="A member of the project; its owner if not given.")
    flavor: Ref
    image: Ref
    networks: list[Ref] = Field(default=[], max_length=16, description="A NIC on each, in this order.")
    labels: Labels = Field(default={})
    user_data: UserData = Field(default="", description="For cloud-init.")
    host: Ref | None = Field(default=None, description="This host and no other; else one is chosen.")


class VmChanges(Asked):
    labels: Labels | None = Field(default=None, description="Replaces all labels.")


class MoveAsked(Asked):
    host: Ref | None = Field(default=None, description="This host and no other; else one is chosen.")


class NothingAsked(Asked):
    """An empty body, or none."""


class PortTold(Told):
    id: str
    network: str
    network_id: str
    mac: str
    address: str


class VmTold(Told):
    """A VM. `placement` says why it is on its host; where it is, is told to those who may see hosts."""

    id: str
    name: str
    project: str
    project_id: str
    zone: str
    zone_id: str
    owner: str
    flavor: str
    flavor_id: str
    image: str
    image_id: str
    state: VmState
    labels: dict[str, str]
    host: str | None
    host_id: str | None
    placement: str
    ports: list[PortTold]
    revision: int
    operation: str | None = Field(default=None, description="In answers to changes: what brings it into force.")


def shown(vm: Vm, names: vms.VmNames, grants: Grants, operation: OperationId | None = None) -> VmTold:
    """Build the body that tells a VM, less its place if the asker does not see hosts."""
    placed = vm.host_id is not None and may(grants, Permission.HOST_READ)
    return VmTold(
        id=vm.id,
        name=vm.name,
        project=names.projects[vm.project_id],
        project_id=vm.project_id,
        zone=names.zones[vm.zone_id],
        zone_id=vm.zone_id,
        owner=vm.owner,
        flavor=names.flavors[vm.flavor_id],
        flavor_id=vm.flavor_id,
        image=names.images[vm.image_id],
        image_id=vm.image_id,
        state=vm.state,
        labels=dict(vm.labels),
        host=names.hosts[vm.host_id] if placed and vm.host_id is not None else None,
        host_id=vm.host_id if placed else None,
        placement=vm.placement if placed else "",
        ports=[
            PortTold(
                id=port.id,
                network=names.networks[port.network_id],
                network_id=port.network_id,
                mac=port.mac,
                address=port.address,
            )
            for port in vm.ports
        ],
        revision=vm.revision,
        operation=operation,
    )


@router.get("", response_model=PageOf[VmTold])
def list_vms(
    parts: WithParts,
    paging: WithPaging,
    access: WithAccess,
    name: Filter = None,
    search: Annotated[
        str | None, Query(max_length=63, pattern=PRINTABLE, description="Only those with this in their name.")
    ] = None,
    project: Filter = None,
    zone: Filter = None,
    host: Filter = None,
    state: Annotated[VmState | None, Query()] = None,
) -> Response:
    """List the VMs one sees, of one name, project, zone, host or state if asked so."""
    if host is not None and not may(access.grants, Permission.HOST_READ):
        raise NotFound(kind="host", ref=host)
    with parts.store.reading() as session:
        if project is not None:
            project = project_for(session, access.grants, project, Permission.PROJECT_READ).id
        page = vms.vms(
            session,
            limit=paging.limit,
            after=paging.after,
            name=name,
            search=search,
            project=project,
            zone=zone,
            host=host,
            state=state,
            seen_by=access.grants,
        )
        names = vms.vm_names(session, page.items)
    items = [shown(vm, names, access.grants) for vm in page.items]
    return told(PageOf[VmTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=202, response_model=OperationTold)
def create_vm(
    parts: WithParts, request: Request, body: VmAsked, access: WithAccess, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a VM and start it. The operation's `subject_id` is the VM's id."""
    check_labels(body.labels)

    def do(session: Session) -> Done:
        project = project_for(session, access.grants, body.project, Permission.VM_CREATE)
        if body.host is not None:
            check_may(access.grants, Permission.VM_PLACE)
        _vm, operation = vms.add_vm(
            session,
            name=body.name,
            project=project.id,
            zone=body.zone,
            flavor=body.flavor,
            image=body.image,
            networks=body.networks,
            owner=body.owner or "",
            labels=body.labels,
            user_data=body.user_data,
            host=body.host,
        )
        return _begun(operation, access.grants)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{vm_id}", response_model=VmTold)
def get_vm(parts: WithParts, vm_id: VmInPath, access: WithAccess) -> Response:
    """Show one VM."""
    with parts.store.reading() as session:
        vm = vms.vm(session, VmId(vm_id))
        names = vms.vm_names(session, [vm])
    return told(shown(vm, names, access.grants), headers=etag(vm.revision))


@router.patch("/{vm_id}", response_model=VmTold)
def change_vm(parts: WithParts, vm_id: VmInPath, body: VmChanges, revision: IfMatch, access: WithAccess) -> Response:
    """Change a VM's labels. Policies follow them once the `operation` is done. An owner changes by a hand-over."""
    if body.labels is not None:
        check_labels(body.labels)

    def do(session: Session) -> Done:
        before = vms.vm(session, VmId(vm_id))
        vm = vms.change_vm(session, VmId(vm_id), revision=revision, labels=body.labels)
        relabelled = dict(vm.labels) != dict(before.labels)
        operation = _fence_follows(session, vm) if relabelled else None
        told_of = shown(vm, vms.vm_names(session, [vm]), access.grants, operation)
        return Done(status=200, body=told_of, headers=etag(vm.revision), operation_id=operation)

    return change(parts, do)


@router.delete("/{vm_id}", status_code=202, response_model=OperationTold)
def delete_vm(parts: WithParts, vm_id: VmInPath, revision: IfMatchMaybe, access: WithAccess) -> Response:
    """Delete a VM with everything that is of it."""

    def do(session: Session) -> Done:
        vm = vms.vm(session, VmId(vm_id))
        if revision is not None and revision != vm.revision:
            raise StaleRevision(kind="VM", name=vm.name, asked=revision, current=vm.revision)
        return _begun(vms.begin_vm_operation(session, vm.id, OperationKind.DELETE_VM), access.grants)

    return change(parts, do)


@router.post("/{vm_id}/start", status_code=202, response_model=OperationTold)
def start_vm(
    parts: WithParts,
    request: Request,
    vm_id: VmInPath,
    body: NothingAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a stopped VM."""
    return _begin(parts, request, idempotency_key, vm_id, OperationKind.START_VM, body)


@router.post("/{vm_id}/stop", status_code=202, response_model=OperationTold)
def stop_vm(
    parts: WithParts,
    request: Request,
    vm_id: VmInPath,
    body: NothingAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Stop a running VM: the guest is asked first."""
    return _begin(parts, request, idempotency_key, vm_id, OperationKind.STOP_VM, body)


@router.post("/{vm_id}/move", status_code=202, response_model=OperationTold)
def move_vm(
    parts: WithParts,
    request: Request,
    vm_id: VmInPath,
    body: MoveAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Move a running VM to another host while it runs."""
    return _begin(parts, request, idempotency_key, vm_id, OperationKind.MOVE_VM, body)


def _begin(
    parts: Parts, request: Request, key: str | None, vm_id: str, kind: OperationKind, body: Asked | None
) -> Response:
    def do(session: Session) -> Done:
        asked: Mapping[str, Any] = {}
        if isinstance(body, MoveAsked):
            wanted: HostId | None = hosts.host(session, body.host).id if body.host is not None else None
            asked = {"host_id": wanted}
        return _begun(vms.begin_vm_operation(session, VmId(vm_id), kind, asked), access_in(request).grants)

    return create(parts, request, key, body, do)


def _fence_follows(session: Session, vm: Vm) -> OperationId:
    return apply_fence(session, subject_id=vm.id, subject_name=vm.name, project_id=vm.project_id)


def _begun(operation: Operation, grants: Grants) -> Done:
    headers = {"Location": f"/v1/operations/{operation.id}"}
    return Done(status=202, body=operation_shown(operation, grants), headers=headers, operation_id=operation.id)
