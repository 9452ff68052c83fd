"""The underlay of a lab: a subnet that nothing on this machine uses, and who has which address in it.

Chosen when a lab first comes up, and kept in its record. No interfaces are made here.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass

from ringfence.errors import Refused
from ringfence.lab import places
from ringfence.lab.commands import run

_POOL = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for benchmarks (RFC 2544): no network of anyone's uses it."""

MOST_HOSTS = 200


@dataclass(eq=False)
class NoSubnetLeft(Refused):
    """No /24 of {pool} is free on this machine for another lab.

    Take down labs that are not used: `ringfence lab status` names them.
    """

    pool: str


@dataclass(frozen=True, slots=True)
class Underlay:
    """Who has which address."""

    subnet: ipaddress.IPv4Network

    @property
    def prefix(self) -> int:
        return self.subnet.prefixlen

    @property
    def central(self) -> str:
        return str(self.subnet[1])

    @property
    def machine(self) -> str:
        return str(self.subnet[254])

    def host(self, number: int) -> str:
        return str(self.subnet[10 + number])


def choose_subnet(name: str, taken: Iterable[ipaddress.IPv4Network]) -> Underlay:
    """Choose a subnet for the lab that overlaps none of `taken`; the same name prefers the same one."""
    taken = list(taken)
    subnets = list(_POOL.subnets(new_prefix=24))
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(subnets)
    for candidate in subnets[first:] + subnets[:first]:
        if not any(candidate.overlaps(other) for other in taken):
            return Underlay(candidate)
    raise NoSubnetLeft(pool=str(_POOL))


def observe_subnets() -> list[ipaddress.IPv4Network]:
    """Return the subnets that this machine has routes to, and those that other labs have taken."""
    seen = []
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"], timeout_seconds=10).out):
        with contextlib.suppress(ValueError):
            seen.append(ipaddress.IPv4Network(route["dst"], strict=False))
    for record in places.RUN.glob("*/lab.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            seen.append(ipaddress.IPv4Network(json.loads(record.read_text())["subnet"]))
    return [subnet for subnet in seen if subnet.prefixlen > 0]
