"""Policies: what may pass between VMs. They select by zone, project and label, never by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ringfence.model.names import PolicyId, ProjectId, ZoneId


class Protocol(StrEnum):
    ANY = "any"
    ICMP = "icmp"
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Selects the VMs that match every part given; an empty selector selects nothing, so nobody opens all by slip."""

    zone_id: ZoneId | None = None
    project_id: ProjectId | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An allow rule: `source` may open connections to `target`. Ports are of TCP and UDP, and empty means all.

    `project_id` is whose it is, None: the cloud's. It says who may change it, and nothing of what it selects.
    """

    id: PolicyId
    name: str
    source: Selector
    target: Selector
    protocol: Protocol
    ports: tuple[int, ...] = ()
    project_id: ProjectId | None = None
    revision: int = 1
