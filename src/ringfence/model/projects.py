"""Projects: tenants, each with a named owner."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.errors import Refused
from ringfence.model.names import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant. `owner` is an account's name; a VM belongs to it unless another owner is named."""

    id: ProjectId
    name: str
    owner: str
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a project may have at most; None: no bound. Everything counts from its birth to its removal, run or not."""

    vms: int | None = None
    vcpus: int | None = None
    memory_mib: int | None = None
    disk_bytes: int | None = None
    ports: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a project has, counted like its quota."""

    vms: int = 0
    vcpus: int = 0
    memory_mib: int = 0
    disk_bytes: int = 0
    ports: int = 0


@dataclass(eq=False)
class QuotaExceeded(Refused):
    """Project {project} may have {allowed} {what}; it has {used}, and {asked} more were asked for.

    Delete what is not needed, or ask an administrator for a larger quota.
    """

    project: str
    what: str
    asked: int
    used: int
    allowed: int
