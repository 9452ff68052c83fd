"""The password process: one thread a socket, each with locked memory of its own; it ends when the controller does.

`python -I -m ringfence.passwords FD…`: the descriptors of connected sockets. What each question means is in `desk`.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Sequence

import msgspec

from ringfence.passwords import sodium
from ringfence.passwords.confinement import confine
from ringfence.passwords.desk import Desk
from ringfence.passwords.memory import LockedMemory
from ringfence.passwords.messages import LINE_BYTES, AnyQuestion

_PAGE = 4096


def main(descriptors: Sequence[str]) -> None:
    """Answer until every socket's other end is closed."""
    # The terminal's Ctrl-C reaches the controller too, which ends its requests first and then closes the sockets.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sodium.start()
    desk = Desk(sodium.SealingKey(LockedMemory(_PAGE)), LockedMemory(_PAGE))
    sockets = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    memories = [LockedMemory(_PAGE) for _ in sockets]
    confine()
    threads = [
        threading.Thread(target=_serve, args=(desk, *pair), daemon=True) for pair in zip(sockets, memories, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(desk: Desk, connected: socket.socket, memory: LockedMemory) -> None:
    """Answer one question after the other. A failure closes the socket: the controller then starts a new process."""
    decoder, encoder = msgspec.json.Decoder(AnyQuestion), msgspec.json.Encoder()
    incoming = bytearray()
    with connected:
        while piece := connected.recv(LINE_BYTES):
            incoming += piece
            assert len(incoming) <= LINE_BYTES
            if incoming.endswith(b"\n"):
                answer = desk.answer(decoder.decode(incoming), memory)
                connected.sendall(encoder.encode(answer) + b"\n")
                incoming.clear()


main(sys.argv[1:])
