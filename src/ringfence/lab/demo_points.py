"""The eight points of the demo, each through the public API, each telling what it saw.

What a point returns under a key that begins with `seen_` must be true for the point to hold; all else is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from ringfence.errors import RingfenceError
from ringfence.lab.guest_shell import GuestShell
from ringfence.lab.joined import Cloud
from ringfence.lab.probes import ECHO_PORT, OTHER_PORT, HeldConnection, PingRun, know_neighbour, ping, tcp_echoes

Json = dict[str, Any]


@dataclass(kw_only=True)
class Story:
    """The demo's cloud, and the guests in it by name, as the API told them when they were last read."""

    cloud: Cloud
    console: Console
    vms: dict[str, Json] = field(default_factory=dict)

    def read(self, name: str) -> Json:
        self.vms[name] = self.cloud.client.get(f"/v1/vms/{self.vms[name]['id']}")
        return self.vms[name]

    def address(self, name: str) -> str:
        return str(self.vms[name]["ports"][0]["address"])

    @contextlib.contextmanager
    def shells(self, *names: str) -> Iterator[list[GuestShell]]:
        with contextlib.ExitStack() as open_shells:
            with ThreadPoolExecutor(len(names)) as pool:
                opened = list(pool.map(lambda name: self.cloud.shell(self.vms[name]), names))
            for shell in opened:
                open_shells.callback(shell.close)
            yield opened


def zones(story: Story) -> Json:
    """Two zones that do not mix, a project with an owner in each, one overlay network for both."""
    client = story.cloud.client
    client.create("/v1/zones", {"name": "red", "colour": "#c9190b", "classification": "confidential"})
    client.create("/v1/zones", {"name": "blue", "colour": "#06c", "classification": "internal"})
    client.create("/v1/projects", {"name": "ledger", "owner": "rosa@bank.example"})
    client.create("/v1/projects", {"name": "shop", "owner": "bert@shop.example"})
    client.create("/v1/networks", {"name": "overlay", "cidr": "10.20.0.0/24"})
    made = {zone["name"]: zone for zone in client.pages("/v1/zones", limit=10)}
    owners = {project["name"]: project["owner"] for project in client.pages("/v1/projects", limit=10)}
    story.console.print(f"zones {', '.join(made)}; owners {', '.join(owners.values())}")
    return {"seen_zones_apart": not made["red"]["mixes_with"] and not made["blue"]["mixes_with"], "owners": owners}


def placed(story: Story) -> Json:
    """Import an image, start two red VMs and a blue one; red and blue never share a host."""
    client = story.cloud.client
    image = story.cloud.import_tiny_image()
    client.create("/v1/flavors", {"name": "tiny", "vcpus": 1, "memory_mib": 128, "disk_bytes": 64 << 20})
    wanted = {"red-1": ("ledger", "red"), "red-2": ("ledger", "red"), "blue-1": ("shop", "blue")}
    # One after the other, so that each placement sees the one before it.
    for name, (project, zone) in wanted.items():
        asked: dict[str, Any] = {"name": name, "project": project, "zone": zone, "flavor": "tiny", "image": "tiny"}
        asked |= {"networks": ["overlay"], "labels": {"app": zone}}
        operation = story.cloud.done(client.create("/v1/vms", asked))
        story.vms[name] = client.get(f"/v1/vms/{operation['subject_id']}")
    table = Table("VM", "zone", "owner", "host", "why there", title="Placements", title_justify="left")
    for name, vm in story.vms.items():
        zone = f"[{'red' if vm['zone'] == 'red' else 'blue'}]{vm['zone']}"
        table.add_row(name, zone, vm["owner"], vm["host"], vm["placement"])
    story.console.print(table)
    host = {name: vm["host"] for name, vm in story.vms.items()}
    return {
        "seen_all_running": all(vm["state"] == "running" for vm in story.vms.values()),
        "seen_red_spread": host["red-1"] != host["red-2"],
        "seen_blue_apart": host["blue-1"] not in (host["red-1"], host["red-2"]),
        "seen_reasons": all(vm["placement"] for vm in story.vms.values()),
        "image_format": image["format"],
        "hosts": host,
    }


def fenced(story: Story) -> Json:
    """Red reaches red once a policy says so; red and blue do not reach each other."""
    with story.shells("red-1", "red-2", "blue-1") as (red_1, red_2, blue_1):
        before = ping(red_2, story.address("red-1"))
        story.cloud.policy(
            {"name": "red-within", "source": {"zone": "red"}, "target": {"zone": "red"}, "protocol": "any"}
        )
        seen = {
            "seen_red_denied_before_any_policy": before.sent > 0 and before.received == 0,
            "seen_red_pings_red": ping(red_2, story.address("red-1")).received > 0,
            "seen_red_pings_red_back": ping(red_1, story.address("red-2")).received > 0,
            "seen_red_tcp_red": tcp_echoes(red_2, story.address("red-1")),
            **_denied_both_ways(story, red_1, blue_1),
        }
    seen["across_hosts"] = f"{story.vms['red-1']['host']} and {story.vms['red-2']['host']}"
    story.console.print_json(data=seen)
    return seen


def opened_and_closed(story: Story) -> Json:
    """A policy opens one TCP port; taken away, it is closed again, for the open connection too."""
    client = story.cloud.client
    red = story.address("red-1")
    with story.shells("red-1", "blue-1") as (red_1, blue_1):
        policy = story.cloud.policy(
            {
                "name": "blue-may-ask-red",
                "source": {"zone": "blue"},
                "target": {"zone": "red", "labels": {"app": "red"}},
                "protocol": "tcp",
                "ports": [ECHO_PORT],
            }
        )
        seen: Json = {
            "seen_port_passes": tcp_echoes(blue_1, red),
            "seen_other_port_denied": not tcp_echoes(blue_1, red, OTHER_PORT),
            "seen_ping_denied": ping(blue_1, red).received == 0,
            "seen_back_denied": not tcp_echoes(red_1, story.address("blue-1")),
        }
        held = HeldConnection(blue_1, red)
        seen["seen_held_connection_answers"] = held.echoes("first")
        story.cloud.finish(client.delete(f"/v1/policies/{policy['id']}"))
        seen["seen_held_connection_cut"] = not held.echoes("second")
        seen["seen_port_denied_again"] = not tcp_echoes(blue_1, red)
        held.close()
    story.console.print_json(data=seen)
    return seen


def moved(story: Story) -> Json:
    """Move a red VM live to the host that may take it, with probes running from a friend and from a stranger."""
    client = story.cloud.client
    source, target = story.vms["red-1"]["host"], story.vms["red-2"]["host"]
    red, blue = story.address("red-1"), story.address("blue-1")
    with (
        story.shells("red-2", "blue-1") as (friend, stranger),
        story.cloud.capture([source, target], f"src {blue} and dst {red}") as leaks,
    ):
        know_neighbour(stranger, story.vms["red-1"])
        allowed = PingRun(friend, red, per_second=100, seconds=180, name="allowed")
        denied = PingRun(stranger, red, per_second=1000, seconds=180, name="denied")
        operation = story.cloud.done(client.create(f"/v1/vms/{story.vms['red-1']['id']}/move"))
        vm = story.read("red-1")
        # And home again: what was opened for the first move is not what lets the second one pass.
        back = story.cloud.done(client.create(f"/v1/vms/{vm['id']}/move", {"host": source}))
        # Both streams run on for a while after the move, so that a late leak or a late loss is seen as well.
        after = ping(friend, red, count=10)
        got_through, kept_out = allowed.stop(), denied.stop()
    home = story.read("red-1")["host"]
    with story.shells("red-1", "blue-1") as (red_1, blue_1):
        still = _denied_both_ways(story, red_1, blue_1)
    downtimes = [move["result"]["downtime_ms"] for move in (operation, back)]
    gap_ms = round(got_through.longest_gap_seconds * 1000)
    story.console.print(
        f"red-1 moved from {source} to {vm['host']} and back: longest gap of a 100 Hz ping [bold]{gap_ms} ms[/],"
        f" QEMU's own downtimes {downtimes[0]} and {downtimes[1]} ms; {kept_out.sent} denied pings sent,"
        f" {kept_out.received} answered, {leaks.count} seen at the hosts"
    )
    return {
        "seen_moved": vm["host"] != source and home == source,
        "seen_company_kept": vm["host"] != story.vms["blue-1"]["host"],
        "seen_probes_ran": got_through.received > 0 and kept_out.sent > 0 and after.received > 0,
        "seen_nothing_denied_passed": kept_out.received == 0 and leaks.count == 0 and leaks.worked,
        **still,
        "gap_ms": gap_ms,
        "qemu_downtime_ms": max(downtimes),
        "denied_sent": kept_out.sent,
        "denied_passed": kept_out.received + leaks.count,
    }


def refused(story: Story) -> Json:
    """With the blue host cordoned, a blue VM is refused with every host's reason, and nothing is left of it."""
    client = story.cloud.client
    blue_host = story.vms["blue-1"]["host"]
    client.create(f"/v1/hosts/{blue_host}/cordon")
    try:
        asked = {
            "name": "blue-2",
            "project": "shop",
            "zone": "blue",
            "flavor": "tiny",
            "image": "tiny",
            "networks": ["overlay"],
        }
        operation = story.cloud.follow(client.create("/v1/vms", asked))
    finally:
        client.create(f"/v1/hosts/{blue_host}/uncordon")
    error = operation.get("error") or {}
    rejected = error.get("facts", {}).get("rejected", {})
    table = Table("host", "why not", title=f"{error.get('code')}: blue-2", title_justify="left")
    for host, why in rejected.items():
        table.add_row(host, why)
    story.console.print(table)
    left = [vm["name"] for vm in client.pages("/v1/vms", limit=100) if vm["name"] == "blue-2"]
    hosts = {host["name"] for host in client.pages("/v1/hosts", limit=100)}
    return {
        "seen_refused": operation["state"] == "failed" and error.get("code") == "no-host-fits",
        "seen_reason_of_every_host": set(rejected) == hosts,
        "seen_nothing_left": not left and not story.cloud.ports_in_ovn() - _ports(story),
        "reasons": rejected,
    }


def deleted(story: Story) -> Json:
    """Delete a VM: the steps are shown, and nothing of it is left on the host or in OVN."""
    client = story.cloud.client
    vm = story.read("red-1")
    operation = story.cloud.follow(client.delete(f"/v1/vms/{vm['id']}"))
    left_on_host = story.cloud.on_host(
        vm["host"], ["find", "/var/lib/ringfence", "/run/ringfence", "-name", f"*{vm['id']}*"]
    )
    domains = story.cloud.on_host(vm["host"], ["virsh", "-c", "qemu:///system", "list", "--all", "--uuid"])
    try:
        client.get(f"/v1/vms/{vm['id']}")
        answered = "found"
    except RingfenceError as refusal:
        answered = refusal.code
    del story.vms["red-1"]
    return {
        "seen_deleted": operation["state"] == "done" and answered == "not-found",
        "seen_nothing_on_host": not left_on_host.strip() and vm["id"] not in domains,
        "seen_nothing_in_ovn": vm["ports"][0]["id"] not in story.cloud.ports_in_ovn(),
        "steps": [step["name"] for step in operation["steps"]],
    }


def verified(story: Story) -> Json:
    """Run the verification a user would run, and print its evidence."""
    operation = story.cloud.follow(story.cloud.client.create("/v1/verifications"))
    findings = operation["result"].get("findings", [])
    table = Table("promise", "question", "verdict", "seen", title="ringfence verify", title_justify="left")
    colours = {"kept": "green", "pending": "yellow", "broken": "red", "unknown": "red"}
    for finding in findings:
        verdict = finding["verdict"]
        table.add_row(str(finding["promise"]), finding["question"], f"[{colours[verdict]}]{verdict}", finding["seen"])
    story.console.print(table)
    verdicts = [finding["verdict"] for finding in findings]
    return {
        "seen_verified": operation["state"] == "done" and "kept" in verdicts,
        "seen_none_broken": not {"broken", "unknown"} & set(verdicts),
        "kept": verdicts.count("kept"),
        "pending": verdicts.count("pending"),
    }


def _denied_both_ways(story: Story, red: GuestShell, blue: GuestShell) -> Json:
    """Ping and TCP from each to the other, at the same time, each knowing the other's MAC."""

    def tried(from_shell: GuestShell, name: str) -> tuple[bool, bool]:
        know_neighbour(from_shell, story.vms[name])
        pinged = ping(from_shell, story.address(name))
        return pinged.sent > 0 and pinged.received == 0, not tcp_echoes(from_shell, story.address(name))

    with ThreadPoolExecutor(2) as pool:
        to_red, to_blue = pool.submit(tried, blue, "red-1"), pool.submit(tried, red, "blue-1")
    return {
        "seen_blue_to_red_denied": to_red.result()[0],
        "seen_red_to_blue_denied": to_blue.result()[0],
        "seen_blue_tcp_red_denied": to_red.result()[1],
        "seen_red_tcp_blue_denied": to_blue.result()[1],
    }


def _ports(story: Story) -> set[str]:
    return {port["id"] for vm in story.cloud.client.pages("/v1/vms", limit=100) for port in vm["ports"]}


POINTS: tuple[tuple[str, Callable[[Story], Json]], ...] = (
    ("Two zones that do not mix, an owner in each, one overlay network", zones),
    ("An image, two red VMs on two hosts, a blue one apart from them", placed),
    ("Red reaches red across hosts; red and blue do not reach each other", fenced),
    ("A policy opens one TCP port and nothing else; taken away, it cuts the open connection", opened_and_closed),
    ("A live move, with probes running: nothing denied passes", moved),
    ("A blue VM is refused where only red hosts are left, with every reason", refused),
    ("A VM is deleted, and nothing of it is left", deleted),
    ("ringfence verify: the promises, checked on the running cloud", verified),
)
