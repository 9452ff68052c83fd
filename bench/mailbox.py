"""How soon an agent has a command that was written: a real controller, and an agent that speaks the real protocol.

The agent is the one of `ringfence.fakes`: real mTLS, no hypervisor. Both live in this process, on one event loop.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.controller.conftest import Cloud, Loop, settings_for, start_cloud

from bench.figures import Figure, figure, p99
from ringfence.controller.authority import KeyPair, server_context
from ringfence.fakes.agent import FakeAgent
from ringfence.store import commands
from ringfence.wire import Answer, Nothing, StopVm

RUNS = 400
_ECHO_BYTES = 512
"""About what a command is."""
_SETTLE_SECONDS = 0.02
"""For the long poll to reach the controller, and wait there."""


def wake() -> Iterator[Figure]:
    """Yield `mailbox-wake`: a command committed → the agent has it, beside a TLS round trip on loopback."""
    loop = Loop()
    try:
        with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
            cloud = start_cloud(loop, settings_for(Path(folder) / "data"))
            try:
                agent = cloud.join("h1")
                wakes, with_writes, trips = cloud.loop.run(_alternate(cloud, agent), timeout_seconds=300)
            finally:
                cloud.close()
    finally:
        loop.close()
    yield figure(
        "mailbox-wake",
        wakes,
        trips,
        middle=p99,
        digits=2,
        reference_is="mTLS round trip on loopback, p99",
        unit="ms p99",
        p50_ms=round(sorted(wakes)[len(wakes) // 2], 2),
        p99_with_the_write_itself_ms=round(p99(with_writes), 2),
        reference_p50_ms=round(sorted(trips)[len(trips) // 2], 2),
        database="sqlite",
        agents=1,
    )


async def _alternate(cloud: Cloud, agent: FakeAgent) -> tuple[list[float], list[float], list[float]]:
    store = cloud.controller._parts.store  # noqa: SLF001  the mailbox is written where the controller writes it

    def write(number: int) -> tuple[float, float]:
        began = time.perf_counter()
        with store.transaction() as session:
            verb = StopVm(vm_id="v", graceful_seconds=1)
            commands.add_command(session, agent.host_id, verb, key=f"k{number}", patience_seconds=60)
        return began, time.perf_counter()

    authority = cloud.controller._parts.authority  # noqa: SLF001
    tls = cloud.controller.settings.data / "tls"
    pair = KeyPair(key=tls / "controller.key", certificate=tls / "controller.crt")
    context = server_context(pair, clients_of=authority.certificate_file)
    wakes, with_writes, trips = [], [], []
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=context)
    async with agent.http() as http, server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=agent.tls)
        await agent.next_command(http, wait_seconds=0)
        for number in range(RUNS):
            polling = asyncio.create_task(agent.next_command(http))
            await asyncio.sleep(_SETTLE_SECONDS)
            began, written = await asyncio.to_thread(write, number)
            command = await polling
            had = time.perf_counter()
            assert command is not None
            wakes.append(1e3 * (had - written))
            with_writes.append(1e3 * (had - began))
            await agent.answer(http, Answer(command_id=command.id, result=Nothing()))
            asked = time.perf_counter()
            writer.write(bytes(_ECHO_BYTES))
            await reader.readexactly(_ECHO_BYTES)
            trips.append(1e3 * (time.perf_counter() - asked))
        writer.close()
    return wakes, with_writes, trips


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()
