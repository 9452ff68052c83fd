"""Two projects on one cloud, and every route there is: what is another's is as if it were not there."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.routing import BaseRoute
from tests.controller.conftest import Cloud
from tests.controller.tenants import Tenant, add_tenant, furnish_cloud, sign_in, store_of
from tests.controller.test_access import Ask, answer, asks

from ringfence.controller.api import application
from ringfence.controller.api.routes import ROUTES
from ringfence.controller.enforcement import Of
from ringfence.controller.queries import query_names
from ringfence.store import vms

pytestmark = pytest.mark.store

THEIRS = "heliotrope"
OTHERS_OWN = frozenset({"accept_handover", "delete_handover", "delete_token"})
"""Routes with somebody's own in their path, told from another's by themselves."""
PER_SUBJECT = frozenset({Of.PROJECT, Of.NETWORK, Of.POLICY, Of.VM, Of.OPERATION, Of.ACCOUNT})
EVERY_ROUTE: list[BaseRoute] = [
    *application.setup.accounts_router.routes,
    *(route for noun in application.NOUNS for route in noun.router.routes),
]


@dataclass
class Two:
    """A cloud of two tenants: one of them asks, and nothing of the other's is to be heard."""

    cloud: Cloud
    mine: Tenant
    theirs: Tenant
    telling: set[str]

    def heard(self, text: str, *, but: str = "") -> list[str]:
        """List what tells of the other tenant in the text, beyond the very word that was asked about."""
        return sorted(word for word in self.telling if word in (text.replace(but, "") if but else text))


@pytest.fixture
def two(cloud_on_both) -> Two:
    cloud = cloud_on_both
    furnish_cloud(cloud)
    mine, theirs = add_tenant(cloud, "shop"), add_tenant(cloud, THEIRS, cidr="10.91.7.0/24")
    with store_of(cloud).transaction() as session:
        port = vms.vm(session, theirs.ids["vm"]).ports[0]
    secret = {"project": THEIRS, "labels": {"app": f"{THEIRS}-app"}}
    cloud.post("/v1/policies", {"name": "bridge", "source": secret, "target": {"project": "shop"}}, expect=201)
    return Two(cloud, mine, theirs, {THEIRS, port.mac, "10.91.7.", *theirs.ids.values()})


@pytest.fixture(params=["owner", "second"])
def client(two: Two, request) -> Iterator[httpx.Client]:
    """Asks as an owner, and as a member, of the project that is not the other."""
    with sign_in(two.cloud, f"shop-{request.param}") as asking:
        yield asking


def methods_of(route: BaseRoute) -> list[str]:
    return sorted(getattr(route, "methods", None) or {"WS"})


def about(route: BaseRoute, ref: str) -> str:
    """Fill the first place of the path with the reference, others with what anybody may know."""
    path = re.sub(r"\{\w+\}", ref, str(getattr(route, "path", "")), count=1)
    return re.sub(r"\{\w+\}", "shop-owner", path)


def nothing_like(ref: str) -> str:
    return str(uuid.UUID(int=7)) if len(ref) == 36 else "nothing-" + "x" * (len(ref) - 8)


def same(told: httpx.Response, ref: str) -> tuple[int, str]:
    return told.status_code, told.text.replace(ref, "REF")


def answered(two: Two, client: httpx.Client, method: str, route: BaseRoute, ref: str) -> tuple[int, str]:
    """Ask without a body: who may not see a thing is told so before what was sent is looked at."""
    if method != "WS":
        return same(client.request(method, about(route, ref), headers={"If-Match": "*"}), ref)
    status, told = answer(two.cloud, client, Ask("WS", about(route, ref)))
    return status, json.dumps(told).replace(ref, "REF")


def test_no_route_tells_anothers_id_from_one_that_is_none(two, client) -> None:
    before = json.dumps([two.cloud.get(f"/v1/{noun}") for noun in ("projects", "networks", "policies", "vms")])
    wrong, asked = [], 0
    refs = {*two.theirs.ids.values(), *two.theirs.names.values()} - {THEIRS}
    for route in EVERY_ROUTE:
        name = str(getattr(route, "name", ""))
        if "{" not in str(getattr(route, "path", "")):
            continue
        for method in methods_of(route):
            missing: dict[str, tuple[int, str]] = {}
            for ref in sorted(refs):
                none = nothing_like(ref)
                if none not in missing:
                    missing[none] = answered(two, client, method, route, none)
                found = answered(two, client, method, route, ref)
                asked += 1
                if found != missing[none]:
                    wrong.append(f"{method} {name} {ref}: {found}, and not {missing[none]}")
                if two.heard(found[1]):
                    wrong.append(f"{method} {name} {ref}: {found} tells of {two.heard(found[1])}")
                if (ROUTES[name].of in PER_SUBJECT or name in OTHERS_OWN) and found[0] != 404:
                    wrong.append(f"{method} {name} {ref}: {found}")
    assert wrong == []
    assert asked > 500
    after = json.dumps([two.cloud.get(f"/v1/{noun}") for noun in ("projects", "networks", "policies", "vms")])
    assert after == before, "nothing of theirs was changed either"


def test_no_query_tells_anothers_name_or_id_from_one_that_is_none(two, client) -> None:
    wrong, asked = [], 0
    refs = {*two.theirs.ids.values(), *two.theirs.names.values()}
    for route in EVERY_ROUTE:
        path = str(getattr(route, "path", ""))
        if "{" in path or "GET" not in methods_of(route):
            continue
        for parameter in sorted(query_names(route)):
            missing: dict[str, tuple[int, str]] = {}
            for ref in sorted(refs):
                none = nothing_like(ref)
                if none not in missing:
                    missing[none] = same(client.get(path, params={parameter: none}), none)
                told = client.get(path, params={parameter: ref})
                asked += 1
                if same(told, ref) != missing[none] or two.heard(told.text, but=ref):
                    wrong.append(f"{path}?{parameter}={ref}: {told.status_code} {told.text[:200]}")
    assert wrong == []
    assert asked > 100


def test_no_list_and_no_view_holds_a_word_of_anothers(two, client) -> None:
    every = asks(two.mine, 0)
    wrong = []
    for route in EVERY_ROUTE:
        name = str(getattr(route, "name", ""))
        ask = every.get(name)
        reads = ask is not None and (ask.method == "GET" or name.startswith("try_"))
        if ask is not None and reads:
            text = client.request(ask.method, ask.path, json=ask.body).text
            wrong += [f"{name}: {word}" for word in two.heard(text)]
    assert wrong == []


def test_what_changes_of_anothers_is_told_by_kind_alone(two, client) -> None:
    with client.stream("GET", "/v1/events", timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": here"
        vm = f"/v1/vms/{two.theirs.ids['vm']}"
        two.cloud.patch(vm, {"labels": {"app": f"{THEIRS}-app"}}, if_match="*")
        for line in lines:
            assert two.heard(line) == []
            if line.startswith("data: ") and "vm" in json.loads(line.removeprefix("data: ")):
                return
    pytest.fail("the change was not told")
