"""Flavors: the sizes a VM can have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ringfence.model.names import FlavorId


class PriorityClass(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """vCPUs, memory in MiB, disk in bytes, priority class."""

    id: FlavorId
    name: str
    vcpus: int
    memory_mib: int
    disk_bytes: int
    priority: PriorityClass = PriorityClass.NORMAL
    revision: int = 1
