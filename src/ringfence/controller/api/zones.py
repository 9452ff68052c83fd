"""Zones over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from ringfence.controller.api.requests import (
    Done,
    IdempotencyKey,
    IfMatch,
    IfMatchMaybe,
    RefInPath,
    WithPaging,
    WithParts,
    change,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import Asked, Line, Name, PageOf, Ref, Told
from ringfence.model.names import ZoneId
from ringfence.model.zones import Zone
from ringfence.store import zones
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/zones", tags=["zones"])

Colour = Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9#-]*$", examples=["red", "#c9190b"])]


class ZoneAsked(Asked):
    name: Name
    colour: Colour = ""
    classification: Line = ""
    mixes_with: list[Ref] = Field(default=[], max_length=1000, description="Zones that may share a host with it.")


class ZoneChanges(Asked):
    name: Name | None = None
    colour: Colour | None = None
    classification: Line | None = None
    mixes_with: list[Ref] | None = Field(default=None, max_length=1000)


class ZoneTold(Told):
    """A security zone. It mixes with itself, and with the zones in `mixes_with` if those say so too."""

    id: str
    name: str
    colour: str
    classification: str
    mixes_with: list[str] = Field(description="Names of zones that may share a host with it.")
    mixes_with_ids: list[str]
    revision: int


def shown(session: Session, zone: Zone, names: dict[ZoneId, str] | None = None) -> ZoneTold:
    """Build the body that tells a zone; `names` keeps those of other zones between calls."""
    names = names if names is not None else {}
    for other in zone.mixes_with:
        if other not in names:
            names[other] = zones.zone(session, other).name
    mixes = sorted((names[other], str(other)) for other in zone.mixes_with)
    return ZoneTold(
        id=zone.id,
        name=zone.name,
        colour=zone.colour,
        classification=zone.classification,
        mixes_with=[name for name, _ in mixes],
        mixes_with_ids=[id_ for _, id_ in mixes],
        revision=zone.revision,
    )


@router.get("", response_model=PageOf[ZoneTold])
def list_zones(parts: WithParts, paging: WithPaging) -> Response:
    """List the zones."""
    with parts.store.reading() as session:
        page = zones.zones(session, limit=paging.limit, after=paging.after)
        names: dict[ZoneId, str] = {zone.id: zone.name for zone in page.items}
        items = [shown(session, zone, names) for zone in page.items]
    return told(PageOf[ZoneTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=ZoneTold)
def create_zone(
    parts: WithParts, request: Request, body: ZoneAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a zone. It mixes with no other unless `mixes_with` says so."""

    def do(session: Session) -> Done:
        zone = zones.add_zone(
            session,
            name=body.name,
            colour=body.colour,
            classification=body.classification,
            mixes_with=body.mixes_with,
        )
        return _done(session, zone, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=ZoneTold)
def get_zone(parts: WithParts, ref: RefInPath) -> Response:
    """Show one zone."""
    with parts.store.reading() as session:
        zone = zones.zone(session, ref)
        return told(shown(session, zone), headers=etag(zone.revision))


@router.patch("/{ref}", response_model=ZoneTold)
def change_zone(parts: WithParts, ref: RefInPath, body: ZoneChanges, revision: IfMatch) -> Response:
    """Change a zone. A mix cannot be ended while VMs of both zones are on one host."""

    def do(session: Session) -> Done:
        zone = zones.change_zone(
            session,
            ref,
            revision=revision,
            name=body.name,
            colour=body.colour,
            classification=body.classification,
            mixes_with=body.mixes_with,
        )
        return _done(session, zone, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_zone(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a zone that nothing uses."""
    with parts.store.transaction() as session:
        zones.remove_zone(session, ref, revision=revision)
    return Response(status_code=204)


def _done(session: Session, zone: Zone, *, status: int) -> Done:
    headers = {**etag(zone.revision), "Location": f"/v1/zones/{zone.id}"}
    return Done(status=status, body=shown(session, zone), headers=headers)
