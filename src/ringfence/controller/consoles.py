"""Consoles: joins a user's socket to that of the host that runs the VM. Bytes go through; nothing is kept or read.

A host listens on nothing, so it is asked to dial out: a session waits for exactly that host to come. Sessions live in
this process; with several controllers, hosts must reach the one that the user reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ringfence.model.names import HostId

FRAME_BYTES = 1 << 16
ENDED = 1000
GOING_AWAY = 1001


@dataclass(eq=False)
class Session:
    """One console of one VM, for one user. `came` holds the host's socket; `ended` ends both."""

    id: str
    host_id: HostId
    came: asyncio.Future[WebSocket]
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Consoles:
    """The sessions of this process. Used from its event loop only."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    @contextlib.asynccontextmanager
    async def session(self, host_id: HostId) -> AsyncIterator[Session]:
        """Open a session that this host alone may come to."""
        opened = Session(id=secrets.token_urlsafe(24), host_id=host_id, came=asyncio.get_running_loop().create_future())
        self._sessions[opened.id] = opened
        try:
            yield opened
        finally:
            del self._sessions[opened.id]
            opened.ended.set()
            opened.came.cancel()

    def expects(self, session_id: str, host_id: HostId) -> bool:
        """Tell whether this host is waited for there."""
        session = self._sessions.get(session_id)
        # SAFETY: a host comes to its own sessions only; another's does not exist for it.
        return session is not None and session.host_id == host_id and not session.came.done()

    async def come(self, session_id: str, host_id: HostId, socket: WebSocket) -> None:
        """Let a host's accepted socket come to its session, and return when that ends."""
        if not self.expects(session_id, host_id):
            await close(socket, code=GOING_AWAY, reason="the console ended")
            return
        session = self._sessions[session_id]
        session.came.set_result(socket)
        await session.ended.wait()

    def stop(self) -> None:
        """End all sessions."""
        for session in self._sessions.values():
            session.ended.set()


async def join(user: WebSocket, host: WebSocket, ended: asyncio.Event) -> None:
    """Copy frames both ways until one side ends, or `ended` is set; then close both.

    Each direction sends a frame before it takes the next, so a slow side slows the other instead of filling memory.
    """
    copying = [
        asyncio.create_task(_copy(user, host)),
        asyncio.create_task(_copy(host, user)),
        asyncio.create_task(ended.wait()),
    ]
    try:
        await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)
        code = GOING_AWAY if ended.is_set() else ENDED
        for socket in (user, host):
            await close(socket, code=code, reason="the console ended")


async def close(socket: WebSocket, *, code: int, reason: str) -> None:
    """Close the socket unless it is closed."""
    if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code=code, reason=reason)


async def _copy(source: WebSocket, target: WebSocket) -> None:
    receive: Callable[[], Awaitable[dict[str, object]]] = source.receive  # type: ignore[assignment]
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            content = message.get("bytes")
            text = message.get("text")
            frame = content if isinstance(content, bytes) else str(text or "").encode()
            for start in range(0, len(frame), FRAME_BYTES):
                await target.send_bytes(frame[start : start + FRAME_BYTES])
