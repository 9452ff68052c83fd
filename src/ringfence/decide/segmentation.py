"""Compile policies and VMs into what OVN's northbound should hold. Pure; the change towards it is in `fabric_changes`.

How a policy becomes rules. Source and target select ports; per network, each becomes a port group, and the rules name
only groups and the address sets OVN derives from them. Groups are per network because address sets are not: with
overlapping ranges on two networks, a set over both would let the address of one VM speak for another.

The target keeps connection state, so that it can answer and cannot call. The source judges each packet, both ways, by
the rules as they are: OVN passes replies of a connection that state knows (priority 65532, above any ACL) until the
*requesting* side next sends something that is denied. A target that keeps sending to a silent source would outlive its
policy. Without state at the source, everything ends with the rules, and nothing needs to be flushed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ringfence.decide.fabric import Direction, Fabric, Group, Rule, Switch, SwitchPort, Verdict
from ringfence.decide.fabric_changes import Change, apply_changes, diff_fabric
from ringfence.model.names import HostId, NetworkId
from ringfence.model.networks import Network, Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm

HOST_TAGS = ("rf-host-a", "rf-host-b")
"""External ids of a port that name the hosts which may bind it; the southbound's role for hosts goes by them."""

__all__ = ["Change", "Fabric", "Intent", "apply_changes", "compile_fabric", "dhcp_server", "diff_fabric", "selects"]

DENY_PRIORITY = 1
ALLOW_PRIORITY = 1000
NEIGHBOUR_PRIORITY = 1500
DHCP_PRIORITY = 2000

NOWHERE = "-"
"""A chassis that cannot exist: with `requested-chassis` empty, OVN would let any host bind the port."""

ERRORS_OF_ICMP = "icmp4.type == {3, 11, 12}"
"""Unreachable (path MTU among them), time exceeded, parameter problem: without them TCP and UDP hang, not fail."""

NOT_OPENING = "tcp.flags[1] == 0 || tcp.flags[4] == 1"
"""Not a SYN without ACK: a TCP packet that opens nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the fence is made from, as of one moment. `revision` grows with every change of any part of it.

    `ports` are those of `vms`; a port whose `hosts` is empty is not to be bound anywhere.
    """

    revision: int
    networks: tuple[Network, ...]
    vms: tuple[Vm, ...]
    ports: tuple[Port, ...]
    policies: tuple[Policy, ...]


def compile_fabric(intent: Intent) -> Fabric:
    """Compile the intent; the order of its parts does not matter. Everything that no policy allows is denied."""
    networks = {network.id: network for network in intent.networks}
    _check_addresses(intent.ports, networks)
    switches = [_switch(network) for network in intent.networks]
    rules = {rule for network in intent.networks for rule in _floor(network)}
    groups: dict[str, Group] = {}
    vms = {vm.id: vm for vm in intent.vms}
    ports_of: dict[NetworkId, list[tuple[Port, Vm]]] = {network.id: [] for network in intent.networks}
    for port in intent.ports:
        # A port of no VM is in no group, and reaches nothing.
        if port.vm_id in vms:
            ports_of[port.network_id].append((port, vms[port.vm_id]))
    for network in intent.networks:
        chosen: dict[str, Group] = {}
        for policy in intent.policies:
            source = _group(chosen, network.id, policy.source, ports_of[network.id])
            target = _group(chosen, network.id, policy.target, ports_of[network.id])
            if source.members and target.members:
                groups |= {source.name: source, target.name: target}
                rules.update(_rules(policy, source.name, target.name))
    return Fabric(
        revision=intent.revision,
        switches={switch.name: switch for switch in switches},
        ports={port.id: _port(port) for port in intent.ports},
        groups=groups,
        rules=frozenset(rules),
    )


def selects(selector: Selector, vm: Vm) -> bool:
    """Tell whether the VM matches every part the selector gives; one that gives none selects nothing."""
    if selector.zone_id is None and selector.project_id is None and not selector.labels:
        return False
    return (
        (selector.zone_id is None or selector.zone_id == vm.zone_id)
        and (selector.project_id is None or selector.project_id == vm.project_id)
        and all(vm.labels.get(key) == value for key, value in selector.labels.items())
    )


def dhcp_server(network: Network) -> tuple[str, str]:
    """Tell the address and MAC under which OVN answers DHCP on the network: its first usable address.

    No VM may have that address.
    """
    octets = hashlib.sha256(network.id.encode()).hexdigest()[:10]
    mac = ":".join(["0e", *(octets[at : at + 2] for at in range(0, 10, 2))])
    return str(next(ipaddress.IPv4Network(network.cidr).hosts())), mac


def _check_addresses(ports: Iterable[Port], networks: Mapping[NetworkId, Network]) -> None:
    # SAFETY: an address that two ports of a network share would let one speak for the other. The store cannot hold
    # that; if it does it is a bug, and no fabric is better than one that leaks.
    seen: set[tuple[str, str]] = set()
    ranges = {name: (ipaddress.IPv4Network(of.cidr), dhcp_server(of)[0]) for name, of in networks.items()}
    for port in ports:
        address, (cidr, server) = ipaddress.IPv4Address(port.address), ranges[port.network_id]
        assert address in cidr, f"port {port.id} is outside its network"
        assert str(address) != server, f"port {port.id} has the address of the DHCP server"
        for taken in ((port.network_id, str(address)), (port.network_id, _mac(port))):
            assert taken not in seen, f"port {port.id} shares {taken[1]} with another one"
            seen.add(taken)


def _mac(port: Port) -> str:
    octets = port.mac.lower().split(":")
    assert len(octets) == 6, f"port {port.id} has no MAC"
    assert all(len(octet) == 2 and int(octet, 16) >= 0 for octet in octets), f"port {port.id} has no MAC"
    return ":".join(octets)


def _switch(network: Network) -> Switch:
    address, mac = dhcp_server(network)
    # Leases never end: an address belongs to its port for life, and a guest must not need a renewal while the
    # controller of its host is down. No router: a network is an island.
    dhcp = {"server_id": address, "server_mac": mac, "lease_time": "4294967295", "mtu": str(network.mtu)}
    return Switch(name=network.id, label=network.name, cidr=str(ipaddress.IPv4Network(network.cidr)), dhcp=dhcp)


def _port(port: Port) -> SwitchPort:
    # One address family: port security with an IPv4 address alone is what stops IPv6, neighbour discovery included,
    # which northd passes above every ACL.
    pair = f"{_mac(port)} {ipaddress.IPv4Address(port.address)}"
    options = {"requested-chassis": ",".join(port.hosts) or NOWHERE}
    if len(port.hosts) > 1:
        # Until the guest announces itself at the destination, packets are neither sent twice nor taken from there.
        options["activation-strategy"] = "rarp"
    return SwitchPort(
        name=port.id,
        switch=port.network_id,
        addresses=(pair,),
        security=(pair,),
        options=options,
        tags={"ringfence": port.vm_id, **_binders(port.hosts)},
        dhcp=port.network_id,
    )


def _binders(hosts: tuple[HostId, ...]) -> dict[str, str]:
    """Tags the southbound's role `ringfence-host` authorises by; see `adapters/southbound.py`."""
    assert len(hosts) <= 2, "a port is bound by one host, or by two during a move"
    return dict(zip(HOST_TAGS, hosts, strict=False))


def _floor(network: Network) -> Iterator[Rule]:
    """What holds on every switch, policies or not: everything is denied, but for DHCP to OVN's own server."""
    for direction in Direction:
        yield Rule(holder=network.id, direction=direction, priority=DENY_PRIORITY, match="1", verdict=Verdict.DROP)
    # OVN answers in the pipeline of the sender and lets its own answer pass; what it cannot answer, it sends on.
    everyone = "255.255.255.255"
    yield Rule(
        holder=network.id,
        direction=Direction.SENT,
        priority=DHCP_PRIORITY,
        match=f"udp.src == 68 && udp.dst == 67 && ip4.dst == {{{everyone}, {dhcp_server(network)[0]}}}",
        verdict=Verdict.ALLOW_EACH,
    )
    # A policy joins one guest with another. A frame to everyone reaches more than the one its address names, and would
    # reach those who may call its sender as if it were an answer.
    yield Rule(
        holder=network.id,
        direction=Direction.RECEIVED,
        priority=DHCP_PRIORITY,
        match=f"(ip4 && eth.mcast) || ip4.dst == {everyone}",
        verdict=Verdict.DROP,
    )


def _group(
    chosen: dict[str, Group], network_id: NetworkId, selector: Selector, ports: Iterable[tuple[Port, Vm]]
) -> Group:
    parts = {"zone": selector.zone_id, "project": selector.project_id, "labels": dict(sorted(selector.labels.items()))}
    label = json.dumps(parts, sort_keys=True)
    # SAFETY: names and labels are the tenants' own words and would stand in a match: only their digest does.
    name = "rf_" + hashlib.sha256(json.dumps([network_id, parts], sort_keys=True).encode()).hexdigest()[:32]
    if name not in chosen:
        members = frozenset(port.id for port, vm in ports if selects(selector, vm))
        chosen[name] = Group(name=name, label=label, members=members)
    return chosen[name]


def _rules(policy: Policy, source: str, target: str) -> Iterator[Rule]:
    yield from _neighbours(source, target)
    yield from _neighbours(target, source)

    def rule(holder: str, direction: Direction, match: str, verdict: Verdict) -> Rule:
        return Rule(holder=holder, direction=direction, priority=ALLOW_PRIORITY, match=match, verdict=verdict)

    to_target = f"inport == @{source} && ip4.dst == ${target}_ip4"
    from_target = f"outport == @{source} && ip4.src == ${target}_ip4"
    if source == target and policy.protocol is Protocol.ANY:
        # Everyone may call everyone: there is no direction for state to keep.
        yield rule(source, Direction.SENT, to_target, Verdict.ALLOW_EACH)
        yield rule(source, Direction.RECEIVED, from_target, Verdict.ALLOW_EACH)
        return
    yield rule(source, Direction.SENT, _join(to_target, _opening(policy)), Verdict.ALLOW_EACH)
    yield rule(source, Direction.RECEIVED, _join(from_target, _replies(policy)), Verdict.ALLOW_EACH)
    at_target = f"outport == @{target} && ip4.src == ${source}_ip4"
    yield rule(target, Direction.RECEIVED, _join(at_target, _opening(policy)), Verdict.ALLOW_WITH_REPLIES)


def _neighbours(one: str, other: str) -> Iterator[Rule]:
    """ARP of one group about the other. OVN answers requests itself, and its answer, too, passes what is received."""
    for direction, match in (
        (Direction.SENT, f"inport == @{one} && arp.tpa == ${other}_ip4"),
        (Direction.RECEIVED, f"outport == @{one} && arp.spa == ${other}_ip4"),
    ):
        yield Rule(
            holder=one, direction=direction, priority=NEIGHBOUR_PRIORITY, match=match, verdict=Verdict.ALLOW_EACH
        )


def _join(where: str, what: str) -> str:
    return f"{where} && {what}" if what else where


def _port_set(policy: Policy) -> str:
    assert all(0 < port < 65536 for port in policy.ports), f"policy {policy.id} has an impossible port"
    return "{" + ", ".join(str(port) for port in sorted(set(policy.ports))) + "}"


def _opening(policy: Policy) -> str:
    """What the source may send to open a connection, and the target take.

    A policy with ports passes no fragments: switches look at no ports of a fragment, of the first one either, and one
    that passed without would carry any port. Without ports, fragments pass.
    """
    match policy.protocol:
        case Protocol.ANY:
            return ""
        case Protocol.ICMP:
            return "icmp4"
        case Protocol.TCP | Protocol.UDP as name:
            return f"{name}.dst == {_port_set(policy)}" if policy.ports else str(name)


def _replies(policy: Policy) -> str:
    """What the source may receive: the mirror of what it may send, so that state sees all of a connection or nothing.

    TCP that opens a connection is not a reply, whoever sends it. Errors come from the target, whose own state tells
    whether they belong to a connection; the source sends none, or two policies would add up to a way for them.
    """
    match policy.protocol:
        case Protocol.ANY:
            return f"(ip.proto != 6 || {NOT_OPENING})"
        case Protocol.ICMP:
            return "icmp4"
        case Protocol.TCP | Protocol.UDP as name:
            ports = f"{name}.src == {_port_set(policy)}" if policy.ports else str(name)
            if name is Protocol.TCP:
                ports = f"({ports} && ({NOT_OPENING}))"
            return f"({ports} || {ERRORS_OF_ICMP})"
