"""After a thousand sign-ins over TLS, the whole memory of every process of the server is read: no piece of a password.

Requests go out by hand, over connections kept alive, in pieces that end anywhere.
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.controller.people import Person, Program, program
from tests.secrets.memory_scan import copies, plant

from ringfence.client.sealing import seal

pytestmark = [pytest.mark.contract, pytest.mark.timeout(1200)]

SIGN_INS = 1000
ACCOUNT = "ada"


@dataclass(frozen=True)
class Canaries:
    """Three pieces that every password of a test has, at its beginning, in its middle and at its end."""

    pieces: tuple[str, str, str] = field(default_factory=lambda: (_piece(), _piece(), _piece()))

    def password(self) -> str:
        first, middle, last = self.pieces
        return f"{first}{_piece()}{middle}{_piece()}{last}"

    def left_in(self, server: Program) -> dict[str, list[str]]:
        """Find what is left of them: process and piece → regions."""
        needles = [piece.encode() for piece in self.pieces]
        return {
            f"{what}: {needle.decode()}": regions
            for what, pid in server.pids.items()
            for needle, regions in copies(pid, needles).items()
            if regions
        }


def _piece() -> str:
    return secrets.token_hex(8)


class Wire:
    """One TLS connection, kept alive, on which requests are written by hand and in pieces."""

    def __init__(self, server: Program, *, seed: int) -> None:
        context = ssl.create_default_context(cafile=str(server.folder / "ca" / "ca.crt"))
        host, port = server.url.removeprefix("https://").split(":")
        plain = socket.create_connection((host, int(port)), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = context.wrap_socket(plain, server_hostname=host)
        self._replies = self._tls.makefile("rb")
        self._random = random.Random(seed)
        self.device = ""

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        cookie = f"Cookie: __Host-ringfence-device={self.device}\r\n" if self.device else ""
        for piece in self._pieces(f"{head}{cookie}\r\n".encode() + body):
            self._tls.sendall(piece)
        return self._reply()

    def _pieces(self, request: bytes) -> Iterator[bytes]:
        edges = sorted(self._random.sample(range(1, len(request)), self._random.choice([0, 1, 3])))
        for start, end in zip([0, *edges], [*edges, len(request)], strict=True):
            yield request[start:end]

    def _reply(self) -> tuple[int, bytes]:
        status = int(self._replies.readline().split()[1])
        length = 0
        while (line := self._replies.readline()) != b"\r\n":
            name, _, value = line.decode().strip().partition(": ")
            if name.lower() == "content-length":
                length = int(value)
            if name.lower() == "set-cookie" and value.startswith("__Host-ringfence-device="):
                self.device = value.partition("=")[2].partition(";")[0]
        return status, self._replies.read(length)

    def key(self) -> dict[str, Any]:
        return json.loads(self.ask("GET", "/v1/session/key")[1])

    def sign_in(self, password: str) -> int:
        key = self.key()
        return self.send_box(key, seal(password, key))

    def send_box(self, key: dict[str, Any], box: str) -> int:
        body = {"account": ACCOUNT, "key_id": key["key_id"], "sealed_password": box}
        return self.ask("POST", "/v1/session", json.dumps(body).encode())[0]

    def close(self) -> None:
        self._tls.close()


@pytest.fixture
def server(root, tmp_path: Path) -> Iterator[Program]:  # noqa: ARG001
    with program(tmp_path / "data", "--tls") as running:
        yield running


def person_at(server: Program) -> Person:
    return Person(server.url, verify=ssl.create_default_context(cafile=str(server.folder / "ca" / "ca.crt")))


def test_after_a_thousand_sign_ins_no_piece_of_a_password_is_left(server) -> None:
    right, wrong = Canaries(), Canaries()
    password = right.password()
    assert person_at(server).set_up(server.link, ACCOUNT, password).status_code == 201
    wires = [Wire(server, seed=seed) for seed in range(4)]
    for wire in wires:
        assert wire.sign_in(password) == 201
    worst: dict[str, list[str]] = {}
    for number in range(SIGN_INS):
        wire = wires[number % len(wires)]
        expected, told = _attempt(wire, number // len(wires), password, wrong)
        assert told == expected, f"attempt {number}"
        if number % 250 == 100:
            worst |= right.left_in(server) | wrong.left_in(server)
    assert worst | right.left_in(server) | wrong.left_in(server) == {}
    for wire in wires:
        wire.close()


def _attempt(wire: Wire, number: int, password: str, wrong: Canaries) -> tuple[int, int]:
    """Sign in rightly, wrongly twice, and in a way that cannot be read: so few wrong ones that none has to wait."""
    match number % 4:
        case 0:
            return 201, wire.sign_in(password)
        case 1 | 2:
            return 401, wire.sign_in(wrong.password())
        case _:
            key = wire.key()
            box = seal(wrong.password(), key)
            return 422, wire.send_box(key, box[:60] + ("A" if box[60] != "A" else "B") + box[61:])


def test_a_new_password_and_the_set_up_link_leave_nothing(server) -> None:
    first, second, unfit = Canaries(), Canaries(), Canaries()
    secret = server.link.partition("#")[2]
    pieces = [secret[start : start + 14].encode() for start in (0, 14, len(secret) - 14)]
    link = lambda: {what: found for what, pid in server.pids.items() if any((found := copies(pid, pieces)).values())}  # noqa: E731
    assert link() == {}, "printed, and not kept"
    person = person_at(server)
    passwords = [first.password(), second.password()]
    assert person.set_up(server.link, ACCOUNT, "too short").status_code == 422
    assert person.set_up(server.link, ACCOUNT, passwords[0]).status_code == 201
    for number in range(20):
        old, new = passwords[number % 2], passwords[1 - number % 2]
        short = person.sealed(current=old, new=unfit.pieces[0][:11])
        assert person.ask("PUT", "/v1/account/password", short).status_code == 422
        changed = person.ask("PUT", "/v1/account/password", person.sealed(current=old, new=new))
        assert changed.status_code == 204, changed.text
    assert link() == {}
    assert first.left_in(server) | second.left_in(server) == {}
    found = {what: copies(pid, [unfit.pieces[0][:11].encode()]) for what, pid in server.pids.items()}
    assert not any(regions for each in found.values() for regions in each.values()), found


def test_the_same_scan_finds_a_copy_that_is_there(server) -> None:
    planted, sent = Canaries(), Canaries()
    for what, pid in server.pids.items():
        with plant(pid, planted.pieces[1].encode(), "anonymous"):
            assert list(planted.left_in(server)) == [f"{what}: {planted.pieces[1]}"]
    assert planted.left_in(server) == {}
    # A password in clear is refused, and all the same it is in the web server's memory: what sealing is for.
    body = {"account": ACCOUNT, "password": sent.password()}
    assert person_at(server).ask("POST", "/v1/session", body).status_code == 422
    assert {name.partition(":")[0] for name in sent.left_in(server)} == {"controller"}
