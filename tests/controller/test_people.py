"""Accounts, tokens, members, hand-overs and quotas over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.controller.conftest import Cloud
from tests.controller.tenants import add_person, add_tenant, client_with, furnish_cloud, sign_in, store_of
from tests.controller.test_api import problem
from tests.controller.test_consoles import dial, running_vm
from websockets.exceptions import ConnectionClosed

from ringfence.model.access import Permission, Role
from ringfence.model.actors import ActorKind
from ringfence.store import accounts, members, operations, tokens

pytestmark = pytest.mark.store


def soon(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


def test_the_first_token_is_of_a_service_account_that_may_everything(cloud) -> None:
    told = cloud.get("/v1/session")
    assert (told["account"]["name"], told["account"]["kind"]) == ("bootstrap", "service")
    assert (told["roles"], told["projects"], told["csrf_token"]) == (["cloud-admin"], [], None)
    assert set(told["permissions"]) == set(Permission)


def test_an_account_lives_from_create_to_delete(cloud) -> None:
    body = {"name": "eve@bank.example", "display_name": "Eve", "email": "eve@bank.example", "roles": ["auditor"]}
    made = cloud.http.post("/v1/accounts", json=body, headers={"Idempotency-Key": "1"})
    assert made.status_code == 201
    assert made.json() | body == made.json()
    again = cloud.http.post("/v1/accounts", json=body, headers={"Idempotency-Key": "1"})
    assert again.headers["idempotent-replayed"] == "true"
    path = "/v1/accounts/eve@bank.example"
    assert cloud.get(path) == made.json()
    changed = cloud.patch(path, {"roles": ["security-officer"], "disabled": True}, if_match=made.headers["etag"])
    assert (changed["roles"], changed["disabled"], changed["revision"]) == (["security-officer"], True, 2)
    problem(cloud.http.patch(path, json={}, headers={"If-Match": '"1"'}), 412, "stale-revision")
    problem(cloud.http.post("/v1/accounts", json={"name": "x", "roles": ["project-owner"]}), 422, "invalid")
    problem(cloud.http.post("/v1/accounts", json={"name": "x", "roles": ["king"]}), 422, "invalid")
    assert [each["name"] for each in cloud.get("/v1/accounts")["items"]] == ["bootstrap", "eve@bank.example"]
    cloud.delete(path, expect=204)
    problem(cloud.http.get(path), 404, "not-found")
    problem(cloud.http.delete("/v1/accounts/bootstrap"), 409, "last-administrator")


def test_the_table_of_roles_is_told(cloud) -> None:
    rows = {row["name"]: row for row in cloud.get("/v1/roles")["items"]}
    assert set(rows) == set(Role)
    assert rows["auditor"]["scope"] == "cloud"
    assert all(each.endswith(":read") for each in rows["auditor"]["permissions"])


def test_nobody_gives_themselves_or_others_more_than_they_may(cloud) -> None:
    furnish_cloud(cloud)
    add_tenant(cloud, "shop")
    add_person(cloud, "admin", Role.CLOUD_ADMIN)
    scope = {Permission.ACCOUNT_MANAGE, Permission.ACCOUNT_READ}
    with sign_in(cloud, "admin", scope=scope) as narrow:
        assert narrow.post("/v1/accounts", json={"name": "plain"}).status_code == 201
        problem(narrow.post("/v1/accounts", json={"name": "x", "roles": ["auditor"]}), 403, "not-permitted")
        any_version = {"If-Match": "*"}
        for roles in (["cloud-admin"], ["auditor"]):
            told = narrow.patch("/v1/accounts/plain", json={"roles": roles}, headers=any_version)
            problem(told, 403, "not-permitted")
        problem(narrow.patch("/v1/accounts/admin", json={"disabled": True}, headers=any_version), 403, "not-permitted")
        problem(narrow.delete("/v1/accounts/bootstrap"), 403, "not-permitted")
        problem(narrow.post("/v1/tokens", json={"name": "t"}), 403, "not-permitted")
        problem(narrow.post("/v1/tokens", json={"name": "t", "scope": ["vm:read"]}), 403, "not-permitted")
        assert narrow.post("/v1/tokens", json={"name": "t", "scope": ["account:read"]}).status_code == 201
    with sign_in(cloud, "shop-owner", scope={Permission.MEMBER_MANAGE, Permission.PROJECT_READ}) as narrow:
        path = "/v1/projects/shop/members/admin"
        problem(narrow.put(path, json={"role": "project-owner"}), 403, "not-permitted")
        problem(narrow.put(path, json={"role": "cloud-admin"}), 403, "not-permitted")


def test_a_token_is_shown_once_kept_as_a_digest_and_opens_what_it_says(cloud) -> None:
    furnish_cloud(cloud)
    cloud.post("/v1/accounts", {"name": "ci", "kind": "service", "roles": ["cloud-admin"]}, expect=201)
    body = {"name": "nightly", "account": "ci", "scope": ["zone:read"], "expires_at": soon(days=1)}
    made = cloud.http.post("/v1/tokens", json=body, headers={"Idempotency-Key": "1"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    secret = made.json()["secret"]
    listed = cloud.get("/v1/tokens", account="ci")["items"]
    assert [(each["name"], each["scope"], each["last_used_at"]) for each in listed] == [
        ("nightly", ["zone:read"], None)
    ]
    assert "secret" not in listed[0]
    database = (cloud.folder / "data" / "ringfence.db").read_bytes()
    database += (cloud.folder / "data" / "ringfence.db-wal").read_bytes()
    assert secret.encode() not in database
    with client_with(cloud, secret) as client:
        assert client.get("/v1/zones").status_code == 200
        told = problem(client.post("/v1/zones", json={"name": "x"}), 403, "not-permitted")
        assert told["facts"] == {"permission": "zone:manage"}
        problem(client.get("/v1/hosts"), 403, "not-permitted")
        assert client.get("/v1/session").json()["permissions"] == ["zone:read"]
        used = cloud.get("/v1/tokens", account="ci")["items"][0]["last_used_at"]
        assert used is not None
        client.get("/v1/zones")
        assert cloud.get("/v1/tokens", account="ci")["items"][0]["last_used_at"] == used
        cloud.delete(f"/v1/tokens/{made.json()['id']}", expect=204)
        problem(client.get("/v1/zones"), 401, "token-unknown")


def test_a_token_lives_no_longer_than_what_made_it_and_nobody_makes_one_for_another_person(cloud) -> None:
    add_person(cloud, "ann", Role.CLOUD_ADMIN)
    add_person(cloud, "bob")
    with sign_in(cloud, "ann", valid_seconds=3600) as short, sign_in(cloud, "bob") as bob:
        problem(short.post("/v1/tokens", json={"name": "long"}), 422, "invalid")
        problem(short.post("/v1/tokens", json={"name": "long", "expires_at": soon(hours=2)}), 422, "invalid")
        problem(short.post("/v1/tokens", json={"name": "past", "expires_at": soon(hours=-1)}), 422, "invalid")
        made = short.post("/v1/tokens", json={"name": "shorter", "expires_at": soon(minutes=5)})
        assert made.status_code == 201
        told = problem(
            short.post("/v1/tokens", json={"name": "x", "account": "bob", "expires_at": soon(minutes=5)}),
            422,
            "invalid",
        )
        assert told["facts"]["field"] == "account"
        problem(bob.post("/v1/tokens", json={"name": "x", "account": "bootstrap"}), 403, "not-permitted")
        problem(bob.delete(f"/v1/tokens/{made.json()['id']}"), 404, "not-found")
        assert [each["account"] for each in bob.get("/v1/tokens").json()["items"]] == ["bob"]
        assert bob.post("/v1/tokens", json={"name": "own"}).status_code == 201


def test_a_narrowed_token_ends_itself_and_no_other(cloud) -> None:
    add_person(cloud, "ann")
    with sign_in(cloud, "ann", scope={Permission.VM_READ}) as narrow, sign_in(cloud, "ann") as full:
        own, other = (each["id"] for each in narrow.get("/v1/tokens").json()["items"])
        problem(narrow.delete(f"/v1/tokens/{other}"), 403, "not-permitted")
        assert narrow.delete(f"/v1/tokens/{own}").status_code == 204
        problem(narrow.get("/v1/session"), 401, "token-unknown")
        assert full.delete(f"/v1/tokens/{other}").status_code == 204


def test_who_is_disabled_is_let_in_no_more(cloud) -> None:
    add_person(cloud, "ann", Role.AUDITOR)
    with sign_in(cloud, "ann") as ann:
        assert ann.get("/v1/zones").status_code == 200
        cloud.patch("/v1/accounts/ann", {"disabled": True}, if_match="*")
        problem(ann.get("/v1/zones"), 401, "token-unknown")


def test_a_vm_is_handed_over_when_the_other_accepts(cloud) -> None:
    furnish_cloud(cloud)
    shop = add_tenant(cloud, "shop")
    vm = f"/v1/vms/{shop.ids['vm']}"
    with sign_in(cloud, "shop-owner") as owner, sign_in(cloud, "shop-second") as second:
        offered = second.get("/v1/handovers").json()["items"]
        assert [(each["vm"], each["owner"], each["to"]) for each in offered] == [
            ("shop-vm", "shop-owner", "shop-second")
        ]
        accept = f"/v1/handovers/{offered[0]['id']}/accept"
        problem(owner.post(accept), 403, "not-for-you")
        problem(cloud.http.post(accept), 403, "not-for-you")
        assert second.post(accept).json()["to"] == "shop-second"
        assert owner.get(vm).json()["owner"] == "shop-second"
        problem(cloud.http.delete("/v1/projects/shop/members/shop-second"), 409, "still-used")
        problem(cloud.http.delete("/v1/accounts/shop-second"), 409, "still-used")
        back = owner.post(f"{vm}/handover", json={"to": "shop-owner"}).json()
        assert second.delete(f"/v1/handovers/{back['id']}").status_code == 204
        assert owner.get("/v1/handovers").json()["items"] == []
        problem(owner.patch(vm, json={"owner": "shop-owner"}, headers={"If-Match": "*"}), 422, "invalid")


def test_a_quota_is_shown_and_its_refusal_says_what_is_missing(cloud_on_both) -> None:
    cloud = cloud_on_both
    furnish_cloud(cloud)
    add_tenant(cloud, "shop")
    shop = cloud.get("/v1/projects/shop")
    assert shop["used"] == {"vms": 1, "vcpus": 1, "memory_mib": 64, "disk_bytes": 1 << 20, "ports": 1}
    assert set(shop["quota"].values()) == {None}
    changed = cloud.patch("/v1/projects/shop", {"quota": {"vms": 1}}, if_match=f'"{shop["revision"]}"')
    assert (changed["quota"]["vms"], changed["quota"]["ports"]) == (1, None)
    assert changed["revision"] > shop["revision"]
    body = {"name": "more", "project": "shop", "zone": "red", "flavor": "tiny", "image": "disk"}
    with sign_in(cloud, "shop-owner") as owner:
        told = problem(owner.post("/v1/vms", json=body), 409, "quota-exceeded")
        assert told["facts"] == {"project": "shop", "what": "vms", "asked": 1, "used": 1, "allowed": 1}
        problem(owner.patch("/v1/projects/shop", json={"quota": {}}, headers={"If-Match": "*"}), 403, "not-permitted")
    problem(
        cloud.http.patch("/v1/projects/shop", json={"quota": {"vms": -1}}, headers={"If-Match": "*"}), 422, "invalid"
    )
    cloud.patch("/v1/projects/shop", {"quota": {"vms": 2}}, if_match="*")
    with sign_in(cloud, "shop-owner") as owner:
        assert owner.post("/v1/vms", json=body).status_code == 202


def test_an_operation_tells_who_asked_and_keeps_where_from_and_why(cloud) -> None:
    headers = {"Ringfence-Reason": "the auditors asked"}
    begun = cloud.http.post("/v1/verifications", headers=headers).json()
    assert begun["asked_by"] == "bootstrap"
    with store_of(cloud).reading() as session:
        asked_by = operations.operation(session, begun["id"]).asked_by
    assert (asked_by.kind, asked_by.source, asked_by.reason) == (ActorKind.SERVICE, "127.0.0.1", "the auditors asked")
    for reason in ("x" * 501, "bell\x07"):
        told = cloud.http.get("/v1/zones", headers={"Ringfence-Reason": reason})
        assert problem(told, 422, "invalid")["facts"]["field"] == "Ringfence-Reason"


def test_a_console_ends_when_who_opened_it_may_no_longer_do_so(cloud) -> None:
    cloud.run(cloud.join("h1"))
    vm_id = running_vm(cloud)
    add_person(cloud, "ann", shop=Role.PROJECT_MEMBER)
    ann = sign_in(cloud, "ann").headers["Authorization"]
    with dial(cloud, vm_id, headers={"Authorization": ann}) as console:
        console.send(b"hello")
        assert console.recv(timeout=10) == b"HELLO"
        with store_of(cloud).transaction() as session:
            members.remove_member(session, "shop", "ann")
        with pytest.raises(ConnectionClosed):
            console.recv(timeout=20)


@pytest.mark.parametrize("harm", ["membership", "account", "token"])
def test_a_stream_of_an_operation_ends_when_who_follows_it_may_no_longer_see_it(cloud, harm) -> None:
    cloud_vm = begin_what_does_not_end(cloud)
    add_person(cloud, "ann", shop=Role.PROJECT_VIEWER)
    with sign_in(cloud, "ann") as ann, ann.stream("GET", f"/v1/operations/{cloud_vm}/events", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: operation"
        with store_of(cloud).transaction() as session:
            if harm == "membership":
                members.remove_member(session, "shop", "ann")
            elif harm == "account":
                accounts.change_account(session, "ann", disabled=True)
            else:
                tokens.remove_token(session, tokens.tokens(session, account="ann").items[0].id)
        assert len(list(lines)) < 20


def begin_what_does_not_end(cloud: Cloud) -> str:
    """Add an operation that nobody carries out."""
    furnish_cloud(cloud)
    shop = add_tenant(cloud, "shop")
    with store_of(cloud).transaction() as session:
        added = operations.add_operation(
            session,
            kind="start-vm",
            subject_id=shop.ids["vm"],
            subject_name="shop-vm",
            project_id=shop.ids["project"],
        )
    return added.id
