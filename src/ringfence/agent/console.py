"""Carries a VM's serial console to the controller, by dialling out to it. Keeps and reads nothing of what passes."""

from __future__ import annotations

import contextlib
import os
import re
import select
import ssl
import threading
from collections.abc import Callable

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


class Consoles:
    """The consoles that are attached now."""

    def __init__(self, url: str, tls: ssl.SSLContext, root: RootPart) -> None:
        self._url = re.sub(r"^https", "wss", url)
        self._tls, self._root = tls, root
        self._places = threading.BoundedSemaphore(_MOST_CONSOLES)

    def open(self, verb: OpenConsole) -> None:
        """Attach the console; returns once the controller's session is joined, and goes on in the background."""
        check_vm_id(verb.vm_id)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", verb.session_id):
            raise Invalid(field="session_id", why="it is no session of the controller's")
        if not self._places.acquire(blocking=False):
            raise WrongState(kind="host", name="console", state="full", verb="attaching", needs="fewer open consoles")
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
        threading.Thread(target=_carry, args=(terminal, peer, self._places.release), daemon=True).start()


def _carry(terminal: int, peer: ClientConnection, ended: Callable[[], None]) -> None:
    """Carry both ways until either side ends."""
    typed = threading.Thread(target=_carry_typed, args=(terminal, peer), daemon=True)
    typed.start()
    with contextlib.suppress(OSError, WebSocketException):
        while typed.is_alive():
            if select.select([terminal], [], [], 1.0)[0]:
                piece = os.read(terminal, _LONGEST_FRAME)
                if not piece:
                    break
                peer.send(piece)
    with contextlib.suppress(OSError, WebSocketException):
        peer.close()
    typed.join(timeout=15)
    os.close(terminal)
    ended()


def _carry_typed(terminal: int, peer: ClientConnection) -> None:
    with contextlib.suppress(OSError, WebSocketException):
        for frame in peer:
            left = frame if isinstance(frame, bytes) else frame.encode()
            while left:
                _, ready, _ = select.select([], [terminal], [], 5.0)
                if not ready:
                    return  # the guest does not read its console: hang up rather than pile up
                left = left[os.write(terminal, left) :]
