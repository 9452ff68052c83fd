"""Seals secrets before they leave: a password to the controller's key, and opens what was sealed to a key made here."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from ringfence.errors import Refused


@dataclass(eq=False)
class SealBroken(Refused):
    """What the controller sealed for this program does not open: {why}.

    See whether both are of the same version, and whether something between them changes what passes.
    """

    why: str


def seal(secret: str, key: dict[str, Any]) -> str:
    """Seal a secret to the key that `GET /v1/session/key` gave; base64. A box serves once."""
    try:
        public = PublicKey(base64.b64decode(key["public_key"], validate=True))
    except (KeyError, ValueError, CryptoError) as error:
        raise SealBroken(why=f"its key is none ({error})") from error
    return base64.b64encode(bytes(SealedBox(public).encrypt(secret.encode()))).decode()


class Recipient:
    """A key made for one answer: whoever made the request, and nobody between, can read what is sealed to it."""

    def __init__(self) -> None:
        self._private = PrivateKey.generate()
        self.public_key = base64.b64encode(bytes(self._private.public_key)).decode()

    def open(self, sealed: str) -> str:
        """Open what was sealed to this key; raises `SealBroken`."""
        try:
            return bytes(SealedBox(self._private).decrypt(base64.b64decode(sealed, validate=True))).decode()
        except (ValueError, CryptoError) as error:
            raise SealBroken(why=str(error)) from error
