"""VMs by name: which one a name means, among the projects one sees."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ringfence.client.connection import Client
from ringfence.errors import NotFound, Refused
from ringfence.model.names import UUID_PATTERN


@dataclass(eq=False)
class AmbiguousName(Refused):
    """There are VMs named {name} in the projects {projects}.

    Say which with --project, or give the VM's id.
    """

    name: str
    projects: list[str]


def vm_id(client: Client, ref: str, project: str | None) -> str:
    """Find the id of the VM that a name or id means."""
    if re.fullmatch(UUID_PATTERN, ref):
        return ref
    found = list(client.pages("/v1/vms", limit=10, name=ref, project=project))
    if not found:
        raise NotFound(kind="VM", ref=ref)
    if len(found) > 1:
        raise AmbiguousName(name=ref, projects=sorted(str(vm["project"]) for vm in found))
    return str(found[0]["id"])
