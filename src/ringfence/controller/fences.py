"""Which fence a controller has: OVN's, or, without a northbound, one that refuses. There is none that only pretends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from ringfence.controller.settings import Settings
from ringfence.decide.segmentation import Fabric
from ringfence.errors import Refused
from ringfence.model.names import HostId
from ringfence.ports import Fence


@dataclass(eq=False)
class FenceUnset(Refused):
    """This controller knows no northbound, so nothing would keep VMs apart.

    Start it with `--northbound` and `--southbound` of your OVN.
    """


class NoFence:
    """Refuses everything: without a fence there is no VM (promise 1 fails closed)."""

    def apply(self, wanted: Fabric) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def observe(self, wanted: Fabric) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def bound_hosts(self, port_id: str) -> NoReturn:  # noqa: ARG002
        raise FenceUnset


def fence_for(settings: Settings) -> Fence:
    """Build the fence of these settings."""
    if not settings.northbound:
        return NoFence()
    from ringfence.adapters.northbound import OvnFence

    return OvnFence(settings.northbound, settings.southbound)
