"""The network side of a move: streams over mutual TLS between two agents, without root.

The destination listens while a window is open and at no other time, and takes streams from the one host it was told
of. libvirt and QEMU see Unix sockets only. Windows, and what a stream may do here, are the root part's (`windows.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ringfence.agent.ask_root import RootPart
from ringfence.agent.dial import peer_name
from ringfence.agent.identity import peer_tls
from ringfence.agent.root_verbs import Channel, Domains, ListDomains, OpenChannel
from ringfence.agent.settings import Settings
from ringfence.agent.streams import carry
from ringfence.errors import RingfenceError
from ringfence.model.hosts import MoveFailed

_GREETING_BYTES = 512
_GREETING_SECONDS = 10.0
_MOST_STREAMS = 32
_ASK_STATE = "state"


class Greeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a stream. `channel` is one of `Channel`, or `state`, which asks for the VM's state there."""

    vm_id: str
    channel: str


@dataclass(eq=False)
class _Expected:
    source_host_id: str
    until: float
    streams: list[socket.socket] = field(default_factory=list)


class Door:
    """Listens for the streams of moves to this host, while there are any to expect."""

    def __init__(self, settings: Settings, root: RootPart) -> None:
        self._settings, self._root = settings, root
        self._lock = threading.Lock()
        self._expected: dict[str, _Expected] = {}
        self._listener: socket.socket | None = None
        self._places = threading.BoundedSemaphore(_MOST_STREAMS)

    def open(self, vm_id: str, source_host_id: str, *, seconds: float) -> None:
        """Expect streams of this VM from this host; again moves the end."""
        with self._lock:
            known = self._expected.get(vm_id)
            streams = known.streams if known and known.source_host_id == source_host_id else []
            self._expected[vm_id] = _Expected(source_host_id, time.monotonic() + seconds, streams)
            if self._listener is None:
                self._listener = socket.create_server(
                    (self._settings.underlay_address, self._settings.move_port), backlog=16
                )
                self._listener.settimeout(1.0)
                threading.Thread(target=self._listen, args=(self._listener,), daemon=True, name="moves").start()

    def close(self, vm_id: str) -> None:
        """Expect no more, end the VM's streams, and stop listening if nobody else is expected."""
        with self._lock:
            self._drop(vm_id)

    def _drop(self, vm_id: str) -> None:
        expected = self._expected.pop(vm_id, None)
        if not self._expected and self._listener is not None:
            # shutdown wakes the thread that accepts; close alone would leave the socket listening until then.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        # ORDER: the port before the streams. Whoever sees a stream end then finds the port closed.
        for stream in expected.streams if expected else []:
            # The socket's own shutdown, not TLS's: that would take the keys from under the thread that carries.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(stream, socket.SHUT_RDWR)

    def _listen(self, listener: socket.socket) -> None:
        context = peer_tls(self._settings, listens=True)
        while True:
            with self._lock:
                for vm_id in [v for v, e in self._expected.items() if e.until < time.monotonic()]:
                    self._drop(vm_id)
                if self._listener is not listener:
                    return
            try:
                stream, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                stream.close()
                continue
            threading.Thread(target=self._take, args=(stream, context), daemon=True, name="move-stream").start()

    def _take(self, stream: socket.socket, context: ssl.SSLContext) -> None:
        try:
            stream.settimeout(_GREETING_SECONDS)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with (
                contextlib.suppress(OSError, msgspec.MsgspecError),
                context.wrap_socket(stream, server_side=True) as tls,
            ):
                self._welcome(tls)
        finally:
            self._places.release()

    def _welcome(self, tls: ssl.SSLSocket) -> None:
        greeting = msgspec.json.decode(_read_line(tls), type=Greeting)
        with self._lock:
            expected = self._expected.get(greeting.vm_id)
        # SAFETY: a good certificate is not enough: it must be the one host that this VM comes from.
        if expected is None or peer_name(tls) != expected.source_host_id or expected.until < time.monotonic():
            _answer(tls, "no", "it is not expected")
            return
        try:
            if greeting.channel == _ASK_STATE:
                _answer(tls, self._state(greeting.vm_id), "")
                return
            channel = OpenChannel(vm_id=greeting.vm_id, channel=Channel(greeting.channel))
            inner = socket.socket(fileno=self._root.descriptor(channel))
        except (RingfenceError, ValueError) as error:
            _answer(tls, "no", str(error)[:200])
            return
        _answer(tls, "yes", "")
        with self._lock:
            expected.streams.append(tls)
        carry(inner, tls)

    def _state(self, vm_id: str) -> str:
        seen = self._root.ask(ListDomains())
        assert isinstance(seen, Domains)
        return next((vm.state for vm in seen.vms if vm.vm_id == vm_id), "absent")


class Departure:
    """The sockets through which one VM leaves this host, while the block lasts; QEMU and libvirt connect to them."""

    def __init__(self, settings: Settings, *, vm_id: str, host_id: str, address: str) -> None:
        self._settings, self._vm_id, self._host_id, self._address = settings, vm_id, host_id, address
        self._context = peer_tls(settings, listens=False)
        self._listeners: list[socket.socket] = []
        self.failed: list[str] = []

    @contextlib.contextmanager
    def offered(self) -> Iterator[Departure]:
        """Offer the sockets in the folder that root made for them."""
        folder = self._settings.moves / self._vm_id
        try:
            for channel in Channel:
                self._offer(folder / channel, channel)
            yield self
        finally:
            for listener in self._listeners:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            for channel in Channel:
                with contextlib.suppress(OSError):
                    (folder / channel).unlink()

    def _offer(self, path: Path, channel: Channel) -> None:
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listeners.append(listener)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(8)
        threading.Thread(target=self._accept, args=(listener, channel), daemon=True, name=f"leave-{channel}").start()

    def _accept(self, listener: socket.socket, channel: Channel) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                threading.Thread(target=self._leave, args=(inner, channel), daemon=True, name="leave").start()

    def _leave(self, inner: socket.socket, channel: Channel) -> None:
        try:
            tls = self._dial(channel)
        except (OSError, MoveFailed) as error:
            self.failed.append(str(error))
            sys.stderr.write(f"move of {self._vm_id}, {channel}: {error}\n")
            inner.close()
            return
        carry(inner, tls)

    def state_there(self) -> str:
        """Ask the destination for the VM's state there; raises `MoveFailed` if it does not say."""
        try:
            with self._connect() as tls:
                return self._greet(tls, _ASK_STATE)
        except OSError as error:
            raise MoveFailed(
                vm_id=self._vm_id, why=f"the destination does not say whether it has it: {error}"
            ) from None

    def _dial(self, channel: Channel) -> ssl.SSLSocket:
        tls = self._connect()
        try:
            self._greet(tls, channel)
        except BaseException:
            tls.close()
            raise
        return tls

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection((self._address, self._settings.move_port), timeout=_GREETING_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls = self._context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        # SAFETY: memory and disk of the VM go here: it must be the host that was named, not any host of the cloud.
        if peer_name(tls) != self._host_id:
            tls.close()
            raise MoveFailed(vm_id=self._vm_id, why=f"{self._address} is not the host it should be")
        return tls

    def _greet(self, tls: ssl.SSLSocket, channel: str) -> str:
        tls.sendall(json.dumps({"vm_id": self._vm_id, "channel": str(channel)}).encode() + b"\n")
        told = json.loads(_read_line(tls) or b'{"said": "no", "why": "the destination hung up"}')
        if told["said"] == "no":
            raise MoveFailed(vm_id=self._vm_id, why=str(told["why"])[:200])
        return str(told["said"])


def _answer(tls: ssl.SSLSocket, said: str, why: str) -> None:
    tls.sendall(json.dumps({"said": said, "why": why}).encode() + b"\n")


def _read_line(tls: ssl.SSLSocket) -> bytes:
    """Read the first line, byte by byte, so that nothing of what follows is taken."""
    line = b""
    while len(line) < _GREETING_BYTES:
        byte = tls.recv(1)
        if byte in {b"", b"\n"}:
            return line
        line += byte
    raise ConnectionAbortedError(os.strerror(90))
