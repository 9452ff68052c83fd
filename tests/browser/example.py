"""A furnished cloud: tenants that are kept apart, on hosts that keep what they are told as real ones would."""

from __future__ import annotations

import asyncio
import uuid

from tests.browser.rfb import painted
from tests.controller.conftest import Cloud
from tests.controller.test_vms import DIGEST, DISK, MIB

from ringfence.fakes.agent import FakeAgent
from ringfence.fakes.hypervisors import FakeHost, FakeHypervisors
from ringfence.model.names import HostId
from ringfence.wire import AnyResult, AnyVerb, Nothing, OpenConsole, OpenScreen

ZONES = [
    {"name": "public", "colour": "green", "classification": "public"},
    {"name": "office", "colour": "blue", "classification": "internal"},
    {"name": "payments", "colour": "red", "classification": "cardholder data"},
]
PROJECTS = [("shop", "ada"), ("intranet", "grace"), ("ledger", "edsger")]
HOSTS = ("h1", "h2", "h3", "h4")
VMS = [
    ("web-1", "shop", "public", "h1", {"role": "web"}),
    ("web-2", "shop", "public", "h1", {"role": "web"}),
    ("wiki", "intranet", "office", "h2", {}),
    ("mail", "intranet", "office", "h2", {}),
    ("db-1", "shop", "payments", "h3", {"role": "db"}),
    ("vault", "ledger", "payments", "h3", {"role": "vault"}),
]


class Hosts:
    """Joins hosts to a cloud; each has a memory of what runs on it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._hypervisors = FakeHypervisors([])

    def join(self, name: str) -> FakeAgent:
        agent = self._cloud.join(name, act=self._act)
        agent.screen = painted
        host_id = HostId(agent.host_id)
        self._hypervisors.hosts[host_id] = FakeHost(host_id)
        return self._cloud.run(agent)

    async def _act(self, host_id: str, verb: AnyVerb) -> AnyResult:
        if isinstance(verb, OpenConsole | OpenScreen):
            return Nothing()
        key = uuid.uuid4().hex
        return await asyncio.to_thread(self._hypervisors.ask, HostId(host_id), verb, key=key, patience_seconds=10)


def furnish(cloud: Cloud) -> Hosts:
    """Make the nouns that VMs need, and let the hosts join; no VM yet."""
    hosts = Hosts(cloud)
    for name in HOSTS:
        hosts.join(name)
    for zone in ZONES:
        cloud.post("/v1/zones", zone, expect=201)
    for name, owner in PROJECTS:
        cloud.post("/v1/projects", {"name": name, "owner": owner}, expect=201)
    for name, vcpus, memory_mib in (("small", 1, 1024), ("large", 4, 8192)):
        body = {"name": name, "vcpus": vcpus, "memory_mib": memory_mib, "disk_bytes": 10 << 30}
        cloud.post("/v1/flavors", body, expect=201)
    cloud.post("/v1/networks", {"name": "backbone", "cidr": "10.1.0.0/16"}, expect=201)
    cloud.post("/v1/networks", {"name": "shop-net", "cidr": "10.2.0.0/24", "project": "shop"}, expect=201)
    cloud.upload("debian-13", DISK, DIGEST)
    return hosts


def populate(cloud: Cloud) -> dict[str, str]:
    """Fill it with VMs and policies, and verify it; gives the VMs' ids by name."""
    ids = {}
    for name, project, zone, host, labels in VMS:
        body = {"name": name, "project": project, "zone": zone, "flavor": "small", "image": "debian-13"}
        body |= {"networks": ["backbone"], "labels": labels, "host": host}
        ids[name] = create(cloud, body)
    for body in (
        policy("web-to-db", {"labels": {"role": "web"}}, {"labels": {"role": "db"}}, ports=[5432]),
        policy("office-among-itself", {"zone": "office"}, {"zone": "office"}, protocol="any"),
        policy("office-to-web", {"zone": "office"}, {"labels": {"role": "web"}}, ports=[80, 443]),
    ):
        cloud.end_of(cloud.post("/v1/policies", body, expect=201)["operation"])
    cloud.end_of(cloud.post(f"/v1/vms/{ids['mail']}/stop", expect=202)["id"])
    too_large = {"name": "whale", "vcpus": 64, "memory_mib": 1 << 20, "disk_bytes": MIB}
    cloud.post("/v1/flavors", too_large, expect=201)
    whale = {"name": "analytics", "project": "shop", "zone": "public", "flavor": "whale", "image": "debian-13"}
    assert cloud.end_of(cloud.post("/v1/vms", whale, expect=202)["id"])["state"] == "failed"
    cloud.post("/v1/hosts/h4/cordon", expect=200)
    assert cloud.end_of(cloud.post("/v1/verifications", expect=202)["id"])["state"] == "done"
    return ids


def create(cloud: Cloud, body: dict) -> str:
    ended = cloud.end_of(cloud.post("/v1/vms", body, expect=202)["id"])
    assert ended["state"] == "done", ended
    return ended["subject_id"]


def policy(name: str, source: dict, target: dict, *, protocol: str = "tcp", ports: list[int] | None = None) -> dict:
    return {"name": name, "source": source, "target": target, "protocol": protocol, "ports": ports or []}
