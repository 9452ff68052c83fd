"""The table of roles over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ringfence.controller.api.requests import told
from ringfence.controller.api.shapes import Told
from ringfence.decide.access import ROLES
from ringfence.model.access import Permission, Role, RoleScope

router = APIRouter(prefix="/v1", tags=["accounts"])


class RoleTold(Told):
    name: Role
    scope: RoleScope
    permissions: list[Permission]
    about: str


class RolesTold(Told):
    items: list[RoleTold]


@router.get("/roles", response_model=RolesTold)
def list_roles() -> Response:
    """Show the table of roles: all that is permitted to anybody. What is not in it is denied."""
    rows = [
        RoleTold(name=row.role, scope=row.scope, permissions=sorted(row.permissions), about=row.about)
        for row in ROLES.values()
    ]
    return told(RolesTold(items=rows))
