"""VMs as records: born whole in one transaction, in one zone and one project for life."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, delete, select, update
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.decide.lifecycle import check_may_begin
from ringfence.errors import Invalid, WrongState
from ringfence.model.accounts import NotAMember
from ringfence.model.images import Image, ImageFormat, ImageState
from ringfence.model.names import FlavorId, HostId, ImageId, ProjectId, VmId, ZoneId, check_labels, check_name
from ringfence.model.operations import Operation, OperationKind
from ringfence.model.vms import Nic, Vm, VmSpec, VmState
from ringfence.store import accounts, images, members, operations, rows
from ringfence.store.access import seen_vms
from ringfence.store.engine import changed, fence_changed
from ringfence.store.ids import new_id
from ringfence.store.networks import add_ports, ports_of
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.quotas import within_quota
from ringfence.store.tables import claims, flavors, hosts, ports, projects, zones
from ringfence.store.tables import images as image_table
from ringfence.store.tables import networks as network_table
from ringfence.store.tables import vms as table
from ringfence.store.zones import zone as zone_of

KIND = "VM"
CHANGE = "vm"
MOST_NETWORKS = 8
MOST_USER_DATA = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class VmNames:
    """The names of what VMs refer to, by id."""

    projects: Mapping[str, str]
    zones: Mapping[str, str]
    flavors: Mapping[str, str]
    images: Mapping[str, str]
    hosts: Mapping[str, str]
    networks: Mapping[str, str]


def add_vm(
    session: Session,
    *,
    name: str,
    project: str,
    zone: str,
    flavor: str,
    image: str,
    networks: Sequence[str],
    owner: str = "",
    labels: Mapping[str, str] | None = None,
    user_data: str = "",
    host: str | None = None,
) -> tuple[Vm, Operation]:
    """Add a VM in state creating, its ports, and the operation that is to create it: all or nothing.

    `owner` is a member of the project; empty: the project's. `host`: the one host asked for, which the operation's
    `asked` tells as `host_id`.
    """
    in_project = rows.find_row(session, projects, "project", project)
    in_zone = rows.find_row(session, zones, "zone", zone)
    of_flavor = rows.find_row(session, flavors, "flavor", flavor)
    of_image = rows.find_row(session, image_table, "image", image)
    on_host = None if host is None else rows.find_row(session, hosts, "host", host)
    _check_birth(of_flavor, of_image, networks, user_data)
    vm_id = VmId(new_id())
    values = {
        "id": vm_id,
        "name": check_name(name),
        "project_id": in_project.id,
        "zone_id": in_zone.id,
        "owner": _owner_in(session, in_project, owner),
        "flavor_id": of_flavor.id,
        "image_id": of_image.id,
        "vcpus": of_flavor.vcpus,
        "memory_mib": of_flavor.memory_mib,
        "disk_bytes": of_flavor.disk_bytes,
        "state": str(VmState.CREATING),
        "labels": check_labels(dict(labels or {})),
        "user_data": user_data,
    }
    with within_quota(session, in_project.id, _asked_of_quota(of_flavor)):
        rows.insert_row(session, table, KIND, values)
    with within_quota(session, in_project.id, {"ports": len(networks)}):
        add_ports(session, vm_id, ProjectId(in_project.id), networks)
    operation = operations.add_operation(
        session,
        kind=OperationKind.CREATE_VM,
        subject_id=vm_id,
        subject_name=name,
        asked={"vm_id": vm_id, "host_id": None if on_host is None else on_host.id},
        project_id=in_project.id,
    )
    fence_changed(session)
    changed(session, CHANGE, vm_id)
    return vm(session, vm_id), operation


def vm(session: Session, vm_id: str) -> Vm:
    """Read a VM by id; raises `NotFound`."""
    return _built(session, [rows.find_by_id(session, table, KIND, vm_id)])[0]


def vms(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    name: str | None = None,
    search: str | None = None,
    project: str | None = None,
    zone: str | None = None,
    host: str | None = None,
    state: VmState | None = None,
    seen_by: Grants | None = None,
) -> Page[Vm]:
    """Read a page of the VMs that match all that is given; an unknown project, zone or host is `NotFound`.

    Of those that one sees, if it is asked for someone. `search` is a part of the name.
    """
    query = select(table)
    if seen_by is not None:
        query = query.where(seen_vms(seen_by))
    if name is not None:
        query = query.where(table.c.name == name)
    if search is not None:
        query = query.where(table.c.name.contains(search, autoescape=True))
    for ref, of_table, kind, column in (
        (project, projects, "project", table.c.project_id),
        (zone, zones, "zone", table.c.zone_id),
        (host, hosts, "host", table.c.host_id),
    ):
        if ref is not None:
            query = query.where(column == rows.find_row(session, of_table, kind, ref).id)
    if state is not None:
        query = query.where(table.c.state == str(state))
    found, following = page_of_rows(session, query, table.c.id, limit=limit, after=after)
    return Page(items=tuple(_built(session, found)), next=following)


def all_vms(session: Session) -> tuple[Vm, ...]:
    """Read every VM, oldest first."""
    return tuple(_built(session, session.execute(select(table).order_by(table.c.id)).all(), everything=True))


def change_vm(
    session: Session,
    vm_id: str,
    *,
    revision: int | None = None,
    labels: Mapping[str, str] | None = None,
    owner: str | None = None,
) -> Vm:
    """Change labels (given whole) or owner; zone and project never change."""
    row = rows.find_by_id(session, table, KIND, vm_id)
    rows.check_revision(KIND, row, revision)
    wanted = {
        "labels": None if labels is None else check_labels(dict(labels)),
        "owner": None if owner is None else accounts.account(session, owner).name,
    }
    if rows.change_row(session, table, KIND, row, revision, wanted):
        fence_changed(session)
        changed(session, CHANGE, row.id)
    return vm(session, row.id)


def begin_vm_operation(
    session: Session, vm_id: str, kind: OperationKind, asked: Mapping[str, Any] | None = None
) -> Operation:
    """Begin to start, stop, move or delete a VM: its state says so from now on, so that no second operation begins.

    Raises `WrongState` if the VM's state does not allow it.
    """
    row = rows.find_by_id(session, table, KIND, vm_id)
    meanwhile = check_may_begin(_built(session, [row])[0], kind)
    # The state as it was read is part of the condition: of two that begin at once, one finds it changed.
    still = (table.c.id == row.id) & (table.c.state == row.state)
    begun = update(table).where(still).values(state=str(meanwhile)).returning(table.c.id)
    if session.execute(begun).one_or_none() is None:
        raise WrongState(kind=KIND, name=row.name, state="changing", verb=kind, needs=row.state)
    changed(session, CHANGE, row.id)
    told = {"vm_id": row.id, **(asked or {})}
    return operations.add_operation(
        session, kind=kind, subject_id=row.id, subject_name=row.name, asked=told, project_id=row.project_id
    )


def vm_became(session: Session, vm_id: str, state: VmState) -> None:
    """Put the VM into the state."""
    row = rows.find_by_id(session, table, KIND, vm_id)
    if row.state != str(state):
        session.execute(update(table).where(table.c.id == row.id).values(state=str(state)))
        changed(session, CHANGE, row.id)


def bind_ports(session: Session, vm_id: str, host_ids: Sequence[str]) -> None:
    """Say which hosts may bind the VM's ports, the first being the one that sends and receives."""
    row = rows.find_by_id(session, table, KIND, vm_id)
    bound = session.execute(select(ports.c.hosts).where(ports.c.vm_id == row.id)).scalars().all()
    if all(list(present) == list(host_ids) for present in bound):
        return
    for host_id in host_ids:
        rows.find_row(session, hosts, "host", host_id)
    session.execute(update(ports).where(ports.c.vm_id == row.id).values(hosts=list(host_ids)))
    fence_changed(session)
    changed(session, CHANGE, row.id)


def forget_vm(session: Session, vm_id: str) -> None:
    """Remove the VM's record, its ports and its claims; no error if it is gone."""
    session.execute(delete(claims).where(claims.c.vm_id == vm_id))
    session.execute(delete(ports).where(ports.c.vm_id == vm_id))
    if session.execute(delete(table).where(table.c.id == vm_id).returning(table.c.id)).one_or_none() is not None:
        fence_changed(session)
        changed(session, CHANGE, vm_id)


def vm_spec(session: Session, vm_id: str) -> VmSpec:
    """Read everything a host must know to run the VM."""
    row = rows.find_by_id(session, table, KIND, vm_id)
    in_zone = zone_of(session, row.zone_id)
    image = images.image(session, row.image_id)
    nets = {
        net.id: net
        for net in session.execute(
            select(network_table).join(ports, ports.c.network_id == network_table.c.id).where(ports.c.vm_id == row.id)
        )
    }
    nics = tuple(
        Nic(
            port_id=port.id,
            mac=port.mac,
            address=port.address,
            prefix_length=ipaddress.IPv4Network(nets[port.network_id].cidr).prefixlen,
            mtu=nets[port.network_id].mtu,
        )
        for port in ports_of(session, [row.id]).get(row.id, ())
    )
    return VmSpec(
        vm_id=VmId(row.id),
        name=row.name,
        project=rows.find_row(session, projects, "project", row.project_id).name,
        owner=row.owner,
        zone_id=in_zone.id,
        zone=in_zone.name,
        mixes_with=tuple(sorted(in_zone.mixes_with)),
        vcpus=row.vcpus,
        memory_mib=row.memory_mib,
        disk_bytes=row.disk_bytes,
        image_digest=image.digest,
        image_format=ImageFormat(image.format),
        nics=nics,
        user_data=row.user_data,
    )


def imagined_spec(session: Session, *, zone: str, flavor: str) -> VmSpec:
    """Build what a placement must know of a VM of this zone and flavor, though there is none."""
    in_zone = zone_of(session, zone)
    of_flavor = rows.find_row(session, flavors, "flavor", flavor)
    return VmSpec(
        vm_id=VmId(""),
        name="",
        project="",
        owner="",
        zone_id=in_zone.id,
        zone=in_zone.name,
        mixes_with=tuple(sorted(in_zone.mixes_with)),
        vcpus=of_flavor.vcpus,
        memory_mib=of_flavor.memory_mib,
        disk_bytes=of_flavor.disk_bytes,
        image_digest="",
        image_format=ImageFormat.RAW,
        nics=(),
    )


def image_of(session: Session, vm_id: str) -> Image:
    """Read the image the VM starts from."""
    return images.image(session, rows.find_by_id(session, table, KIND, vm_id).image_id)


def vm_names(session: Session, vms: Collection[Vm]) -> VmNames:
    """Read the names of everything these VMs refer to, with one query a noun."""
    return VmNames(
        projects=_names(session, projects, {vm.project_id for vm in vms}),
        zones=_names(session, zones, {vm.zone_id for vm in vms}),
        flavors=_names(session, flavors, {vm.flavor_id for vm in vms}),
        images=_names(session, image_table, {vm.image_id for vm in vms}),
        hosts=_names(session, hosts, {vm.host_id for vm in vms if vm.host_id is not None}),
        networks=_names(session, network_table, {port.network_id for vm in vms for port in vm.ports}),
    )


def _owner_in(session: Session, in_project: Row[Any], owner: str) -> str:
    if not owner:
        return str(in_project.owner)
    found = accounts.account(session, owner)
    if members.role_in(session, in_project.id, found.id) is None:
        raise NotAMember(account=found.name)
    return found.name


def _asked_of_quota(of_flavor: Row[Any]) -> dict[str, int]:
    sizes = {name: int(getattr(of_flavor, name)) for name in ("vcpus", "memory_mib", "disk_bytes")}
    return {"vms": 1, **sizes}


def _names(session: Session, of_table: Table, ids: Collection[str]) -> dict[str, str]:
    found = session.execute(select(of_table.c.id, of_table.c.name).where(of_table.c.id.in_(ids)))
    return {row.id: row.name for row in found}


def _check_birth(of_flavor: Row[Any], of_image: Row[Any], networks: Sequence[str], user_data: str) -> None:
    if of_image.state != str(ImageState.READY):
        raise WrongState(
            kind="image", name=of_image.name, state=of_image.state, verb="create-vm", needs=ImageState.READY
        )
    if of_image.virtual_bytes > of_flavor.disk_bytes:
        needs = f"{of_image.virtual_bytes} bytes of disk for image {of_image.name}"
        raise Invalid(field="flavor", why=f"it needs {needs}, and has {of_flavor.disk_bytes}")
    if len(networks) > MOST_NETWORKS:
        raise Invalid(field="networks", why=f"a VM has at most {MOST_NETWORKS} ports")
    if len(user_data.encode()) > MOST_USER_DATA:
        raise Invalid(field="user_data", why=f"it has at most {MOST_USER_DATA} bytes")


def _built(session: Session, found: Collection[Row[Any]], *, everything: bool = False) -> list[Vm]:
    plugged = ports_of(session, None if everything else [row.id for row in found])
    return [
        Vm(
            id=VmId(row.id),
            name=row.name,
            project_id=ProjectId(row.project_id),
            zone_id=ZoneId(row.zone_id),
            owner=row.owner,
            flavor_id=FlavorId(row.flavor_id),
            image_id=ImageId(row.image_id),
            state=VmState(row.state),
            labels=row.labels,
            ports=plugged.get(row.id, ()),
            host_id=None if row.host_id is None else HostId(row.host_id),
            placement=row.placement,
            user_data=row.user_data,
            revision=row.revision,
        )
        for row in found
    ]
