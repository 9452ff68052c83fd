"""The fence over HTTP: who may call whom now, and what a change of one policy would open and close. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response
from pydantic import Field

from ringfence.controller.api.policies import PolicyAsked, imagined
from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.shapes import Asked, Ref, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.decide.access import Grants
from ringfence.decide.reach import ALL_PORTS, Opening, Party, Turn, diff_ways, parties_of, ways
from ringfence.errors import Invalid
from ringfence.model.names import PolicyId
from ringfence.model.policies import Policy, Protocol
from ringfence.store import policies, vms
from ringfence.store.access import policy_subject
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/fence", tags=["fence"])

MOST_PAIRS = 5_000
SOME_VMS = 5


class PartyTold(Told):
    """VMs that no policy tells apart. `labels` are those of theirs that some policy speaks of."""

    zone: str
    zone_id: str
    project: str
    project_id: str
    labels: dict[str, str]
    networks: list[str]
    vms: int
    some: list[str] = Field(description=f"Names of the first {SOME_VMS} of them.")


class OpeningTold(Told):
    protocol: Protocol
    ports: list[int] = Field(description="None means all.")


class WayTold(Told):
    """VMs of the party `source` may open connections to VMs of the party `target`; both are places in `parties`."""

    source: int
    target: int
    allowed: list[OpeningTold]
    policies: list[str]


class FenceTold(Told):
    """Who may call whom. What is not told is denied."""

    parties: list[PartyTold]
    ways: list[WayTold]
    complete: bool = Field(description=f"False if there are more than {MOST_PAIRS:,} ways; these are the first.")


class FenceChangeAsked(Asked):
    """One change: `policy` alone is deleted, `becomes` alone is created, and with both it becomes what is given."""

    policy: Ref | None = None
    becomes: PolicyAsked | None = None


class PairTold(Told):
    source: int
    target: int
    turn: Turn
    before: list[OpeningTold]
    after: list[OpeningTold]
    vm_pairs: int


class FenceChangeTold(Told):
    """What the change would do. `opens` and `closes` count pairs of VMs; one that alters counts as both."""

    parties: list[PartyTold]
    pairs: list[PairTold]
    opens: int
    closes: int
    complete: bool = Field(description=f"False if more than {MOST_PAIRS:,} pairs change; these are the first.")


@router.get("", response_model=FenceTold)
def get_fence(parts: WithParts) -> Response:
    """Tell who may call whom under the policies as they are."""
    with parts.store.reading() as session:
        present = policies.all_policies(session)
        parties = parties_of(vms.all_vms(session), present)
        shown = _parties(session, parties)
    names = {policy.id: policy.name for policy in present}
    found = sorted(ways(parties, present).items())
    return told(
        FenceTold(
            parties=shown,
            ways=[
                WayTold(
                    source=source,
                    target=target,
                    allowed=_openings(way.openings),
                    policies=[names[policy_id] for policy_id in way.policies],
                )
                for (source, target), way in found[:MOST_PAIRS]
            ],
            complete=len(found) <= MOST_PAIRS,
        )
    )


@router.post("/dry-run", response_model=FenceChangeTold)
def try_fence_change(parts: WithParts, body: FenceChangeAsked, access: WithAccess) -> Response:
    """Tell which pairs a change of one policy would open and close. Nothing is changed."""
    with parts.store.reading() as session:
        before = policies.all_policies(session)
        after = _changed(session, access.grants, before, body)
        parties = parties_of(vms.all_vms(session), (*before, *after))
        shown = _parties(session, parties)
    found = diff_ways(parties, ways(parties, before), ways(parties, after))
    pairs = [
        PairTold(
            source=change.pair[0],
            target=change.pair[1],
            turn=change.turn,
            before=_openings(change.before),
            after=_openings(change.after),
            vm_pairs=change.vm_pairs,
        )
        for change in found
    ]
    return told(
        FenceChangeTold(
            parties=shown,
            pairs=pairs[:MOST_PAIRS],
            opens=sum(pair.vm_pairs for pair in pairs if pair.turn is not Turn.CLOSES),
            closes=sum(pair.vm_pairs for pair in pairs if pair.turn is not Turn.OPENS),
            complete=len(pairs) <= MOST_PAIRS,
        )
    )


def _changed(session: Session, grants: Grants, before: Sequence[Policy], asked: FenceChangeAsked) -> tuple[Policy, ...]:
    if asked.policy is None and asked.becomes is None:
        raise Invalid(field="policy", why="name a policy, or say what one is to become")
    replaced = PolicyId(policy_subject(session, grants, asked.policy).id) if asked.policy is not None else None
    rest = tuple(policy for policy in before if policy.id != replaced)
    return rest if asked.becomes is None else (*rest, imagined(session, grants, asked.becomes, replaced))


def _parties(session: Session, parties: Sequence[Party]) -> list[PartyTold]:
    names = vms.vm_names(session, [party.vms[0] for party in parties])
    return [
        PartyTold(
            zone=names.zones[party.zone_id],
            zone_id=party.zone_id,
            project=names.projects[party.project_id],
            project_id=party.project_id,
            labels=dict(party.labels),
            networks=sorted(names.networks[network] for network in party.networks),
            vms=len(party.vms),
            some=[vm.name for vm in party.vms[:SOME_VMS]],
        )
        for party in parties
    ]


def _openings(openings: frozenset[Opening]) -> list[OpeningTold]:
    protocols = sorted({protocol for protocol, _ in openings})
    return [
        OpeningTold(
            protocol=protocol,
            ports=sorted(port for one, port in openings if one is protocol and port != ALL_PORTS),
        )
        for protocol in protocols
    ]
