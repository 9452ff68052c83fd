"""Passkeys over HTTP: one's own, and signing in by one, alone or after the password."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from ringfence.controller.api.requests import WithParts, told
from ringfence.controller.api.sessions import SessionTold, begun_response, sign_ins_of
from ringfence.controller.api.shapes import Asked, PageOf, Told
from ringfence.controller.enforcement import access_in
from ringfence.controller.passkey_sign_in import party_of, prove_by_passkey
from ringfence.controller.passkeys import PasskeyRefused
from ringfence.model.accounts import Account
from ringfence.model.signins import SessionNeeded
from ringfence.store import passkeys
from ringfence.store.challenges import Purpose, add_challenge, take_challenge

router = APIRouter(tags=["passkeys"])

Label = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f\x7f]+$")]
Credential = Annotated[dict[str, Any], Field(description="What the browser's `toJSON()` gives.")]


class Asking(Told):
    """`options` are for `navigator.credentials`; the answer goes with `challenge_id`, within five minutes."""

    challenge_id: str
    options: dict[str, Any]


class PasskeyAnswer(Asked):
    challenge_id: str = Field(max_length=63)
    credential: Credential


class NewPasskey(PasskeyAnswer):
    name: Label


class PasskeyTold(Told):
    id: str
    name: str
    created_at: str
    last_used_at: str | None


@router.post("/v1/account/passkeys/options", response_model=Asking)
def ask_for_passkey(parts: WithParts, request: Request) -> Response:
    """Begin to add a passkey to one's account."""
    account = _own(request)
    with parts.store.transaction() as session:
        known = passkeys.passkeys(session, account.id)
        challenge, options = party_of(parts).ask_to_register(account, known)
        challenge_id = add_challenge(session, Purpose.REGISTER, {"challenge": challenge}, account_id=account.id)
    return told(Asking(challenge_id=challenge_id, options=options))


@router.post("/v1/account/passkeys", status_code=201, response_model=PasskeyTold)
def create_passkey(parts: WithParts, request: Request, body: NewPasskey) -> Response:
    """Add a passkey. From then on the password alone opens the account no more."""
    account = _own(request)
    with parts.store.transaction() as session:
        asked = take_challenge(session, Purpose.REGISTER, body.challenge_id)
    if asked is None or asked.account_id != account.id:
        raise PasskeyRefused(why="the challenge is not known, or was answered before")
    made = party_of(parts).judge_registration(asked.facts["challenge"], body.credential)
    with parts.store.transaction() as session:
        added = passkeys.add_passkey(
            session,
            account.id,
            name=body.name,
            credential_id=made.credential_id,
            public_key=made.public_key,
            uses=made.uses,
        )
    return told(PasskeyTold.model_validate(added), status=201)


@router.get("/v1/account/passkeys", response_model=PageOf[PasskeyTold])
def list_passkeys(parts: WithParts, request: Request) -> Response:
    """List one's passkeys."""
    with parts.store.reading() as session:
        found = passkeys.passkeys(session, access_in(request).grants.account.id)
    items = [PasskeyTold.model_validate(each) for each in found]
    return told(PageOf[PasskeyTold](items=items, next=None))


@router.delete("/v1/account/passkeys/{passkey_id}", status_code=204, response_class=Response)
def delete_passkey(parts: WithParts, request: Request, passkey_id: str) -> Response:
    """Remove one of one's passkeys."""
    account = _own(request)
    with parts.store.transaction() as session:
        passkeys.remove_passkey(session, account.id, passkey_id)
    return Response(status_code=204)


@router.post("/v1/session/passkey/options", response_model=Asking)
def ask_to_sign_in(parts: WithParts) -> Response:
    """Begin to sign in by a passkey alone. Whose it is, the passkey tells."""
    challenge, options = party_of(parts).ask_to_sign_in()
    with parts.store.losable() as session:
        challenge_id = add_challenge(session, Purpose.SIGN_IN, {"challenge": challenge})
    return told(Asking(challenge_id=challenge_id, options=options))


@router.post("/v1/session/passkey", status_code=201, response_model=SessionTold)
async def create_session_by_passkey(parts: WithParts, request: Request, body: PasskeyAnswer) -> Response:
    """Sign in by a passkey: alone, or after the password was right."""
    sign_ins = sign_ins_of(request)

    def prove() -> Response:
        return begun_response(
            parts, prove_by_passkey(parts, sign_ins, request.scope, body.challenge_id, body.credential)
        )

    return await anyio.to_thread.run_sync(prove, limiter=sign_ins.limiter)


def _own(request: Request) -> Account:
    access = access_in(request)
    if access.session is None:
        # A token that leaked is not to become a way to sign in.
        raise SessionNeeded
    return access.grants.account
