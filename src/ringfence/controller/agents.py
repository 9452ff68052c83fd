"""What hosts dial: joining, heartbeats, renewal, the mailbox, images, consoles. Every body is hostile until decoded.

Who a host is, is what its certificate says and the store confirms, on every request: a host that was removed, or has
shown a newer certificate, is refused at once. What commands say is the workflows' business.
"""

from __future__ import annotations

import ipaddress
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from ringfence.adapters import bells
from ringfence.adapters.mailbox import command_topic
from ringfence.controller import problems
from ringfence.controller.admission import source_of
from ringfence.controller.fences import release_address
from ringfence.controller.gate import Gate
from ringfence.controller.listeners import CLIENT_CERTIFICATE, PeerCertificate
from ringfence.controller.parts import Parts
from ringfence.controller.problems import CertificateRefused, ProtocolMismatch
from ringfence.errors import Invalid, NotFound
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.hosts import Host, HostState
from ringfence.store import commands, hosts, invitations
from ringfence.store.acting import acting
from ringfence.store.ids import age_seconds
from ringfence.wire import (
    PROTOCOL,
    Answer,
    Command,
    Heartbeat,
    HeartbeatAnswer,
    JoinAnswer,
    JoinRequest,
    RenewalAnswer,
    RenewalRequest,
    encode,
)

POLL_SECONDS = 30.0
LOOK_AGAIN_SECONDS = {"postgresql": 1.0}
"""With several controllers, commands come from others too; with SQLite there is one, whose bell always rings."""
LOOK_AGAIN_OTHERWISE_SECONDS = 10.0
RENEWED_WITH_LEFT = 2 / 3
"""Of its time: 48 of 72 hours. A controller that is away over a weekend finds hosts whose certificates are good."""
_OPEN = ("/agent/v1/ca", "/agent/v1/join")
MessageT = TypeVar("MessageT")


def agents_app(parts: Parts) -> Starlette:
    """Build the application behind the agents' listener."""
    routes = [
        Route("/agent/v1/ca", _ca, methods=["GET"]),
        Route("/agent/v1/join", _join, methods=["POST"]),
        Route("/agent/v1/certificate", _certificate, methods=["POST"]),
        Route("/agent/v1/heartbeat", _heartbeat, methods=["POST"]),
        Route("/agent/v1/commands", _commands, methods=["GET"]),
        Route("/agent/v1/answers", _answers, methods=["POST"]),
        Route("/agent/v1/images/{digest}", _image, methods=["GET"]),
        WebSocketRoute("/agent/v1/consoles/{session_id}", _console),
    ]
    app = Starlette(routes=routes)
    app.state.parts = parts
    problems.install(app)

    async def admit(scope: Scope) -> Actor:
        source = source_of(scope)
        if scope["path"] in _OPEN:
            # Whoever joins is no host yet: what it changes, its invitation lets it.
            return Actor(kind=ActorKind.HOST, id="", name="joining", source=source)
        host = await anyio.to_thread.run_sync(_admitted, parts, scope.get(CLIENT_CERTIFICATE), source)
        scope["state"]["host"] = host
        return _actor(host, source)

    app.add_middleware(Gate, admit=admit, deny=parts.ledger.denials.deny)
    return app


def _actor(host: Host, source: str) -> Actor:
    return Actor(kind=ActorKind.HOST, id=host.id, name=host.name, source=source)


def _admitted(parts: Parts, certificate: PeerCertificate | None, source: str) -> Host:
    if certificate is None:
        raise CertificateRefused(why="missing")
    host = _host_of(parts, certificate)
    if certificate.fingerprint == host.certificate_fingerprint:
        return host
    # It is the next one, shown for the first time: it takes the place of the one before.
    with acting(_actor(host, source)), parts.store.transaction() as session:
        hosts.take_certificate(session, host.id, certificate.fingerprint)
    # Another may have been given meanwhile.
    return _host_of(parts, certificate)


def _host_of(parts: Parts, certificate: PeerCertificate) -> Host:
    try:
        with parts.store.reading() as session:
            host = hosts.host_by_fingerprint(session, certificate.fingerprint)
    except NotFound:
        raise CertificateRefused(why="of no host, or of one that was removed") from None
    # SAFETY: two things must agree that were written at different places; if not, something is badly wrong.
    if certificate.name != host.id or host.state is HostState.REMOVED:
        raise CertificateRefused(why="of no host, or of one that was removed")
    return host


def _parts(request: Request | WebSocket) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _decoded(request: Request, kind: type[MessageT]) -> MessageT:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(field=kind.__name__, why=str(error)[:200]) from None


async def _ca(request: Request) -> Response:
    return PlainTextResponse(_parts(request).authority.certificate_pem, media_type="application/x-pem-file")


async def _join(request: Request) -> Response:
    asked = await _decoded(request, JoinRequest)
    answer = await anyio.to_thread.run_sync(_joined, _parts(request), asked)
    return _json(answer)


def _joined(parts: Parts, asked: JoinRequest) -> JoinAnswer:
    if asked.protocol != PROTOCOL:
        raise ProtocolMismatch(spoken=asked.protocol, known=PROTOCOL)
    address = _underlay_address(asked.underlay_address)
    # ORDER: one transaction, so that a join that fails leaves the token good, and one that succeeds uses it up.
    with parts.store.transaction() as session:
        invitation = invitations.use_invitation(session, asked.secret)
        version = asked.agent_version[:64]
        if invitation.host_id is not None:
            host = hosts.rejoin_host(session, invitation.host_id, underlay_address=address, agent_version=version)
        else:
            host = hosts.add_host(
                session,
                name=invitation.name,
                underlay_address=address,
                agent_version=version,
                state=HostState.JOINING,
            )
        pem, certificate = parts.authority.issue_for_host(
            host.id, asked.csr, address, good_seconds=parts.settings.host_certificate_seconds
        )
        hosts.set_certificate(session, host.id, certificate)
    release_address(parts.fence, address, keep=host.id)
    return JoinAnswer(
        host_id=host.id,
        name=host.name,
        certificate=pem,
        ca_certificate=parts.authority.certificate_pem,
        southbound=parts.settings.southbound_for_hosts,
    )


def _underlay_address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise Invalid(field="underlay_address", why="it is not an IPv4 address") from None
    if address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local:
        raise Invalid(field="underlay_address", why="no other host could reach it")
    return str(address)


async def _certificate(request: Request) -> Response:
    asked = await _decoded(request, RenewalRequest)
    return _json(await anyio.to_thread.run_sync(_offered, _parts(request), request.state.host, asked))


def _offered(parts: Parts, host: Host, asked: RenewalRequest) -> RenewalAnswer:
    pem, certificate = parts.authority.issue_for_host(
        host.id, asked.csr, host.underlay_address, good_seconds=parts.settings.host_certificate_seconds
    )
    # ORDER: known before it is told. A host that is told nothing has the one before, which is good until this is shown.
    with parts.store.transaction() as session:
        hosts.offer_certificate(session, host.id, certificate)
    return RenewalAnswer(certificate=pem)


def _is_to_renew(parts: Parts, host: Host) -> bool:
    left_seconds = -age_seconds(host.certificate_expires_at) if host.certificate_expires_at else 0.0
    return left_seconds < parts.settings.host_certificate_seconds * RENEWED_WITH_LEFT


async def _heartbeat(request: Request) -> Response:
    beat = await _decoded(request, Heartbeat)
    if beat.protocol != PROTOCOL:
        raise ProtocolMismatch(spoken=beat.protocol, known=PROTOCOL)
    if not (0 <= beat.vcpus <= 65_536 and 0 <= beat.memory_mib <= 1 << 31 and 0 <= beat.disk_bytes <= 1 << 60):
        raise Invalid(field="Heartbeat", why="no host is that large")
    if len(beat.facts) > 64 or any(len(k) > 64 or len(v) > 1024 for k, v in beat.facts.items()):
        raise Invalid(field="facts", why="there are at most 64, of at most 1,024 characters")
    if len(beat.agent_version) > 64:
        raise Invalid(field="agent_version", why="it is longer than 64 characters")
    return _json(await anyio.to_thread.run_sync(_beaten, _parts(request), request.state.host, beat))


def _beaten(parts: Parts, host: Host, beat: Heartbeat) -> HeartbeatAnswer:
    with parts.store.transaction() as session:
        hosts.heartbeat(session, host.id, beat)
        if host.state is HostState.JOINING:
            hosts.set_host_state(session, host.id, HostState.READY)
        fellows = hosts.fellow_addresses(session, host.id)
        return HeartbeatAnswer(fellows=fellows, renew=_is_to_renew(parts, host))


async def _commands(request: Request) -> Response:
    parts, host = _parts(request), request.state.host
    agent_session = request.query_params.get("session", "")
    if not 1 <= len(agent_session) <= 64 or not agent_session.isprintable():
        raise Invalid(field="session", why="it has 1 to 64 printable characters")
    wait_seconds = _seconds(request.query_params.get("wait", "25"))
    look_again = LOOK_AGAIN_SECONDS.get(parts.store.engine.dialect.name, LOOK_AGAIN_OTHERWISE_SECONDS)
    loop_ends = anyio.current_time() + wait_seconds
    # Read to its end, empty as it is: before that the server reads no further, and would not see the agent hang up.
    await request.body()
    with parts.bells.listen(command_topic(host.id)) as bell:
        # ORDER: listen, then look. A command put there between is then not found a look later.
        command = await anyio.to_thread.run_sync(_next, parts, host.id, agent_session, True, False)
        while command is None and not parts.bells.stopped:
            left = loop_ends - anyio.current_time()
            if left <= 0:
                break
            rung = await bells.wait(bell, timeout_seconds=min(left, look_again))
            if await request.is_disconnected():
                # SAFETY: the poll of an agent that was killed must not take what its successor is to do.
                break
            command = await anyio.to_thread.run_sync(_next, parts, host.id, agent_session, False, rung)
    return Response(status_code=204) if command is None else _json(command)


def _next(parts: Parts, host_id: str, agent_session: str, begins: bool, likely: bool) -> Command | None:
    if not likely:
        # Looking costs no writer's turn, and most looks find nothing.
        with parts.store.reading() as session:
            if not commands.has_command(session, host_id, agent_session=agent_session, begins=begins):
                return None
    with parts.store.transaction() as session:
        return commands.next_command(session, host_id, agent_session=agent_session, begins=begins)


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdigit() or len(text) > 3:
        raise Invalid(field="wait", why="it is not a whole number of seconds")
    return min(float(text), POLL_SECONDS)


async def _answers(request: Request) -> Response:
    answer = await _decoded(request, Answer)
    if (answer.result is None) == (answer.error is None):
        raise Invalid(field="Answer", why="it holds exactly one of result and error")
    await anyio.to_thread.run_sync(_answered, _parts(request), request.state.host, answer)
    return Response(status_code=204)


def _answered(parts: Parts, host: Host, answer: Answer) -> None:
    with parts.store.transaction() as session:
        commands.answer_command(session, host.id, answer)


async def _image(request: Request) -> Response:
    parts = _parts(request)
    path = parts.images.path(request.path_params["digest"])
    if not await anyio.Path(path).is_file():
        raise NotFound(kind="image", ref=request.path_params["digest"][:80])
    return FileResponse(path, media_type="application/octet-stream")


async def _console(socket: WebSocket) -> None:
    host: Host = socket.state.host
    parts = _parts(socket)
    session_id = socket.path_params["session_id"]
    if not parts.consoles.expects(session_id, host.id):
        raise NotFound(kind="console session", ref=session_id[:64])
    await socket.accept()
    await parts.consoles.come(session_id, host.id, socket)


def _json(message: Any) -> Response:
    return Response(encode(message), media_type="application/json")
