"""What every user of the API meets: tokens, problems, pages, versions, keys."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from ringfence import __version__
from ringfence.controller.api.routes import ROUTES
from ringfence.controller.enforcement import Of
from ringfence.store import zones

pytestmark = pytest.mark.store

PARTS = {"type", "title", "status", "detail", "code", "family", "remedy", "facts"}


def problem(response: httpx.Response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert set(told) == PARTS
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:ringfence:error:{code}")
    assert told["family"] in ("refused", "unreachable", "unfinished")
    assert told["title"]
    assert told["detail"]
    assert told["remedy"]
    return told


def test_nothing_below_v1_is_told_without_a_token(cloud) -> None:
    with httpx.Client(base_url=cloud.http.base_url, trust_env=False) as stranger:
        response = stranger.get("/v1/zones")
        assert response.headers["www-authenticate"].startswith("Bearer")
        problem(response, 401, "token-missing")
        problem(stranger.get("/v1/zones", headers={"Authorization": "Bearer wrong"}), 401, "token-unknown")
        problem(stranger.get("/v1/zones", headers={"Authorization": "Basic eDp5"}), 401, "token-missing")
        problem(stranger.get("/v1/nowhere"), 401, "token-missing")
        problem(stranger.post("/v1/zones", content=b"{broken"), 401, "token-missing")
        paths = stranger.get("/openapi.json").json()["paths"]
        for path, methods in paths.items():
            for method in (name for name, operation in methods.items() if operation.get("security") != []):
                problem(stranger.request(method, path.replace("{", "x").replace("}", "x")), 401, "token-missing")


def test_a_route_that_needs_no_token_is_one_of_few(cloud) -> None:
    paths = cloud.http.get("/openapi.json").json()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    open_to_all = {operation["operationId"] for operation in operations if operation.get("security") == []}
    assert open_to_all == {name for name, need in ROUTES.items() if need.of is Of.NOBODY} - {"docs", "root"}
    assert not [name for name in open_to_all if not re.search("session|setup|about|sign_in", name)]


def test_anyone_may_know_what_this_is(cloud) -> None:
    with httpx.Client(base_url=cloud.http.base_url, trust_env=False) as stranger:
        about = stranger.get("/v1/about")
        ways = {"provider": False, "passkeys": False}
        assert about.json() == {"name": "ringfence", "version": __version__, "simulated": True, **ways}
        assert stranger.get("/openapi.json").json()["paths"]["/v1/about"]["get"]["security"] == []
        problem(stranger.get("/v1/about/"), 401, "token-missing")


def test_what_simulated_hosts_answer_says_so_everywhere(cloud) -> None:
    described = cloud.http.get("/openapi.json").json()["info"]
    assert described["title"] == "ringfence (simulated)"
    assert "simulated" in described["description"]
    for path in ("/", "/docs", "/openapi.json", "/v1/about", "/v1/zones", "/v1/nowhere"):
        assert cloud.http.get(path).headers.get_list("ringfence-simulated") == ["true"], path
    with httpx.Client(base_url=cloud.http.base_url, trust_env=False) as stranger:
        assert stranger.get("/v1/zones").headers["ringfence-simulated"] == "true"


def test_simulated_hosts_show_no_promise(cloud) -> None:
    cloud.run(cloud.join("h1"))
    ended = cloud.end_of(cloud.post("/v1/verifications", expect=202)["id"])
    assert ended["state"] == "done", ended
    findings = ended["result"]["findings"]
    assert {finding["promise"] for finding in findings} == set(range(1, 8))
    assert ended["result"]["kept"] == 0
    assert {finding["seen"] for finding in findings} == {"simulated hosts prove nothing"}


def test_every_refusal_is_a_problem_document(cloud) -> None:
    http = cloud.http
    problem(http.get("/v1/nowhere"), 404, "not-found")
    problem(http.put("/v1/zones"), 405, "request-refused")
    assert problem(http.get("/v1/zones/green"), 404, "not-found")["facts"] == {"kind": "zone", "ref": "green"}
    assert problem(http.post("/v1/zones", json={"name": "Red"}), 422, "invalid")["facts"]["field"] == "name"
    assert "hyphens" in problem(http.post("/v1/zones", json={"name": "-"}), 422, "invalid")["detail"]
    problem(http.post("/v1/zones", json={"name": "red", "color": "x"}), 422, "invalid")
    problem(http.post("/v1/zones", json={"name": "red", "mixes_with": "blue"}), 422, "invalid")
    problem(http.post("/v1/zones", content=b"{", headers={"Content-Type": "application/json"}), 422, "invalid")
    problem(
        http.post("/v1/flavors", json={"name": "s", "vcpus": True, "memory_mib": 64, "disk_bytes": 1 << 20}),
        422,
        "invalid",
    )
    problem(http.get("/v1/zones", params={"limit": 0}), 422, "invalid")
    problem(http.get("/v1/zones", params={"cursor": "bogus"}), 422, "invalid")
    problem(http.get("/v1/zones", params={"cursor": "YWZ0ZXI6bm90LWEtdXVpZA"}), 422, "invalid")
    http.post("/v1/zones", json={"name": "red"})
    problem(http.post("/v1/zones", json={"name": "red"}), 409, "name-taken")
    problem(http.post("/v1/zones", json={"name": "pink", "mixes_with": ["green"]}), 404, "not-found")
    problem(http.get("/v1/zones/" + "x" * 300), 422, "invalid")


def test_no_text_carries_what_a_database_or_a_terminal_chokes_on(cloud_on_both) -> None:
    http = cloud_on_both.http
    problem(http.get("/v1/zones/a%00b"), 422, "invalid")
    problem(http.get("/v1/zones/a%1bb"), 422, "invalid")
    problem(http.get("/v1/vms", params={"project": "a\0"}), 422, "invalid")
    problem(http.get("/v1/zones/%ff%fe"), 404, "not-found")
    json_body = {"Content-Type": "application/json"}
    for hostile in (b"\\u0000", b"\\\\\\u0000"):
        body = b'{"name": "red", "classification": "a' + hostile + b'b"}'
        problem(http.post("/v1/zones", content=body, headers=json_body), 400, "request-refused")
    for hostile in (b"\\ud800", b"\x1b", b"\\u001b"):
        body = b'{"name": "red", "classification": "a' + hostile + b'b"}'
        problem(http.post("/v1/zones", content=body, headers=json_body), 422, "invalid")
    body = b'{"name": "red", "classification": "a\\\\u0000b"}'
    assert http.post("/v1/zones", content=body, headers=json_body).json()["classification"] == "a\\u0000b"


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(cloud) -> None:
    problem(cloud.http.post("/v1/zones", content=b" " * (2 << 20)), 413, "too-large")

    def pieces():
        for _ in range(32):
            yield b" " * 65536

    problem(cloud.http.post("/v1/zones", content=pieces()), 413, "too-large")


def test_a_bug_tells_its_number_and_nothing_else(cloud, monkeypatch) -> None:
    def broken(*_, **__):
        raise RuntimeError("secret innards")

    monkeypatch.setattr(zones, "zones", broken)
    response = cloud.http.get("/v1/zones")
    told = problem(response, 500, "bug")
    assert "secret" not in response.text
    assert len(told["facts"]["incident"]) == 8


def test_a_change_needs_the_version_it_was_made_for(cloud) -> None:
    created = cloud.http.post("/v1/projects", json={"name": "shop", "owner": "ada"})
    assert created.headers["etag"] == '"1"'
    assert created.headers["location"] == f"/v1/projects/{created.json()['id']}"
    problem(cloud.http.patch("/v1/projects/shop", json={"owner": "bob"}), 428, "precondition-missing")
    changed = cloud.http.patch("/v1/projects/shop", json={"owner": "bob"}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    stale = cloud.http.patch("/v1/projects/shop", json={"owner": "eve"}, headers={"If-Match": '"1"'})
    problem(stale, 412, "stale-revision")
    problem(cloud.http.patch("/v1/projects/shop", json={}, headers={"If-Match": "1"}), 422, "invalid")
    assert cloud.get("/v1/projects/shop")["owner"] == "bob"
    assert cloud.http.patch("/v1/projects/shop", json={"owner": "eve"}, headers={"If-Match": "*"}).status_code == 200
    problem(cloud.http.delete("/v1/projects/shop", headers={"If-Match": '"1"'}), 412, "stale-revision")
    seen = {"If-Match": '"3"', "Ringfence-Reason": "closed"}
    assert cloud.http.delete("/v1/projects/shop", headers=seen).status_code == 204


def test_a_create_repeated_under_one_key_is_done_once(cloud_on_both) -> None:
    http = cloud_on_both.http
    body, key = {"name": "red"}, {"Idempotency-Key": "k1"}
    first = http.post("/v1/zones", json=body, headers=key)
    again = http.post("/v1/zones", json=body, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotent-replayed"] == "true"
    problem(http.post("/v1/zones", json={"name": "blue"}, headers=key), 422, "idempotency-key-reused")
    assert http.post("/v1/projects", json={"name": "red", "owner": "ada"}, headers=key).status_code == 201
    problem(http.post("/v1/zones", json=body, headers={"Idempotency-Key": "k2"}), 409, "name-taken")
    assert [zone["name"] for zone in http.get("/v1/zones").json()["items"]] == ["red"]


def test_pages_are_whole_while_things_come_and_go(cloud_on_both) -> None:
    http = cloud_on_both.http
    for number in range(7):
        http.post("/v1/zones", json={"name": f"z{number}"})
    seen, cursor = [], None
    while True:
        page = http.get("/v1/zones", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [zone["name"] for zone in page["items"]]
        if len(seen) == 3:
            http.delete("/v1/zones/z0", headers={"Ringfence-Reason": "unused"})
            http.post("/v1/zones", json={"name": "late"})
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["z0", "z1", "z2", "z3", "z4", "z5", "z6", "late"]


def test_a_body_that_is_announced_and_never_comes_holds_nobody_up(cloud) -> None:
    address = cloud.controller.api_address
    with socket.create_connection((address.host, address.port)) as slow:
        slow.sendall(f"POST /v1/zones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cloud.token}\r\n".encode())
        slow.sendall(b"Content-Length: 10\r\n\r\n")
        assert cloud.get("/v1/zones")["items"] == []


def test_the_description_is_complete_and_needs_nobody_else(cloud) -> None:
    described = cloud.http.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    seen = set()
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])
            assert operation["description"]
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
            assert any(status.startswith(("2", "3")) for status in operation["responses"])
    page = cloud.http.get("/docs").text
    assert "https://" not in page
    assert "cdn" not in page
    assert cloud.http.get("/docs/assets/swagger-ui-bundle.js").status_code == 200


def test_nouns_are_found_by_name_and_by_id(cloud) -> None:
    blue = cloud.post("/v1/zones", {"name": "blue", "colour": "blue", "classification": "internal"}, expect=201)
    red = cloud.post("/v1/zones", {"name": "red", "mixes_with": ["blue"]}, expect=201)
    assert red["mixes_with"] == ["blue"]
    assert red["mixes_with_ids"] == [blue["id"]]
    assert cloud.get(f"/v1/zones/{blue['id']}")["name"] == "blue"
    assert cloud.get("/v1/zones/blue")["id"] == blue["id"]


def test_a_policy_that_selects_nothing_or_ports_of_no_protocol_is_refused(cloud) -> None:
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    body = {
        "name": "p",
        "source": {"zone": "red"},
        "target": {"labels": {"app": "db"}},
        "protocol": "tcp",
        "ports": [80, 80, 22],
    }
    problem(cloud.http.post("/v1/policies", json={**body, "source": {}}), 422, "invalid")
    problem(cloud.http.post("/v1/policies", json={**body, "protocol": "icmp"}), 422, "invalid")
    problem(cloud.http.post("/v1/policies", json={**body, "ports": [0]}), 422, "invalid")
    problem(cloud.http.post("/v1/policies", json={**body, "target": {"labels": {"A B": "x"}}}), 422, "invalid")
    policy = cloud.post("/v1/policies", body, expect=201)
    assert policy["ports"] == [22, 80]
    assert policy["source"]["zone"] == "red"
    problem(cloud.http.patch("/v1/policies/p", json={"protocol": "icmp"}, headers={"If-Match": "*"}), 422, "invalid")


def test_a_change_of_policy_or_network_is_brought_into_force_by_an_operation(cloud) -> None:
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    network = cloud.http.post("/v1/networks", json={"name": "n", "cidr": "10.1.0.0/24"})
    assert network.headers["ringfence-operation"] == network.json()["operation"]
    assert cloud.end_of(network.json()["operation"])["state"] == "done"
    policy = cloud.post("/v1/policies", {"name": "p", "source": {"zone": "red"}, "target": {"zone": "red"}}, expect=201)
    ended = cloud.end_of(policy["operation"])
    assert (ended["kind"], ended["state"]) == ("apply-fence", "done")
    removed = cloud.delete("/v1/policies/p", expect=202)
    assert cloud.end_of(removed["operation"])["state"] == "done"
    revisions = [fabric.revision for fabric in cloud.fence.applied]
    assert revisions == sorted(revisions)
    assert len(set(revisions)) == 3


def test_a_body_that_is_no_json_and_an_empty_reference_are_refused_in_words(cloud) -> None:
    as_json = {"Content-Type": "application/json"}
    broken = problem(cloud.http.post("/v1/zones", content=b"{", headers=as_json), 422, "invalid")
    assert broken["detail"].startswith("body: it is no JSON (at character 1:")
    asked = {"name": "a", "project": "", "zone": "z", "flavor": "f", "image": "i", "networks": []}
    empty = problem(cloud.http.post("/v1/vms", json=asked), 422, "invalid")
    assert empty["detail"] == "project: it is empty, or has characters that are not allowed there."
