"""The sealed secrets in bodies, and the key they are sealed to. No route takes a password in clear."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from ringfence.controller.api.shapes import Asked, Told
from ringfence.passwords.messages import BOX_BYTES


def _check_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    return text


Sealed = Annotated[
    str,
    StringConstraints(min_length=64, max_length=4 * ((BOX_BYTES + 2) // 3)),
    AfterValidator(_check_base64),
    Field(description="A libsodium sealed box (crypto_box_seal) to the key of `GET /v1/session/key`, in base64."),
]
Recipient = Annotated[
    str,
    StringConstraints(min_length=44, max_length=44),
    AfterValidator(_check_base64),
    Field(description="An X25519 public key that the client made for this one answer, in base64."),
]
KeyId = Annotated[str, StringConstraints(min_length=1, max_length=64), Field(description="Which key it is sealed to.")]


def octets(text: str) -> bytes:
    """Read base64 that was checked."""
    return base64.b64decode(text)


class SealingKey(Told):
    """The key that passwords are sealed to. It changes with each start of the controller, and now and then."""

    key_id: str
    public_key: str = Field(description="X25519, in base64.")


class SealedToKey(Asked):
    """A body with secrets sealed to a key."""

    key_id: KeyId
