"""A host's agent without a hypervisor: it speaks the real protocol over real mTLS, and `act` says what comes of a verb.

For tests of the controller, and for fleets of thousands in one process. It keeps no VM itself, and stands for no
hypervisor where a promise is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ringfence.errors import ErrorRecord, RingfenceError, from_record
from ringfence.model.hosts import JoinTokenRefused, NoScreen
from ringfence.model.names import VmId
from ringfence.wire import (
    PROTOCOL,
    Answer,
    AnyResult,
    AnyVerb,
    Command,
    Heartbeat,
    HeartbeatAnswer,
    HoldImage,
    JoinAnswer,
    JoinRequest,
    JoinToken,
    OpenConsole,
    OpenScreen,
    RenewalAnswer,
    RenewalRequest,
    SeenVm,
    encode,
)

Act = Callable[[str, AnyVerb], Awaitable[AnyResult]]
"""Do a verb for a host (its id); raises the error to answer with."""
Guest = Callable[[VmId, ClientConnection], Awaitable[None]]
"""Be at the other end of a VM's console until either side ends it."""


async def shout(_vm_id: VmId, console: ClientConnection) -> None:
    """Be a guest that gives back what is typed, in capitals."""
    with contextlib.suppress(ConnectionClosed):
        async for frame in console:
            await console.send(frame.upper() if isinstance(frame, bytes) else frame.encode().upper())


@dataclass(eq=False, kw_only=True)
class FakeAgent:
    """One joined host; its key and certificate are in `folder`.

    `sizes` is what it reports; `vms` what it says it runs; `images` the digests it has fetched.
    `guest` is at the other end of consoles, `screen` of screens; None: VMs have none.
    """

    url: str
    host_id: str
    name: str
    southbound: str
    tls: ssl.SSLContext
    folder: Path
    act: Act
    sizes: tuple[int, int, int] = (16, 32_768, 1 << 40)
    heartbeat_seconds: float = 3.0
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    vms: tuple[SeenVm, ...] = ()
    fellows: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=lambda: {"hypervisor": "none"})
    guest: Guest = shout
    screen: Guest | None = None
    images: set[str] = field(default_factory=set)
    received: list[Command] = field(default_factory=list)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    async def join(cls, token: str, *, underlay_address: str, folder: Path, act: Act) -> FakeAgent:
        """Join as a real host does: fingerprint first, then the secret; the key stays in `folder`."""
        invited = JoinToken.parse(token)
        ca = await fetch_ca(invited)
        key = ec.generate_private_key(ec.SECP256R1())
        request = JoinRequest(
            protocol=PROTOCOL,
            secret=invited.s,
            csr=certificate_request(key, invited.n),
            underlay_address=underlay_address,
            agent_version="fake",
        )
        async with httpx.AsyncClient(base_url=invited.u, verify=client_context(ca), trust_env=False) as http:
            answer = await http.post("/agent/v1/join", content=encode(request))
        check(answer)
        joined = msgspec.json.decode(answer.content, type=JoinAnswer)
        tls = await asyncio.to_thread(_identity, folder, key, joined)
        return cls(
            url=invited.u,
            host_id=joined.host_id,
            name=joined.name,
            southbound=joined.southbound,
            tls=tls,
            folder=folder,
            act=act,
        )

    @classmethod
    def resumed(cls, folder: Path, *, url: str, name: str, act: Act) -> FakeAgent:
        """Be the host again whose identity `join` left in `folder`."""
        tls = client_context((folder / "ca.pem").read_text())
        tls.load_cert_chain(folder / "identity.pem")
        subject = _certificate(folder).subject
        host_id = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        return cls(url=url, host_id=host_id, name=name, southbound="", tls=tls, folder=folder, act=act)

    @classmethod
    def can_resume(cls, folder: Path) -> bool:
        """Tell whether an identity is left in `folder` that has not expired."""
        return folder.exists() and _certificate(folder).not_valid_after_utc > dt.datetime.now(dt.UTC)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeAgent]:
        """Beat once, then go on beating and working in the background until the block ends."""
        async with self.http() as http:
            await self.beat(http)
            tasks = [asyncio.create_task(self._beat_on(http)), asyncio.create_task(self._work(http))]
            try:
                yield self
            finally:
                for task in [*tasks, *self._under_way]:
                    task.cancel()
                await asyncio.gather(*tasks, *self._under_way, return_exceptions=True)

    def http(self) -> httpx.AsyncClient:
        """Make a client that shows this host's certificate."""
        return httpx.AsyncClient(base_url=self.url, verify=self.tls, timeout=40.0, trust_env=False)

    async def beat(self, http: httpx.AsyncClient) -> None:
        """Send one heartbeat."""
        vcpus, memory_mib, disk_bytes = self.sizes
        beat = Heartbeat(
            protocol=PROTOCOL,
            agent_version="fake",
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_bytes=disk_bytes,
            facts=self.facts,
            vms=self.vms,
        )
        told = check(await http.post("/agent/v1/heartbeat", content=encode(beat)))
        answer = msgspec.json.decode(told.content, type=HeartbeatAnswer)
        self.fellows = answer.fellows
        if answer.renew:
            await self.renew(http)

    async def renew(self, http: httpx.AsyncClient) -> None:
        """Get a new key and certificate, and show them; connections made before then are refused and made anew."""
        key = ec.generate_private_key(ec.SECP256R1())
        asked = RenewalRequest(csr=certificate_request(key, self.name))
        answer = check(await http.post("/agent/v1/certificate", content=encode(asked)))
        pem = msgspec.json.decode(answer.content, type=RenewalAnswer).certificate
        await asyncio.to_thread(_keep, self.folder, key, pem)
        self.tls.load_cert_chain(self.folder / "identity.pem")
        async with self.http() as shown:
            await self.beat(shown)

    async def next_command(self, http: httpx.AsyncClient, *, wait_seconds: int = 25) -> Command | None:
        """Poll the mailbox once."""
        asked = {"session": self.session, "wait": str(wait_seconds)}
        answer = check(await http.get("/agent/v1/commands", params=asked))
        return None if answer.status_code == 204 else msgspec.json.decode(answer.content, type=Command)

    async def answer(self, http: httpx.AsyncClient, answer: Answer) -> None:
        """Post an answer."""
        check(await http.post("/agent/v1/answers", content=encode(answer)))

    async def _beat_on(self, http: httpx.AsyncClient) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_seconds)
            # A refusal, too, ends the connection: the next one shows the certificate of then.
            with contextlib.suppress(httpx.TransportError, RingfenceError):
                await self.beat(http)

    async def _work(self, http: httpx.AsyncClient) -> None:
        while True:
            try:
                command = await self.next_command(http)
            except (httpx.TransportError, RingfenceError) as error:
                # As a real agent: what a broken poll may have carried comes again to a new session.
                self.session = uuid.uuid4().hex
                await asyncio.sleep(self.heartbeat_seconds if isinstance(error, RingfenceError) else 0.2)
                continue
            if command is not None:
                self.received.append(command)
                task = asyncio.create_task(self._do(http, command))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _do(self, http: httpx.AsyncClient, command: Command) -> None:
        try:
            if isinstance(command.verb, HoldImage):
                await self._hold(http, command.verb)
            if isinstance(command.verb, OpenConsole | OpenScreen):
                await self._open_console(command.verb)
            result = await self.act(self.host_id, command.verb)
        except RingfenceError as error:
            await self.answer(http, Answer(command_id=command.id, error=error.record()))
        else:
            await self.answer(http, Answer(command_id=command.id, result=result))

    async def _hold(self, http: httpx.AsyncClient, verb: HoldImage) -> None:
        if verb.digest in self.images:
            return
        found = hashlib.sha256()
        async with http.stream("GET", f"/agent/v1/images/{verb.digest}") as answer:
            if answer.is_error:
                await answer.aread()
            check(answer)
            async for chunk in answer.aiter_bytes():
                found.update(chunk)
        assert verb.digest == f"sha256:{found.hexdigest()}", "the controller gave another file than it promised"
        self.images.add(verb.digest)

    async def _open_console(self, verb: OpenConsole | OpenScreen) -> None:
        """Dial out to the session, and have the guest on it."""
        guest = self.screen if isinstance(verb, OpenScreen) else self.guest
        if guest is None:
            raise NoScreen(vm_id=verb.vm_id, why="its host is simulated")
        url = self.url.replace("https://", "wss://") + f"/agent/v1/consoles/{verb.session_id}"
        socket = await connect(url, ssl=self.tls, proxy=None, compression=None)

        async def attend() -> None:
            await guest(VmId(verb.vm_id), socket)
            await socket.close()

        task = asyncio.create_task(attend())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def fetch_ca(invited: JoinToken) -> str:
    """Fetch the CA's certificate, and refuse it unless it is the one the token speaks of."""
    # SAFETY: nothing secret is sent on this connection; what comes is checked against the token's fingerprint.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    async with httpx.AsyncClient(base_url=invited.u, verify=unchecked, trust_env=False) as http:
        pem = check(await http.get("/agent/v1/ca")).text
    if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != invited.f:
        raise JoinTokenRefused(why="of another controller: the CA's fingerprint differs")
    return pem


def client_context(ca_pem: str) -> ssl.SSLContext:
    """Make a TLS context that trusts this CA and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem)
    return context


def certificate_request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """Make a PKCS #10 request in PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def check(answer: httpx.Response) -> httpx.Response:
    """Give the answer back, or raise the error that it tells of."""
    if answer.is_error:
        told: dict[str, Any] = msgspec.json.decode(answer.content)
        record = ErrorRecord(
            code=told["code"],
            family=told["family"],
            status=told["status"],
            message=told["detail"],
            remedy=told["remedy"],
            facts=told["facts"],
        )
        raise from_record(record)
    return answer


def _identity(folder: Path, key: ec.EllipticCurvePrivateKey, joined: JoinAnswer) -> ssl.SSLContext:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _keep(folder, key, joined.certificate)
    (folder / "ca.pem").write_text(joined.ca_certificate)
    tls = client_context(joined.ca_certificate)
    tls.load_cert_chain(folder / "identity.pem")
    return tls


def _keep(folder: Path, key: ec.EllipticCurvePrivateKey, certificate: str) -> None:
    (folder / "identity.pem").write_bytes(_key_pem(key) + certificate.encode())


def _certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "identity.pem").read_bytes())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
