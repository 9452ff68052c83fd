"""Signing in by the organisation's provider, over HTTP: the browser is sent there, and comes back."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from ringfence.controller.admission import cookie_in
from ringfence.controller.api.requests import WithParts
from ringfence.controller.api.sessions import sign_ins_of
from ringfence.controller.provider import ProviderDenied
from ringfence.controller.provider_sign_in import begin_at_provider, end_at_provider
from ringfence.controller.signing_in import set_cookies
from ringfence.errors import RingfenceError
from ringfence.store.challenges import VALID_SECONDS

router = APIRouter(prefix="/v1/session/oidc", tags=["session"])

STATE_COOKIE = "__Host-ringfence-state"


@router.get("", status_code=303, response_class=Response)
async def begin_provider_session(parts: WithParts, request: Request) -> Response:
    """Send the browser to the organisation's provider, to sign in there."""
    try:
        url, state = await anyio.to_thread.run_sync(begin_at_provider, parts, limiter=sign_ins_of(request).limiter)
    except RingfenceError as error:
        return _back_to_sign_in(request, error)
    response = RedirectResponse(url, status_code=303)
    # Lax: the browser comes back from another site, and has to bring it.
    _keep(response, state, int(VALID_SECONDS))
    return response


@router.get("/callback", status_code=303, response_class=Response)
async def end_provider_session(
    parts: WithParts,
    request: Request,
    code: Annotated[str, Query(max_length=4096)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Come back from the provider: begin the session, and go on to the first page."""
    if error or not code:
        return _back_to_sign_in(request, ProviderDenied(why=error or "it gave no code"))
    sign_ins, kept = sign_ins_of(request), cookie_in(request.scope, STATE_COOKIE)

    def prove() -> Response:
        begun = end_at_provider(parts, sign_ins, request.scope, kept=kept, state=state, code=code)
        response = RedirectResponse("/", status_code=303)
        set_cookies(response, begun)
        _keep(response, "", 0)
        return response

    try:
        return await anyio.to_thread.run_sync(prove, limiter=sign_ins.limiter)
    except RingfenceError as refused:
        return _back_to_sign_in(request, refused)


def _back_to_sign_in(request: Request, error: RingfenceError) -> Response:
    """Send a person's browser back to the sign-in page with the error's code; raise it for anything else."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    # SAFETY: the code alone. Words in an address could be anybody's, and would be read as this controller's.
    return RedirectResponse(f"/login#{error.code}", status_code=303)


def _keep(response: Response, state: str, seconds: int) -> None:
    response.set_cookie(STATE_COOKIE, state, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
