"""What anyone may know of this controller before signing in: name, version, ways to sign in, if hosts are simulated.

Everything that a controller of simulated hosts answers carries a header that says so, refusals and consoles included.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ringfence import __version__
from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.shapes import Told
from ringfence.controller.passkeys import is_name

PATH = "/v1/about"
HEADER = b"ringfence-simulated"
NOTICE = "**Simulated.** The hosts behind this controller are simulated: no guest runs, and nothing here is proof."
_BEGINS = ("http.response.start", "websocket.accept", "websocket.http.response.start")

router = APIRouter(prefix=PATH, tags=["about"])


class AboutTold(Told):
    """`simulated`: there are no real hosts behind this controller, and nothing it says shows a promise.

    `provider`: people may sign in by their organisation's provider (`GET /v1/session/oidc`). `passkeys`: people reach
    this controller by a name, which passkeys belong to.
    """

    name: str
    version: str
    simulated: bool
    provider: bool
    passkeys: bool


@router.get("", response_model=AboutTold, openapi_extra={"security": []})
def get_about(parts: WithParts) -> Response:
    """Tell what this is. It needs no token."""
    about = AboutTold(
        name="ringfence",
        version=__version__,
        simulated=parts.simulated,
        provider=parts.settings.oidc_issuer != "",
        passkeys=is_name(parts.page_url),
    )
    return told(about)


class Labelled:
    """Wraps an application so that every answer says that it is simulated."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def labelled(message: MutableMapping[str, Any]) -> None:
            if message["type"] in _BEGINS:
                message["headers"] = [*message.get("headers", []), (HEADER, b"true")]
            await send(message)

        await self._app(scope, receive, labelled)
