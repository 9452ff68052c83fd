"""The northbound's rows as a fabric, and changes of a fabric as rows. No connection, no transaction of its own here.

What is ours: switches and DHCP options tagged `ringfence`, all that is on those switches whoever put it there, and
every port group that is tagged, named like ours, or holds one of those ports. What others keep elsewhere is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from ringfence.decide.fabric import Direction, Fabric, Group, Rule, Switch, SwitchPort
from ringfence.decide.fabric_changes import (
    AddGroup,
    AddPort,
    AddRule,
    AddSwitch,
    Change,
    ChangePort,
    ChangeSwitch,
    JoinGroup,
    LabelGroup,
    LeaveGroup,
    RemoveGroup,
    RemovePort,
    RemoveRule,
    RemoveSwitch,
)

T = TypeVar("T")

OURS = "ringfence"
LABEL = "rf-label"

SWITCH_STRAYS = (
    "copp", "dns_records", "forwarding_groups", "load_balancer", "load_balancer_group", "other_config", "qos_rules",
)  # fmt: skip
PORT_STRAYS = (
    "dhcpv6_options", "enabled", "ha_chassis_group", "mirror_rules", "parent_name", "peer", "tag", "tag_request",
    "type",
)  # fmt: skip
RULE_STRAYS = ("label", "log", "meter", "options", "sample_est", "sample_new", "severity", "tier")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "NB_Global": ("external_ids", "nb_cfg"),
    "Logical_Switch": ("name", "ports", "acls", "external_ids", *SWITCH_STRAYS),
    "Logical_Switch_Port": (
        "name", "addresses", "port_security", "options", "external_ids", "dhcpv4_options", *PORT_STRAYS,
    ),
    "Port_Group": ("name", "ports", "acls", "external_ids"),
    "ACL": ("direction", "priority", "match", "action", *RULE_STRAYS),
    "DHCP_Options": ("cidr", "options", "external_ids"),
    # Only referred to: a reference to a table that is not there reads as nothing.
    **dict.fromkeys(("Load_Balancer", "DNS", "HA_Chassis_Group", "QoS"), ("external_ids",)),
    **dict.fromkeys(("Copp", "Mirror", "Load_Balancer_Group", "Forwarding_Group"), ("name",)),
    "Sample": ("metadata",),
}  # fmt: skip


class Parsed:
    """What rows of ports and ACLs say, kept until they change: parsing a thousand anew takes half a second."""

    def __init__(self) -> None:
        self._by_row: dict[UUID, Any] = {}

    def forget(self, row: UUID) -> None:
        self._by_row.pop(row, None)

    def of(self, row: Any, parse: Callable[[Any], T]) -> T:
        if row.uuid not in self._by_row:
            self._by_row[row.uuid] = parse(row)
        parsed: T = self._by_row[row.uuid]
        return parsed


class Rows:
    """The northbound as a fabric, and which row stands for what in it."""

    def __init__(self, idl: Any, parsed: Parsed) -> None:
        self.tables = idl.tables
        self._parsed = parsed
        self.switches: dict[str, Any] = {}
        self.switch_of_port: dict[str, Any] = {}
        self.ports: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}
        self.dhcp: dict[str, list[Any]] = {}
        self.rules: dict[Rule, list[Any]] = {}
        self.fabric = self._read()

    def holder(self, name: str) -> Any:
        return self.switches[name] if name in self.switches else self.groups[name]

    def _read(self) -> Fabric:
        for row in _sorted(self.tables["DHCP_Options"]):
            if OURS in row.external_ids:
                self.dhcp.setdefault(row.external_ids[OURS], []).append(row)
        ports: dict[str, SwitchPort] = {}
        switches: dict[str, Switch] = {}
        for row in _sorted(self.tables["Logical_Switch"]):
            if OURS not in row.external_ids:
                continue
            # Names are not unique in the northbound: a second switch of one name is another one, and not wanted.
            name = row.name if row.name not in self.switches else f"{row.name} {row.uuid}"
            self.switches[name] = row
            switches[name] = self._switch(name, row)
            servers = {options[0].uuid: of for of, options in self.dhcp.items()}
            for found in row.ports:
                said, options = self._parsed.of(found, _parse_port)
                port = replace(said, switch=name, dhcp=servers.get(options, "?") if options else "")
                self.ports[port.name], self.switch_of_port[port.name] = found, row
                ports[port.name] = port
            self._add_rules(name, row.acls)
        groups: dict[str, Group] = {}
        for row in _sorted(self.tables["Port_Group"]):
            members = frozenset(self._parsed.of(port, _parse_port)[0].name for port in row.ports)
            if OURS in row.external_ids or row.name.startswith("rf_") or not members.isdisjoint(ports):
                self.groups[row.name] = row
                groups[row.name] = Group(name=row.name, label=row.external_ids.get(LABEL, ""), members=members)
                self._add_rules(row.name, row.acls)
        return Fabric(revision=0, switches=switches, ports=ports, groups=groups, rules=frozenset(self.rules))

    def _switch(self, name: str, row: Any) -> Switch:
        options = self.dhcp.get(name, [])
        strays = [*_set_columns(row, SWITCH_STRAYS), *(["dhcp_options"] if len(options) > 1 else [])]
        return Switch(
            name=name,
            label=row.external_ids.get(LABEL, ""),
            cidr=options[0].cidr if options else "",
            dhcp=dict(options[0].options) if options else {},
            strays=tuple(strays),
        )

    def _add_rules(self, holder: str, rows: Iterable[Any]) -> None:
        for row in rows:
            rule = replace(self._parsed.of(row, _parse_rule), holder=holder)
            self.rules.setdefault(rule, []).append(row)


def _parse_rule(row: Any) -> Rule:
    return Rule(
        holder="",
        direction=Direction(row.direction),
        priority=row.priority,
        match=row.match,
        verdict=row.action,
        strays=_set_columns(row, RULE_STRAYS),
    )


def _parse_port(row: Any) -> tuple[SwitchPort, UUID | None]:
    """Give the port but for its switch and its DHCP server, and the row of its DHCP options."""
    port = SwitchPort(
        name=row.name,
        switch="",
        addresses=tuple(row.addresses),
        security=tuple(row.port_security),
        options=dict(row.options),
        tags=dict(row.external_ids),
        dhcp="",
        strays=_set_columns(row, PORT_STRAYS),
    )
    return port, next((options.uuid for options in row.dhcpv4_options), None)


def _sorted(table: Any) -> list[Any]:
    return sorted(table.rows.values(), key=lambda row: str(row.uuid))


def _set_columns(row: Any, columns: Iterable[str]) -> tuple[str, ...]:
    """Name the columns that hold anything. `enabled` true and unset are the same to OVN."""
    return tuple(name for name in columns if getattr(row, name) and not (name == "enabled" and row.enabled == [True]))


def write_changes(rows: Rows, transaction: Any, changes: Iterable[Change]) -> None:
    """Put the changes into the transaction. Rows the changes add can be named by those that follow."""
    for change in changes:
        match change:
            case AddRule() | RemoveRule():
                _write_rule(rows, transaction, change)
            case AddSwitch(switch):
                row = transaction.insert(rows.tables["Logical_Switch"])
                row.name = switch.name
                rows.switches[switch.name] = row
                _set_switch(rows, transaction, switch)
            case ChangeSwitch(switch):
                _set_switch(rows, transaction, switch)
            case RemoveSwitch(switch):
                rows.switches.pop(switch.name).delete()
                for options in rows.dhcp.pop(switch.name, []):
                    options.delete()
            case AddPort() | ChangePort() | RemovePort():
                _write_port(rows, transaction, change)
            case AddGroup() | LabelGroup() | RemoveGroup() | JoinGroup() | LeaveGroup():
                _write_group(rows, transaction, change)


def _write_rule(rows: Rows, transaction: Any, change: AddRule | RemoveRule) -> None:
    rule = change.rule
    holder = rows.holder(rule.holder)
    if isinstance(change, RemoveRule):
        for row in rows.rules.pop(rule):
            holder.delvalue("acls", row)
        return
    row = transaction.insert(rows.tables["ACL"])
    row.direction, row.priority, row.match, row.action = rule.direction.value, rule.priority, rule.match, rule.verdict
    row.log = False
    holder.addvalue("acls", row)


def _set_switch(rows: Rows, transaction: Any, switch: Switch) -> None:
    row = rows.switches[switch.name]
    row.external_ids = {OURS: switch.name, LABEL: switch.label}
    for column in switch.strays or SWITCH_STRAYS:
        if getattr(row, column, None):
            setattr(row, column, {} if column == "other_config" else [])
    options = rows.dhcp.setdefault(switch.name, [])
    for spare in options[1:]:
        spare.delete()
    del options[1:]
    if not options:
        options.append(transaction.insert(rows.tables["DHCP_Options"]))
    options[0].cidr, options[0].options = switch.cidr, dict(switch.dhcp)
    options[0].external_ids = {OURS: switch.name}


def _write_port(rows: Rows, transaction: Any, change: AddPort | ChangePort | RemovePort) -> None:
    port = change.port
    if isinstance(change, RemovePort):
        # The row goes when nothing refers to it: its groups lose it in changes of their own.
        rows.switch_of_port.pop(port.name).delvalue("ports", rows.ports.pop(port.name))
        return
    if isinstance(change, AddPort):
        row = transaction.insert(rows.tables["Logical_Switch_Port"])
        row.name = port.name
        rows.ports[port.name], rows.switch_of_port[port.name] = row, rows.switches[port.switch]
        rows.switches[port.switch].addvalue("ports", row)
    row = rows.ports[port.name]
    row.addresses, row.port_security = list(port.addresses), list(port.security)
    row.options, row.external_ids = dict(port.options), dict(port.tags)
    row.dhcpv4_options = rows.dhcp[port.dhcp][0]
    if isinstance(change, ChangePort):
        for column in PORT_STRAYS:
            if getattr(row, column):
                setattr(row, column, "" if column == "type" else [])


def _write_group(
    rows: Rows, transaction: Any, change: AddGroup | LabelGroup | RemoveGroup | JoinGroup | LeaveGroup
) -> None:
    match change:
        case AddGroup(group):
            row = transaction.insert(rows.tables["Port_Group"])
            row.name, row.external_ids = group.name, {OURS: "group", LABEL: group.label}
            rows.groups[group.name] = row
        case LabelGroup(group):
            rows.groups[group.name].external_ids = {OURS: "group", LABEL: group.label}
        case RemoveGroup(group):
            rows.groups.pop(group.name).delete()
        case JoinGroup(name, members):
            for member in members:
                rows.groups[name].addvalue("ports", rows.ports[member])
        case LeaveGroup(name, members):
            for row in [port for port in rows.groups[name].ports if port.name in members]:
                rows.groups[name].delvalue("ports", row)
