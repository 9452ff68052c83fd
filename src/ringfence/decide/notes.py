"""Checkpoints as text: the C2SP formats signed-note and tlog-checkpoint. Signs nothing: no private key comes here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

ED25519 = b"\1"
_SIGNED = "\N{EM DASH} "


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A checkpoint as it was read. `signed` is what the signatures are of; they stand by name, key id before each."""

    origin: str
    size: int
    root: bytes
    signed: bytes
    signatures: Mapping[str, bytes]


def key_id(name: str, public_key: bytes) -> bytes:
    """Give the four bytes by which a signature tells its Ed25519 key."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """Write the public key as verifiers are given it: `NAME+ID+KEY`."""
    told = base64.b64encode(ED25519 + public_key).decode()
    return f"{name}+{key_id(name, public_key).hex()}+{told}"


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """Write what is to be signed."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def signed_note(text: bytes, *, name: str, public_key: bytes, signature: bytes) -> str:
    """Write the text with its signature."""
    told = base64.b64encode(key_id(name, public_key) + signature).decode()
    return f"{text.decode()}\n{_SIGNED}{name} {told}\n"


def parse_note(note: str) -> Note | None:
    """Read a checkpoint; None if it is none."""
    text, gap, tail = note.rpartition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) < 3 or not lines[1].isascii() or not lines[1].isdigit():
        return None
    signatures: dict[str, bytes] = {}
    try:
        for line in tail.removesuffix("\n").split("\n"):
            name, _, told = line.removeprefix(_SIGNED).rpartition(" ")
            if not line.startswith(_SIGNED) or not name:
                return None
            signatures[name] = base64.b64decode(told, validate=True)
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    size = int(lines[1])
    if str(size) != lines[1] or len(root) != 32:
        return None
    return Note(origin=lines[0], size=size, root=root, signed=f"{text}\n".encode(), signatures=signatures)
