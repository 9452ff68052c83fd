"""Signing in by a passkey, alone or as the second half of a password. What a passkey is, `passkeys` knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Scope

from ringfence.controller.parts import Parts
from ringfence.controller.passkeys import PasskeyRefused, RelyingParty
from ringfence.controller.signing_in import Attempt, Begun, SignIns
from ringfence.model.sessions import Means
from ringfence.model.signins import PasskeyNeeded
from ringfence.store import passkeys
from ringfence.store.challenges import Purpose, add_challenge, take_challenge


def prove_by_passkey(
    parts: Parts, sign_ins: SignIns, scope: Scope, challenge_id: str, credential: Mapping[str, Any]
) -> Begun:
    """Begin the session of whoever's passkey answered the challenge; raises `SignInDenied`."""
    with parts.store.transaction() as session:
        asked = take_challenge(session, Purpose.SIGN_IN, challenge_id)
        passkey = passkeys.passkey_of(session, str(credential.get("id", ""))[:1364])
    # Nobody is slowed down: a signature cannot be guessed, and this way stays open whoever guesses at passwords.
    attempt = sign_ins.unhindered(scope, passkey.account_id if passkey else "")
    if asked is None or passkey is None or asked.account_id not in (None, passkey.account_id):
        raise sign_ins.denied(attempt, "unknown passkey or challenge")
    alone = asked.account_id is None
    try:
        uses = party_of(parts).judge_sign_in(asked.facts["challenge"], credential, passkey, alone=alone)
    except PasskeyRefused as refused:
        raise sign_ins.denied(attempt, f"passkey {refused.why}") from refused
    with parts.store.transaction() as session:
        if not passkeys.note_use(session, passkey, uses=uses):
            raise sign_ins.denied(attempt, "passkey used twice at once")
    means = Means.PASSKEY if alone else Means.PASSWORD_AND_PASSKEY
    return sign_ins.begin(scope, attempt, passkey.account_id, means)


def check_passkey_not_needed(parts: Parts, attempt: Attempt, account_id: str) -> None:
    """Raise `PasskeyNeeded`, with its challenge, if the account has passkeys: its password is half of it then."""
    with parts.store.reading() as session:
        known = passkeys.passkeys(session, account_id)
    if not known:
        return
    challenge, options = party_of(parts).ask_to_sign_in(known)
    with parts.store.losable() as session:
        SignIns.forgive(session, attempt)
        challenge_id = add_challenge(session, Purpose.SIGN_IN, {"challenge": challenge}, account_id=account_id)
    raise PasskeyNeeded(challenge_id=challenge_id, options=options)


def party_of(parts: Parts) -> RelyingParty:
    """Give this controller as authenticators know it; raises `PasskeysNeedName`."""
    return RelyingParty(parts.page_url)
