"""Tell who may call whom under the policies, and what a change of them would open or close. Pure; no fabric is made.

VMs that no policy can tell apart are one *party*, so that the answer stays small however many VMs there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringfence.decide.segmentation import selects
from ringfence.model.names import NetworkId, PolicyId, ProjectId, ZoneId
from ringfence.model.policies import Policy, Protocol
from ringfence.model.vms import Vm

ALL_PORTS = 0
Opening = tuple[Protocol, int]
"""A protocol and one port of it; `ALL_PORTS` where the policy names none."""
Pair = tuple[int, int]
"""Source and target, as places in the list of parties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """VMs of one zone and project, on the same networks, with the same of those labels that policies speak of."""

    zone_id: ZoneId
    project_id: ProjectId
    labels: Mapping[str, str]
    networks: frozenset[NetworkId]
    vms: tuple[Vm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What one party may open to another, and by which policies."""

    openings: frozenset[Opening]
    policies: tuple[PolicyId, ...]


class Turn(StrEnum):
    """What a change does to a pair: more may be opened, less, or both."""

    OPENS = "opens"
    CLOSES = "closes"
    ALTERS = "alters"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairChange:
    """One pair of parties whose way changes. `vm_pairs` counts the pairs of VMs this is about."""

    pair: Pair
    turn: Turn
    before: frozenset[Opening]
    after: frozenset[Opening]
    vm_pairs: int


def parties_of(vms: Iterable[Vm], policies: Iterable[Policy]) -> tuple[Party, ...]:
    """Group the VMs by what these policies can tell of them; the order depends on nothing but their ids."""
    spoken = {label for policy in policies for end in (policy.source, policy.target) for label in end.labels.items()}
    groups: dict[tuple[str, str, tuple[tuple[str, str], ...], tuple[str, ...]], list[Vm]] = defaultdict(list)
    for vm in sorted(vms, key=lambda vm: vm.id):
        labels = tuple(sorted(label for label in vm.labels.items() if label in spoken))
        networks = tuple(sorted({port.network_id for port in vm.ports}))
        groups[(vm.zone_id, vm.project_id, labels, networks)].append(vm)
    return tuple(
        Party(
            zone_id=ZoneId(zone_id),
            project_id=ProjectId(project_id),
            labels=dict(labels),
            networks=frozenset(NetworkId(network) for network in networks),
            vms=tuple(members),
        )
        for (zone_id, project_id, labels, networks), members in groups.items()
    )


def ways(parties: Sequence[Party], policies: Iterable[Policy]) -> dict[Pair, Way]:
    """Tell every pair of parties of which one may call the other; a pair that is not told is denied.

    A network is an island: parties that share none reach each other by no policy.
    """
    openings: dict[Pair, set[Opening]] = defaultdict(set)
    by: dict[Pair, list[PolicyId]] = defaultdict(list)
    for policy in sorted(policies, key=lambda policy: policy.id):
        sources = [at for at, party in enumerate(parties) if selects(policy.source, party.vms[0])]
        targets = [at for at, party in enumerate(parties) if selects(policy.target, party.vms[0])]
        opened = {(policy.protocol, port) for port in policy.ports or (ALL_PORTS,)}
        for source in sources:
            for target in targets:
                if _vm_pairs(parties, (source, target)):
                    openings[source, target] |= opened
                    by[source, target].append(policy.id)
    return {pair: Way(openings=_shortened(opened), policies=tuple(by[pair])) for pair, opened in openings.items()}


def diff_ways(parties: Sequence[Party], before: Mapping[Pair, Way], after: Mapping[Pair, Way]) -> list[PairChange]:
    """Tell what becomes possible, and what no longer is, between the same parties; in the order of the pairs."""
    none: frozenset[Opening] = frozenset()
    found = []
    for pair in sorted(before.keys() | after.keys()):
        old = before[pair].openings if pair in before else none
        new = after[pair].openings if pair in after else none
        more, less = not _covers(old, new), not _covers(new, old)
        if more or less:
            turn = Turn.ALTERS if more and less else Turn.OPENS if more else Turn.CLOSES
            count = _vm_pairs(parties, pair)
            found.append(PairChange(pair=pair, turn=turn, before=old, after=new, vm_pairs=count))
    return found


def _vm_pairs(parties: Sequence[Party], pair: Pair) -> int:
    """Count the pairs of two VMs, first of the one party, then of the other, that share a network."""
    source, target = parties[pair[0]], parties[pair[1]]
    if not source.networks & target.networks:
        return 0
    # Within a party each may call each, but no VM is a pair with itself.
    return len(source.vms) * (len(target.vms) - (pair[0] == pair[1]))


def _shortened(openings: Collection[Opening]) -> frozenset[Opening]:
    """Leave out what the rest covers."""
    return frozenset(one for one in openings if not _covered(one, set(openings) - {one}))


def _covers(these: Collection[Opening], those: Collection[Opening]) -> bool:
    return all(_covered(one, these) for one in those)


def _covered(one: Opening, by: Collection[Opening]) -> bool:
    protocol, _ = one
    return one in by or (protocol, ALL_PORTS) in by or (Protocol.ANY, ALL_PORTS) in by
