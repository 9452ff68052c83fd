"""`ringfence vm console` as a program: on a terminal, in a pipe, and when it is refused."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

pytestmark = pytest.mark.contract

VM = "0197a1c2-0000-7000-8000-000000000001"
COMMAND = [Path(sys.executable).parent / "ringfence", "vm", "console", VM]


def shout(socket: ServerConnection) -> None:
    """Be a guest that repeats in capitals what it is told, until it is told to stop."""
    for frame in socket:
        assert isinstance(frame, bytes)
        if b"stop" in frame:
            return
        socket.send(frame.upper())


def admit(_socket: ServerConnection, request: Request) -> Response | None:
    if request.path != f"/v1/vms/{VM}/console" or request.headers.get("Authorization") != "Bearer good":
        told = {"code": "not-found", "family": "refused", "facts": {"kind": "VM", "ref": VM}}
        headers = Headers({"Content-Type": "application/problem+json"})
        return Response(HTTPStatus.NOT_FOUND, "Not Found", headers, json.dumps(told).encode())
    return None


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(shout, "127.0.0.1", 0, process_request=admit, compression=None) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def environment(server: Server, tmp_path: Path) -> dict[str, str]:
    port = server.socket.getsockname()[1]
    settings = {
        "RINGFENCE_URL": f"http://127.0.0.1:{port}",
        "RINGFENCE_TOKEN": "good",
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    return {**os.environ, **settings}


class Terminal:
    """A terminal with the program on it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(self.ours)
        self.process = subprocess.Popen(
            COMMAND, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = b""

    def await_text(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.ours, 1024)

    def restored(self) -> bool:
        return termios.tcgetattr(self.ours) == self.before


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    # Kept open on our side too, or the terminal would be gone with the program.
    made = Terminal(environment)
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.ours)


def test_a_pipe_goes_to_the_guest_and_its_answer_comes_back(environment: dict[str, str]) -> None:
    done = subprocess.run(COMMAND, input=b"hello\n", env=environment, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"HELLO\n"), done.stderr


def test_a_refusal_is_told_with_its_code(environment: dict[str, str]) -> None:
    environment["RINGFENCE_TOKEN"] = "bad"
    done = subprocess.run(COMMAND, input=b"", env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"[not-found]" in done.stderr


def test_the_escape_leaves_and_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.await_text(b"Attached")
    os.write(terminal.ours, b"abc")
    terminal.await_text(b"ABC")
    assert not terminal.restored(), "keys go to the guest one by one"
    os.write(terminal.ours, b"\x1d")
    assert terminal.process.wait(30) == 0
    assert terminal.restored()


def test_the_terminal_is_given_back_when_the_guest_hangs_up(terminal: Terminal) -> None:
    terminal.await_text(b"Attached")
    os.write(terminal.ours, b"stop")
    assert terminal.process.wait(30) == 0
    assert terminal.restored()


def test_the_terminal_is_given_back_when_the_program_is_ended(terminal: Terminal) -> None:
    terminal.await_text(b"Attached")
    os.write(terminal.ours, b"abc")
    terminal.await_text(b"ABC")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(30) == 128 + signal.SIGTERM
    assert terminal.restored()
