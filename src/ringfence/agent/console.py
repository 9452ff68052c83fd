"""Carries a VM's serial console to the controller, by dialling out to it. Keeps and reads nothing of what passes.

Each console has a thread with an event loop of its own, because a TLS connection must not be read and written at once:
one whose handshake two threads share is sometimes never answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ringfence.agent.admission import check_vm_id
from ringfence.agent.ask_root import RootPart
from ringfence.agent.root_verbs import OpenTerminal
from ringfence.errors import Invalid, WrongState
from ringfence.model.hosts import ControllerAway
from ringfence.wire import OpenConsole

_MOST_CONSOLES = 32
_LONGEST_FRAME = 1 << 16
_LEAVING_SECONDS = 3.0
_DIAL_SECONDS = 10.0
_UNREAD_SECONDS = 5.0


class Consoles:
    """The consoles that are attached now."""

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext], root: RootPart) -> None:
        self._url = re.sub(r"^https", "wss", url)
        self._tls, self._root = tls, root
        self._places = threading.BoundedSemaphore(_MOST_CONSOLES)
        self._attached: set[str] = set()
        self._left = threading.Condition()

    def open(self, verb: OpenConsole) -> None:
        """Attach the console; returns once the controller's session is joined, and goes on in the background."""
        check_vm_id(verb.vm_id)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", verb.session_id):
            raise Invalid(field="session_id", why="it is no session of the controller's")
        if not self._places.acquire(blocking=False):
            raise WrongState(kind="host", name="console", state="full", verb="attaching", needs="fewer open consoles")
        try:
            self._await_left(verb.vm_id)
            terminal = self._root.descriptor(OpenTerminal(vm_id=verb.vm_id))
        except BaseException:
            self._places.release()
            raise
        joined: Future[None] = Future()
        threading.Thread(target=self._run, args=(verb, terminal, joined), daemon=True, name="console").start()
        joined.result()

    def _run(self, verb: OpenConsole, terminal: int, joined: Future[None]) -> None:
        try:
            asyncio.run(self._attach(verb, terminal, lambda: self._join(verb.vm_id, joined)))
        except (OSError, WebSocketException) as error:
            # Once it was joined, its end is no news: whoever was attached sees it.
            if not joined.done():
                joined.set_exception(ControllerAway(why=str(error) or type(error).__name__))
        finally:
            os.close(terminal)
            self._detach(verb.vm_id)
            if not joined.done():
                joined.set_exception(ControllerAway(why="the console ended before it began"))

    async def _attach(self, verb: OpenConsole, terminal: int, begun: Callable[[], None]) -> None:
        peer = connect(
            f"{self._url}/agent/v1/consoles/{verb.session_id}",
            ssl=self._tls(),
            compression=None,
            proxy=None,
            open_timeout=_DIAL_SECONDS,
            max_size=_LONGEST_FRAME,
        )
        async with peer as socket:
            begun()
            await carry(terminal, socket)

    def _join(self, vm_id: str, joined: Future[None]) -> None:
        with self._left:
            self._attached.add(vm_id)
        joined.set_result(None)

    def _await_left(self, vm_id: str) -> None:
        """Wait a moment for one who is just leaving this console; who stays is found by the terminal's lock."""
        with self._left:
            self._left.wait_for(lambda: vm_id not in self._attached, timeout=_LEAVING_SECONDS)

    def _detach(self, vm_id: str) -> None:
        with self._left:
            self._attached.discard(vm_id)
            self._left.notify_all()
        self._places.release()


async def carry(terminal: int, peer: ClientConnection) -> None:
    """Carry both ways until either side ends. The terminal does not block, and stays the caller's to close."""
    both = [asyncio.create_task(_carry_said(terminal, peer)), asyncio.create_task(_carry_typed(terminal, peer))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _carry_said(terminal: int, peer: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await _ready(partial(loop.add_reader, terminal), partial(loop.remove_reader, terminal))
        with contextlib.suppress(BlockingIOError):
            # An OSError is the guest's end: the terminal's other side is gone.
            piece = os.read(terminal, _LONGEST_FRAME)
            if not piece:
                return
            await peer.send(piece)


async def _carry_typed(terminal: int, peer: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    async for frame in peer:
        left = frame if isinstance(frame, bytes) else frame.encode()
        while left:
            # A guest that does not read its console is hung up on rather than piled up for.
            async with asyncio.timeout(_UNREAD_SECONDS):
                await _ready(partial(loop.add_writer, terminal), partial(loop.remove_writer, terminal))
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(terminal, left) :]


async def _ready(add: Callable[[Callable[[], None]], None], remove: Callable[[], bool]) -> None:
    """Wait until the loop says that the descriptor is ready; it is not looked at while nobody waits."""
    event = asyncio.Event()
    add(event.set)
    try:
        await event.wait()
    finally:
        remove()
