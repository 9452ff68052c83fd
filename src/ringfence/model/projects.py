"""Projects: tenants, each with a named owner."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.model.names import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant. `owner` is an account's name; a VM belongs to it unless another owner is named."""

    id: ProjectId
    name: str
    owner: str
    revision: int = 1
