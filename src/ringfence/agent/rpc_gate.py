"""Lets another host's libvirt make, on this host's libvirt, the calls that a move is made of, and no others.

libvirt gives whoever it talks to everything; a compromised host with a move's window open must not get this host with
it. Frames are libvirt's: a length and six words (src/rpc/virnetprotocol.x), numbers from remote_protocol.x. What the
calls carry is judged by the hook (`company.check_incoming`).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

_HEADER = struct.Struct(">IIIiiIi")
_LONGEST = 1 << 24
_REMOTE, _KEEPALIVE = 0x20008086, 0x6B656570
_CALL, _MESSAGE = 0, 2

CALLS = frozenset({
    1,  # open
    2,  # close
    59,  # get hostname
    60,  # supports feature
    66,  # list ways to authenticate
    157,  # library version
    303,  # migrate: prepare
    306,  # migrate: finish
    360,  # tell when the connection closes
    361,  # or do not
})  # fmt: skip


class CallRefusedError(Exception):
    """The peer sent what no move needs."""


def check_frame(header: bytes) -> int:
    """Give the frame's whole length, or refuse it."""
    length, program, _version, procedure, kind, _serial, _status = _HEADER.unpack(header)
    if not _HEADER.size <= length <= _LONGEST + 4:
        raise CallRefusedError(f"a frame of {length} bytes")
    if program == _KEEPALIVE and kind == _MESSAGE:
        return int(length)
    if program == _REMOTE and kind == _CALL and procedure in CALLS:
        return int(length)
    raise CallRefusedError(f"call {procedure} of program {program:#x}")


def guarded(libvirt_socket: str) -> socket.socket:
    """Connect to libvirt and give the peer's end, behind the gate. Two threads carry it until one side ends."""
    outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    target = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        target.connect(libvirt_socket)
    except OSError:
        for end in (outside, inside, target):
            end.close()
        raise
    threading.Thread(target=_carry, args=(inside, target, _calls), daemon=True, name="move-calls").start()
    threading.Thread(target=_carry, args=(target, inside, _answers), daemon=True, name="move-answers").start()
    return outside


def _carry(source: socket.socket, target: socket.socket, copy: object) -> None:
    try:
        with contextlib.suppress(OSError, CallRefusedError, EOFError):
            copy(source, target)  # type: ignore[operator]
    finally:
        for end in (source, target):
            # Both directions end together: libvirt undoes a half-made move when its peer goes.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _calls(source: socket.socket, target: socket.socket) -> None:
    while True:
        header = _exactly(source, _HEADER.size)
        length = check_frame(header)
        target.sendall(header + _exactly(source, length - _HEADER.size))


def _answers(source: socket.socket, target: socket.socket) -> None:
    while piece := source.recv(1 << 16):
        target.sendall(piece)


def _exactly(source: socket.socket, count: int) -> bytes:
    pieces = []
    while count:
        piece = source.recv(min(count, 1 << 16))
        if not piece:
            raise EOFError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
