"""What every request passes before a route sees it: identity, a bounded body; and what catches a bug behind it.

An ASGI layer rather than a dependency of each route, so that no route can forget it. Who is admitted is the `admit`
function's to say; what a route allows is the route's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringfence.controller.problems import Bug, RequestRefused, TooLarge, TooSlow, problem_response
from ringfence.errors import RingfenceError

logger = logging.getLogger(__name__)

BODY_BYTES = 1 << 20
BODY_SECONDS = 30.0


class Gate:
    """Wraps an application. `streams` tells which requests read their own, unbounded body."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        admit: Callable[[Scope], Awaitable[None]],
        streams: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._admit = admit
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            scope.setdefault("state", {})
            await self._admit(scope)
            if scope["type"] == "http" and not self._streams(scope):
                receive = await _with_whole_body(scope, receive)
            await self._app(scope, receive, watched)
        except RingfenceError as error:
            await _refuse(error, scope, receive, send, begun=begun)
        except Exception:
            # The incident's number leads from what the user sees to the log; nothing else of it goes out.
            incident = secrets.token_hex(4)
            logger.exception("incident %s: %s %s", incident, scope.get("method", "WS"), scope["path"])
            await _refuse(Bug(incident=incident), scope, receive, send, begun=begun)


async def _with_whole_body(scope: Scope, receive: Receive) -> Receive:
    """Read the body, bounded in size and time; gives a `receive` that tells it again."""
    headers = dict(scope["headers"])
    told = headers.get(b"content-length", b"")
    if not told and b"transfer-encoding" not in headers:
        return receive
    if told and not told.isdigit():
        raise RequestRefused(why="its Content-Length is not a number")
    if told and int(told) > BODY_BYTES:
        raise TooLarge(what="body", limit_bytes=BODY_BYTES)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return _once(message, receive)
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise TooLarge(what="body", limit_bytes=BODY_BYTES)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise TooSlow(limit_seconds=BODY_SECONDS) from None
    return _once({"type": "http.request", "body": bytes(body), "more_body": False}, receive)


def _once(message: MutableMapping[str, Any], after: Receive) -> Receive:
    told = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await after()
        told = True
        return message

    return receive


async def _refuse(error: RingfenceError, scope: Scope, receive: Receive, send: Send, *, begun: bool) -> None:
    if begun:
        # The response is under way: closing the connection early is all that can still be told.
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011, "reason": error.code})
        return
    # A body that was not read must not be taken for the next request.
    response = problem_response(error, {"Connection": "close"})
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    headers = [(name, value) for name, value in response.raw_headers if name != b"connection"]
    await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
