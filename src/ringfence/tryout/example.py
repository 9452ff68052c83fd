"""The example cloud: a bank and a hospital, in zones that do not mix. Made through the API, as a user would.

Which VM stands where is counted, not drawn: the same number of VMs is the same cloud.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.client.connection import Client, has_ended

Json = dict[str, Any]

IMAGE = "debian-13-simulated"
MADE_BY = {"made-by": "example"}
"""Tells the example's own VMs from those of its visitors, which its life leaves alone."""
AT_ONCE = 4
"""Creates under way at one time: more would only make the first wait longer."""
LOOK_SECONDS = 0.2
_TREES = ("alder", "birch", "cedar", "elm", "hazel", "rowan")
_VMS_PER_ROUND = 1500
_GIB = 1 << 30

ZONES: tuple[Json, ...] = (
    {"name": "bank-core", "colour": "#7d1007", "classification": "secret"},
    {"name": "bank-front", "colour": "#004080", "classification": "public"},
    {"name": "hospital-wards", "colour": "#1e4f18", "classification": "patients"},
    {"name": "hospital-lab", "colour": "#40199a", "classification": "patients"},
)
MIXING = ("hospital-wards", "hospital-lab")
"""The only two zones that may share a host."""
PROJECTS: tuple[Json, ...] = (
    {"name": "payments", "owner": "ada@bank.example"},
    {"name": "online-banking", "owner": "bruno@bank.example"},
    {"name": "wards", "owner": "chiara@hospital.example"},
    {"name": "laboratory", "owner": "deniz@hospital.example"},
)
FLAVORS: tuple[Json, ...] = (
    {"name": "small", "vcpus": 1, "memory_mib": 1024, "disk_bytes": 10 * _GIB},
    {"name": "medium", "vcpus": 2, "memory_mib": 4096, "disk_bytes": 20 * _GIB},
    {"name": "large", "vcpus": 4, "memory_mib": 8192, "disk_bytes": 40 * _GIB, "priority": "high"},
)
NETWORKS: tuple[Json, ...] = (
    {"name": "payments", "cidr": "10.16.0.0/16", "project": "payments"},
    {"name": "online-banking", "cidr": "10.17.0.0/16", "project": "online-banking"},
    {"name": "wards", "cidr": "10.32.0.0/16", "project": "wards"},
    {"name": "laboratory", "cidr": "10.33.0.0/16", "project": "laboratory"},
    {"name": "bank-backbone", "cidr": "10.18.0.0/16"},
    {"name": "hospital-backbone", "cidr": "10.34.0.0/16"},
)


def _allow(name: str, source: Json, target: Json, *ports: int) -> Json:
    return {"name": name, "source": source, "target": target, "protocol": "tcp", "ports": list(ports)}


def _role(project: str, role: str) -> Json:
    return {"project": project, "labels": {"role": role}}


POLICIES: tuple[Json, ...] = (
    _allow("web-to-payments", _role("online-banking", "web"), _role("payments", "api"), 8443),
    _allow("payments-to-ledger", _role("payments", "api"), _role("payments", "db"), 5432),
    _allow("wards-to-records", _role("wards", "app"), _role("wards", "db"), 5432),
    _allow("wards-to-laboratory", _role("wards", "app"), _role("laboratory", "app"), 443),
    {"name": "web-pings-web", "source": {"zone": "bank-front"}, "target": {"zone": "bank-front"}, "protocol": "icmp"},
)


@dataclass(frozen=True, slots=True)
class Kind:
    """VMs of one sort. `trees` are the hosts that they begin on; those and `networks` are words."""

    project: str
    zone: str
    role: str
    flavor: str
    trees: str
    networks: str

    def asked(self, number: int, host: str | None = None) -> Json:
        """Give the body that asks for one."""
        return {
            "name": f"{self.project}-{self.role}-{number}",
            "project": self.project,
            "zone": self.zone,
            "flavor": self.flavor,
            "image": IMAGE,
            "networks": self.networks.split(),
            "labels": {"role": self.role, "stage": "test" if number % 4 == 0 else "live", **MADE_BY},
            "host": host,
        }


KINDS: tuple[Kind, ...] = (
    Kind("payments", "bank-core", "api", "medium", "alder birch", "payments bank-backbone"),
    Kind("online-banking", "bank-front", "web", "small", "cedar elm", "online-banking bank-backbone"),
    Kind("wards", "hospital-wards", "app", "medium", "hazel rowan", "wards hospital-backbone"),
    Kind("payments", "bank-core", "db", "large", "birch alder", "payments"),
    Kind("online-banking", "bank-front", "cache", "medium", "elm cedar", "online-banking"),
    Kind("wards", "hospital-wards", "db", "large", "rowan hazel", "wards"),
    Kind("payments", "bank-core", "batch", "small", "alder birch", "payments"),
    Kind("laboratory", "hospital-lab", "app", "medium", "hazel rowan", "laboratory hospital-backbone"),
    Kind("laboratory", "hospital-lab", "db", "medium", "rowan hazel", "laboratory"),
)


def host_names(vm_count: int) -> list[str]:
    """Name the hosts for so many VMs: six, and six more for each further 1,500 VMs."""
    rounds = -(-vm_count // _VMS_PER_ROUND) or 1
    return [tree if number == 1 else f"{tree}-{number}" for number in range(1, rounds + 1) for tree in _TREES]


def wanted(vm_count: int) -> Iterator[Json]:
    """Give the bodies that ask for so many VMs, each for a host that its zone has to itself."""
    rounds = len(host_names(vm_count)) // len(_TREES)
    for index in range(vm_count):
        kind, number = KINDS[index % len(KINDS)], index // len(KINDS) + 1
        tree, turn = kind.trees.split()[number % 2], number // 2 % rounds + 1
        yield kind.asked(number, tree if turn == 1 else f"{tree}-{turn}")


def furnish(client: Client) -> None:
    """Make everything that VMs need."""
    for path, bodies in (
        ("/v1/zones", ZONES),
        ("/v1/projects", PROJECTS),
        ("/v1/flavors", FLAVORS),
        ("/v1/networks", NETWORKS),
        ("/v1/policies", POLICIES),
    ):
        for body in bodies:
            client.create(path, body)
    for zone, other in (MIXING, MIXING[::-1]):
        client.change(f"/v1/zones/{zone}", {"mixes_with": [other]})
    content = b"This is a simulated image: there is no system in it.\n".ljust(1 << 20, b"\0")
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    client.upload(f"/v1/images/{IMAGE}/file", iter([content]), size=len(content), digest=digest)


def create_vms(client: Client, bodies: Sequence[Json], *, ended: threading.Event) -> None:
    """Create VMs, a few at once, and return when they are there or it is `ended`."""
    under_way: list[Json] = []
    for body in bodies:
        if ended.is_set():
            return
        under_way.append(client.create("/v1/vms", body))
        if len(under_way) == AT_ONCE:
            follow(client, under_way.pop(0), ended=ended)
    for operation in under_way:
        follow(client, operation, ended=ended)


def follow(client: Client, operation: Json, *, ended: threading.Event) -> Json:
    """Give the operation once it, or everything, has ended: not a moment later, unlike the client's own `follow`."""
    while not has_ended(operation) and not ended.wait(LOOK_SECONDS):
        operation = client.get(f"/v1/operations/{operation['id']}")
    return operation
