"""The fabric as a value: what OVN's northbound should hold, or holds. Neither compiled nor compared here.

`segmentation` makes one from an intent, the northbound adapter makes one from the rows it sees, and `fabric_changes`
tells them apart. Fields are close to the northbound's columns, so that nothing altered there can hide in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Direction(StrEnum):
    """Seen from the switch: `from-lport` is what a VM sends, `to-lport` what it is about to receive."""

    SENT = "from-lport"
    RECEIVED = "to-lport"


class Verdict(StrEnum):
    """`allow-related` also allows the replies, whatever the rules say by then; `allow-stateless` judges each packet."""

    DROP = "drop"
    ALLOW_WITH_REPLIES = "allow-related"
    ALLOW_EACH = "allow-stateless"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A logical switch: one network, by its id. `strays` names what is set on it and should not be."""

    name: str
    label: str
    cidr: str
    dhcp: Mapping[str, str]
    strays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPort:
    """A logical switch port: one NIC, by its port id. `dhcp` names the network whose server answers it."""

    name: str
    switch: str
    addresses: tuple[str, ...]
    security: tuple[str, ...]
    options: Mapping[str, str]
    tags: Mapping[str, str]
    dhcp: str
    strays: tuple[str, ...] = ()

    @property
    def mac(self) -> str:
        return self.addresses[0].split(" ")[0] if self.addresses else ""

    @property
    def address(self) -> str:
        return self.addresses[0].partition(" ")[2] if self.addresses else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A port group: the ports that one selector selects on one network. OVN derives the address set `$NAME_ip4`."""

    name: str
    label: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rule:
    """An ACL of a switch or a group (`holder`). `strays` names what is set on it and should not be."""

    holder: str
    direction: Direction
    priority: int
    match: str
    verdict: str
    strays: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.verdict} {self.direction} on {self.holder}: {self.match}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """Switches, ports and groups by name, and rules, as of one revision of the intent."""

    revision: int
    switches: Mapping[str, Switch] = field(default_factory=dict)
    ports: Mapping[str, SwitchPort] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    rules: frozenset[Rule] = frozenset()
