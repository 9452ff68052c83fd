"""A controller's agents' listener in a few lines, for tests of the agent alone: a CA, tokens, one mailbox a host.

It speaks the protocol as written in `wire`; the real one is held to the same in the lab tests.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import queue
import ssl
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringfence.errors import from_record
from ringfence.wire import (
    Answer,
    AnyResult,
    Command,
    Heartbeat,
    HeartbeatAnswer,
    JoinAnswer,
    JoinRequest,
    JoinToken,
    Verb,
    encode,
)


class LoneController:
    """Listens on `address`, an ephemeral port; files of its CA in `folder`."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", southbound: str = "ssl:192.0.2.1:6642") -> None:
        self.folder, self.southbound = folder, southbound
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("test CA")
        self.ca = _certificate(name, name, self._key, self._key.public_key(), ca=True)
        self.secrets: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.images: dict[str, bytes] = {}
        self.beats: dict[str, list[Heartbeat]] = {}
        self.shown: list[str] = []
        self._refused: dict[str, Callable[[], object]] = {}
        self._bell = threading.Condition()
        self._waiting: dict[str, dict[str, tuple[bytes, str]]] = {}
        self._answers: dict[str, queue.Queue[Answer]] = {}
        key = ec.generate_private_key(ec.SECP256R1())
        own = _certificate(_name("controller"), name, self._key, key.public_key(), address=address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=_pem(self.ca))
        folder.mkdir(parents=True, exist_ok=True)
        chain = folder / "controller.pem"
        chain.write_text(key_pem(key) + _pem(own))
        context.load_cert_chain(chain)
        outer = self

        class Handler(_Handler):
            controller = outer

        self.server = _QuietServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://{address}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def ca_pem(self) -> str:
        return _pem(self.ca)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def invite(self, name: str) -> str:
        secret = uuid.uuid4().hex
        self.secrets[secret] = name
        fingerprint = self.ca.fingerprint(hashes.SHA256()).hex()
        return JoinToken(u=self.url, s=secret, f=fingerprint, n=name).text()

    def issue(self, host_id: str, public_key: Any, address: str = "127.0.0.1", *, good_seconds: float = 86400) -> str:
        name, issuer = _name(host_id), self.ca.subject
        return _pem(_certificate(name, issuer, self._key, public_key, address=address, good_seconds=good_seconds))

    def refuse(self, fingerprint: str, *, then: Callable[[], object] = lambda: None) -> None:
        """Take this certificate for nobody's from now on; `then` is done before that is answered."""
        self._refused[fingerprint] = then

    def is_refused(self, fingerprint: str) -> bool:
        self.shown.append(fingerprint)
        then = self._refused.get(fingerprint)
        if then is not None:
            then()
        return then is not None

    def host_id(self, name: str) -> str:
        return next(host_id for host_id, known in self.names.items() if known == name)

    def put(self, host_id: str, command: Command | bytes) -> queue.Queue[Answer]:
        """Put a command, or what pretends to be one, into a host's mailbox."""
        content = command if isinstance(command, bytes) else encode(command)
        answers = self._answers.setdefault(json.loads(content)["id"], queue.Queue())
        with self._bell:
            self._waiting.setdefault(host_id, {})[json.loads(content)["id"]] = (content, "")
            self._bell.notify_all()
        return answers

    def ask(self, host_id: str, verb: Verb, *, key: str = "", patience_seconds: float = 60) -> AnyResult:
        """Have a host do a verb, and give its result or raise its error."""
        command = Command(
            id=str(uuid.uuid4()), key=key or str(uuid.uuid4()), patience_seconds=patience_seconds, verb=verb
        )  # type: ignore[arg-type]
        answer = self.put(host_id, command).get(timeout=patience_seconds)
        if answer.error is not None:
            raise from_record(answer.error)
        assert answer.result is not None
        return answer.result

    def next(self, host_id: str, session: str, wait_seconds: float) -> bytes | None:
        """Give a command that this session of the host has not been given; one stays until it is answered."""
        with self._bell:
            box = self._waiting.setdefault(host_id, {})

            def fresh() -> str | None:
                return next((command_id for command_id, (_, given) in box.items() if given != session), None)

            if not self._bell.wait_for(lambda: fresh() is not None, timeout=wait_seconds):
                return None
            command_id = fresh()
            assert command_id is not None
            content = box[command_id][0]
            box[command_id] = (content, session)
            return content

    def answered(self, host_id: str, answer: Answer) -> None:
        with self._bell:
            self._waiting.get(host_id, {}).pop(answer.command_id, None)
        self.answers_to(answer.command_id).put(answer)

    def answers_to(self, command_id: str) -> queue.Queue[Answer]:
        return self._answers.setdefault(command_id, queue.Queue())

    def join(self, asked: JoinRequest) -> JoinAnswer | None:
        name = self.secrets.pop(asked.secret, None)
        if name is None:
            return None
        request = x509.load_pem_x509_csr(asked.csr.encode())
        host_id = str(uuid.uuid4())
        self.names[host_id] = name
        return JoinAnswer(
            host_id=host_id,
            name=name,
            certificate=self.issue(host_id, request.public_key(), asked.underlay_address),
            ca_certificate=_pem(self.ca),
            southbound=self.southbound,
        )


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    controller: LoneController

    def log_message(self, *_: object) -> None:
        pass

    def _peer(self) -> str:
        der = self.connection.getpeercert(binary_form=True)
        if der and self.controller.is_refused(hashlib.sha256(der).hexdigest()):
            return ""
        certificate = self.connection.getpeercert() or {}
        return next((v for part in certificate.get("subject", ()) for k, v in part if k == "commonName"), "")

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        host_id = self._peer()
        if path == "/agent/v1/ca":
            return self._send(200, _pem(self.controller.ca).encode())
        if path == "/agent/v1/commands" and host_id:
            session = urllib.parse.parse_qs(query)["session"][0]
            content = self.controller.next(host_id, session, 2.0)
            return self._send(200, content) if content is not None else self._send(204, b"")
        if not host_id:
            return self._problem(403, "certificate-refused")
        image = self.controller.images.get(path.rsplit("/", 1)[-1])
        return self._send(200, image) if image is not None else self._problem(404, "not-found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/agent/v1/join":
            joined = self.controller.join(msgspec.json.decode(body, type=JoinRequest))
            return self._send(200, encode(joined)) if joined else self._problem(403, "join-token-refused", why="used")
        host_id = self._peer()
        if not host_id:
            return self._problem(403, "certificate-refused")
        if self.path == "/agent/v1/heartbeat":
            self.controller.beats.setdefault(host_id, []).append(msgspec.json.decode(body, type=Heartbeat))
            return self._send(200, encode(HeartbeatAnswer(fellows=())))
        if self.path == "/agent/v1/answers":
            self.controller.answered(host_id, msgspec.json.decode(body, type=Answer))
        return self._send(204, b"")

    def _problem(self, status: int, code: str, **facts: str) -> None:
        told = {"code": code, "family": "refused", "message": code, "remedy": "", "facts": facts}
        self._send(status, json.dumps(told).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    signer: Any,
    public_key: Any,
    *,
    ca: bool = False,
    address: str = "",
    good_seconds: float = 86400,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(seconds=good_seconds))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
