"""Carries a VM's serial console, or its screen, to the controller, by dialling out. Keeps and reads nothing of it.

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
from ringfence.agent.root_verbs import OpenDisplay, OpenTerminal
from ringfence.errors import Invalid, WrongState
from ringfence.model.hosts import ControllerAway
from ringfence.wire import OpenConsole, OpenScreen

_MOST_CONSOLES = 32
_LONGEST_FRAME = 1 << 16
_LEAVING_SECONDS = 3.0
_DIAL_SECONDS = 10.0
_UNREAD_SECONDS = 5.0

Asked = OpenConsole | OpenScreen
Line = tuple[type[Asked], str]
"""What is attached: a VM's console or its screen."""


class Consoles:
    """The consoles and screens that are attached now; each has one at its other end at a time."""

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext], root: RootPart) -> None:
        self._url = re.sub(r"^https", "wss", url)
        self._tls, self._root = tls, root
        self._places = threading.BoundedSemaphore(_MOST_CONSOLES)
        self._attached: set[Line] = set()
        self._left = threading.Condition()

    def open(self, verb: Asked) -> None:
        """Attach what is asked for; returns once the controller's session is joined, and goes on in the background."""
        check_vm_id(verb.vm_id)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", verb.session_id):
            raise Invalid(field="session_id", why="it is no session of the controller's")
        if not self._places.acquire(blocking=False):
            raise WrongState(kind="host", name="console", state="full", verb="attaching", needs="fewer open consoles")
        try:
            self._claim(verb)
        except BaseException:
            self._places.release()
            raise
        try:
            screen = isinstance(verb, OpenScreen)
            end = self._root.descriptor(OpenDisplay(vm_id=verb.vm_id) if screen else OpenTerminal(vm_id=verb.vm_id))
        except BaseException:
            self._leave(verb)
            raise
        joined: Future[None] = Future()
        threading.Thread(target=self._run, args=(verb, end, joined), daemon=True, name="console").start()
        joined.result()

    def _run(self, verb: Asked, end: int, joined: Future[None]) -> None:
        try:
            asyncio.run(self._attach(verb, end, lambda: joined.set_result(None)))
        except (OSError, WebSocketException) as error:
            # Once it was joined, its end is no news: whoever was attached sees it.
            if not joined.done():
                joined.set_exception(ControllerAway(why=str(error) or type(error).__name__))
        finally:
            os.close(end)
            self._leave(verb)
            if not joined.done():
                joined.set_exception(ControllerAway(why="the console ended before it began"))

    async def _attach(self, verb: Asked, end: int, begun: Callable[[], None]) -> None:
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
            await carry(end, socket)

    def _claim(self, verb: Asked) -> None:
        """Have the line for this one alone; who is just leaving it is waited for a moment."""
        line = (type(verb), verb.vm_id)
        with self._left:
            if not self._left.wait_for(lambda: line not in self._attached, timeout=_LEAVING_SECONDS):
                what = "screen" if isinstance(verb, OpenScreen) else "console"
                raise WrongState(kind=f"{what} of VM", name=verb.vm_id, state="in use", verb="attaching", needs="free")
            self._attached.add(line)

    def _leave(self, verb: Asked) -> None:
        with self._left:
            self._attached.discard((type(verb), verb.vm_id))
            self._left.notify_all()
        self._places.release()


async def carry(end: int, peer: ClientConnection) -> None:
    """Carry both ways until either side ends. The VM's end does not block, and stays the caller's to close."""
    both = [asyncio.create_task(_carry_said(end, peer)), asyncio.create_task(_carry_typed(end, peer))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _carry_said(end: int, peer: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await _ready(partial(loop.add_reader, end), partial(loop.remove_reader, end))
        with contextlib.suppress(BlockingIOError):
            # An OSError is the guest's end: the other side is gone.
            piece = os.read(end, _LONGEST_FRAME)
            if not piece:
                return
            await peer.send(piece)


async def _carry_typed(end: int, peer: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    async for frame in peer:
        left = frame if isinstance(frame, bytes) else frame.encode()
        while left:
            # A guest that does not read its console is hung up on rather than piled up for.
            async with asyncio.timeout(_UNREAD_SECONDS):
                await _ready(partial(loop.add_writer, end), partial(loop.remove_writer, end))
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(end, left) :]


async def _ready(add: Callable[[Callable[[], None]], None], remove: Callable[[], bool]) -> None:
    """Wait until the loop says that the descriptor is ready; it is not looked at while nobody waits."""
    event = asyncio.Event()
    add(event.set)
    try:
        await event.wait()
    finally:
        remove()
