"""Placements over HTTP: where a VM could run, and why not elsewhere. Claims nothing."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.shapes import Asked, Ref, Told
from ringfence.decide.placement import choose_host
from ringfence.model.hosts import NoHostFits
from ringfence.store import hosts, vms, zones

router = APIRouter(prefix="/v1/placements", tags=["placements"])


class PlacementAsked(Asked):
    zone: Ref
    flavor: Ref
    host: Ref | None = Field(default=None, description="This host and no other; else one is chosen.")


class PlacementTold(Told):
    """The host that would be chosen now, or null; another VM may come first. `rejected` maps hosts to why not."""

    host: str | None
    reason: str
    others: list[str] = Field(description="Hosts that would do as well, but are not the first choice.")
    rejected: dict[str, str]


@router.post("", response_model=PlacementTold)
def try_placement(parts: WithParts, body: PlacementAsked) -> Response:
    """Tell where a VM of this zone and flavor would be placed now, and why not on the other hosts."""
    with parts.store.reading() as session:
        spec = vms.imagined_spec(session, zone=body.zone, flavor=body.flavor)
        only = hosts.host(session, body.host).id if body.host is not None else None
        candidates = hosts.host_snapshots(session)
        known = zones.all_zones(session)
    try:
        chosen = choose_host(spec, candidates, known, only=only)
    except NoHostFits as none:
        return told(PlacementTold(host=None, reason=none.message, others=[], rejected=none.rejected))
    fitting = sorted(host.name for host in candidates if host.name not in chosen.rejected and host.name != chosen.host)
    rejected = dict(chosen.rejected)
    return told(PlacementTold(host=chosen.host, reason=chosen.reason, others=fitting, rejected=rejected))
