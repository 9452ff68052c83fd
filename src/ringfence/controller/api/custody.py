"""Custody over HTTP: whose a VM was, where and beside whom, for any instant, also of VMs that are gone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from ringfence.controller.api.ledger import moment
from ringfence.controller.api.requests import VmInPath, WithParts, told
from ringfence.controller.api.shapes import Told
from ringfence.decide.custody import period_at, periods
from ringfence.model.custody import Period
from ringfence.store.custody import custody_entries

router = APIRouter(prefix="/v1/vms", tags=["ledger"])


class NeighbourTold(Told):
    """Another VM that had its place on the same host."""

    vm: str
    vm_id: str
    zone: str
    zone_id: str
    host: str
    host_id: str


class AddressTold(Told):
    address: str
    mac: str
    network_id: str


class ViewerTold(Told):
    """One who had the console open, since when and from where."""

    name: str
    id: str
    source: str
    since: str


class PeriodTold(Told):
    """A time in which nothing of a VM's custody changed. `by` is whose change began it, `entry` that change's entry."""

    since: str
    until: str | None = Field(description="Null: it lasts.")
    by: str
    entry: int
    name: str
    project_id: str
    zone: str
    zone_id: str
    owner: str
    state: str
    host: str | None
    host_id: str | None
    places: list[str] = Field(description="Hosts that kept a place for it: two during a move.")
    neighbours: list[NeighbourTold]
    addresses: list[AddressTold]
    viewers: list[ViewerTold]


class CustodyTold(Told):
    """A VM's custody, oldest first; of one instant, if that was asked for. No period: it was not there then."""

    vm_id: str
    periods: list[PeriodTold]


@router.get("/{vm_id}/custody", response_model=CustodyTold)
def get_vm_custody(
    parts: WithParts,
    vm_id: VmInPath,
    at: Annotated[str | None, Query(max_length=40, description="One instant: RFC 3339, with an offset.")] = None,
) -> Response:
    """Tell from the ledger who owned a VM, where it was, beside whom, under which addresses, and who watched it."""
    instant = moment(at, field="at")
    parts.ledger.catch_up()
    with parts.store.reading() as session:
        entries = custody_entries(session, vm_id)
    life = periods(vm_id, entries)
    if instant is not None:
        one = period_at(life, instant)
        life = () if one is None else (one,)
    return told(CustodyTold(vm_id=vm_id, periods=[_shown(period) for period in life]))


def _shown(period: Period) -> PeriodTold:
    custody = period.custody
    return PeriodTold(
        since=period.since,
        until=period.until,
        by=period.by,
        entry=period.entry,
        name=custody.vm.name,
        project_id=custody.project_id,
        zone=custody.zone.name,
        zone_id=custody.zone.id,
        owner=custody.owner,
        state=custody.state,
        host=None if custody.host is None else custody.host.name,
        host_id=None if custody.host is None else custody.host.id,
        places=[place.name for place in custody.places],
        neighbours=[
            NeighbourTold(
                vm=each.vm.name,
                vm_id=each.vm.id,
                zone=each.zone.name,
                zone_id=each.zone.id,
                host=each.host.name,
                host_id=each.host.id,
            )
            for each in custody.neighbours
        ],
        addresses=[AddressTold.model_validate(address) for address in custody.addresses],
        viewers=[ViewerTold.model_validate(viewer) for viewer in custody.viewers],
    )
