"""Networks, their ports, and who gets which address. IPv4 only."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.errors import Invalid, StoreBusy
from ringfence.model.names import HostId, NetworkId, PortId, ProjectId, VmId, check_name
from ringfence.model.networks import Network, NetworkFull, NetworksOverlap, Port
from ringfence.store import projects, rows
from ringfence.store.access import network_for, seen_networks
from ringfence.store.engine import changed, fence_changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page
from ringfence.store.tables import networks as table
from ringfence.store.tables import ports, vms
from ringfence.store.translation import unique_broken

KIND = "network"
TRIES = 20


def add_network(session: Session, *, name: str, cidr: str, project: str | None = None, mtu: int = 1442) -> Network:
    """Add a network with an IPv4 range of /8 to /29; its first usable address is the DHCP server's."""
    values = {
        "id": new_id(),
        "name": check_name(name),
        "cidr": _checked_cidr(cidr),
        "project_id": None if project is None else projects.project(session, project).id,
        "mtu": _checked_mtu(mtu),
    }
    rows.insert_row(session, table, KIND, values)
    _note(session, str(values["id"]))
    return network(session, str(values["id"]))


def network(session: Session, ref: str) -> Network:
    """Read a network by id."""
    return _built(rows.find_by_id(session, table, KIND, ref))


def networks(
    session: Session, *, limit: int = 100, after: str | None = None, seen_by: Grants | None = None
) -> Page[Network]:
    """Read a page of the networks, of those that one sees if it is asked for someone."""
    where = None if seen_by is None else seen_networks(seen_by)
    return rows.page(session, table, _built, limit=limit, after=after, where=where)


def all_networks(session: Session) -> tuple[Network, ...]:
    """Read every network, oldest first."""
    return tuple(_built(row) for row in session.execute(select(table).order_by(table.c.id)))


def change_network(
    session: Session, ref: str, *, revision: int | None = None, name: str | None = None, mtu: int | None = None
) -> Network:
    """Change what is given; a network keeps its range and project."""
    row = rows.find_by_id(session, table, KIND, ref)
    wanted = {
        "name": None if name is None else check_name(name),
        "mtu": None if mtu is None else _checked_mtu(mtu),
    }
    if rows.change_row(session, table, KIND, row, revision, wanted):
        _note(session, row.id)
    return network(session, row.id)


def remove_network(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove a network that no VM is on."""
    row = rows.find_by_id(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    on_it = select(vms.c.name).join(ports, ports.c.vm_id == vms.c.id).where(ports.c.network_id == row.id)
    rows.remove_row(session, table, KIND, row, {"VM": on_it.distinct()})
    _note(session, row.id)


def add_ports(session: Session, vm_id: VmId, project_id: ProjectId, refs: Sequence[str]) -> None:
    """Give the VM a port on each network, with a MAC and the first free address.

    A network of another project is `NotFound`: whose networks there are is not told. Of two networks whose ranges
    overlap a VM has a port on one only: `NetworksOverlap`.
    """
    found = [(position, network_for(session, project_id, ref)) for position, ref in enumerate(refs)]
    _check_apart([row for _, row in found])
    # ORDER: by id, so that two VMs on the same networks lock them in one order.
    for position, row in sorted(found, key=lambda pair: str(pair[1].id)):
        # On PostgreSQL, racers for an address wait here; the unique constraint holds whoever goes round it.
        session.execute(select(table.c.id).where(table.c.id == row.id).with_for_update(key_share=True))
        _add_port(session, vm_id, row, position)


def ports_of(session: Session, vm_ids: Collection[str] | None = None) -> dict[str, tuple[Port, ...]]:
    """Read the ports of these VMs, or of all, by VM id, each VM's in its own order."""
    query = select(ports).order_by(ports.c.vm_id, ports.c.position)
    if vm_ids is not None:
        query = query.where(ports.c.vm_id.in_(vm_ids))
    found: dict[str, list[Port]] = defaultdict(list)
    for row in session.execute(query):
        found[row.vm_id].append(_built_port(row))
    return {vm_id: tuple(those) for vm_id, those in found.items()}


def first_free(cidr: str, taken: Iterable[str]) -> str | None:
    """Find the first address for a guest: not the network's, the DHCP server's, the broadcast's, nor taken."""
    network = ipaddress.IPv4Network(cidr)
    # As numbers: a thousand address objects cost milliseconds, and the caller holds the network's row.
    used = {int.from_bytes(socket.inet_aton(address), "big") for address in taken}
    candidates = range(int(network.network_address) + 2, int(network.broadcast_address))
    # Ends: among the first len(used) + 1 candidates one is free, or the range is at its end.
    number = next((number for number in candidates if number not in used), None)
    return None if number is None else str(ipaddress.IPv4Address(number))


def _check_apart(found: Sequence[Row[Any]]) -> None:
    for one, other in combinations(found, 2):
        if one.id != other.id and ipaddress.IPv4Network(one.cidr).overlaps(ipaddress.IPv4Network(other.cidr)):
            raise NetworksOverlap(one=one.name, one_cidr=one.cidr, other=other.name, other_cidr=other.cidr)


def _add_port(session: Session, vm_id: VmId, row: Row[Any], position: int) -> None:
    for _ in range(TRIES):
        taken = session.execute(select(ports.c.address).where(ports.c.network_id == row.id)).scalars()
        address = first_free(row.cidr, taken)
        if address is None:
            raise NetworkFull(network=row.name, cidr=row.cidr)
        values = {
            "id": new_id(),
            "vm_id": vm_id,
            "network_id": row.id,
            "mac": _new_mac(),
            "address": address,
            "position": position,
            "hosts": [],
        }
        try:
            with session.begin_nested():
                session.execute(insert(ports).values(**values))
        except IntegrityError as error:
            # Another VM took the address, or chance made a MAC twice: look again.
            if unique_broken(error) not in ("ports_network_id_address", "ports_mac"):
                raise
        else:
            return
    raise StoreBusy


def _new_mac() -> str:
    return "52:54:00:" + ":".join(f"{octet:02x}" for octet in secrets.token_bytes(3))


def _checked_cidr(cidr: str) -> str:
    try:
        parsed = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise Invalid(field="cidr", why=f"it is no IPv4 range such as 10.1.0.0/24 ({error})") from error
    if not 8 <= parsed.prefixlen <= 29:
        raise Invalid(field="cidr", why="its prefix length is 8 to 29")
    if parsed.is_multicast or parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified:
        raise Invalid(field="cidr", why="guests cannot use multicast, loopback or link-local addresses")
    return str(parsed)


def _checked_mtu(mtu: int) -> int:
    if not 576 <= mtu <= 9000:
        raise Invalid(field="mtu", why="an MTU is 576 to 9000 bytes")
    return mtu


def _note(session: Session, network_id: str) -> None:
    fence_changed(session)
    changed(session, KIND, network_id)


def _built(row: Row[Any]) -> Network:
    project_id = None if row.project_id is None else ProjectId(row.project_id)
    return Network(
        id=NetworkId(row.id), name=row.name, cidr=row.cidr, project_id=project_id, mtu=row.mtu, revision=row.revision
    )


def _built_port(row: Row[Any]) -> Port:
    return Port(
        id=PortId(row.id),
        vm_id=VmId(row.vm_id),
        network_id=NetworkId(row.network_id),
        mac=row.mac,
        address=row.address,
        hosts=tuple(HostId(host) for host in row.hosts),
    )
