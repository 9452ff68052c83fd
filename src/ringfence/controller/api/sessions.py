"""Signing in and out over HTTP: `/v1/session` is the asker's own, whatever it came from."""

from __future__ import annotations

import base64
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from ringfence.controller.admission import csrf_token_of
from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.sealed import KeyId, Sealed, SealingKey, octets
from ringfence.controller.api.shapes import Asked, Told
from ringfence.controller.enforcement import access_in
from ringfence.controller.parts import Parts
from ringfence.controller.passkey_sign_in import check_passkey_not_needed
from ringfence.controller.signing_in import Begun, SignIns, forget_cookie, set_cookies
from ringfence.decide.access import Grants, cloud_permissions, may
from ringfence.model.access import Permission
from ringfence.model.names import ACCOUNT_PATTERN
from ringfence.model.sessions import Means
from ringfence.store import projects, sessions
from ringfence.store.engine import Store

router = APIRouter(prefix="/v1/session", tags=["session"])

AccountName = Annotated[str, StringConstraints(max_length=120, pattern=ACCOUNT_PATTERN)]


class Who(Told):
    id: str
    name: str
    kind: str
    display_name: str


class RoleInProject(Told):
    id: str
    name: str
    role: str
    permissions: list[str] = Field(description="What they may in this project.")


class SessionTold(Told):
    """Who asks, and what they may."""

    account: Who
    roles: list[str]
    projects: list[RoleInProject]
    permissions: list[str] = Field(description="What they may in the whole cloud.")
    csrf_token: str | None = Field(description="What changes made with the cookie send as X-CSRF-Token.")
    expires_at: str | None


class SignInAsked(Asked):
    account: AccountName
    key_id: KeyId
    sealed_password: Sealed


@router.get("", response_model=SessionTold)
def get_session(parts: WithParts, request: Request) -> Response:
    """Tell who asks, and what they may."""
    access = access_in(request)
    expires_at = access.session.expires_at if access.session else access.token.expires_at if access.token else None
    body = tell(parts.store, access.grants, csrf_token=access.csrf_token, expires_at=expires_at)
    return told(body, headers={"Cache-Control": "no-store"})


@router.get("/key", response_model=SealingKey)
async def get_session_key(parts: WithParts, request: Request) -> Response:
    """Give the key that passwords are sealed to."""
    key = await anyio.to_thread.run_sync(parts.passwords.key, limiter=sign_ins_of(request).limiter)
    body = SealingKey(key_id=key.key_id, public_key=base64.b64encode(key.public_key).decode())
    return told(body, headers={"Cache-Control": "no-store"})


@router.post("", status_code=201, response_model=SessionTold)
async def create_session(parts: WithParts, request: Request, body: SignInAsked) -> Response:
    """Sign in with a password. The cookie that comes with the answer is the session."""
    sign_ins = sign_ins_of(request)
    attempt = await sign_ins.hear(request.scope, body.account)

    def prove() -> Response:
        account_id = sign_ins.judge(attempt, body.key_id, octets(body.sealed_password))
        check_passkey_not_needed(parts, attempt, account_id)
        return begun_response(parts, sign_ins.begin(request.scope, attempt, account_id, Means.PASSWORD))

    return await anyio.to_thread.run_sync(prove, limiter=sign_ins.limiter)


@router.delete("", status_code=204, response_class=Response)
def delete_session(parts: WithParts, request: Request) -> Response:
    """Sign out. A token is not a session, and stays."""
    signed_in = access_in(request).session
    if signed_in is not None:
        with parts.store.transaction() as session:
            sessions.remove_session(session, signed_in.account_id, signed_in.id)
    response = Response(status_code=204)
    forget_cookie(response)
    return response


def sign_ins_of(request: Request) -> SignIns:
    """Give this controller's attempts."""
    found = request.app.state.sign_ins
    assert isinstance(found, SignIns)
    return found


def begun_response(parts: Parts, begun: Begun) -> Response:
    """Build the response that tells who signed in, with the cookies."""
    body = tell(
        parts.store, begun.grants, csrf_token=csrf_token_of(begun.secret), expires_at=begun.signed_in.expires_at
    )
    response = told(body, status=201)
    set_cookies(response, begun)
    return response


def tell(store: Store, grants: Grants, *, csrf_token: str | None, expires_at: str | None) -> SessionTold:
    """Tell of somebody and what they may."""
    named: dict[str, str] = {}
    if grants.projects:
        with store.reading() as session:
            named = {ref: projects.project(session, ref).name for ref in grants.projects}
    return SessionTold(
        account=Who.model_validate(grants.account),
        roles=sorted(grants.account.roles),
        projects=[
            RoleInProject(
                id=ref,
                name=named[ref],
                role=role,
                permissions=[each for each in sorted(Permission) if may(grants, each, ref)],
            )
            for ref, role in sorted(grants.projects.items())
        ],
        permissions=sorted(cloud_permissions(grants)),
        csrf_token=csrf_token,
        expires_at=expires_at,
    )
