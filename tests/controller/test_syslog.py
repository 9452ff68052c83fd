"""The ledger forwarded by syslog, to a real TLS receiver: framed, in order, and on from where it stopped."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.controller.conftest import settings_for, start_cloud

from ringfence.controller.authority import Authority, server_context
from ringfence.controller.settings import SyslogTarget

MESSAGE = re.compile(
    r"<(\d+)>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00) (\S+) ringfence - (ledger|checkpoint)"
    r' (?:\[meta sequenceId="(\d+)"\]|-) (.*)',
    re.DOTALL,
)


@dataclass
class Receiver:
    """A syslog receiver over TLS (RFC 5425) on a port of its own; `most` messages a connection, then it hangs up."""

    context: ssl.SSLContext
    port: int = 0
    most: int = 1 << 30
    messages: list[tuple[str, ...]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    connections: int = 0
    _listening: socket.socket | None = None

    def start(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def wait_for(self, ready) -> None:
        with self.came:
            assert self.came.wait_for(lambda: ready(self), 60), self.messages[-3:]

    def indices(self) -> list[int]:
        return [json.loads(told[5])["index"] for told in self.messages if told[3] == "ledger"]

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as tls, tls.makefile("rb") as stream:
                    self.connections += 1
                    self._read(stream)
                    if self.most < 1 << 30:
                        # As a receiver that dies: what it had not read is refused by its kernel.
                        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except (OSError, ssl.SSLError):
                continue

    def _read(self, stream) -> None:
        for _ in range(self.most):
            length = b""
            while (digit := stream.read(1)) not in (b" ", b""):
                length += digit
            if not length:
                return
            told = MESSAGE.fullmatch(stream.read(int(length)).decode())
            with self.came:
                self.messages.append(told.groups())
                self.came.notify_all()


@pytest.fixture
def receiver(tmp_path) -> Iterator[Receiver]:
    authority = Authority(tmp_path / "siem-ca")
    pair = authority.certify(tmp_path / "siem", name="siem", addresses=["127.0.0.1"])
    running = Receiver(server_context(pair))
    running.start()
    yield running
    running.stop()


def forwarding(loop, folder: Path, receiver: Receiver, ca: Path, *, token: str = ""):
    target = SyslogTarget(host="127.0.0.1", port=receiver.port, ca=ca)
    return start_cloud(loop, settings_for(folder, syslog=target), token=token)


def test_every_entry_is_forwarded_in_its_form_and_the_checkpoint_after_it(loop, tmp_path, receiver):
    cloud = forwarding(loop, tmp_path / "data", receiver, tmp_path / "siem-ca" / "ca.crt")
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    cloud.http.get("/v1/zones", headers={"Authorization": "Bearer wrong"})
    size = len(cloud.get("/v1/ledger/entries", limit=1000)["items"])
    receiver.wait_for(lambda it: len(it.indices()) >= size and it.messages[-1][3] == "checkpoint")
    cloud.close()
    assert receiver.indices()[:size] == list(range(size))
    for priority, _at, _host, kind, number, text in receiver.messages:
        told = json.loads(text)
        if kind == "checkpoint":
            assert told["checkpoint"].startswith("ringfence/")
        else:
            assert int(number) == told["index"] + 1
            assert int(priority) == (13 * 8 + 4 if told["outcome"] == "denied" else 13 * 8 + 6)


def test_it_goes_on_where_it_stopped_though_receiver_and_controller_go_away(loop, tmp_path, receiver):
    ca = tmp_path / "siem-ca" / "ca.crt"
    receiver.most = 3
    cloud = forwarding(loop, tmp_path / "data", receiver, ca)
    for number in range(4):
        cloud.post("/v1/zones", {"name": f"z{number}"}, expect=201)
    # Each time it hangs up in the middle, what it had not read is lost on the way.
    receiver.wait_for(lambda it: it.connections > 1)
    token = cloud.token
    cloud.close()
    receiver.most = 1 << 30
    again = forwarding(loop, tmp_path / "data", receiver, ca, token=token)
    again.post("/v1/zones", {"name": "late"}, expect=201)
    size = len(again.get("/v1/ledger/entries", limit=1000)["items"])
    receiver.wait_for(lambda it: size - 1 in it.indices())
    again.close()
    told = receiver.indices()
    # Nothing is left out: what comes twice comes because its receipt was not sure.
    assert sorted(set(told)) == list(range(max(told) + 1))


def test_a_receiver_with_a_strange_certificate_is_told_nothing(loop, tmp_path, receiver):
    Authority(tmp_path / "other-ca")
    cloud = forwarding(loop, tmp_path / "data", receiver, tmp_path / "other-ca" / "ca.crt")
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    cloud.close()
    assert receiver.messages == []
