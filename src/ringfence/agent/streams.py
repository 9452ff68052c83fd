"""Carries bytes both ways between a plain socket and a TLS one until both sides have ended. Knows nothing of moves."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time

_PIECE = 1 << 18
_ENDING_SECONDS = 30.0


def carry(plain: socket.socket, tls: ssl.SSLSocket) -> None:
    """Carry until both directions have ended, then close both.

    One thread does both directions, because an SSL connection must not be read and written at once. An end in one
    direction is passed on, and the other may go on for a while: QEMU ends its stream before it reads the last answer.
    """
    plain.setblocking(False)
    tls.setblocking(False)
    try:
        with contextlib.suppress(OSError):
            _Carrier(plain, tls).run()
    finally:
        plain.close()
        tls.close()


class _Carrier:
    def __init__(self, plain: socket.socket, tls: ssl.SSLSocket) -> None:
        self._plain, self._tls = plain, tls
        self._out = memoryview(b"")
        self._in = memoryview(b"")
        self._plain_ended = self._tls_ended = False
        self._tls_wants_write = False
        self._ends_at = float("inf")

    def run(self) -> None:
        while not (self._plain_ended and self._tls_ended and not self._out and not self._in):
            # All four are tried each time: TLS may hold decrypted bytes that select cannot see.
            moved = [self._read_plain(), self._write_tls(), self._read_tls(), self._write_plain()]
            if not any(moved) and not self._wait():
                return

    def _wait(self) -> bool:
        readers: list[socket.socket] = []
        writers: list[socket.socket] = []
        if not self._plain_ended and not self._out:
            readers.append(self._plain)
        if not self._tls_ended and not self._in:
            readers.append(self._tls)
        if self._in:
            writers.append(self._plain)
        if self._tls_wants_write:
            writers.append(self._tls)
        left = min(self._ends_at - time.monotonic(), 60.0)
        if left <= 0 or not (readers or writers):
            return False
        # poll(2), not select(2): descriptors may be numbered beyond 1023.
        poll = select.poll()
        for one in {*readers, *writers}:
            wanted = (select.POLLIN if one in readers else 0) | (select.POLLOUT if one in writers else 0)
            poll.register(one, wanted)
        poll.poll(left * 1000)
        return True

    def _read_plain(self) -> bool:
        if self._out or self._plain_ended:
            return False
        try:
            piece = self._plain.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        if not piece:
            self._plain_ended = True
            self._begin_end()
            with contextlib.suppress(ssl.SSLError, OSError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._tls, socket.SHUT_WR)
        self._out = memoryview(piece)
        return True

    def _write_tls(self) -> bool:
        self._tls_wants_write = False
        if not self._out:
            return False
        try:
            sent = self._tls.send(self._out)
        except ssl.SSLWantWriteError:
            self._tls_wants_write = True
            return False
        except ssl.SSLWantReadError:
            return False
        self._out = self._out[sent:]
        return True

    def _read_tls(self) -> bool:
        if self._in or self._tls_ended:
            return False
        try:
            piece = self._tls.recv(_PIECE)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._tls_wants_write = True
            return False
        if not piece:
            self._tls_ended = True
            self._begin_end()
            with contextlib.suppress(OSError):
                self._plain.shutdown(socket.SHUT_WR)
        self._in = memoryview(piece)
        return True

    def _write_plain(self) -> bool:
        if not self._in:
            return False
        try:
            sent = self._plain.send(self._in)
        except BlockingIOError:
            return False
        self._in = self._in[sent:]
        return True

    def _begin_end(self) -> None:
        self._ends_at = min(self._ends_at, time.monotonic() + _ENDING_SECONDS)
