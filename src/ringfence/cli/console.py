"""`ringfence vm console`: a terminal, or a pipe, joined to a VM's serial console over a WebSocket.

It knows nothing of terminals' languages: bytes go through as they are, both ways.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import ssl
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from types import FrameType

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ringfence.cli.output import notice
from ringfence.client.connection import ControllerUnreachable, problem_of, trust
from ringfence.client.settings import Settings

ESCAPE = b"\x1d"
"""Ctrl-], as in telnet and virsh."""
LINGER_SECONDS = 2.0
"""How long a pipe's reader still listens for the guest's answer after the input ended and the guest fell silent."""


def attach(settings: Settings, path: str, *, title: str) -> None:
    """Join standard input and output to the console until either side ends, or Ctrl-] is typed."""
    url = "ws" + settings.url.removeprefix("http") + path
    with _connected(settings, url) as socket:
        if sys.stdin.isatty():
            with _raw_terminal(sys.stdin.fileno()):
                # ORDER: raw, then told: what is typed from here on goes to the guest. A raw line ends in CR LF.
                sys.stderr.write(f"Attached to {title}. Press Enter for a prompt; Ctrl-] leaves.\r\n")
                sys.stderr.flush()
                _join(socket, watch_escape=True)
            notice(f"\nLeft {title}.")
        else:
            _join(socket, watch_escape=False)


def _join(socket: ClientConnection, *, watch_escape: bool) -> None:
    """Copy bytes both ways: a thread writes what the guest sends, this one sends what is typed."""
    heard = threading.Event()
    ended, ends = os.pipe()

    def listen() -> None:
        try:
            for frame in socket:
                heard.set()
                _write_all(sys.stdout.fileno(), frame if isinstance(frame, bytes) else frame.encode())
        except (ConnectionClosed, OSError):
            pass
        finally:
            os.close(ends)

    listener = threading.Thread(target=listen, name="console", daemon=True)
    listener.start()
    try:
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), ended], [], [])
            if ended in ready:
                return
            typed = os.read(sys.stdin.fileno(), 4096)
            before, escape, _ = typed.partition(ESCAPE) if watch_escape else (typed, b"", b"")
            if before:
                socket.send(before)
            if escape:
                return
            if not typed:
                _linger(heard, ended)
                return
    except ConnectionClosed:
        return
    finally:
        socket.close()
        listener.join(timeout=LINGER_SECONDS)
        os.close(ended)


def _linger(heard: threading.Event, ended: int) -> None:
    """After the input's end: listen until the guest has been silent for a while, or the console closes."""
    while not select.select([ended], [], [], 0)[0]:
        heard.clear()
        if not heard.wait(LINGER_SECONDS):
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


@contextlib.contextmanager
def _connected(settings: Settings, url: str) -> Iterator[ClientConnection]:
    secure: ssl.SSLContext | None = trust(settings) if url.startswith("wss:") else None
    headers = {"Authorization": f"Bearer {settings.token}"}
    try:
        socket = connect(
            url, additional_headers=headers, ssl=secure, open_timeout=15, proxy=None, compression=None, max_size=1 << 20
        )
    except InvalidStatus as error:
        response = error.response
        raise problem_of(settings.url, response.status_code, bytes(response.body or b"")) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ControllerUnreachable(url=settings.url, why=str(error) or type(error).__name__) from error
    with socket:
        yield socket


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
