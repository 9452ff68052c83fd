"""An authenticator in software: ES256 keys, real CBOR and COSE, signatures that a browser's would be like."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


@dataclass
class Authenticator:
    """One passkey. `origin` is the page it believes to be on; `sees_user`: it asks for a finger or a PIN."""

    origin: str
    sees_user: bool = True
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    uses: int = 0

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def register(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        numbers = self._key.public_key().public_numbers()
        # COSE: kty EC2, alg ES256, crv P-256, x, y.
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        credential = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cose
        seen = self._seen(options["rp"]["id"], _ATTESTED) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": seen})
        client = self._client("webauthn.create", options["challenge"])
        return self._answer({"clientDataJSON": text(client), "attestationObject": text(attestation)})

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        self.uses += 1
        seen = self._seen(options["rpId"])
        client = self._client("webauthn.get", options["challenge"])
        signature = self._key.sign(seen + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        told = {"authenticatorData": text(seen), "clientDataJSON": text(client), "signature": text(signature)}
        return self._answer(told)

    def _seen(self, party: str, more: int = 0) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.sees_user else 0) | more
        return hashlib.sha256(party.encode()).digest() + struct.pack(">BI", flags, self.uses)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        name = text(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
