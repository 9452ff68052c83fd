"""What the fence does to rows of the southbound: bindings and chassis of hosts that may no longer hold them.

Each function is a job for a link to the southbound. When which is done is the fence's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ringfence.adapters.northbound_rows import OURS
from ringfence.decide.segmentation import HOST_TAGS
from ringfence.model.names import HostId

SOUTHBOUND_COLUMNS = {
    "Chassis": ("name", "encaps"),
    "Chassis_Private": ("name", "nb_cfg"),
    "Port_Binding": ("logical_port", "chassis", "additional_chassis", "encap", "up", "external_ids"),
    "Encap": ("chassis_name", "ip"),
}


class Link(Protocol):
    """What a job is given: the rows as they are, and a way to change them in one transaction."""

    @property
    def idl(self) -> Any: ...

    def transact(self, build: Callable[[Any], bool], *, deadline: float) -> bool: ...


def release_bindings(link: Link, *, handing_over: bool, deadline: float) -> bool:
    """Take bindings from hosts that may no longer hold them.

    The role `ringfence-host` refuses such a host the release as well, and its switch tries one transaction for ever,
    with all else in it. A port that another host is to take over is left to that host, unless `handing_over`.
    """

    def build(_: object) -> bool:
        for row in link.idl.tables["Port_Binding"].rows.values():
            if OURS not in row.external_ids:
                continue
            entitled = {row.external_ids[tag] for tag in HOST_TAGS if tag in row.external_ids}
            for chassis in row.additional_chassis:
                if chassis.name not in entitled:
                    row.delvalue("additional_chassis", chassis)
            if row.chassis and row.chassis[0].name not in entitled and (handing_over or not entitled):
                row.chassis, row.encap, row.up = [], [], [False]
        return True

    return link.transact(build, deadline=deadline)


def drop_chassis(link: Link, *, address: str, keep: HostId | None, deadline: float) -> bool:
    """Drop every chassis whose tunnels end at the address, but for that of `keep`: all tunnels to it go with it.

    One that stayed would keep a host that joins anew from being known, since an address has one chassis.
    """

    def build(_: object) -> bool:
        tables = link.idl.tables
        for row in list(tables["Chassis"].rows.values()):
            if row.name != keep and address in {encap.ip for encap in row.encaps}:
                for private in list(tables["Chassis_Private"].rows.values()):
                    if private.name == row.name:
                        private.delete()
                row.delete()
        return True

    return link.transact(build, deadline=deadline)
