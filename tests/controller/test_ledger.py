"""The ledger over HTTP, as those see it who do not believe the controller: entries, proofs, checkpoints, the stream."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

import ringfence.client.audit
from ringfence.client import audit
from ringfence.controller.ledger_key import LedgerKey

SCRIPT = Path(ringfence.client.audit.__file__)


def tree(cloud) -> tuple[int, bytes]:
    return audit.signed_tree(key_of(cloud), cloud.http.get("/v1/ledger/checkpoint").text)


def key_of(cloud) -> str:
    return cloud.get("/v1/ledger/key")["verifier"]


def named(cloud, name: str) -> dict:
    found = [
        entry for entry in cloud.get("/v1/ledger/entries", limit=1000)["items"] if entry["subject"]["name"] == name
    ]
    return found[-1]


def test_a_change_is_an_entry_as_soon_as_it_is_answered(cloud_on_both):
    cloud = cloud_on_both
    zone = cloud.post("/v1/zones", {"name": "red"}, expect=201)
    entry = named(cloud, "red")
    assert (entry["action"], entry["subject"]["id"], entry["outcome"]) == ("create", zone["id"], "done")
    assert entry["before"] is None
    assert entry["after"]["name"] == "red"
    assert cloud.get(f"/v1/ledger/entries/{entry['index']}") == entry
    assert cloud.get("/v1/ledger/entries", subject=zone["id"])["items"] == [entry]


def test_entries_are_paged_newest_last(cloud):
    for name in ("red", "blue", "green"):
        cloud.post("/v1/zones", {"name": name}, expect=201)
    first = cloud.get("/v1/ledger/entries", kind="zone", limit=2)
    rest = cloud.get("/v1/ledger/entries", kind="zone", limit=2, cursor=first["next"])
    assert [entry["subject"]["name"] for entry in [*first["items"], *rest["items"]]] == ["red", "blue", "green"]
    assert rest["next"] is None


def test_times_may_have_any_offset_and_must_have_one(cloud):
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    at = named(cloud, "red")["at"]
    assert cloud.get("/v1/ledger/entries", since=at, kind="zone")["items"]
    shifted = at.replace("+00:00", "+01:00")
    assert len(cloud.get("/v1/ledger/entries", until=at)["items"]) > len(
        cloud.get("/v1/ledger/entries", until=shifted)["items"]
    )
    for wrong in ("2026-01-31T12:00:00", "yesterday", "2026-13-01T00:00:00Z"):
        assert cloud.get("/v1/ledger/entries", since=wrong, expect=422)["facts"]["field"] == "since"


def test_there_is_no_entry_past_the_end_and_no_consistency_either(cloud):
    size = tree(cloud)[0]
    assert cloud.get(f"/v1/ledger/entries/{size}", expect=404)["code"] == "not-found"
    assert cloud.get(f"/v1/ledger/entries/{size}/proof", expect=404)["code"] == "not-found"
    for first, second in ((2, 1), (1, size + 1)):
        assert cloud.get("/v1/ledger/consistency", first=first, second=second, expect=422)


@pytest.mark.parametrize(
    "path", ["/v1/ledger/entries/0", "/v1/ledger/key", "/v1/ledger/checkpoint", "/v1/ledger/export"]
)
def test_nothing_changes_the_ledger(cloud, path):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert cloud.http.request(method, path).status_code == 405


def test_the_key_is_its_owners_alone_and_the_same_when_it_is_opened_again(cloud):
    file = cloud.controller.settings.data / "ledger" / "ledger.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert LedgerKey(file.parent).verifier == key_of(cloud)


def test_the_stream_is_what_the_checkpoint_signs(cloud):
    for name in ("red", "blue"):
        cloud.post("/v1/zones", {"name": name}, expect=201)
    size, root = tree(cloud)
    lines = cloud.http.get("/v1/ledger/export", params={"size": size}).content.splitlines()
    assert audit.tree_of(lines) == (size, root)
    assert [json.loads(line)["index"] for line in lines] == list(range(size))
    part = cloud.http.get("/v1/ledger/export", params={"first": 1, "size": 3}).content.splitlines()
    assert part == lines[1:3]


def test_a_siem_gets_events_of_a_named_schema(cloud):
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    events = [
        json.loads(line) for line in cloud.http.get("/v1/ledger/export", params={"format": "ocsf"}).text.splitlines()
    ]
    red = next(event for event in events if event["entity"]["name"] == "red")
    assert (red["metadata"]["version"], red["class_uid"], red["type_uid"]) == ("1.3.0", 3004, 300401)
    assert red["entity"]["data"]["name"] == "red"
    assert [event["metadata"]["sequence"] for event in events] == list(range(len(events)))


def asked(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the auditor's script as an auditor does: by itself, where ringfence is not."""
    command = [sys.executable, "-I", str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/", env={})


@pytest.fixture
def script(tmp_path) -> Path:
    """The script alone, in a folder without ringfence, in a process that cannot import it."""
    alone = tmp_path / "auditor" / "audit.py"
    alone.parent.mkdir()
    source = SCRIPT.read_text()
    assert len(source.splitlines()) <= 100
    assert "import ringfence" not in source
    assert "from ringfence" not in source
    alone.write_text("import sys; sys.modules['ringfence'] = None\n" + source)
    return alone


def test_an_auditor_checks_entries_growth_and_the_whole_ledger_offline(cloud, script):
    folder = script.parent

    def kept(name: str, content: str | bytes) -> str:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(folder / name)

    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    key = key_of(cloud)
    old = kept("old", cloud.http.get("/v1/ledger/checkpoint").text)
    cloud.post("/v1/zones", {"name": "blue"}, expect=201)
    new = kept("new", cloud.http.get("/v1/ledger/checkpoint").text)
    sizes = [audit.signed_tree(key, Path(file).read_text())[0] for file in (old, new)]

    proof = cloud.get(f"/v1/ledger/entries/{named(cloud, 'red')['index']}/proof")
    assert json.loads(proof["body"])["subject"]["name"] == "red"
    assert asked(script, key, "entry", kept("proof.json", json.dumps(proof))).returncode == 0
    lied = {**proof, "body": proof["body"].replace('"red"', '"rot"')}
    assert asked(script, key, "entry", kept("proof.json", json.dumps(lied))).returncode != 0

    told = cloud.http.get("/v1/ledger/consistency", params={"first": sizes[0], "second": sizes[1]})
    growth = kept("growth.json", told.text)
    assert asked(script, key, "growth", old, new, growth).returncode == 0
    assert asked(script, key, "growth", new, old, growth).returncode != 0

    ledger = cloud.http.get("/v1/ledger/export", params={"size": sizes[1]}).content
    assert asked(script, key, "log", new, kept("ledger.jsonl", ledger)).returncode == 0
    assert asked(script, key, "log", old, kept("ledger.jsonl", ledger)).returncode != 0
    lines = ledger.splitlines(keepends=True)
    for wrong in (
        lines[:-1],
        lines[::-1],
        [lines[1], lines[0], *lines[2:]],
        [lines[0].replace(b"1", b"2"), *lines[1:]],
    ):
        assert asked(script, key, "log", new, kept("ledger.jsonl", b"".join(wrong))).returncode != 0

    stranger = key[:-6] + ("A" if key[-6] != "A" else "B") + key[-5:]
    assert asked(script, stranger, "log", new, kept("ledger.jsonl", ledger)).returncode != 0


def test_a_proof_leads_to_the_checkpoint_it_comes_with(cloud):
    for name in ("red", "blue", "green", "grey"):
        cloud.post("/v1/zones", {"name": name}, expect=201)
    key = key_of(cloud)
    for index in range(tree(cloud)[0]):
        proof = cloud.get(f"/v1/ledger/entries/{index}/proof")
        entry = cloud.get(f"/v1/ledger/entries/{index}")
        hashed = b64decode(entry["leaf_hash"])
        path = [b64decode(each) for each in proof["hashes"]]
        assert audit.is_in(index, hashed, audit.signed_tree(key, proof["checkpoint"]), path)


def denied(cloud) -> list[dict]:
    entries = cloud.get("/v1/ledger/entries", limit=1000)["items"]
    return [entry for entry in entries if entry["outcome"] == "denied"]


def test_a_denied_attempt_is_an_entry_and_a_flood_of_them_is_few(cloud):
    before = cloud.get("/v1/ledger/entries", limit=1000)["items"]
    strange = {"Authorization": "Bearer guessed"}
    for _ in range(30):
        assert cloud.http.get("/v1/zones", headers=strange).status_code == 401
    (entry,) = denied(cloud)
    assert (entry["actor"]["kind"], entry["actor"]["source"]) == ("stranger", "127.0.0.1")
    assert (entry["subject"]["name"], entry["after"]) == ("/v1/zones", {"times": 1})
    cloud.controller._parts.ledger.denials.tell(everything=True)
    assert [each["after"]["times"] for each in denied(cloud)] == [1, 29]
    for number in range(300):
        assert cloud.http.get(f"/v1/zones/{number}", headers=strange).status_code == 401
    cloud.controller._parts.ledger.denials.tell(everything=True)
    assert sum(each["after"]["times"] for each in denied(cloud)) == 330
    assert len(cloud.get("/v1/ledger/entries", limit=1000)["items"]) - len(before) < 210


def test_a_zone_is_not_removed_without_a_reason_and_the_reason_is_kept(cloud):
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    assert cloud.delete("/v1/zones/red", expect=428)["code"] == "reason-missing"
    answer = cloud.http.delete("/v1/zones/red", headers={"Ringfence-Reason": "größer geplant".encode()})
    assert answer.status_code == 204
    entry = named(cloud, "red")
    assert (entry["action"], entry["reason"], entry["after"]) == ("remove", "größer geplant", None)


def test_custody_is_told_of_any_instant(cloud):
    missing = cloud.get("/v1/vms/0190a0a0-0000-7000-8000-000000000000/custody", expect=404)
    assert missing["code"] == "not-found"
    for wrong in ("now", "2026-01-31T12:00:00"):
        told = cloud.get("/v1/vms/0190a0a0-0000-7000-8000-000000000000/custody", at=wrong, expect=422)
        assert told["facts"]["field"] == "at"
