"""Sign-ins written to a socket by hand, with canaries for passwords: what the test of residue and its figure share."""

from __future__ import annotations

import json
import random
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.controller.people import Person, Program
from tests.secrets.memory_scan import copies

from ringfence.client.sealing import seal

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


def person_at(server: Program) -> Person:
    return Person(server.url, verify=ssl.create_default_context(cafile=str(server.folder / "ca" / "ca.crt")))


def attempt(wire: Wire, number: int, password: str, wrong: Canaries) -> tuple[int, int]:
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
