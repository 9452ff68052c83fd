"""Asks the agent's root part, over its Unix socket. Used by the part that talks to the network."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import msgspec

from ringfence.agent.root_verbs import LONGEST_BYTES, AnyRootResult, AnyRootVerb, RootAnswer
from ringfence.errors import from_record
from ringfence.model.hosts import HostPartDown

_STARTING_SECONDS = 5.0


class RootPart:
    """The root part, as its peer sees it. Raises what it answers with, or `HostPartDown` if it does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, verb: AnyRootVerb, *, patience_seconds: float = 60.0) -> AnyRootResult:
        result, descriptor = self._ask(verb, patience_seconds)
        if descriptor is not None:
            os.close(descriptor)
        return result

    def descriptor(self, verb: AnyRootVerb, *, patience_seconds: float = 30.0) -> int:
        """Ask a verb that gives a descriptor; the caller closes it."""
        _, descriptor = self._ask(verb, patience_seconds)
        assert descriptor is not None, "the verb gives no descriptor"
        return descriptor

    def _ask(self, verb: AnyRootVerb, patience_seconds: float) -> tuple[AnyRootResult, int | None]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.settimeout(patience_seconds)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_BYTES)
                self._connect(peer)
                peer.sendall(msgspec.json.encode(verb))
                message, descriptors, _, _ = socket.recv_fds(peer, LONGEST_BYTES, 1)
        except OSError as error:
            raise HostPartDown(why=str(error)) from None
        if not message:
            raise HostPartDown(why="it hung up")
        answer = msgspec.json.decode(message, type=RootAnswer)
        if answer.error is not None or answer.result is None:
            assert answer.error is not None, "an answer holds one of the two"
            raise from_record(answer.error)
        return answer.result, descriptors[0] if descriptors else None

    def _connect(self, peer: socket.socket) -> None:
        """Connect; a root part that is starting again is waited for a little, because nothing was asked yet."""
        ends = time.monotonic() + _STARTING_SECONDS
        while True:
            try:
                peer.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
            else:
                return
