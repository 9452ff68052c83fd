"""What the lab tests of promises share: one cloud of three hosts, two zones apart, and VMs that go when a test ends."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import NotFound
from ringfence.lab.guest_shell import GuestShell
from ringfence.lab.joined import Cloud

Json = dict[str, Any]
_numbers = itertools.count(1)


@dataclass
class Tenants:
    """Makes VMs and policies for one test, and takes them away after it."""

    cloud: Cloud
    policies: list[Json] = field(default_factory=list)
    shells: list[GuestShell] = field(default_factory=list)

    def vm(self, zone: str, **wanted: Any) -> Json:
        return self.all_vms([{"zone": zone, **wanted}])[0]

    def all_vms(self, wanted: Sequence[Json]) -> list[Json]:
        """Create VMs one after the other, so that each placement sees the one before it; each must come to run."""
        made = []
        for one in wanted:
            operation = self.cloud.done(self.ask_vm(**one))
            made.append(self.cloud.client.get(f"/v1/vms/{operation['subject_id']}"))
        return made

    def ask_vm(self, zone: str, **wanted: Any) -> Json:
        """Ask for a VM; gives the operation. One that comes to be is taken away by name."""
        name = wanted.pop("name", f"{zone}-{next(_numbers)}")
        body = {
            "name": name,
            "project": "ledger" if zone == "red" else "shop",
            "zone": zone,
            "flavor": "tiny",
            "image": "tiny",
            "networks": ["overlay"],
            **wanted,
        }
        return self.cloud.client.create("/v1/vms", body)

    def pair(self) -> tuple[Json, Json]:
        """Two red VMs on two hosts."""
        one, other = self.all_vms([{"zone": "red"}, {"zone": "red"}])
        assert one["host"] != other["host"]
        return one, other

    def policy(self, source: Json, target: Json, protocol: str = "any", ports: Sequence[int] = ()) -> Json:
        name = f"policy-{next(_numbers)}"
        made = self.cloud.policy(
            {"name": name, "source": source, "target": target, "protocol": protocol, "ports": list(ports)}
        )
        self.policies.append(made)
        return made

    def drop_policy(self, policy: Json) -> None:
        self.cloud.finish(self.cloud.client.delete(f"/v1/policies/{policy['id']}"))
        self.policies.remove(policy)

    def shell(self, vm: Json) -> GuestShell:
        """A shell in the guest, closed when the test ends."""
        shell = self.cloud.shell(vm)
        self.shells.append(shell)
        return shell

    def read(self, vm: Json) -> Json:
        return self.cloud.client.get(f"/v1/vms/{vm['id']}")

    def move(self, vm: Json, **wanted: Any) -> Json:
        return self.cloud.follow(self.cloud.client.create(f"/v1/vms/{vm['id']}/move", wanted))

    def close(self) -> None:
        for shell in self.shells:
            shell.close()
        for policy in list(self.policies):
            self.drop_policy(policy)
        left = list(self.cloud.client.pages("/v1/vms", limit=1000))
        operations = []
        for vm in left:
            with contextlib.suppress(NotFound):
                operations.append(self.cloud.client.delete(f"/v1/vms/{vm['id']}"))
        for operation in self.cloud.follow_all(operations):
            assert operation["state"] == "done", operation["error"]


def furnish(cloud: Cloud) -> None:
    """What every test takes for granted: zones red and blue apart, a project each, a network, a size, an image."""
    client = cloud.client
    for zone in ("red", "blue"):
        client.create("/v1/zones", {"name": zone})
    client.create("/v1/projects", {"name": "ledger", "owner": "rosa@bank.example"})
    client.create("/v1/projects", {"name": "shop", "owner": "bert@shop.example"})
    cloud.finish(client.create("/v1/networks", {"name": "overlay", "cidr": "10.20.0.0/24"}))
    client.create("/v1/flavors", {"name": "tiny", "vcpus": 1, "memory_mib": 128, "disk_bytes": 64 << 20})
    cloud.import_tiny_image()


def address(vm: Json) -> str:
    return str(vm["ports"][0]["address"])
