"""What the web interface asks besides the nouns: dry runs and the fence; and its own files."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.browser.example import furnish, policy, populate
from tests.controller.conftest import Cloud, settings_for, start_cloud

from ringfence.controller import web

pytestmark = pytest.mark.store

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def filled(loop, tmp_path_factory) -> Iterator[Cloud]:
    """A populated cloud that no test changes. One for all of them: a process runs one controller at a time."""
    running = start_cloud(loop, settings_for(tmp_path_factory.mktemp("filled") / "data"))
    furnish(running)
    populate(running)
    yield running
    running.close()


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A web interface of two files in place of the one that `make web` builds."""
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>it</title>")
    (folder / "assets" / "a-1.js").write_text("1")
    (folder / "assets" / "a-1.js.gz").write_bytes(b"packed")
    (tmp_path / "secret.txt").write_text("not for you")
    monkeypatch.setattr(web, "BUILT", folder)
    return folder


def test_a_placement_is_told_without_being_made(filled: Cloud) -> None:
    told = filled.post("/v1/placements", {"zone": "public", "flavor": "small"}, expect=200)
    assert told["host"] == "h1"
    assert told["rejected"] == {
        "h2": "it runs zone office, which does not mix with public",
        "h3": "it runs zone payments, which does not mix with public",
        "h4": "it is cordoned",
    }
    none = filled.post("/v1/placements", {"zone": "public", "flavor": "whale"}, expect=200)
    assert (none["host"], sorted(none["rejected"])) == (None, ["h1", "h2", "h3", "h4"])
    assert filled.get("/v1/hosts/h1")["vms"] == 2
    assert filled.post("/v1/placements", {"zone": "nowhere", "flavor": "small"}, expect=404)["code"] == "not-found"


def test_a_dry_run_of_a_policy_tells_what_opens_and_closes_and_changes_nothing(filled: Cloud) -> None:
    applied = len(filled.fence.applied)
    before = filled.get("/v1/fence")

    def tried(**change) -> tuple[int, int, list[tuple[str, str, str]]]:
        told = filled.post("/v1/fence/dry-run", change, expect=200)
        named = [
            told["parties"][place]["some"][0] for pair in told["pairs"] for place in (pair["source"], pair["target"])
        ]
        turns = [pair["turn"] for pair in told["pairs"]]
        return told["opens"], told["closes"], list(zip(named[::2], named[1::2], turns, strict=True))

    new = policy("vault-to-db", {"labels": {"role": "vault"}}, {"labels": {"role": "db"}}, ports=[5432])
    assert tried(becomes=new) == (1, 0, [("vault", "db-1", "opens")])
    assert tried(policy="web-to-db") == (0, 2, [("web-1", "db-1", "closes")])
    moved = policy("web-to-db", {"labels": {"role": "web"}}, {"labels": {"role": "db"}}, ports=[3306])
    assert tried(policy="web-to-db", becomes=moved) == (2, 2, [("web-1", "db-1", "alters")])
    nobody = policy("nobody", {"labels": {"role": "ghost"}}, {"zone": "public"})
    assert tried(becomes=nobody) == (0, 0, [])
    assert filled.post("/v1/fence/dry-run", {}, expect=422)["code"] == "invalid"
    assert filled.post("/v1/fence/dry-run", {"policy": "gone"}, expect=404)["code"] == "not-found"
    assert filled.get("/v1/fence") == before
    assert len(filled.fence.applied) == applied


def test_the_fence_tells_who_may_call_whom_and_by_which_policy(filled: Cloud) -> None:
    told = filled.get("/v1/fence")
    ways = {
        (told["parties"][way["source"]]["some"][0], told["parties"][way["target"]]["some"][0]): way
        for way in told["ways"]
    }
    assert sorted(ways) == [("web-1", "db-1"), ("wiki", "web-1"), ("wiki", "wiki")]
    assert ways["web-1", "db-1"]["allowed"] == [{"protocol": "tcp", "ports": [5432]}]
    assert ways["wiki", "wiki"]["allowed"] == [{"protocol": "any", "ports": []}]
    assert ways["wiki", "web-1"]["policies"] == ["office-to-web"]
    assert told["complete"] is True


def test_vms_are_found_by_a_part_of_their_name_taken_as_it_is(filled: Cloud) -> None:
    names = [vm["name"] for vm in filled.get("/v1/vms", search="eb-")["items"]]
    assert names == ["web-1", "web-2"]
    assert filled.get("/v1/vms", search="%")["items"] == []
    assert [one["kind"] for one in filled.get("/v1/operations", kind="verify")["items"]] == ["verify"]


def test_every_page_is_answered_with_the_one_there_is_and_the_api_keeps_its_own_answers(filled: Cloud, built) -> None:
    for path in ("/", "/vms?zone=red", "/setup", "/no/such/page"):
        page = filled.http.get(path, headers=PAGE)
        assert (page.status_code, page.text) == (200, (built / "index.html").read_text()), path
        assert page.headers["cache-control"] == "no-cache"
    for path in ("/v1/nothing", "/assets/gone.js", "/docs/nothing", "/openapi.json/x"):
        assert filled.http.get(path, headers=PAGE).json()["code"] == "not-found", path
    assert filled.http.get("/vms", headers={"Accept": "application/json"}).json()["code"] == "not-found"
    assert filled.http.post("/vms", headers=PAGE).status_code == 404


def test_an_asset_is_kept_for_good_and_sent_packed_to_who_can_unpack_it(filled: Cloud, built) -> None:  # noqa: ARG001
    plain = filled.http.get("/assets/a-1.js", headers={"Accept-Encoding": "identity"})
    assert (plain.text, plain.headers["content-type"]) == ("1", "text/javascript; charset=utf-8")
    assert "immutable" in plain.headers["cache-control"]
    with filled.http.stream("GET", "/assets/a-1.js", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert b"".join(packed.iter_raw()) == b"packed"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/assets/a-1.js.gz"]
)
def test_nothing_outside_of_what_was_built_is_served(filled: Cloud, built, path: str) -> None:  # noqa: ARG001
    # A raw path, which no client tidies.
    answer = filled.http.send(
        filled.http.build_request("GET", httpx.URL(str(filled.http.base_url), raw_path=path.encode()))
    )
    assert answer.status_code == 404
    assert "not for you" not in answer.text


def test_no_page_may_run_or_ask_what_is_not_of_this_controller(filled: Cloud, built) -> None:  # noqa: ARG001
    policy_of_content = filled.http.get("/", headers=PAGE).headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy_of_content.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in policy_of_content


def test_a_controller_without_a_web_interface_says_how_to_build_it(filled: Cloud, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(web, "BUILT", tmp_path / "nothing")
    page = filled.http.get("/", headers=PAGE)
    assert page.status_code == 503
    assert "make web" in page.text
