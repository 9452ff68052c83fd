"""A real controller in this process, on random loopback ports, and agents that speak the real protocol to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.store.postgres import postgres_cluster

from ringfence.controller.assembly import Controller
from ringfence.controller.settings import Address, Settings
from ringfence.decide.segmentation import Fabric
from ringfence.fakes.agent import Act, FakeAgent
from ringfence.model.names import HostId
from ringfence.wire import AnyResult, AnyVerb, Held, HoldImage, Moved, Nothing, ObserveVms, Seen, SendMove, Tunnel

T = TypeVar("T")
LOOPBACK = Address(host="127.0.0.1", port=0)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="controller", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout_seconds: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_seconds)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@dataclass
class RecordingFence:
    """Takes every fabric as applied; what was applied is what a test looks at."""

    applied: list[Fabric] = field(default_factory=list)
    released: list[tuple[str, HostId | None]] = field(default_factory=list)

    def apply(self, wanted: Fabric) -> Sequence[str]:
        self.applied.append(wanted)
        return [f"revision {wanted.revision}"]

    def observe(self, wanted: Fabric) -> Sequence[str]:  # noqa: ARG002
        return []

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> None:  # noqa: ARG002
        return

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        self.released.append((address, keep))

    def bound_hosts(self, port_id: str) -> Sequence[HostId]:  # noqa: ARG002
        return []


async def obey(_host_id: str, verb: AnyVerb) -> AnyResult:
    """Answer each verb as a host that did it."""
    match verb:
        case HoldImage():
            return Held(fetched_bytes=verb.file_bytes)
        case SendMove():
            return Moved(downtime_ms=10, total_ms=100, sent_bytes=1 << 20)
        case ObserveVms():
            held = Tunnel(fellows=(), admitted_packets=0, refused_packets=0)
            return Seen(vms=(), disks=(), windows=(), listening=(), tunnel=held)
        case _:
            return Nothing()


@dataclass
class Cloud:
    """A running controller, as its users and hosts meet it. `http` carries the admin token."""

    controller: Controller
    fence: RecordingFence
    loop: Loop
    folder: Path
    token: str
    http: httpx.Client
    _agents: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _numbers: int = 0

    def invite(self, name: str) -> str:
        return self.post("/v1/hosts/invitations", {"name": name}, expect=201)["token"]

    def join(self, name: str, *, act: Act = obey) -> FakeAgent:
        """Join a host, without running its agent."""
        self._numbers += 1
        address = f"192.0.2.{self._numbers}"
        folder = self.folder / f"host-{name}"
        return self.loop.run(FakeAgent.join(self.invite(name), underlay_address=address, folder=folder, act=act))

    def run(self, agent: FakeAgent) -> FakeAgent:
        """Run the agent until the test ends."""
        running = agent.running()
        self.loop.run(running.__aenter__())
        self._agents.callback(lambda: self.loop.run(running.__aexit__(None, None, None)))
        return agent

    def get(self, path: str, *, expect: int = 200, **query: Any) -> dict[str, Any]:
        return self._told(self.http.get(path, params=query), expect)

    def post(
        self, path: str, body: Any = None, *, expect: int, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return self._told(self.http.post(path, json=body, headers=dict(headers or {})), expect)

    def patch(self, path: str, body: Any, *, if_match: str, expect: int = 200) -> dict[str, Any]:
        return self._told(self.http.patch(path, json=body, headers={"If-Match": if_match}), expect)

    def delete(self, path: str, *, expect: int, reason: str = "") -> dict[str, Any]:
        return self._told(self.http.delete(path, headers={"Ringfence-Reason": reason} if reason else {}), expect)

    def upload(self, name: str, content: bytes, digest: str, *, expect: int = 201) -> dict[str, Any]:
        return self._told(self.http.put(f"/v1/images/{name}/file", params={"digest": digest}, content=content), expect)

    def end_of(self, operation_id: str) -> dict[str, Any]:
        """Follow the operation's events to its end."""
        return list(self.events(operation_id))[-1]

    def events(self, operation_id: str) -> Iterator[dict[str, Any]]:
        with self.http.stream("GET", f"/v1/operations/{operation_id}/events", timeout=60) as stream:
            assert stream.status_code == 200
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def close(self) -> None:
        self._agents.close()
        self.http.close()
        self.loop.run(self.controller.stop())

    @staticmethod
    def _told(response: httpx.Response, expect: int) -> dict[str, Any]:
        assert response.status_code == expect, response.text
        return response.json() if response.content else {}


def settings_for(folder: Path, database: str = "", *, agents_port: int = 0, **more: Any) -> Settings:
    agents = Address(host="127.0.0.1", port=agents_port)
    return Settings(
        data=folder,
        database=database or f"sqlite:///{folder}/ringfence.db",
        listen=LOOPBACK,
        agents_listen=agents,
        agents_address=str(agents),
        southbound_for_hosts="ssl:192.0.2.250:6642",
        **{"tls": False, "import_from_loopback": True, **more},
    )


def start_cloud(loop: Loop, settings: Settings, *, token: str = "") -> Cloud:
    fence = RecordingFence()
    controller = Controller(settings, fence=fence)
    loop.run(controller.start())
    token = controller.first_token or token
    http = httpx.Client(
        base_url=f"http://{controller.api_address}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    )
    return Cloud(controller=controller, fence=fence, loop=loop, folder=settings.data.parent, token=token, http=http)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture
def cloud(loop, tmp_path) -> Iterator[Cloud]:
    running = start_cloud(loop, settings_for(tmp_path / "data"))
    yield running
    running.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud_on_both(loop, tmp_path, request) -> Iterator[Cloud]:
    """A controller on each database."""
    with contextlib.ExitStack() as stack:
        database = "" if request.param == "sqlite" else stack.enter_context(postgres_cluster()).database()
        running = start_cloud(loop, settings_for(tmp_path / "data", database))
        stack.callback(running.close)
        yield running
