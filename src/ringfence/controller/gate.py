"""What every request passes before a route sees it: identity, a bounded body; and what catches a bug behind it.

An ASGI layer rather than a dependency of each route, so that no route can forget it. Who is admitted is the `admit`
function's to say, and whose doing the request is; what they may is another's.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringfence.controller.problems import Bug, RequestRefused, TooLarge, TooSlow, problem_response
from ringfence.errors import RingfenceError
from ringfence.model.actors import STRANGER, Actor
from ringfence.model.ledger import Subject
from ringfence.store.acting import acting

logger = logging.getLogger(__name__)

BODY_BYTES = 1 << 20
BODY_SECONDS = 30.0
DRAIN_BYTES = 64 << 20
DRAIN_SECONDS = 5.0
CLAIMED = "claimed"
"""In a request's state: the account that somebody wants to sign in to."""
DENIED = "denied"
"""In a request's state: what was denied, where the answer's status does not say so (what one may not see is 404)."""
_DENIED = (401, 403)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL in JSON: PostgreSQL keeps none, and a C program would end its text there."""


class Gate:
    """Wraps an application. `streams` tells which requests read their own, unbounded body; `deny` hears of denials."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        admit: Callable[[Scope], Awaitable[Actor | None]],
        streams: Callable[[Scope], bool] = lambda _: False,
        deny: Callable[[Actor, str, Subject], None] | None = None,
    ) -> None:
        self._app = app
        self._admit = admit
        self._streams = streams
        self._deny = deny

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        body = _Incoming(scope, receive)
        begun = False
        actor: Actor | None = None

        async def watched(message: Message) -> None:
            nonlocal begun
            if not begun and (message.get("status") in _DENIED or scope["state"].get(DENIED)):
                await self._tell_denied(actor, scope)
            if message["type"] == "http.response.start" and (message["status"] >= 400 or self._streams(scope)):
                await body.drain()
            begun = True
            await send(message)

        try:
            scope.setdefault("state", {})
            actor = await self._admit(scope)
            whole = await _whole(body) if scope["type"] == "http" and not self._streams(scope) else body.receive
            with nullcontext() if actor is None else acting(actor):
                await self._app(scope, whole, watched)
        except RingfenceError as error:
            await _refuse(error, scope, body.receive, watched, begun=begun)
        except Exception:
            # The incident's number leads from what the user sees to the log; nothing else of it goes out.
            incident = secrets.token_hex(4)
            logger.exception("incident %s: %s %s", incident, scope.get("method", "WS"), scope["path"])
            await _refuse(Bug(incident=incident), scope, body.receive, watched, begun=begun)

    async def _tell_denied(self, actor: Actor | None, scope: Scope) -> None:
        if self._deny is None:
            return
        route = getattr(scope.get("route"), "path", "")
        what = str(scope["state"].get(DENIED) or f"{scope.get('method', 'WS')} {route}".strip())
        ids = [str(value) for value in scope.get("path_params", {}).values()]
        subject = Subject(kind="path", id=ids[0] if ids else "", name=scope["path"])
        if claimed := scope["state"].get(CLAIMED):
            subject = Subject(kind="account", id=claimed, name=claimed)
        client = scope.get("client")
        who = actor or replace(STRANGER, source=str(client[0]) if client else "")
        try:
            await anyio.to_thread.run_sync(self._deny, who, what, subject)
        except RingfenceError as error:
            # What was refused stays refused, told in the ledger or not.
            logger.error("a denied attempt of %s could not be told: %s", who.name, error)  # noqa: TRY400


class _Incoming:
    """A request's body as it comes, knowing whether all of it has come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.headers = dict(scope["headers"])
        told = self.headers.get(b"content-length", b"0")
        self._receive = receive
        self.ended = scope["type"] != "http" or (told == b"0" and b"transfer-encoding" not in self.headers)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.ended = True
        return message

    async def drain(self) -> None:
        """Read what is still on its way, within bounds: a client that is still sending might not see a refusal."""
        drained = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.ended and drained < DRAIN_BYTES:
                    drained += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


async def _whole(incoming: _Incoming) -> Receive:
    """Read the body, bounded in size and time; gives a `receive` that tells it again."""
    told = incoming.headers.get(b"content-length", b"0")
    if not told.isdigit():
        raise RequestRefused(why="its Content-Length is not a number")
    if int(told) > BODY_BYTES:
        raise TooLarge(what="body", limit_bytes=BODY_BYTES)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while not incoming.ended:
                message = await incoming.receive()
                if message["type"] != "http.request":
                    return _once(message, incoming.receive)
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise TooLarge(what="body", limit_bytes=BODY_BYTES)
    except TimeoutError:
        raise TooSlow(limit_seconds=BODY_SECONDS) from None
    if _NUL.search(body):
        raise RequestRefused(why="it holds a NUL character, which no text here may")
    return _once({"type": "http.request", "body": bytes(body), "more_body": False}, incoming.receive)


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
