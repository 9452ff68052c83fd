"""`ringfence vm console`: a terminal, or a pipe, joined to a VM's serial console over a WebSocket.

It knows nothing of terminals' languages: bytes go through as they are, both ways. One thread does both, because a TLS
connection must not be read and written at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from types import FrameType

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ringfence.cli.output import notice
from ringfence.client.connection import ControllerUnreachable, problem_of, trust
from ringfence.client.settings import Settings

ESCAPE = b"\x1d"
"""Ctrl-], as in telnet and virsh."""
LINGER_SECONDS = 2.0
"""How long a pipe's reader still listens for the guest's answer after the input ended and the guest fell silent."""
OPEN_SECONDS = 45.0
"""Longer than the controller waits for the host, so that its own words about a host that does not come are heard."""


def attach(settings: Settings, path: str, *, title: str) -> None:
    """Join standard input and output to the console until either side ends, or Ctrl-] is typed."""
    url = "ws" + settings.url.removeprefix("http") + path
    asyncio.run(_attach(settings, url, title=title))


async def _attach(settings: Settings, url: str, *, title: str) -> None:
    async with _connected(settings, url) as socket:
        if sys.stdin.isatty():
            with _raw_terminal(sys.stdin.fileno()):
                # ORDER: raw, then told: what is typed from here on goes to the guest. A raw line ends in CR LF.
                sys.stderr.write(f"Attached to {title}. Press Enter for a prompt; Ctrl-] leaves.\r\n")
                sys.stderr.flush()
                await _join(socket, watch_escape=True)
            notice(f"\nLeft {title}.")
        else:
            await _join(socket, watch_escape=False)


async def _join(socket: ClientConnection, *, watch_escape: bool) -> None:
    """Copy bytes both ways until the console closes, or what is typed has ended and the guest has fallen silent."""
    heard = asyncio.Event()
    listens = asyncio.create_task(_listen(socket, heard))
    types = asyncio.create_task(_type(socket, watch_escape=watch_escape))
    try:
        await asyncio.wait({listens, types}, return_when=asyncio.FIRST_COMPLETED)
        if types.done() and not types.result():
            await _linger(listens, heard)
    finally:
        for task in (listens, types):
            task.cancel()
        await asyncio.gather(listens, types, return_exceptions=True)


async def _listen(socket: ClientConnection, heard: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        async for frame in socket:
            heard.set()
            _write_all(sys.stdout.fileno(), frame if isinstance(frame, bytes) else frame.encode())


async def _type(socket: ClientConnection, *, watch_escape: bool) -> bool:
    """Send what is typed until it ends; True if the escape ended it, or nobody listens any more."""
    while True:
        await _readable(sys.stdin.fileno())
        typed = os.read(sys.stdin.fileno(), 4096)
        before, escape, _ = typed.partition(ESCAPE) if watch_escape else (typed, b"", b"")
        try:
            if before:
                await socket.send(before)
        except ConnectionClosed:
            return True
        if escape or not typed:
            return bool(escape)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    try:
        loop.add_reader(descriptor, event.set)
    except PermissionError:
        return  # a plain file: it never keeps anyone waiting
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)


async def _linger(listens: asyncio.Task[None], heard: asyncio.Event) -> None:
    """After the input's end: listen until the guest has been silent for a while, or the console closes."""
    while not listens.done():
        heard.clear()
        hears = asyncio.create_task(heard.wait())
        await asyncio.wait({listens, hears}, timeout=LINGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        hears.cancel()
        if not heard.is_set():
            return


@contextlib.contextmanager
def _raw_terminal(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    # Whatever happens, the shell gets its terminal back: a signal that would end the process unwinds it instead.
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        # DRAIN, not FLUSH: what was typed ahead is kept.
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextlib.asynccontextmanager
async def _connected(settings: Settings, url: str) -> AsyncIterator[ClientConnection]:
    secure: ssl.SSLContext | None = trust(settings) if url.startswith("wss:") else None
    headers = {"Authorization": f"Bearer {settings.token}"}
    try:
        socket = await connect(
            url,
            additional_headers=headers,
            ssl=secure,
            open_timeout=OPEN_SECONDS,
            proxy=None,
            compression=None,
            max_size=1 << 20,
        )
    except InvalidStatus as error:
        response = error.response
        raise problem_of(settings.url, response.status_code, bytes(response.body or b"")) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ControllerUnreachable(url=settings.url, why=str(error) or type(error).__name__) from error
    async with socket:
        yield socket


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
