"""The gate to WebAuthn: makes challenges, judges what authenticators answer. Attestation is not asked for."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ringfence.errors import Refused
from ringfence.model.accounts import Account
from ringfence.model.sessions import Passkey

Json = dict[str, Any]


@dataclass(eq=False)
class PasskeysNeedName(Refused):
    """Passkeys belong to a name, and people reach this controller at {url}, which has none.

    Give the controller a name by `--public-url https://NAME`.
    """

    url: str


@dataclass(eq=False)
class PasskeyRefused(Refused):
    """The passkey was not taken: {why}.

    Begin again, and answer within five minutes.
    """

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What an authenticator made. `uses` is its counter."""

    credential_id: str
    public_key: bytes
    uses: int


class RelyingParty:
    """This controller, as authenticators know it: by the name in the URL that people open."""

    def __init__(self, url: str) -> None:
        if not is_name(url):
            raise PasskeysNeedName(url=url)
        self._origin = url
        self._name = urlsplit(url).hostname or ""

    def ask_to_register(self, account: Account, known: Sequence[Passkey]) -> tuple[str, Json]:
        """Give a challenge and the options that a browser passes to an authenticator."""
        options = webauthn.generate_registration_options(
            rp_id=self._name,
            rp_name="ringfence",
            user_id=account.id.encode(),
            user_name=account.name,
            user_display_name=account.display_name or account.name,
            exclude_credentials=_descriptors(known),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
        )
        return _text(options.challenge), json.loads(webauthn.options_to_json(options))

    def judge_registration(self, challenge: str, credential: Mapping[str, Any]) -> Registered:
        """Judge what came back; raises `PasskeyRefused`."""
        try:
            made = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=_octets(challenge),
                expected_rp_id=self._name,
                expected_origin=self._origin,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefused(why=str(error)[:200]) from error
        return Registered(
            credential_id=_text(made.credential_id), public_key=made.credential_public_key, uses=made.sign_count
        )

    def ask_to_sign_in(self, known: Sequence[Passkey] = ()) -> tuple[str, Json]:
        """Give a challenge and its options: for these passkeys, or for any, which then has to know its user."""
        verification = UserVerificationRequirement.PREFERRED if known else UserVerificationRequirement.REQUIRED
        options = webauthn.generate_authentication_options(
            rp_id=self._name, allow_credentials=_descriptors(known), user_verification=verification
        )
        return _text(options.challenge), json.loads(webauthn.options_to_json(options))

    def judge_sign_in(self, challenge: str, credential: Mapping[str, Any], passkey: Passkey, *, alone: bool) -> int:
        """Judge what came back; gives the counter. `alone`: it has to have seen its user's finger, face or PIN."""
        try:
            judged = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=_octets(challenge),
                expected_rp_id=self._name,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.uses,
                require_user_verification=alone,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefused(why=str(error)[:200]) from error
        return judged.new_sign_count


def is_name(url: str) -> bool:
    """Tell whether it is by a name, not an address, that this URL leads to somewhere."""
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return True
    return False


def _descriptors(known: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=_octets(passkey.credential_id)) for passkey in known]


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
