"""VMs through the API, the workflows, the mailbox and an agent; only the hypervisor behind the agent is missing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time

import pytest
from tests.controller.conftest import Cloud, RecordingFence, obey, settings_for, start_cloud

from ringfence.controller.assembly import Controller, FolderInUse, FolderOfAnotherKind
from ringfence.wire import PrepareVm, RemoveVm, StartVm

pytestmark = pytest.mark.store

MIB = 1 << 20
DISK = bytes(MIB)
DIGEST = f"sha256:{hashlib.sha256(DISK).hexdigest()}"


def furnish(cloud: Cloud) -> dict:
    """Make what a VM needs; gives the body that asks for one."""
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    cloud.post("/v1/zones", {"name": "blue"}, expect=201)
    cloud.post("/v1/projects", {"name": "shop", "owner": "ada"}, expect=201)
    cloud.post("/v1/flavors", {"name": "tiny", "vcpus": 1, "memory_mib": 64, "disk_bytes": MIB}, expect=201)
    cloud.post("/v1/networks", {"name": "net", "cidr": "10.1.0.0/24"}, expect=201)
    cloud.upload("disk", DISK, DIGEST)
    return {"name": "web", "project": "shop", "zone": "red", "flavor": "tiny", "image": "disk", "networks": ["net"]}


def test_a_vm_lives_from_create_to_delete(cloud_on_both) -> None:
    cloud = cloud_on_both
    agent = cloud.run(cloud.join("h1"))
    asked = cloud.http.post("/v1/vms", json=furnish(cloud) | {"labels": {"app": "web"}})
    assert asked.status_code == 202
    assert asked.headers["location"] == f"/v1/operations/{asked.json()['id']}"
    told = list(cloud.events(asked.json()["id"]))
    assert told[-1]["state"] == "done", told[-1]
    assert [one["version"] for one in told] == sorted({one["version"] for one in told})
    assert told[-1]["result"]["host"] == "h1"
    vm = cloud.get(f"/v1/vms/{asked.json()['subject_id']}")
    assert (vm["state"], vm["host"], vm["zone"], vm["project"], vm["owner"]) == ("running", "h1", "red", "shop", "ada")
    assert (vm["flavor"], vm["image"], vm["ports"][0]["network"], vm["labels"]) == (
        "tiny",
        "disk",
        "net",
        {"app": "web"},
    )
    assert vm["placement"]
    assert agent.images == {DIGEST}
    assert cloud.get("/v1/vms", name="web", project="shop", zone="red", host="h1", state="running")["items"] == [vm]
    assert cloud.get("/v1/vms", zone="blue")["items"] == []

    path = f"/v1/vms/{vm['id']}"
    assert cloud.post(f"{path}/start", expect=409)["code"] == "wrong-state"
    assert cloud.end_of(cloud.post(f"{path}/stop", expect=202)["id"])["state"] == "done"
    assert cloud.get(path)["state"] == "stopped"
    assert cloud.post(f"{path}/move", {}, expect=409)["code"] == "wrong-state"
    assert cloud.end_of(cloud.post(f"{path}/start", {}, expect=202)["id"])["state"] == "done"

    assert cloud.delete("/v1/zones/red", expect=409)["code"] == "still-used"
    assert cloud.delete("/v1/images/disk", expect=409)["code"] == "still-used"
    assert cloud.delete("/v1/hosts/h1", expect=409)["code"] == "still-used"
    assert cloud.end_of(cloud.delete(path, expect=202)["id"])["state"] == "done"
    assert cloud.get(path, expect=404)["code"] == "not-found"
    kinds = [operation["kind"] for operation in cloud.get("/v1/operations", subject=vm["id"])["items"]]
    assert kinds == ["delete-vm", "start-vm", "stop-vm", "create-vm"]
    assert isinstance(agent.received[-1].verb, RemoveVm)


def test_new_labels_are_brought_into_force(cloud) -> None:
    cloud.run(cloud.join("h1"))
    created = cloud.end_of(cloud.post("/v1/vms", furnish(cloud), expect=202)["id"])
    path = f"/v1/vms/{created['subject_id']}"
    changed = cloud.patch(path, {"labels": {"app": "db"}}, if_match="*")
    assert changed["labels"] == {"app": "db"}
    assert cloud.end_of(changed["operation"])["kind"] == "apply-fence"
    assert cloud.patch(path, {"owner": "bob"}, if_match="*", expect=422)["code"] == "invalid"
    assert cloud.patch(path, {"labels": {"A": "x"}}, if_match="*", expect=422)["code"] == "invalid"


def test_a_vm_that_no_host_can_run_leaves_nothing(cloud) -> None:
    body = furnish(cloud)
    ended = cloud.end_of(cloud.post("/v1/vms", body, expect=202)["id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "no-host-fits")
    assert ended["error"]["remedy"]
    assert cloud.get("/v1/vms")["items"] == []


def test_what_a_vm_asks_for_must_be_there(cloud) -> None:
    body = furnish(cloud)
    for noun in ("project", "zone", "flavor", "image"):
        told = cloud.post("/v1/vms", body | {noun: "none-such"}, expect=404)
        assert told["facts"] == {"kind": noun, "ref": "none-such"}
    assert cloud.post("/v1/vms", body | {"networks": ["none-such"]}, expect=404)["facts"]["kind"] == "network"
    assert cloud.post("/v1/vms", body | {"host": "none-such"}, expect=404)["facts"]["kind"] == "host"
    assert cloud.post("/v1/vms", body | {"labels": {"a b": "c"}}, expect=422)["code"] == "invalid"
    assert cloud.post("/v1/vms", body | {"owner": ""}, expect=422)["code"] == "invalid"
    assert cloud.get("/v1/vms")["items"] == []
    assert cloud.get("/v1/operations", state="pending")["items"] == []


def test_a_create_repeated_under_one_key_makes_one_vm(cloud) -> None:
    cloud.run(cloud.join("h1"))
    body, key = furnish(cloud), {"Idempotency-Key": "once"}
    first = cloud.post("/v1/vms", body, expect=202, headers=key)
    again = cloud.post("/v1/vms", body, expect=202, headers=key)
    assert again == first
    assert cloud.end_of(first["id"])["state"] == "done"
    assert len(cloud.get("/v1/vms")["items"]) == 1


def test_a_controller_that_stops_in_the_middle_goes_on_at_its_next_start(loop, tmp_path) -> None:
    settings = settings_for(tmp_path / "data")
    started = asyncio.Event()

    async def hang_in_start(host_id, verb):
        if isinstance(verb, StartVm) and not started.is_set():
            started.set()
            await asyncio.sleep(3600)
        return await obey(host_id, verb)

    first = start_cloud(loop, settings)
    agent = first.run(first.join("h1", act=hang_in_start))
    operation = first.post("/v1/vms", furnish(first), expect=202)
    loop.run(asyncio.wait_for(started.wait(), 20))
    stream = first.http.stream("GET", f"/v1/operations/{operation['id']}/events")
    with stream as events:
        lines = events.iter_lines()
        next(lines)
        began = time.monotonic()
        loop.run(first.controller.stop())
        took = time.monotonic() - began
        # The stream ends with the controller, though the operation has not ended.
        told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        assert all(one["state"] == "running" for one in told)
    assert took < 5, f"stopping took {took:.1f} s"
    first._agents.close()

    # Hosts know the controller by its address: the second listens where the first did.
    port = int(agent.url.rpartition(":")[2])
    second = start_cloud(loop, settings_for(tmp_path / "data", agents_port=port), token=first.token)
    try:
        assert second.controller.first_token is None
        agent.session = "after the restart"
        second.run(agent)
        ended = second.end_of(operation["id"])
        assert ended["state"] == "done", ended
        assert {step["state"] for step in ended["steps"]} == {"done"}
        names = [type(command.verb) for command in agent.received]
        assert names.count(PrepareVm) == 1
        assert second.get(f"/v1/vms/{operation['subject_id']}")["state"] == "running"
    finally:
        second.close()


def test_a_verification_is_an_operation_with_evidence(cloud) -> None:
    cloud.run(cloud.join("h1"))
    ended = cloud.end_of(cloud.post("/v1/verifications", expect=202)["id"])
    assert ended["kind"] == "verify"
    assert ended["state"] in ("done", "failed")


def test_the_simulated_and_the_real_never_share_a_folder(loop, tmp_path) -> None:
    for first, second in ((RecordingFence(), None), (None, RecordingFence())):
        settings = settings_for(tmp_path / f"data-{first is None}")
        before = Controller(settings, fence=first)
        loop.run(before.start())
        loop.run(before.stop())
        with pytest.raises(FolderOfAnotherKind):
            loop.run(Controller(settings, fence=second).start())
        again = Controller(settings, fence=first)
        loop.run(again.start())
        loop.run(again.stop())


def test_nothing_is_taken_from_a_second_controller_in_the_same_folder(cloud, loop) -> None:
    with pytest.raises(FolderInUse):
        loop.run(Controller(cloud.controller.settings).start())
    assert cloud.get("/v1/zones")["items"] == []
