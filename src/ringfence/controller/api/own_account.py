"""One's own account over HTTP: its password and its sessions. Other people's accounts are elsewhere."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from ringfence.controller.api.requests import WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.sealed import Sealed, SealedToKey, octets
from ringfence.controller.api.sessions import sign_ins_of
from ringfence.controller.api.shapes import PageOf, Told
from ringfence.controller.enforcement import access_in
from ringfence.model.sessions import SignedIn
from ringfence.model.signins import SessionNeeded
from ringfence.store import passwords, sessions

router = APIRouter(prefix="/v1/account", tags=["account"])


class OwnSession(Told):
    """One of one's sessions. `current` is the one that asks."""

    id: str
    means: str
    source: str
    client: str
    created_at: str
    used_at: str
    expires_at: str
    current: bool


class PasswordAsked(SealedToKey):
    sealed_current: Sealed
    sealed_new: Sealed


@router.get("/sessions", response_model=PageOf[OwnSession])
def list_own_sessions(parts: WithParts, request: Request, paging: WithPaging) -> Response:
    """List the sessions of one's own account."""
    access = access_in(request)
    with parts.store.reading() as session:
        page = sessions.sessions(session, access.grants.account.id, limit=paging.limit, after=paging.after)
    items = [_told(each, access.session) for each in page.items]
    return told(PageOf[OwnSession](items=items, next=cursor_for(page.next)))


@router.delete("/sessions/{session_id}", status_code=204, response_class=Response)
def delete_own_session(parts: WithParts, request: Request, session_id: str) -> Response:
    """End one of one's sessions: whoever uses it has to sign in again."""
    account_id = access_in(request).grants.account.id
    with parts.store.transaction() as session:
        sessions.remove_session(session, account_id, session_id)
    return Response(status_code=204)


@router.put("/password", status_code=204, response_class=Response)
async def change_own_password(parts: WithParts, request: Request, body: PasswordAsked) -> Response:
    """Change one's password. Every other session of the account ends, and its devices are known no more."""
    access = access_in(request)
    if access.session is None:
        # A token that leaked is not to become an account.
        raise SessionNeeded
    sign_ins, account, current_id = sign_ins_of(request), access.grants.account, access.session.id
    attempt = await sign_ins.hear(request.scope, account.name)

    def change() -> None:
        sign_ins.judge(attempt, body.key_id, octets(body.sealed_current))
        names = (account.name, *account.name.split("@"), *account.display_name.split())
        stored = parts.passwords.hash(body.key_id, octets(body.sealed_new), names=names)
        with parts.store.transaction() as session:
            passwords.put_password(session, account.id, stored)
            sessions.remove_sessions(session, account.id, but=current_id)
            sign_ins.forgive(session, attempt)

    await anyio.to_thread.run_sync(change, limiter=sign_ins.limiter)
    return Response(status_code=204)


def _told(each: SignedIn, current: SignedIn | None) -> OwnSession:
    return OwnSession(
        id=each.id,
        means=each.means,
        source=each.source,
        client=each.client,
        created_at=each.created_at,
        used_at=each.used_at,
        expires_at=each.expires_at,
        current=current is not None and current.id == each.id,
    )
