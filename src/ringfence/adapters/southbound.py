"""The southbound's role for hosts: each may bind only the ports that the northbound gives it.

OVN's stock role lets a host take another host's ports, and write what the whole cloud goes by: MAC bindings, forwarding
tables, multicast groups. In ours, a Port_Binding may be changed only by a host that its external ids name, and those
come from the northbound, where no host writes; of the rest, a host may write its own chassis and nothing else. It is a
role of its own because northd makes the stock one anew. Opening the listener is the deployment's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from ringfence.adapters.northbound import OvsdbLink, TlsFiles
from ringfence.decide.segmentation import HOST_TAGS

ROLE = "ringfence-host"
_STOCK = "ovn-controller"
_PORTS = "Port_Binding"
_OWN = ("Chassis", "Chassis_Private", "Encap")
"""What a host writes about itself, each row guarded by its name in the stock role. What is left out belongs to features
the fabric does not use: routers, ports of unknown addresses, IGMP snooping, BFD, load balancers."""
_MAY_CHANGE = ("additional_chassis", "additional_encap", "chassis", "encap", "options", "up", "virtual_parent")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "RBAC_Role": ("name", "permissions"),
    "RBAC_Permission": ("table", "authorization", "insert_delete", "update"),
}


def bootstrap_southbound(remote: str, *, tls: TlsFiles | None = None, timeout_seconds: float = 30) -> None:
    """Have the role in the southbound as it should be; again is no error.

    Waits until northd has made the stock role it is taken from. Raises `FenceUnreachable`.
    """
    link = OvsdbLink(remote, "OVN_Southbound", _COLUMNS, tls)
    try:
        link.ask(lambda link: _bootstrap(link, monotonic() + timeout_seconds), timeout_seconds=timeout_seconds)
    except TimeoutError:
        raise link.unreachable() from None
    finally:
        link.close()


def _bootstrap(link: OvsdbLink, deadline: float) -> bool | None:
    roles = {row.name: row for row in link.idl.tables["RBAC_Role"].rows.values()}
    if _STOCK not in roles or not {_PORTS, *_OWN} <= roles[_STOCK].permissions.keys():
        return None
    link.transact(lambda transaction: _write_role(link.idl, transaction), deadline=deadline)
    return True


def _write_role(idl: Any, transaction: Any) -> None:
    roles = {row.name: row for row in idl.tables["RBAC_Role"].rows.values()}
    role = roles.get(ROLE)
    if role is None:
        role = transaction.insert(idl.tables["RBAC_Role"])
        role.name = ROLE
    before = dict(role.permissions) if ROLE in roles else {}
    ports = before.get(_PORTS)
    if ports is None:
        ports = transaction.insert(idl.tables["RBAC_Permission"])
    ports.table = _PORTS
    # Any one of these that names the host is enough: source, and destination during a move.
    ports.authorization = [f"external_ids:{tag}" for tag in HOST_TAGS]
    ports.insert_delete = False
    ports.update = sorted(_MAY_CHANGE)
    stock = roles[_STOCK].permissions
    role.permissions = {**{table: stock[table] for table in _OWN}, _PORTS: ports}
