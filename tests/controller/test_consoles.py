"""A user's console or screen reaches the guest through the host that dials out, and nobody else's."""

from __future__ import annotations

import json

import pytest
from tests.controller.conftest import Cloud, obey
from tests.controller.test_vms import furnish
from websockets.asyncio.client import connect as dial_out
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ringfence.errors import NotFound
from ringfence.fakes.agent import shout
from ringfence.wire import OpenConsole, OpenScreen

pytestmark = pytest.mark.store
EITHER = pytest.mark.parametrize("what", ["console", "screen"])


def dial(cloud: Cloud, vm_id: str, what: str = "console", **how) -> ClientConnection:
    url = f"ws://{cloud.controller.api_address}/v1/vms/{vm_id}/{what}"
    headers = how.pop("headers", {"Authorization": f"Bearer {cloud.token}"})
    return connect(url, additional_headers=headers, proxy=None, compression=None, open_timeout=20, **how)


def refused(cloud: Cloud, vm_id: str, what: str = "console", **how) -> dict:
    with pytest.raises(InvalidStatus) as told:
        dial(cloud, vm_id, what, **how)
    body = json.loads(told.value.response.body)
    assert body["status"] == told.value.response.status_code
    return body


def running_vm(cloud: Cloud) -> str:
    ended = cloud.end_of(cloud.post("/v1/vms", furnish(cloud), expect=202)["id"])
    assert ended["state"] == "done", ended
    return ended["subject_id"]


@EITHER
def test_what_is_typed_reaches_the_guest_and_its_answer_comes_back(cloud, what) -> None:
    agent = cloud.join("h1")
    agent.screen = shout
    cloud.run(agent)
    vm_id = running_vm(cloud)
    with dial(cloud, vm_id, what) as console:
        console.send(b"hello")
        assert console.recv(timeout=10) == b"HELLO"
        console.send(b"x" * 60_000)
        received = 0
        while received < 60_000:
            received += len(console.recv(timeout=10))
    offered = [f"ringfence.token.{cloud.token}", f"ringfence.{what}"]
    with dial(cloud, vm_id, what, headers={}, subprotocols=offered) as console:
        assert console.subprotocol == f"ringfence.{what}"
        console.send(b"browser")
        assert console.recv(timeout=10) == b"BROWSER"


@EITHER
def test_a_console_without_token_vm_or_running_vm_is_a_problem_document(cloud, what) -> None:
    cloud.run(cloud.join("h1"))
    vm_id = running_vm(cloud)
    assert refused(cloud, vm_id, what, headers={})["code"] == "token-missing"
    assert refused(cloud, vm_id, what, headers={"Authorization": "Bearer wrong"})["code"] == "token-unknown"
    assert refused(cloud, "0197a1c2-0000-7000-8000-000000000001", what)["code"] == "not-found"
    cloud.end_of(cloud.post(f"/v1/vms/{vm_id}/stop", expect=202)["id"])
    assert refused(cloud, vm_id, what)["code"] == "wrong-state"


@EITHER
def test_a_hosts_refusal_reaches_the_user(cloud, what) -> None:
    agent = cloud.join("h1")
    cloud.run(agent)
    vm_id = running_vm(cloud)

    async def no_console(verb: OpenConsole | OpenScreen) -> None:
        raise NotFound(kind="domain", ref=verb.vm_id)

    agent._open_console = no_console
    assert refused(cloud, vm_id, what)["facts"] == {"kind": "domain", "ref": vm_id}


@EITHER
def test_a_host_comes_only_to_its_own_session(cloud, what) -> None:
    """h2 knows a session's id, and is told that there is none."""
    seen = {}

    async def tell(host_id, verb):
        if isinstance(verb, OpenConsole | OpenScreen):
            seen["session"] = verb.session_id
            raise NotFound(kind="domain", ref="x")
        return await obey(host_id, verb)

    h1 = cloud.join("h1", act=tell)
    cloud.run(h1)
    h2 = cloud.join("h2")
    vm_id = running_vm(cloud)

    async def steal(verb: OpenConsole | OpenScreen) -> None:
        url = f"{h2.url.replace('https', 'wss')}/agent/v1/consoles/{verb.session_id}"
        try:
            socket = await dial_out(url, ssl=h2.tls, proxy=None)
        except InvalidStatus as told:
            seen["status"] = told.response.status_code
        else:
            await socket.close()

    h1._open_console = steal
    refused(cloud, vm_id, what)
    assert seen["status"] == 404


def test_who_looks_at_a_screen_is_told_by_the_ledger_and_a_simulated_vm_has_none(cloud) -> None:
    agent = cloud.join("h1")
    cloud.run(agent)
    vm_id = running_vm(cloud)
    assert refused(cloud, vm_id, "screen")["code"] == "no-screen"
    agent.screen = shout
    with dial(cloud, vm_id, "screen"):
        assert [viewer["name"] for viewer in _viewers(cloud, vm_id)] == ["bootstrap"]
    told = [entry["action"] for entry in cloud.get("/v1/ledger/entries", limit=1000)["items"]]
    assert "open-screen" in told


def _viewers(cloud: Cloud, vm_id: str) -> list[dict]:
    return cloud.get(f"/v1/vms/{vm_id}/custody")["periods"][-1]["viewers"]


def test_a_console_ends_with_the_controller(cloud) -> None:
    cloud.run(cloud.join("h1"))
    with dial(cloud, running_vm(cloud)) as console:
        console.send(b"a")
        assert console.recv(timeout=10) == b"A"
        cloud.loop.run(_stop(cloud))
        with pytest.raises(ConnectionClosed):
            console.recv(timeout=5)


async def _stop(cloud: Cloud) -> None:
    cloud.controller._parts.consoles.stop()
