"""The two servers in one event loop: the API's, and the one that hosts dial. Knows TLS and sockets, and no route."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ringfence.controller.settings import Address

STOP_SECONDS = 3
WEBSOCKET_BYTES = 1 << 16
CLIENT_CERTIFICATE = "ringfence.client_certificate"
"""The key in a scope of the peer's certificate (`PeerCertificate`), which TLS has checked; absent if there is none."""


class PeerCertificate:
    """The client certificate of a connection: its common name, and the SHA-256 of its DER form in hex."""

    __slots__ = ("fingerprint", "name")

    def __init__(self, der: bytes, subject: dict[str, Any]) -> None:
        self.fingerprint = hashlib.sha256(der).hexdigest()
        parts = [value for rdn in subject.get("subject", ()) for key, value in rdn if key == "commonName"]
        self.name: str = parts[0] if len(parts) == 1 else ""


def bind(address: Address) -> socket.socket:
    """Bind a listening socket; raises `OSError`. Port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol is named: only then does asyncio turn Nagle's algorithm off, which would hold answers back for 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
        bound.set_inheritable(False)
    except OSError:
        bound.close()
        raise
    return bound


def bound_address(bound: socket.socket) -> Address:
    """Tell where a socket is bound."""
    host, port = bound.getsockname()[:2]
    return Address(host=host, port=port)


class _Server(uvicorn.Server):
    """Leaves signals to the process, which has two servers to stop and more besides."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One server on one bound socket."""

    def __init__(self, app: ASGIApp, bound: socket.socket, *, tls: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=_PeerHttp,
            ws=_PeerWebSocket,
            ws_max_size=WEBSOCKET_BYTES,
            ws_max_queue=8,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_context_factory=(lambda _config, _make: tls) if tls is not None else None,
        )
        self._server = _Server(config)
        self._bound = bound
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once connections are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the server ended before it began")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no more connections, end what is under way, and return within a few seconds."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _with_certificate(app: ASGIApp, transport: asyncio.BaseTransport) -> ASGIApp:
    tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or der is None:
        return app
    peer = PeerCertificate(der, cast("dict[str, Any]", tls.getpeercert() or {}))

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_CERTIFICATE] = peer
        await app(scope, receive, send)

    return told


class _PeerHttp(H11Protocol):
    """HTTP that tells the application who is at the other end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = cast(Any, _with_certificate(cast(ASGIApp, self.app), transport))


class _PeerWebSocket(WebSocketsSansIOProtocol):
    """WebSockets likewise."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.app = cast(Any, _with_certificate(cast(ASGIApp, self.app), transport))
