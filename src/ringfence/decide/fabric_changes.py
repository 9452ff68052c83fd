"""The smallest change from one fabric to another, in an order that opens nothing on the way. Pure; applies nothing.

Between any two changes, no packet passes that passes neither before nor after: denials come first, then what takes
permissions away, then what adds members, then what permits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ringfence.decide.fabric import Fabric, Group, Rule, Switch, SwitchPort, Verdict


@dataclass(frozen=True, slots=True)
class AddRule:
    rule: Rule

    def __str__(self) -> str:
        return f"add rule: {self.rule}"


@dataclass(frozen=True, slots=True)
class RemoveRule:
    rule: Rule

    def __str__(self) -> str:
        return f"remove rule: {self.rule}"


@dataclass(frozen=True, slots=True)
class AddSwitch:
    """With its DHCP options."""

    switch: Switch

    def __str__(self) -> str:
        return f"add switch {self.switch.name} ({self.switch.label}, {self.switch.cidr})"


@dataclass(frozen=True, slots=True)
class ChangeSwitch:
    switch: Switch
    what: tuple[str, ...]

    def __str__(self) -> str:
        return f"correct {', '.join(self.what)} of switch {self.switch.name} ({self.switch.label})"


@dataclass(frozen=True, slots=True)
class RemoveSwitch:
    """With its DHCP options; its ports and rules are removed before."""

    switch: Switch

    def __str__(self) -> str:
        return f"remove switch {self.switch.name} ({self.switch.label})"


@dataclass(frozen=True, slots=True)
class AddPort:
    port: SwitchPort

    def __str__(self) -> str:
        return f"add port {self.port.name} ({', '.join(self.port.addresses)}) to switch {self.port.switch}"


@dataclass(frozen=True, slots=True)
class ChangePort:
    port: SwitchPort
    what: tuple[str, ...]

    def __str__(self) -> str:
        asked = self.port.options.get("requested-chassis", "")
        bound = f", which may be bound by {asked}" if {"options", "tags"} & set(self.what) else ""
        return f"correct {', '.join(self.what)} of port {self.port.name}{bound}"


@dataclass(frozen=True, slots=True)
class RemovePort:
    """From its switch and every group."""

    port: SwitchPort

    def __str__(self) -> str:
        return f"remove port {self.port.name} from switch {self.port.switch}"


@dataclass(frozen=True, slots=True)
class AddGroup:
    """Without members."""

    group: Group

    def __str__(self) -> str:
        return f"add group {self.group.name} of {self.group.label}"


@dataclass(frozen=True, slots=True)
class RemoveGroup:
    """Its rules are removed before."""

    group: Group

    def __str__(self) -> str:
        return f"remove group {self.group.name} of {self.group.label}"


@dataclass(frozen=True, slots=True)
class LabelGroup:
    group: Group

    def __str__(self) -> str:
        return f"correct the label of group {self.group.name}"


@dataclass(frozen=True, slots=True)
class JoinGroup:
    group: str
    ports: tuple[str, ...]

    def __str__(self) -> str:
        return f"group {self.group} gains {', '.join(self.ports)}"


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    group: str
    ports: tuple[str, ...]

    def __str__(self) -> str:
        return f"group {self.group} loses {', '.join(self.ports)}"


Change = (
    AddRule
    | RemoveRule
    | AddSwitch
    | ChangeSwitch
    | RemoveSwitch
    | AddPort
    | ChangePort
    | RemovePort
    | AddGroup
    | RemoveGroup
    | LabelGroup
    | JoinGroup
    | LeaveGroup
)


def diff_fabric(observed: Fabric, wanted: Fabric) -> tuple[Change, ...]:
    """Tell what makes the observed fabric the wanted one, in the order to do it; revisions are not compared."""
    added = sorted(wanted.rules - observed.rules)
    removed = sorted(observed.rules - wanted.rules)
    closing = [rule for rule in added if rule.verdict == Verdict.DROP and rule.holder in observed.switches]
    changes: list[Change] = [AddRule(rule) for rule in closing]
    changes += [RemoveRule(rule) for rule in removed if rule.verdict != Verdict.DROP]
    changes += _corrections(observed, wanted)
    changes += _departures(observed, wanted)
    changes += _arrivals(observed, wanted, [rule for rule in added if rule not in closing])
    # ORDER: a denial that nobody wants goes last; what it held back is permitted by then, or denied by the floor.
    held = {*wanted.switches, *wanted.groups}
    changes += [RemoveRule(rule) for rule in removed if rule.verdict == Verdict.DROP and rule.holder in held]
    return tuple(changes)


def _corrections(observed: Fabric, wanted: Fabric) -> Iterator[Change]:
    for name, switch in sorted(wanted.switches.items()):
        was = observed.switches.get(name)
        if was is not None and (what := _differences(was, switch, ("label", "cidr", "dhcp", "strays"))):
            yield ChangeSwitch(switch, what)
    fields = ("addresses", "security", "options", "tags", "dhcp", "strays")
    for name, port in sorted(wanted.ports.items()):
        seen = observed.ports.get(name)
        if seen is not None and not _is_another(seen, port) and (what := _differences(seen, port, fields)):
            yield ChangePort(port, what)
    for name, group in sorted(wanted.groups.items()):
        if name in observed.groups and observed.groups[name].label != group.label:
            yield LabelGroup(group)


def _departures(observed: Fabric, wanted: Fabric) -> Iterator[Change]:
    denials = sorted(rule for rule in observed.rules if rule.verdict == Verdict.DROP)
    for name, group in sorted(observed.groups.items()):
        keeps = wanted.groups[name].members if name in wanted.groups else frozenset()
        # A port that is replaced leaves as well: who joins is the new one.
        leaving = {port for port in group.members if port not in keeps or _is_replaced(port, observed, wanted)}
        if leaving:
            yield LeaveGroup(name, tuple(sorted(leaving)))
    # ORDER: the denials of a group that goes fall with it, when its members have gone.
    for name in sorted(observed.groups.keys() - wanted.groups.keys()):
        yield from (RemoveRule(rule) for rule in denials if rule.holder == name)
        yield RemoveGroup(observed.groups[name])
    for name, port in sorted(observed.ports.items()):
        if name not in wanted.ports or _is_replaced(name, observed, wanted):
            yield RemovePort(port)
    for name in sorted(observed.switches.keys() - wanted.switches.keys()):
        yield from (RemoveRule(rule) for rule in denials if rule.holder == name)
        yield RemoveSwitch(observed.switches[name])


def _arrivals(observed: Fabric, wanted: Fabric, rules: Sequence[Rule]) -> Iterator[Change]:
    for name, switch in sorted(wanted.switches.items()):
        if name not in observed.switches:
            yield AddSwitch(switch)
    # ORDER: the floor of a switch before the first port on it.
    yield from (AddRule(rule) for rule in rules if rule.verdict == Verdict.DROP and rule.holder in wanted.switches)
    for name, port in sorted(wanted.ports.items()):
        if name not in observed.ports or _is_replaced(name, observed, wanted):
            yield AddPort(port)
    for name, group in sorted(wanted.groups.items()):
        if name not in observed.groups:
            yield AddGroup(group)
    for name, group in sorted(wanted.groups.items()):
        had = observed.groups[name].members if name in observed.groups else frozenset()
        joining = {port for port in group.members if port not in had or _is_replaced(port, observed, wanted)}
        if joining:
            yield JoinGroup(name, tuple(sorted(joining)))
    yield from (AddRule(rule) for rule in rules if rule.verdict != Verdict.DROP or rule.holder not in wanted.switches)


def _differences(one: object, other: object, fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in fields if getattr(one, name) != getattr(other, name))


def _is_another(seen: SwitchPort, port: SwitchPort) -> bool:
    """Tell whether it stands for another place: then it is made anew, so that no rule meets a half-changed port."""
    return seen.switch != port.switch or seen.addresses != port.addresses


def _is_replaced(name: str, observed: Fabric, wanted: Fabric) -> bool:
    return name in observed.ports and name in wanted.ports and _is_another(observed.ports[name], wanted.ports[name])


def apply_changes(  # noqa: C901  one case for each kind of change
    fabric: Fabric, changes: Iterable[Change], *, revision: int | None = None
) -> Fabric:
    """Give the fabric as it is after the changes: what an adapter does to the northbound, as a value."""
    switches, ports, groups = dict(fabric.switches), dict(fabric.ports), dict(fabric.groups)
    rules = set(fabric.rules)
    for change in changes:
        match change:
            case AddRule(rule):
                assert rule.holder in switches or rule.holder in groups, f"nothing holds {rule}"
                rules.add(rule)
            case RemoveRule(rule):
                rules.remove(rule)
            case AddSwitch(switch) | ChangeSwitch(switch):
                switches[switch.name] = switch
            case RemoveSwitch(switch):
                del switches[switch.name]
            case AddPort(port) | ChangePort(port):
                assert port.switch in switches, f"no switch for port {port.name}"
                ports[port.name] = port
            case RemovePort(port):
                del ports[port.name]
                groups = {name: replace(group, members=group.members - {port.name}) for name, group in groups.items()}
            case AddGroup(group):
                groups[group.name] = replace(group, members=frozenset())
            case LabelGroup(group):
                groups[group.name] = replace(groups[group.name], label=group.label)
            case RemoveGroup(group):
                assert not any(rule.holder == group.name for rule in rules), f"{group.name} still holds rules"
                del groups[group.name]
            case JoinGroup(name, members):
                assert all(member in ports for member in members), f"{name} would have members that are no ports"
                groups[name] = replace(groups[name], members=groups[name].members | set(members))
            case LeaveGroup(name, members):
                groups[name] = replace(groups[name], members=groups[name].members - set(members))
    return Fabric(
        revision=fabric.revision if revision is None else revision,
        switches=switches,
        ports=ports,
        groups=groups,
        rules=frozenset(rules),
    )
