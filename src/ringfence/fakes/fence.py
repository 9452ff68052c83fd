"""The fence in memory, failing on demand, held to the contract tests of `OvnFence`. Forwarding is in `switching`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic

from ringfence.decide.fabric import Fabric
from ringfence.decide.fabric_changes import apply_changes, diff_fabric
from ringfence.errors import RingfenceError
from ringfence.fakes.switching import Switching
from ringfence.model.names import HostId
from ringfence.model.networks import FenceLate


class FakeFence:
    """Implements `ports.Fence`. Hosts follow the northbound at once, but for those in `late`, which keep what they had.

    `failures` are raised by the next calls of `apply`, one each, before anything is changed; `failures_after` when
    it is changed already, and only the answer is lost.
    """

    def __init__(self) -> None:
        self.northbound = Fabric(revision=-1)
        self.late: set[HostId] = set()
        self.failures: list[RingfenceError] = []
        self.failures_after: list[RingfenceError] = []
        self._in_force: dict[HostId, Fabric] = {}
        self._plugged: dict[str, list[HostId]] = {}
        self._changed = threading.Condition()

    def apply(self, wanted: Fabric) -> Sequence[str]:
        with self._changed:
            if self.failures:
                raise self.failures.pop(0)
            if wanted.revision < self.northbound.revision:
                return ()
            changes = diff_fabric(self.northbound, wanted)
            before = dict.fromkeys(self.late, self.northbound)
            self.northbound = apply_changes(self.northbound, changes, revision=wanted.revision)
            for host_id, fabric in before.items():
                self._in_force.setdefault(host_id, fabric)
            if self.failures_after:
                raise self.failures_after.pop(0)
            return tuple(str(change) for change in changes)

    def observe(self, wanted: Fabric) -> Sequence[str]:
        return tuple(str(change) for change in diff_fabric(self.northbound, wanted))

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> None:
        end = monotonic() + timeout_seconds
        with self._changed:
            while missing := sorted(self.late & set(host_ids)):
                if not self._changed.wait(max(end - monotonic(), 0)) and monotonic() >= end:
                    raise FenceLate(hosts=list(missing), timeout_seconds=timeout_seconds)

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        """Hosts have no addresses here."""

    def bound_hosts(self, port_id: str) -> Sequence[HostId]:
        with self._changed:
            allowed = self._allowed_on(port_id)
            plugged = [host_id for host_id in self._plugged.get(port_id, []) if host_id in allowed]
            return tuple(sorted(plugged, key=allowed.index))

    # what the world does to it

    def catch_up(self, *host_ids: HostId) -> None:
        """Have late hosts follow the northbound again."""
        with self._changed:
            for host_id in host_ids:
                self.late.discard(host_id)
                self._in_force.pop(host_id, None)
            self._changed.notify_all()

    def plug(self, port_id: str, host_id: HostId) -> None:
        """Plug the port's NIC on the host; its switch binds it if it may."""
        self._plugged.setdefault(port_id, []).append(host_id)

    def unplug(self, port_id: str, host_id: HostId) -> None:
        self._plugged[port_id].remove(host_id)

    def in_force(self, host_id: HostId) -> Fabric:
        """Give the fabric that the host's switch follows."""
        return self._in_force.get(host_id, self.northbound)

    def may_pass(self, source: str, target: str, *, protocol: str = "icmp", port: int = 0) -> bool:
        """Tell whether the guest on port `source` can talk with the one on `target`, as the northbound is now."""
        return Switching(self.northbound).may_open(source, target, protocol=protocol, port=port)

    def _allowed_on(self, port_id: str) -> list[str]:
        port = self.northbound.ports.get(port_id)
        return port.options.get("requested-chassis", "").split(",") if port is not None else []
