"""The guard of the overlay tunnel where Open vSwitch's datapath is in userspace: packets never come by nftables there.

Flows on the bridge that has the underlay's address do what the firewall does elsewhere: let fellow hosts in at the
tunnel's port, and count and drop all others. They are the only flows touched, known by their cookie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ringfence.agent import commands
from ringfence.model.hosts import HostToolFailed

COOKIE = 0x72660001
_ADMITS, _REFUSES = 65000, 64000
_PATIENCE_SECONDS = 10.0
_FLOW = re.compile(r"n_packets=(\d+),.*priority=(\d+),(udp6?),(?:.*nw_src=([0-9.]+))?")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Packets let in, by fellow, and packets refused. `whole` False: a flow that refuses is not there."""

    admitted: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    whole: bool = False


class BridgeGuard:
    """The flows on the bridge of one underlay address."""

    def __init__(self, address: str, *, port: int) -> None:
        self._address, self._port = address, port

    def apply(self, fellows: Sequence[str]) -> None:
        """Let these in and nobody else, at once; flows that are there already keep their counts."""
        bridge = self._bridge()
        seen = read_flows(self._dump(bridge))
        changes = "".join(f"{line}\n" for line in plan_flows(seen, fellows, address=self._address, port=self._port))
        if changes:
            _run("ovs-ofctl", "--bundle", "add-flows", bridge, "-", stdin=changes)

    def observe(self) -> Guarded:
        return read_flows(self._dump(self._bridge()))

    def _dump(self, bridge: str) -> str:
        return _run("ovs-ofctl", "dump-flows", bridge, f"cookie={COOKIE:#x}/-1")

    def _bridge(self) -> str:
        """Name the bridge whose own port has the underlay's address; raises `HostToolFailed` if there is none."""
        told = json.loads(_run("ip", "-json", "-4", "address", "show", "to", f"{self._address}/32"))
        for name in (str(link.get("ifname", "")) for link in told):
            if name and commands.run(["ovs-vsctl", "br-exists", name], timeout_seconds=10, may_fail=True).code == 0:
                return name
        raise HostToolFailed(tool="the overlay's guard", why=f"no bridge of Open vSwitch has {self._address}")


def plan_flows(seen: Guarded, fellows: Sequence[str], *, address: str, port: int) -> list[str]:
    """Plan the changes, as `ovs-ofctl add-flows` takes them, from what is there to these fellows."""
    cookie = f"cookie={COOKIE:#x}"
    lines = []
    if not seen.whole:
        lines += [
            f"add {cookie},priority={_REFUSES},udp,nw_dst={address},tp_dst={port},actions=drop",
            f"add {cookie},priority={_REFUSES},udp6,tp_dst={port},actions=drop",
        ]
    matched = f"udp,nw_dst={address},tp_dst={port}"
    lines += [f"delete {cookie}/-1,{matched},nw_src={gone}" for gone in sorted(set(seen.admitted) - set(fellows))]
    added = (each for each in fellows if each not in seen.admitted)
    return lines + [f"add {cookie},priority={_ADMITS},{matched},nw_src={each},actions=NORMAL" for each in added]


def read_flows(dumped: str) -> Guarded:
    """Read back what `ovs-ofctl dump-flows` tells of our flows."""
    admitted: dict[str, int] = {}
    refused: dict[str, int] = {}
    for line in dumped.splitlines():
        if found := _FLOW.search(line):
            packets, priority, protocol, source = int(found[1]), int(found[2]), found[3], found[4]
            if priority == _ADMITS and source and line.rstrip().endswith("actions=NORMAL"):
                admitted[source] = packets
            elif priority == _REFUSES and line.rstrip().endswith("actions=drop"):
                refused[protocol] = packets
    return Guarded(admitted, sum(refused.values()), whole=set(refused) == {"udp", "udp6"})


def _run(*arguments: str, stdin: str = "") -> str:
    return commands.run(list(arguments), timeout_seconds=_PATIENCE_SECONDS, stdin=stdin.encode()).output
