"""What the controller asks the password process, and what it answers: one line of JSON each way. No plaintext in any.

A *box* is a libsodium sealed box: an X25519 public key made for it alone, then the ciphertext. Bytes travel as base64.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

LINE_BYTES = 16_384
SECRET_BYTES = 1024
"""Longest secret in a box."""
BOX_BYTES = SECRET_BYTES + 48


class Question(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    """What is asked."""


class TellKey(Question, frozen=True, tag="key"):
    """Ask for the key that boxes are sealed to."""


class Verify(Question, frozen=True, kw_only=True, tag="verify"):
    """Ask whether the box holds the password that `stored` is the hash of.

    An empty `stored` (no such account, or one without a password) costs the same time and is always answered no.
    """

    key_id: str
    box: bytes
    stored: str


class MakeHash(Question, frozen=True, kw_only=True, tag="hash"):
    """Ask for the hash of a new password, if it is fit to be one. `names` are words it must not lean on."""

    key_id: str
    box: bytes
    names: tuple[str, ...] = ()


class DigestOf(Question, frozen=True, kw_only=True, tag="digest"):
    """Ask for the SHA-256, in hex, of the secret in the box: what the store knows a long random secret by."""

    key_id: str
    box: bytes


class MakeSecret(Question, frozen=True, kw_only=True, tag="secret"):
    """Ask for a new random secret, sealed to an X25519 key of whoever shall have it."""

    recipient: bytes


class PrintSecret(Question, frozen=True, kw_only=True, tag="print"):
    """Ask for a new random secret to be written to standard output, between the two texts."""

    before: str
    after: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    """What is answered."""


class Key(Answer, frozen=True, kw_only=True, tag="key"):
    """The key: it lives as long as the process, or shorter. `key_id` tells one from the next."""

    key_id: str
    public_key: bytes


class Judged(Answer, frozen=True, kw_only=True, tag="judged"):
    """Whether it was the right password; `fresh` is a new hash to store where the old one's cost is out of date."""

    right: bool
    fresh: str = ""


class Hashed(Answer, frozen=True, kw_only=True, tag="hashed"):
    """The hash of the new password."""

    stored: str


class Unfit(Answer, frozen=True, kw_only=True, tag="unfit"):
    """Why the new password was not taken."""

    why: str


class Digested(Answer, frozen=True, kw_only=True, tag="digested"):
    """SHA-256 in hex of a secret; `sealed` is the secret for its recipient, where one was named."""

    sha256: str
    sealed: bytes = b""


class Refused(Answer, frozen=True, kw_only=True, tag="refused"):
    """The box was not opened, and why: one of the words here."""

    KEY: ClassVar[str] = "key"
    """It names a key that this process does not have: ask for the key, and seal again."""
    SHUT: ClassVar[str] = "shut"
    """It does not open, or what is in it is empty or too long."""
    USED: ClassVar[str] = "used"
    """It was opened before: a box serves once, so that who copies it has nothing."""
    why: str


AnyQuestion = TellKey | Verify | MakeHash | DigestOf | MakeSecret | PrintSecret
AnyAnswer = Key | Judged | Hashed | Unfit | Digested | Refused
