"""Which fence a controller has: OVN's, or, without a northbound, one that refuses. There is none that only pretends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ringfence.adapters.northbound import OvnFence, TlsFiles
from ringfence.controller.authority import KeyPair
from ringfence.controller.settings import Settings
from ringfence.decide.segmentation import Fabric
from ringfence.errors import Invalid, Refused
from ringfence.model.names import HostId
from ringfence.model.networks import FenceUnreachable
from ringfence.ports import Fence

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class FenceUnset(Refused):
    """This controller knows no northbound, so nothing would keep VMs apart.

    Start it with `--northbound` and `--southbound` of your OVN.
    """


class NoFence:
    """Refuses everything: without a fence there is no VM (promise 1 fails closed)."""

    def close(self) -> None:
        """Nothing is open."""

    def apply(self, wanted: Fabric) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def observe(self, wanted: Fabric) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> NoReturn:  # noqa: ARG002
        raise FenceUnset

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        """No switch was ever told of."""

    def bound_hosts(self, port_id: str) -> NoReturn:  # noqa: ARG002
        raise FenceUnset


def release_address(fence: Fence, address: str, *, keep: HostId | None) -> None:
    """Have the fence know no host at the address but `keep`; a fence that is away is no reason to undo what was done.

    The next join of a host at that address does it again, and every host's firewall keeps the other out meanwhile.
    """
    try:
        fence.release_address(address, keep=keep)
    except FenceUnreachable as error:
        logger.warning("the chassis at %s stays for now: %s", address, error)


def fence_for(settings: Settings, identity: KeyPair, ca: Path) -> OvnFence | NoFence:
    """Build the fence of these settings; `identity` is shown to an OVSDB server reached over TLS."""
    if not settings.northbound:
        return NoFence()
    if not settings.southbound:
        raise Invalid(field="southbound", why="a northbound needs it: only the southbound tells whether hosts follow")
    tls = TlsFiles(key=str(identity.key), certificate=str(identity.certificate), ca=str(ca))
    over_tls = any(remote.startswith("ssl:") for remote in (settings.northbound, settings.southbound))
    return OvnFence(northbound=settings.northbound, southbound=settings.southbound, tls=tls if over_tls else None)
