"""What OVN's switches do with a packet, by the rules of a fabric: reads the matches as text, as OVN does.

Knows the part of OVN's match language that the compiler writes, and refuses the rest. No tunnels, hosts or timeouts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ringfence.decide.fabric import Direction, Fabric, Rule, SwitchPort, Verdict

_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|[(){},]|[@$]?[A-Za-z0-9_.]+(?:\[\d+\])?)")
_NEEDS = {"tcp": ("ip.proto", 6), "udp": ("ip.proto", 17), "icmp4": ("ip.proto", 1)}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
SYN, ACK = 1, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet of the guest on port `source`, about the one on `target`. `kind` is ip4, arp or anything else.

    Addresses and MACs are the guests' own. `flags` are the numbers of the TCP flags that are set.
    """

    source: str
    target: str
    kind: str = "ip4"
    protocol: int = 0
    source_port: int = 0
    target_port: int = 0
    flags: frozenset[int] = frozenset()
    icmp_type: int = 0


@dataclass
class Switching:
    """The switches of one fabric, with the connections ports keep state of; set `fabric` anew as rules change."""

    fabric: Fabric
    connections: set[tuple[str, tuple[object, ...]]] = field(default_factory=set)

    def passes(self, packet: Packet) -> bool:
        """Tell whether the packet reaches its target; state is kept of what does, and of what was let on its way."""
        source, target = self.fabric.ports.get(packet.source), self.fabric.ports.get(packet.target)
        if source is None or target is None or source.switch != target.switch or source.name == target.name:
            return False
        if packet.kind not in ("ip4", "arp") or not source.security or not target.security:
            # Port security with an IPv4 address alone stops IPv6; the rules below would stop other kinds anyway.
            return False
        facts = _facts(packet, source, target)
        return all(
            self._lets(direction, port, packet, facts)
            for direction, port in ((Direction.SENT, source), (Direction.RECEIVED, target))
        )

    def may_open(self, source: str, target: str, *, protocol: str, port: int = 0) -> bool:
        """Tell whether the guest on `source` can talk with the one on `target`: a first packet, and the answer to it.

        `protocol` is icmp, tcp, udp or the number of another.
        """
        number = _PROTOCOLS[protocol] if protocol in _PROTOCOLS else int(protocol)
        first = Packet(
            source=source,
            target=target,
            protocol=number,
            source_port=49152 if port else 0,
            target_port=port,
            flags=frozenset({SYN}) if number == _PROTOCOLS["tcp"] else frozenset(),
            icmp_type=8,
        )
        # A fresh look: what other packets opened before does not count.
        fresh = Switching(self.fabric)
        return fresh.passes(first) and fresh.passes(answer(first))

    def may_ask(self, source: str, target: str) -> bool:
        """Tell whether ARP of the guest on `source` for the one on `target` gets through, both ways."""
        ask = Packet(source=source, target=target, kind="arp")
        return self.passes(ask) and self.passes(replace(ask, source=target, target=source))

    def _lets(self, direction: Direction, port: SwitchPort, packet: Packet, facts: Mapping[str, object]) -> bool:
        rules = [rule for rule in self._rules_at(port.switch, direction) if matches(rule.match, facts, self.fabric)]
        stateless = any(rule.verdict == Verdict.ALLOW_EACH for rule in rules)
        tracked = packet.kind == "ip4" and not stateless
        if tracked and (port.name, _flow(answer(packet))) in self.connections:
            return True
        best = max(rules, key=lambda rule: (rule.priority, rule.verdict != Verdict.DROP), default=None)
        if best is None or best.verdict == Verdict.DROP:
            # A request that is denied ends the connection it belongs to.
            self.connections.discard((port.name, _flow(packet)))
            return best is None
        if tracked and best.verdict == Verdict.ALLOW_WITH_REPLIES:
            self.connections.add((port.name, _flow(packet)))
        return True

    def _rules_at(self, switch: str, direction: Direction) -> Iterator[Rule]:
        """Rules work on a switch that holds them, or on which their group has a member."""
        for rule in self.fabric.rules:
            group = self.fabric.groups.get(rule.holder)
            there = rule.holder == switch or (
                group is not None and any(self.fabric.ports[member].switch == switch for member in group.members)
            )
            if there and rule.direction == direction:
                yield rule


def answer(packet: Packet) -> Packet:
    """Give the packet that answers this one."""
    return replace(
        packet,
        source=packet.target,
        target=packet.source,
        source_port=packet.target_port,
        target_port=packet.source_port,
        flags=packet.flags | {ACK} if packet.flags else packet.flags,
        icmp_type=0,
    )


def _flow(packet: Packet) -> tuple[object, ...]:
    return (packet.source, packet.target, packet.protocol, packet.source_port, packet.target_port)


def _facts(packet: Packet, source: SwitchPort, target: SwitchPort) -> dict[str, object]:
    facts: dict[str, object] = {"inport": source.name, "outport": target.name}
    if packet.kind == "arp":
        return facts | {"arp": True, "arp.spa": source.address, "arp.tpa": target.address}
    facts |= {"ip": True, "ip4": True, "ip.proto": packet.protocol}
    facts |= {"ip4.src": source.address, "ip4.dst": target.address}
    for name, number in _PROTOCOLS.items():
        if packet.protocol == number and name != "icmp":
            facts |= {name: True, f"{name}.src": packet.source_port, f"{name}.dst": packet.target_port}
    if packet.protocol == _PROTOCOLS["tcp"]:
        facts |= {f"tcp.flags[{bit}]": int(bit in packet.flags) for bit in range(12)}
    if packet.protocol == _PROTOCOLS["icmp"]:
        facts |= {"icmp4": True, "icmp4.type": packet.icmp_type}
    return facts


def matches(text: str, facts: Mapping[str, object], fabric: Fabric) -> bool:
    """Evaluate an OVN match on a packet. A field that the packet does not have matches nothing, not even `!=`."""
    tokens = _TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s+", "", text), f"not a match that is understood: {text}"
    value, rest = _either(tokens, facts, fabric)
    assert not rest, f"not a match that is understood: {text}"
    return value


def _either(tokens: list[str], facts: Mapping[str, object], fabric: Fabric) -> tuple[bool, list[str]]:
    value, rest = _term(tokens, facts, fabric)
    operator = rest[0] if rest and rest[0] in ("&&", "||") else ""
    while rest and rest[0] in ("&&", "||"):
        assert rest[0] == operator, "OVN takes no mix of && and || without parentheses"
        more, rest = _term(rest[1:], facts, fabric)
        value = (value and more) if operator == "&&" else (value or more)
    return value, rest


def _term(tokens: list[str], facts: Mapping[str, object], fabric: Fabric) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        value, rest = _either(tokens[1:], facts, fabric)
        assert rest[0] == ")", "a parenthesis is missing"
        return value, rest[1:]
    name = tokens[0]
    if len(tokens) < 2 or tokens[1] not in ("==", "!="):
        return (name == "1" or bool(facts.get(name))), tokens[1:]
    wanted, rest = _constants(tokens[2:], fabric)
    if name not in facts:
        return False, rest
    return (facts[name] in wanted) == (tokens[1] == "=="), rest


def _constants(tokens: list[str], fabric: Fabric) -> tuple[set[object], list[str]]:
    if tokens[0] == "{":
        end = tokens.index("}")
        listed = tokens[1:end:2]
        return {each for part in listed for each in _constant(part, fabric)}, tokens[end + 1 :]
    return _constant(tokens[0], fabric), tokens[1:]


def _constant(token: str, fabric: Fabric) -> set[object]:
    if token.startswith("@"):
        return set(fabric.groups[token[1:]].members)
    if token.startswith("$"):
        # The address set that OVN derives from a group: of its ports on every switch.
        return {fabric.ports[member].address for member in fabric.groups[token[1:].removesuffix("_ip4")].members}
    return {str(ipaddress.IPv4Address(token))} if "." in token else {int(token)}
