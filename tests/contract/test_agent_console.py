"""The agent's end of a console or screen: a real terminal or pair of sockets, and a controller over real TLS.

The root part answers as it would.
"""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import shutil
import socket
import ssl
import tempfile
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.contract.lone_controller import LoneController, key_pem
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from ringfence.agent.ask_root import RootPart
from ringfence.agent.console import Consoles
from ringfence.agent.identity import client_tls
from ringfence.agent.root_verbs import LONGEST_BYTES, AnyRootVerb, Done, OpenDisplay, RootAnswer
from ringfence.agent.settings import Settings
from ringfence.errors import WrongState
from ringfence.model.hosts import ControllerAway
from ringfence.wire import OpenConsole, OpenScreen

pytestmark = pytest.mark.contract
VM = "01920000-0000-7000-8000-000000000001"
HOST = "01920000-0000-7000-8000-0000000000a1"
CONSOLE, SCREEN = OpenConsole(vm_id=VM, session_id="s"), OpenScreen(vm_id=VM, session_id="s")
EITHER = pytest.mark.parametrize("asked", [CONSOLE, SCREEN])


class Guest:
    """A guest's console and screen, and the root part that hands them out; `port` is the guest's end of the last."""

    def __init__(self, path: Path) -> None:
        self._serial, self.terminal = pty.openpty()
        tty.setraw(self.terminal)
        self.port = self._serial
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer:
                    given = self._give(msgspec.json.decode(peer.recv(LONGEST_BYTES), type=AnyRootVerb))
                    socket.send_fds(peer, [msgspec.json.encode(RootAnswer(result=Done()))], [given])
                    os.close(given)

    def _give(self, asked: AnyRootVerb) -> int:
        if not isinstance(asked, OpenDisplay):
            self.port = self._serial
            return os.open(os.ttyname(self.terminal), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.port = ours.detach()
        return theirs.detach()

    def end(self) -> None:
        os.close(self.port)
        self.port = os.open(os.devnull, os.O_RDONLY)

    def hear(self, count: int) -> bytes:
        heard = b""
        while len(heard) < count:
            heard += os.read(self.port, 4096)
        return heard

    def close(self) -> None:
        self._listener.close()
        os.close(self._serial)
        os.close(self.terminal)


class Controller:
    """A controller's end of the console: the sessions that hosts came to."""

    def __init__(self, certified: LoneController) -> None:
        self.came: queue.Queue[ServerConnection] = queue.Queue()
        self._over = threading.Event()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certified.folder / "controller.pem")
        self._server: Server = serve(self._come, "127.0.0.1", 0, ssl=tls, compression=None)
        self.url = f"https://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _come(self, session: ServerConnection) -> None:
        self.came.put(session)
        self._over.wait()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: a Unix socket's path has at most 107 characters.
    made = Path(tempfile.mkdtemp(prefix="rf-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def ca(folder: Path) -> Iterator[LoneController]:
    made = LoneController(folder / "ca")
    yield made
    made.close()


@pytest.fixture
def guest(folder: Path) -> Iterator[Guest]:
    made = Guest(folder / "root.sock")
    yield made
    made.close()


@pytest.fixture
def controller(ca: LoneController) -> Iterator[Controller]:
    made = Controller(ca)
    yield made
    made.close()


@pytest.fixture
def tls(ca: LoneController, folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "host.pem").write_text(key_pem(key) + ca.issue(HOST, key.public_key()))
    (folder / "ca.crt").write_text(ca.ca_pem)
    return client_tls(Settings(config=str(folder)))


def consoles_of(folder: Path, url: str, tls: ssl.SSLContext) -> Consoles:
    return Consoles(url, lambda: tls, RootPart(folder / "root.sock"))


@EITHER
def test_what_is_typed_reaches_the_guest_and_what_it_says_comes_back(folder, guest, controller, tls, asked) -> None:
    consoles_of(folder, controller.url, tls).open(asked)
    session = controller.came.get(timeout=10)
    session.send(b"x" * 3000)
    assert guest.hear(3000) == b"x" * 3000
    os.write(guest.port, b"login: ")
    assert session.recv(timeout=10) == b"login: "


@EITHER
def test_a_console_that_was_left_can_be_attached_to_again(folder, guest, controller, tls, asked) -> None:
    consoles = consoles_of(folder, controller.url, tls)
    for word in (b"one", b"two", b"three"):
        consoles.open(asked)
        session = controller.came.get(timeout=10)
        session.send(word)
        assert guest.hear(len(word)) == word
        session.close()


@EITHER
def test_the_end_of_the_guest_ends_the_console(folder, guest, controller, tls, asked) -> None:
    consoles_of(folder, controller.url, tls).open(asked)
    session = controller.came.get(timeout=10)
    guest.end()
    with pytest.raises(ConnectionClosed):
        session.recv(timeout=10)


@EITHER
def test_each_has_one_at_its_other_end_at_a_time(folder, guest, controller, tls, asked) -> None:
    consoles = consoles_of(folder, controller.url, tls)
    consoles.open(asked)
    session = controller.came.get(timeout=10)
    with pytest.raises(WrongState, match="in use"):
        consoles.open(asked)
    session.send(b"still here")
    assert guest.hear(10) == b"still here"


def test_a_console_and_a_screen_are_two(folder, guest, controller, tls) -> None:
    consoles = consoles_of(folder, controller.url, tls)
    for asked in (CONSOLE, SCREEN):
        consoles.open(asked)
        controller.came.get(timeout=10).send(b"here")
        assert guest.hear(4) == b"here"


@EITHER
@pytest.mark.usefixtures("guest")
def test_a_controller_that_is_not_there_is_told_as_such_and_takes_no_place(folder, tls, asked) -> None:
    away = consoles_of(folder, "https://127.0.0.1:1", tls)
    for _ in range(40):
        with pytest.raises(ControllerAway):
            away.open(asked)


def test_one_thread_alone_uses_the_tls_of_a_console(folder, guest, controller, tls) -> None:
    users = set()

    class Watched:
        """OpenSSL allows no two threads in one connection: notes which were in this one."""

        def read(self, *arguments):
            users.add(threading.get_ident())
            return super().read(*arguments)

        def write(self, *arguments):
            users.add(threading.get_ident())
            return super().write(*arguments)

        def do_handshake(self, *arguments):
            users.add(threading.get_ident())
            return super().do_handshake(*arguments)

    tls.sslobject_class = type("WatchedObject", (Watched, ssl.SSLObject), {})
    tls.sslsocket_class = type("WatchedSocket", (Watched, ssl.SSLSocket), {})
    consoles_of(folder, controller.url, tls).open(CONSOLE)
    session = controller.came.get(timeout=10)
    session.send(b"typed")
    assert guest.hear(5) == b"typed"
    os.write(guest.port, b"said")
    assert session.recv(timeout=10) == b"said"
    assert len(users) == 1
