"""Who may what, over HTTP: for every route and every role the answer is what the table says."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from tests.controller.conftest import Cloud
from tests.controller.tenants import Tenant, add_person, add_tenant, furnish_cloud, sign_in
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ringfence.controller.api import application
from ringfence.controller.api.routes import ROUTES, check_routes
from ringfence.controller.enforcement import Of, enforcing
from ringfence.decide.access import ROLES
from ringfence.model.access import Permission, Role, RoleScope

pytestmark = pytest.mark.store

STALE = {"If-Match": '"999"'}
NOUNS = {Of.VM: "vm", Of.NETWORK: "network", Of.POLICY: "policy", Of.PROJECT: "project", Of.OPERATION: "vm"}


@dataclass
class Ask:
    """A request that changes nothing when it is let in: it is stale, or asks for what is there already."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fine: set[int] = field(default_factory=lambda: {200})


def asks(shop: Tenant, number: int) -> dict[str, Ask]:
    """Build a request for every route, about what shop has or the cloud has."""
    ids, names = shop.ids, shop.names
    selector = {"project": names["project"]}
    vm = {"name": names["vm"], "project": ids["project"], "zone": "red", "flavor": "tiny", "image": "disk"}
    policy = {"name": names["policy"], "project": names["project"], "source": selector, "target": selector}
    taken, stale, begun = {409}, {412}, {409}
    return {
        "list_zones": Ask("GET", "/v1/zones"),
        "create_zone": Ask("POST", "/v1/zones", {"name": "red"}, fine=taken),
        "get_zone": Ask("GET", "/v1/zones/red"),
        "change_zone": Ask("PATCH", "/v1/zones/red", {}, STALE, stale),
        "delete_zone": Ask("DELETE", "/v1/zones/red", None, STALE, stale),
        "list_projects": Ask("GET", "/v1/projects"),
        "create_project": Ask("POST", "/v1/projects", {"name": names["project"], "owner": "x"}, fine=taken),
        "get_project": Ask("GET", f"/v1/projects/{ids['project']}"),
        "change_project": Ask("PATCH", f"/v1/projects/{ids['project']}", {}, STALE, stale),
        "delete_project": Ask("DELETE", f"/v1/projects/{ids['project']}", None, STALE, stale),
        "list_members": Ask("GET", f"/v1/projects/{names['project']}/members"),
        "put_member": Ask(
            "PUT", f"/v1/projects/{ids['project']}/members/{names['second']}", {"role": "project-member"}
        ),
        "delete_member": Ask("DELETE", f"/v1/projects/{ids['project']}/members/{names['owner']}", fine={409}),
        "list_hosts": Ask("GET", "/v1/hosts"),
        "invite_host": Ask("POST", "/v1/hosts/invitations", {"name": f"new{number}"}, fine={201}),
        "get_host": Ask("GET", "/v1/hosts/h1"),
        "cordon_host": Ask("POST", "/v1/hosts/h1/cordon"),
        "uncordon_host": Ask("POST", "/v1/hosts/h1/uncordon"),
        "delete_host": Ask("DELETE", "/v1/hosts/h1", None, STALE, stale),
        "list_images": Ask("GET", "/v1/images"),
        "import_image": Ask(
            "POST", "/v1/images", {"name": "disk", "digest": "sha256:" + "0" * 64, "source": "http://x/"}, fine={409}
        ),
        "get_image": Ask("GET", "/v1/images/disk"),
        "upload_image": Ask("PUT", "/v1/images/disk/file?digest=sha256:" + "1" * 64, fine=taken),
        "delete_image": Ask("DELETE", "/v1/images/disk", None, STALE, stale),
        "list_flavors": Ask("GET", "/v1/flavors"),
        "create_flavor": Ask(
            "POST", "/v1/flavors", {"name": "tiny", "vcpus": 1, "memory_mib": 64, "disk_bytes": 1 << 20}, fine=taken
        ),
        "get_flavor": Ask("GET", "/v1/flavors/tiny"),
        "change_flavor": Ask("PATCH", "/v1/flavors/tiny", {}, STALE, stale),
        "delete_flavor": Ask("DELETE", "/v1/flavors/tiny", None, STALE, stale),
        "list_networks": Ask("GET", "/v1/networks"),
        "create_network": Ask(
            "POST",
            "/v1/networks",
            {"name": names["network"], "cidr": "10.1.0.0/24", "project": names["project"]},
            fine=taken,
        ),
        "get_network": Ask("GET", f"/v1/networks/{names['network']}"),
        "change_network": Ask("PATCH", f"/v1/networks/{ids['network']}", {}, STALE, stale),
        "delete_network": Ask("DELETE", f"/v1/networks/{names['network']}", None, STALE, stale),
        "list_policies": Ask("GET", "/v1/policies"),
        "create_policy": Ask("POST", "/v1/policies", policy, fine=taken),
        "get_policy": Ask("GET", f"/v1/policies/{names['policy']}"),
        "change_policy": Ask("PATCH", f"/v1/policies/{ids['policy']}", {}, STALE, stale),
        "delete_policy": Ask("DELETE", f"/v1/policies/{ids['policy']}", None, STALE, stale),
        "list_vms": Ask("GET", "/v1/vms"),
        "create_vm": Ask("POST", "/v1/vms", vm, fine=taken),
        "get_vm": Ask("GET", f"/v1/vms/{ids['vm']}"),
        "change_vm": Ask("PATCH", f"/v1/vms/{ids['vm']}", {}, STALE, stale),
        "delete_vm": Ask("DELETE", f"/v1/vms/{ids['vm']}", None, STALE, stale),
        "start_vm": Ask("POST", f"/v1/vms/{ids['vm']}/start", fine=begun),
        "stop_vm": Ask("POST", f"/v1/vms/{ids['vm']}/stop", fine=begun),
        "move_vm": Ask("POST", f"/v1/vms/{ids['vm']}/move", fine=begun),
        "open_console": Ask("WS", f"/v1/vms/{ids['vm']}/console", fine=begun),
        "open_screen": Ask("WS", f"/v1/vms/{ids['vm']}/screen", fine=begun),
        "offer_vm": Ask("POST", f"/v1/vms/{ids['vm']}/handover", {"to": names["owner"]}, fine={422}),
        "list_handovers": Ask("GET", "/v1/handovers"),
        "list_operations": Ask("GET", "/v1/operations"),
        "get_operation": Ask("GET", f"/v1/operations/{ids['operation']}"),
        "follow_operation": Ask("GET", f"/v1/operations/{ids['operation']}/events"),
        "create_verification": Ask("POST", "/v1/verifications", fine={202}),
        "list_roles": Ask("GET", "/v1/roles"),
        "get_session": Ask("GET", "/v1/session"),
        "get_session_key": Ask("GET", "/v1/session/key"),
        "create_session": Ask("POST", "/v1/session", {}, fine={422}),
        "delete_session": Ask("DELETE", "/v1/session", fine={204}),
        "list_own_sessions": Ask("GET", "/v1/account/sessions"),
        "delete_own_session": Ask("DELETE", "/v1/account/sessions/none", fine={404}),
        "change_own_password": Ask("PUT", "/v1/account/password", {}, fine={422}),
        "begin_provider_session": Ask("GET", "/v1/session/oidc", fine={404}),
        "end_provider_session": Ask("GET", "/v1/session/oidc/callback?state=x", fine={401, 404}),
        "ask_to_sign_in": Ask("POST", "/v1/session/passkey/options", fine={409}),
        "create_session_by_passkey": Ask("POST", "/v1/session/passkey", {}, fine={422}),
        "list_passkeys": Ask("GET", "/v1/account/passkeys"),
        "ask_for_passkey": Ask("POST", "/v1/account/passkeys/options", fine={403}),
        "create_passkey": Ask("POST", "/v1/account/passkeys", {}, fine={422}),
        "delete_passkey": Ask("DELETE", "/v1/account/passkeys/none", fine={403}),
        "get_setup": Ask("GET", "/v1/setup"),
        "create_setup": Ask("POST", "/v1/setup", {}, fine={422}),
        "create_setup_link": Ask("POST", f"/v1/accounts/{names['owner']}/setup-link", {}, fine={422}),
        "list_accounts": Ask("GET", "/v1/accounts"),
        "create_account": Ask("POST", "/v1/accounts", {"name": names["owner"]}, fine=taken),
        "get_account": Ask("GET", f"/v1/accounts/{names['owner']}"),
        "change_account": Ask("PATCH", f"/v1/accounts/{names['owner']}", {}, STALE, stale),
        "delete_account": Ask("DELETE", f"/v1/accounts/{ids['account']}", None, STALE, stale),
        "list_tokens": Ask("GET", "/v1/tokens"),
        "create_token": Ask("POST", "/v1/tokens", {"name": f"new{number}"}, fine={201}),
        "get_about": Ask("GET", "/v1/about"),
        "docs": Ask("GET", "/docs"),
        "get_overview": Ask("GET", "/v1/overview"),
        "get_fence": Ask("GET", "/v1/fence"),
        "try_fence_change": Ask("POST", "/v1/fence/dry-run", {"policy": names["policy"]}),
        "try_placement": Ask("POST", "/v1/placements", {"zone": "red", "flavor": "tiny"}),
        "get_vm_custody": Ask("GET", f"/v1/vms/{ids['vm']}/custody"),
        "list_ledger_entries": Ask("GET", "/v1/ledger/entries?limit=1"),
        "get_ledger_entry": Ask("GET", "/v1/ledger/entries/0"),
        "prove_ledger_entry": Ask("GET", "/v1/ledger/entries/0/proof"),
        "get_ledger_checkpoint": Ask("GET", "/v1/ledger/checkpoint"),
        "prove_ledger_consistency": Ask("GET", "/v1/ledger/consistency?first=1&second=1"),
        "get_ledger_key": Ask("GET", "/v1/ledger/key"),
        "export_ledger": Ask("GET", "/v1/ledger/export?size=1"),
    }


NAMES_ONE = {
    *(f"{verb}_{noun}" for verb in ("get", "change", "delete") for noun in ("zone", "host", "image", "flavor")),
    "cordon_host",
    "uncordon_host",
    "upload_image",
    "get_vm_custody",
    "get_ledger_entry",
    "prove_ledger_entry",
}
"""Routes of the cloud with a name in their path: who may not read such things is not told whether it is there."""
OWN_RULES = {"accept_handover", "delete_handover", "delete_token", "follow_changes"}
"""Routes whose answer no role decides: about one's own things, or an endless stream that tells of nothing in detail."""


def answer(cloud: Cloud, client: httpx.Client, ask: Ask) -> tuple[int, dict[str, Any]]:
    if ask.method != "WS":
        response = client.request(ask.method, ask.path, json=ask.body, headers=dict(ask.headers))
        is_problem = response.headers.get("content-type") == "application/problem+json"
        return response.status_code, response.json() if is_problem else {}
    url = f"ws://{cloud.controller.api_address}{ask.path}"
    with pytest.raises(InvalidStatus) as told:
        connect(url, additional_headers={"Authorization": client.headers["Authorization"]}, proxy=None)
    return told.value.response.status_code, json.loads(told.value.response.body)


def expected(route: str, cloud_roles: set[Role], role_in_shop: Role | None, elsewhere: Role | None) -> str:
    """Say what the table says, in other words than the code: seen and done, seen only, or unseen."""
    need = ROUTES[route]
    cloud_wide = {each for role in cloud_roles for each in ROLES[role].permissions}
    in_shop = cloud_wide | (set(ROLES[role_in_shop].permissions) if role_in_shop else set())
    anywhere = in_shop | (set(ROLES[elsewhere].permissions) if elsewhere else set())
    if need.of in (Of.NOBODY, Of.ASKER, Of.OWN, Of.LIST):
        return "done"
    assert need.permission is not None
    if need.of is Of.CLOUD:
        shared = {"zone:read", "image:read", "flavor:read"} & anywhere
        held = cloud_wide | shared
        read = need.permission.partition(":")[0] + ":read"
        names_one = route in NAMES_ONE
        if names_one and read not in held:
            return "unseen"
        return "done" if need.permission in held else "refused"
    if need.of is Of.ACCOUNT:
        return "unseen" if "account:read" not in cloud_wide else done(need.permission in cloud_wide)
    if need.of is Of.BODY:
        return "unseen" if "project:read" not in in_shop else done(need.permission in in_shop)
    if f"{NOUNS[need.of]}:read" not in in_shop:
        return "unseen"
    return done(need.permission in in_shop)


def done(permitted: bool) -> str:
    return "done" if permitted else "refused"


ASKERS: dict[str, tuple[set[Role], Role | None, Role | None]] = {
    **{str(role): ({role}, None, None) for role in Role if ROLES[role].scope is RoleScope.CLOUD},
    **{str(role): (set(), role, None) for role in Role if ROLES[role].scope is RoleScope.PROJECT},
    "nothing": (set(), None, None),
    "owner-elsewhere": (set(), None, Role.PROJECT_OWNER),
    "viewer-and-owner-elsewhere": (set(), Role.PROJECT_VIEWER, Role.PROJECT_OWNER),
    "auditor-and-member": ({Role.AUDITOR}, Role.PROJECT_MEMBER, None),
}


def test_for_every_route_and_every_role_the_answer_is_what_the_table_says(cloud_on_both) -> None:
    cloud = cloud_on_both
    furnish_cloud(cloud)
    shop, _bank = add_tenant(cloud, "shop"), add_tenant(cloud, "bank")
    assert set(asks(shop, 0)) | OWN_RULES == set(ROUTES)
    wrong = []
    for number, (who, (cloud_roles, in_shop, elsewhere)) in enumerate(ASKERS.items()):
        held = {name: role for name, role in (("shop", in_shop), ("bank", elsewhere)) if role}
        add_person(cloud, who, *cloud_roles, **held)
        with sign_in(cloud, who) as client:
            for route, ask in asks(shop, number).items():
                status, told = answer(cloud, client, ask)
                wanted = expected(route, cloud_roles, in_shop, elsewhere)
                right = {
                    "done": status in ask.fine,
                    "refused": (status, told.get("code")) == (403, "not-permitted")
                    and told["facts"] == {"permission": str(ROUTES[route].permission)},
                    "unseen": (status, told.get("code")) == (404, "not-found"),
                }[wanted]
                if not right:
                    wrong.append(f"{who} {route}: {wanted}, but {status} {told.get('detail', '')}")
    assert wrong == []


def test_no_route_overlooks_a_query_parameter_that_it_does_not_know(cloud) -> None:
    furnish_cloud(cloud)
    others = {
        "accept_handover": Ask("POST", "/v1/handovers/none/accept"),
        "delete_handover": Ask("DELETE", "/v1/handovers/none"),
        "delete_token": Ask("DELETE", "/v1/tokens/none"),
        "follow_changes": Ask("GET", "/v1/events"),
    }
    every = asks(add_tenant(cloud, "shop"), 0) | others
    assert set(every) == set(ROUTES)
    # A browser comes back from the provider with whatever that adds.
    for route in set(ROUTES) - {"docs", "end_provider_session"}:
        ask = every[route]
        joint = "&" if "?" in ask.path else "?"
        status, told = answer(cloud, cloud.http, replace(ask, path=f"{ask.path}{joint}projcet=shop"))
        assert (status, told.get("code")) == (422, "unknown-parameter"), route
        assert told["facts"]["parameter"] == "projcet"
    listed = cloud.http.get("/v1/zones?projcet=shop").json()
    assert listed["detail"] == "There is no query parameter projcet here; known are: cursor, limit."
    assert cloud.http.get("/v1/zones?limit=1&limit=2").json()["facts"]["field"] == "limit"
    assert cloud.http.get("/v1/session/oidc/callback?state=x&session_state=y").json()["code"] == "provider-denied"


def test_a_route_that_is_not_in_the_table_fails_the_build() -> None:
    router = APIRouter()

    @router.get("/v1/forgotten")
    def forgotten() -> None: ...

    known = [route for noun in application.NOUNS for route in noun.router.routes]
    with pytest.raises(AssertionError, match="forgotten"):
        check_routes([*known, *router.routes])


def test_a_route_that_slipped_past_the_check_does_not_open(cloud) -> None:
    app = FastAPI(dependencies=[Depends(enforcing({}))])

    @app.get("/v1/forgotten")
    def forgotten() -> None: ...

    async def ask() -> int:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/v1/forgotten")).status_code

    assert cloud.loop.run(ask()) == 500


def bodies_with(mine: str, ref: str) -> list[tuple[str, dict[str, Any]]]:
    """Build bodies in which a stranger names what is shop's."""
    vm = {"name": "probe", "project": mine, "zone": "red", "flavor": "tiny", "image": "disk"}
    own = {"project": mine}
    policy = {"name": "probe", "project": mine, "source": own, "target": own}
    return [
        ("/v1/vms", vm | {"project": ref}),
        ("/v1/vms", vm | {"networks": [ref]}),
        ("/v1/networks", {"name": "probe", "cidr": "10.3.0.0/24", "project": ref}),
        ("/v1/policies", policy | {"project": ref}),
        ("/v1/policies", policy | {"source": {"project": ref}}),
        ("/v1/policies", policy | {"target": {"project": ref}}),
    ]


def test_what_a_request_names_of_anothers_is_as_if_it_were_not_there(cloud_on_both) -> None:
    """Word for word. What their paths and queries name: test_strangers.py."""
    cloud = cloud_on_both
    furnish_cloud(cloud)
    shop, bank = add_tenant(cloud, "shop"), add_tenant(cloud, "bank")
    for mine, theirs in ((bank, shop), (shop, bank)):
        with sign_in(cloud, f"{mine.name}-owner") as client:
            for ref in (*theirs.ids.values(), theirs.names["network"], theirs.names["project"]):
                nothing = str(uuid.uuid4()) if len(ref) == 36 else "nothing"
                for (path, body), (_, empty) in zip(
                    bodies_with(mine.name, ref), bodies_with(mine.name, nothing), strict=True
                ):
                    found, missing = client.post(path, json=body), client.post(path, json=empty)
                    assert found.status_code == missing.status_code == 404, found.text
                    assert found.text.replace(ref, "REF") == missing.text.replace(nothing, "REF"), f"{path} {body}"


def test_two_projects_may_use_the_same_names_and_never_learn_that_they_do(cloud) -> None:
    furnish_cloud(cloud)
    shop, _bank = add_tenant(cloud, "shop"), add_tenant(cloud, "bank")
    with sign_in(cloud, "bank-owner") as client:
        network = {"name": shop.names["network"], "cidr": "10.9.0.0/24", "project": "bank"}
        own = {"project": "bank"}
        policy = {"name": shop.names["policy"], "project": "bank", "source": own, "target": own}
        vm = {"name": shop.names["vm"], "project": "bank", "zone": "red", "flavor": "tiny", "image": "disk"}
        made = client.post("/v1/networks", json=network)
        assert made.status_code == 201, made.text
        assert client.post("/v1/policies", json=policy).status_code == 201
        asked = client.post("/v1/vms", json=vm | {"networks": [shop.names["network"]]})
        assert asked.status_code == 202
        assert client.get(f"/v1/networks/{shop.names['network']}").json()["id"] == made.json()["id"]
        assert client.post("/v1/networks", json=network).json()["code"] == "name-taken"
    # Who sees both says which by its id.
    assert cloud.get(f"/v1/networks/{shop.names['network']}", expect=409)["code"] == "several-named"
    assert cloud.get(f"/v1/networks/{shop.ids['network']}")["project"] == "shop"


def test_a_policy_that_concerns_ones_project_is_seen_without_what_is_anothers(cloud) -> None:
    furnish_cloud(cloud)
    shop, _bank = add_tenant(cloud, "shop"), add_tenant(cloud, "bank")
    body = {"name": "bridge", "source": {"project": "shop", "labels": {"app": "secret"}}, "target": {"project": "bank"}}
    made = cloud.post("/v1/policies", body, expect=201)
    with sign_in(cloud, "bank-owner") as client:
        seen = client.get("/v1/policies/bridge").json()
        assert seen["source"]["elsewhere"] is True
        assert seen["target"]["project"] == "bank"
        assert not [word for word in (*shop.telling, "secret") if word in json.dumps(seen)]
        refused = client.delete(f"/v1/policies/{made['id']}", headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["facts"]) == (403, {"permission": "policy:manage"})
    with sign_in(cloud, "shop-second") as client:
        assert client.get("/v1/policies/bridge").json()["source"]["labels"] == {"app": "secret"}


def test_a_project_owner_opens_their_own_vms_to_one_another_and_no_others(cloud) -> None:
    furnish_cloud(cloud)
    add_tenant(cloud, "shop")
    add_tenant(cloud, "bank")
    own, all_of_zone = {"project": "shop"}, {"zone": "red"}
    with sign_in(cloud, "shop-owner") as client:
        for source, target, project, status in (
            (own, own, "shop", 201),
            (own, all_of_zone, "shop", 403),
            (all_of_zone, own, "shop", 403),
            ({"labels": {"a": "b"}}, own, "shop", 403),
            (own, {"project": "bank"}, "shop", 404),
            (own, own, None, 403),
        ):
            body = {"name": "p", "source": source, "target": target, "project": project}
            assert client.post("/v1/policies", json=body).status_code == status, body
        for change in ({"target": all_of_zone}, {"source": {"project": "bank"}}):
            changed = client.patch("/v1/policies/p", json=change, headers={"If-Match": "*"})
            assert changed.status_code in (403, 404), changed.text
        assert client.get("/v1/policies/p").json()["target"]["zone"] is None


def test_who_does_not_see_hosts_is_not_told_where_vms_run(cloud_on_both) -> None:
    cloud = cloud_on_both
    furnish_cloud(cloud)
    add_tenant(cloud, "shop")
    asked = {"name": "web", "project": "shop", "zone": "red", "flavor": "tiny", "image": "disk"}
    with sign_in(cloud, "shop-owner") as client:
        begun = client.post("/v1/vms", json=asked).json()
        ended = cloud.end_of(begun["id"])
        assert ended["error"]["code"] == "no-host-fits"
        assert "h1" in json.dumps(ended)
        mine = client.get(f"/v1/operations/{begun['id']}").json()
        assert mine["error"]["code"] == "no-host-fits"
        assert (mine["asked_by"], mine["result"]) == ("shop-owner", {})
        assert "h1" not in json.dumps(mine)
        with client.stream("GET", f"/v1/operations/{begun['id']}/events") as stream:
            assert "h1" not in stream.read().decode()
        assert client.get("/v1/vms?host=h1").status_code == 404
        assert client.post("/v1/vms", json=asked | {"host": "h1"}).json()["facts"] == {"permission": "vm:place"}


def test_what_is_of_the_cloud_is_seen_by_whoever_is_a_member_somewhere(cloud) -> None:
    furnish_cloud(cloud)
    add_tenant(cloud, "shop")
    add_person(cloud, "nobody")
    with sign_in(cloud, "shop-second") as member, sign_in(cloud, "nobody") as nobody:
        assert [each["name"] for each in member.get("/v1/networks").json()["items"]] == ["shared", "shop-net"]
        assert nobody.get("/v1/networks").json()["items"] == []
        assert nobody.get("/v1/networks/shared").status_code == 404
        assert nobody.get("/v1/zones").json()["code"] == "not-permitted"
        assert nobody.get("/v1/session").json()["permissions"] == []


@pytest.mark.parametrize("permission", [P for P in Permission if P.endswith(":read")])
def test_a_token_does_no_more_than_its_scope(cloud, permission) -> None:
    furnish_cloud(cloud)
    shop = add_tenant(cloud, "shop")
    add_person(cloud, "root", Role.CLOUD_ADMIN)
    with sign_in(cloud, "root", scope={permission}) as client:
        for route, ask in asks(shop, 0).items():
            need = ROUTES[route]
            if need.permission is None or ask.method == "WS" or need.of in (Of.LIST, Of.OPERATION):
                continue
            status, _ = answer(cloud, client, ask)
            assert (status in ask.fine) == (need.permission is permission), f"{route}: {status}"
