"""Carries a VM's serial console to the controller, by dialling out to it. Keeps and reads nothing of what passes."""

from __future__ import annotations

import contextlib
import os
import re
import select
import ssl
import threading
from collections.abc import Callable
from functools import partial

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from ringfence.agent.admission import check_vm_id
from ringfence.agent.ask_root import RootPart
from ringfence.agent.root_verbs import OpenTerminal
from ringfence.errors import Invalid, WrongState
from ringfence.model.hosts import ControllerAway
from ringfence.wire import OpenConsole

_MOST_CONSOLES = 32
_LONGEST_FRAME = 1 << 16
_LEAVING_SECONDS = 3.0


class Consoles:
    """The consoles that are attached now."""

    def __init__(self, url: str, tls: ssl.SSLContext, root: RootPart) -> None:
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
        self._await_left(verb.vm_id)
        try:
            terminal = self._root.descriptor(OpenTerminal(vm_id=verb.vm_id))
            try:
                peer = connect(
                    f"{self._url}/agent/v1/consoles/{verb.session_id}",
                    ssl=self._tls,
                    compression=None,
                    proxy=None,
                    open_timeout=10,
                    max_size=_LONGEST_FRAME,
                )
            except (OSError, TimeoutError, WebSocketException) as error:
                os.close(terminal)
                raise ControllerAway(why=str(error)) from None
        except BaseException:
            self._places.release()
            raise
        with self._left:
            self._attached.add(verb.vm_id)
        ended = partial(self._detach, verb.vm_id)
        threading.Thread(target=_carry, args=(terminal, peer, ended), daemon=True).start()

    def _await_left(self, vm_id: str) -> None:
        """Wait a moment for one who is just leaving this console; who stays is found by the terminal's lock."""
        with self._left:
            self._left.wait_for(lambda: vm_id not in self._attached, timeout=_LEAVING_SECONDS)

    def _detach(self, vm_id: str) -> None:
        with self._left:
            self._attached.discard(vm_id)
            self._left.notify_all()
        self._places.release()


def _carry(terminal: int, peer: ClientConnection, ended: Callable[[], None]) -> None:
    """Carry both ways until either side ends, and let the terminal go at once: another may be waiting for it."""
    hung_up, hangs_up = os.pipe2(os.O_CLOEXEC)
    typed = threading.Thread(target=_carry_typed, args=(terminal, peer, hangs_up), daemon=True)
    typed.start()
    with contextlib.suppress(OSError, WebSocketException):
        while hung_up not in (ready := select.select([terminal, hung_up], [], [])[0]):
            piece = os.read(terminal, _LONGEST_FRAME) if ready else b""
            if not piece:
                break
            peer.send(piece)
    with contextlib.suppress(OSError, WebSocketException):
        peer.close()
    typed.join(timeout=15)
    os.close(terminal)
    os.close(hung_up)
    ended()


def _carry_typed(terminal: int, peer: ClientConnection, hangs_up: int) -> None:
    try:
        with contextlib.suppress(OSError, WebSocketException):
            for frame in peer:
                left = frame if isinstance(frame, bytes) else frame.encode()
                while left:
                    _, ready, _ = select.select([], [terminal], [], 5.0)
                    if not ready:
                        return  # the guest does not read its console: hang up rather than pile up
                    left = left[os.write(terminal, left) :]
    finally:
        os.close(hangs_up)
