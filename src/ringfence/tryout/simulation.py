"""A real controller, its real API, and simulated hosts that join it over real mTLS, in one process, without root.

Hosts keep their VMs in memory; no guest runs anywhere. What the cloud holds is in `example`, what happens in it in
`life`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ringfence.client.connection import Client
from ringfence.client.settings import Settings as ClientSettings
from ringfence.controller.assembly import Controller
from ringfence.controller.settings import Address, Settings
from ringfence.fakes.agent import FakeAgent
from ringfence.fakes.fence import FakeFence
from ringfence.fakes.hypervisors import FakeDomain, FakeHost, FakeHypervisors
from ringfence.model.names import HostId, VmId
from ringfence.model.vms import VmState
from ringfence.store import vms
from ringfence.store.engine import Store
from ringfence.wire import (
    AnyResult,
    AnyVerb,
    HoldImage,
    Nothing,
    ObserveVms,
    OpenConsole,
    PrepareVm,
    Seen,
    SendMove,
    StartVm,
    StopVm,
)

HOST_SIZES = (1024, 4 << 20, 64 << 40)
"""vCPUs, memory in MiB, disk in bytes of each simulated host: room for its part of `--vms 10000`."""
HEARTBEAT_SECONDS = 5.0
_SECONDS: dict[type[AnyVerb], float] = {HoldImage: 0.5, PrepareVm: 0.6, StartVm: 0.9, StopVm: 1.5, SendMove: 3.0}
"""About how long a host takes, so that there is something to watch."""
_PROMPT = b"\r\n$ "
_NOBODY = b"\r\nno guest reads this: the host is simulated"


@dataclass(eq=False, kw_only=True)
class Simulation:
    """One simulated cloud in `folder`. `hurried`: hosts take no time at all. `fresh`: no earlier run left anything."""

    folder: Path
    listen: Address
    seed: int
    hurried: bool = False
    token: str = ""
    fresh: bool = True
    _controller: Controller = field(init=False)
    _hypervisors: FakeHypervisors = field(default_factory=lambda: FakeHypervisors([]))
    _agents: dict[HostId, FakeAgent] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self._controller.api_address}"

    @property
    def store(self) -> Store:
        return self._controller.store

    @property
    def host_count(self) -> int:
        return len(self._agents)

    def client(self) -> Client:
        """Connect as the administrator."""
        return Client(ClientSettings(url=self.url, token=self.token))

    def print_setup_link(self) -> None:
        """Print the link by which the first administrator makes an account, unless there is one."""
        self._controller.print_setup_link()

    @contextlib.asynccontextmanager
    async def running(self, host_names: Sequence[str]) -> AsyncIterator[Simulation]:
        """Run until the block ends; hosts that an earlier run left in the folder are the same ones again."""
        agents_listen = Address(host="127.0.0.1", port=0)
        settings = Settings(
            data=self.folder,
            database=f"sqlite:///{self.folder / 'ringfence.db'}",
            listen=self.listen,
            agents_listen=agents_listen,
            agents_address=str(agents_listen),
            tls=False,
        )
        self._controller = Controller(settings, fence=FakeFence())
        await self._controller.start()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._controller.stop)
            self._know_the_token()
            for number, name in enumerate(host_names, start=1):
                agent = await self._host(name, number)
                await stack.enter_async_context(agent.running())
            # Cut short, so that what is under way ends now, and the controller need not wait.
            stack.callback(setattr, self, "hurried", True)
            yield self

    def adopt(self) -> None:
        """Have each host run what the records say that it runs."""
        with self.store.reading() as session:
            present = [vm for vm in vms.all_vms(session) if vm.host_id is not None]
            for vm in present:
                assert vm.host_id is not None
                host, spec = self._hypervisors.hosts[vm.host_id], vms.vm_spec(session, vm.id)
                host.images.add(spec.image_digest)
                host.disks.add(vm.id)
                if vm.state is VmState.RUNNING:
                    host.domains.setdefault(vm.id, FakeDomain(spec=spec, state="running"))
        for host_id in self._agents:
            self._look(host_id)

    def _know_the_token(self) -> None:
        file = self.folder / "admin-token"
        self.fresh = self._controller.first_token is not None
        if self._controller.first_token is not None:
            # SAFETY: the folder is its owner's alone, and the token opens nothing but a simulation.
            file.write_text(self._controller.first_token)
            file.chmod(0o600)
        self.token = file.read_text()

    async def _host(self, name: str, number: int) -> FakeAgent:
        folder = self.folder / "hosts" / name
        if FakeAgent.can_resume(folder):
            agent = await asyncio.to_thread(
                FakeAgent.resumed, folder, url=f"https://{self._controller.agents_address}", name=name, act=self._act
            )
        else:
            # One that was not here for days has a certificate that expired.
            asked = {"name": name, "again": folder.exists()}
            with self.client() as client:
                invited = await asyncio.to_thread(client.create, "/v1/hosts/invitations", asked)
            # Of the addresses for examples (RFC 5737, RFC 2544): nothing is ever sent to them.
            address = f"198.18.{number // 256}.{number % 256}"
            agent = await FakeAgent.join(invited["token"], underlay_address=address, folder=folder, act=self._act)
        agent.sizes, agent.heartbeat_seconds = HOST_SIZES, HEARTBEAT_SECONDS
        agent.facts, agent.guest = {"hypervisor": "simulated", "kernel": "simulated"}, _guest
        self._agents[HostId(agent.host_id)] = agent
        self._hypervisors.hosts[HostId(agent.host_id)] = FakeHost(HostId(agent.host_id))
        return agent

    async def _act(self, host_id: str, verb: AnyVerb) -> AnyResult:
        if not self.hurried:
            # It is a pause for those who watch; nobody has to guess it.
            await asyncio.sleep(_SECONDS.get(type(verb), 0.0) * random.uniform(0.6, 1.4))  # noqa: S311
        if isinstance(verb, OpenConsole):
            return Nothing()
        result = self._hypervisors.ask(HostId(host_id), verb, key=uuid.uuid4().hex, patience_seconds=0)
        self._look(HostId(host_id))
        if isinstance(verb, SendMove):
            self._look(HostId(verb.destination_host_id))
        return result

    def _look(self, host_id: HostId) -> None:
        """Have the host's next heartbeat tell what is on it."""
        seen = self._hypervisors.ask(host_id, ObserveVms(), key=uuid.uuid4().hex, patience_seconds=0)
        assert isinstance(seen, Seen)
        self._agents[host_id].vms = seen.vms


async def _guest(vm_id: VmId, socket: ClientConnection) -> None:
    """Be the console of a guest that is not there."""
    head = f"SIMULATED console of VM {vm_id}: no guest runs here. What you type is shown, and goes nowhere."
    with contextlib.suppress(ConnectionClosed):
        await socket.send(head.encode() + _PROMPT)
        async for frame in socket:
            typed = frame if isinstance(frame, bytes) else frame.encode()
            await socket.send(typed.replace(b"\n", b"\r").replace(b"\r", _NOBODY + _PROMPT))
