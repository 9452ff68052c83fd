"""The streams of a move: real TLS between two agents' ends; the root part is a socket that answers as it would."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.contract.lone_controller import LoneController, key_pem

from ringfence.agent.ask_root import RootPart
from ringfence.agent.moves import Departure, Door
from ringfence.agent.root_verbs import LONGEST_BYTES, AnyRootVerb, Domains, Done, OpenChannel, RootAnswer
from ringfence.agent.settings import Settings
from ringfence.model.hosts import MoveFailed

pytestmark = pytest.mark.contract
VM = "01920000-0000-7000-8000-000000000001"
SOURCE, DESTINATION, STRANGER = (f"01920000-0000-7000-8000-0000000000a{n}" for n in (1, 2, 3))


class Root:
    """Answers OpenChannel with one end of a socket pair, whose other end the test holds."""

    def __init__(self, path: Path) -> None:
        self.ends: list[socket.socket] = []
        self.came = threading.Semaphore(0)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer:
                    verb = msgspec.json.decode(peer.recv(LONGEST_BYTES), type=AnyRootVerb)
                    if isinstance(verb, OpenChannel):
                        inner, mine = socket.socketpair()
                        mine.settimeout(10)
                        self.ends.append(mine)
                        with inner:
                            socket.send_fds(peer, [msgspec.json.encode(RootAnswer(result=Done()))], [inner.fileno()])
                        self.came.release()
                    else:
                        seen = Domains(vms=(), windows=(), number=0, versions={})
                        peer.sendall(msgspec.json.encode(RootAnswer(result=seen)))

    def close(self) -> None:
        self._listener.close()
        for end in self.ends:
            end.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: a Unix socket's path has at most 107 characters.
    made = Path(tempfile.mkdtemp(prefix="rf-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def ca(folder: Path) -> Iterator[LoneController]:
    controller = LoneController(folder / "ca")
    yield controller
    controller.close()


def identity(ca: LoneController, folder: Path, host_id: str, port: int) -> Settings:
    config, runtime = folder / host_id, folder / f"r{host_id[-1]}"
    (runtime / "moves" / VM).mkdir(parents=True)
    config.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    (config / "host.pem").write_text(key_pem(key) + ca.issue(host_id, key.public_key()))
    (config / "ca.crt").write_text(ca.ca_pem)
    return Settings(config=str(config), runtime=str(runtime), underlay_address="127.0.0.1", move_port=port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ends:
    """A destination with its door, and sources that would come to it."""

    def __init__(self, ca: LoneController, folder: Path) -> None:
        self.port = free_port()
        self._ca, self._folder = ca, folder
        settings = identity(ca, folder, DESTINATION, self.port)
        self.root = Root(Path(settings.runtime, "privileged.sock"))
        self.door = Door(settings, RootPart(settings.privileged_socket))

    def departure(self, source: str = SOURCE, *, to: str = DESTINATION) -> tuple[Departure, Path]:
        settings = identity(self._ca, self._folder, source, self.port)
        departure = Departure(settings, vm_id=VM, host_id=to, address="127.0.0.1")
        return departure, settings.moves / VM / "memory"


@pytest.fixture
def ends(ca: LoneController, folder: Path) -> Iterator[Ends]:
    made = Ends(ca, folder)
    yield made
    made.door.close(VM)
    made.root.close()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def test_nothing_listens_without_a_window_nor_after_it(ends: Ends) -> None:
    assert not listens(ends.port)
    ends.door.open(VM, SOURCE, seconds=60)
    assert listens(ends.port)
    ends.door.close(VM)
    assert not listens(ends.port)


def test_a_window_ends_by_itself_with_its_streams(ends: Ends) -> None:
    departure, memory = ends.departure()
    ends.door.open(VM, SOURCE, seconds=1)
    with departure.offered(), socket.socket(socket.AF_UNIX) as qemu:
        qemu.settimeout(10)
        qemu.connect(str(memory))
        assert ends.root.came.acquire(timeout=10)
        assert qemu.recv(1) == b""
    assert not listens(ends.port)


def test_bytes_go_both_ways_and_an_end_in_one_leaves_the_other(ends: Ends) -> None:
    departure, memory = ends.departure()
    ends.door.open(VM, SOURCE, seconds=60)
    sent = os.urandom(5 << 20)
    with departure.offered(), socket.socket(socket.AF_UNIX) as qemu:
        qemu.settimeout(10)
        qemu.connect(str(memory))
        assert ends.root.came.acquire(timeout=10)
        there = ends.root.ends[0]
        sender = threading.Thread(target=lambda: (qemu.sendall(sent), qemu.shutdown(socket.SHUT_WR)))
        sender.start()
        received = b"".join(iter(lambda: there.recv(1 << 20), b""))
        sender.join()
        assert received == sent
        there.sendall(b"thanks")
        there.close()
        assert b"".join(iter(lambda: qemu.recv(100), b"")) == b"thanks"


def test_a_host_of_the_cloud_that_is_not_the_source_is_kept_out(ends: Ends) -> None:
    departure, memory = ends.departure(STRANGER)
    ends.door.open(VM, SOURCE, seconds=60)
    with departure.offered(), socket.socket(socket.AF_UNIX) as qemu:
        qemu.settimeout(10)
        qemu.connect(str(memory))
        assert qemu.recv(1) == b""
    assert ends.root.ends == []
    assert "not expected" in departure.failed[0]


def test_a_vm_is_sent_to_no_other_host_than_the_one_named(ends: Ends) -> None:
    departure, memory = ends.departure(to=STRANGER)
    ends.door.open(VM, SOURCE, seconds=60)
    with departure.offered(), socket.socket(socket.AF_UNIX) as qemu:
        qemu.settimeout(10)
        qemu.connect(str(memory))
        qemu.sendall(b"memory of a guest")
        with contextlib.suppress(ConnectionResetError):
            assert qemu.recv(1) == b""
    assert ends.root.ends == []


def test_a_source_can_ask_what_became_of_the_vm(ends: Ends) -> None:
    departure, _ = ends.departure()
    with pytest.raises(MoveFailed):
        departure.state_there()
    ends.door.open(VM, SOURCE, seconds=60)
    assert departure.state_there() == "absent"


def test_whoever_has_no_certificate_learns_nothing(ends: Ends) -> None:
    ends.door.open(VM, SOURCE, seconds=60)
    with socket.create_connection(("127.0.0.1", ends.port), timeout=10) as plain:
        plain.sendall(b'{"vm_id": "x", "channel": "memory"}\n' * 20)
        with contextlib.suppress(ConnectionError):
            while plain.recv(1000):
                pass
    assert ends.root.ends == []
