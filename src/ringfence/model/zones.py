"""Security zones: who may share a host with whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringfence.errors import Refused
from ringfence.model.names import ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A security zone. `mixes_with` holds the ids of other zones; it is symmetric, and every zone mixes with itself."""

    id: ZoneId
    name: str
    colour: str
    classification: str
    mixes_with: frozenset[ZoneId]
    revision: int = 1


def may_mix(one: Zone, other: Zone) -> bool:
    """Tell whether VMs of the two zones may run on one host: only if both zones say so."""
    return one.id == other.id or (other.id in one.mixes_with and one.id in other.mixes_with)


@dataclass(eq=False)
class ZoneForbids(Refused):
    """A VM of zone {zone} may not run on host {host} beside zone {beside}.

    Choose a host that runs no zone apart from it, or let the two zones mix.
    """

    status: ClassVar[int] = 409
    zone: str
    host: str
    beside: list[str]
