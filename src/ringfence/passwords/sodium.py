"""The gate to libsodium: boxes opened and secrets hashed where they lie, in locked memory. Decides nothing."""

from __future__ import annotations

import base64
import secrets
import threading
from typing import Any

from nacl._sodium import ffi, lib

from ringfence.passwords.memory import LockedMemory
from ringfence.passwords.messages import SECRET_BYTES

HASH_PASSES = 2
HASH_MEMORY_BYTES = 19 * 1024 * 1024
"""Argon2id at the parameters that OWASP's Password Storage Cheat Sheet recommends: m=19 MiB, t=2, p=1."""
BOXES_A_KEY = 50_000
"""So many boxes are remembered as opened; then a new key is made, to which none of them was sealed."""
_OVERHEAD = 48
_HASH_BYTES = 128
_TEXT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECRET_CHARACTERS = 43


class BoxUsed(Exception):
    """The box was opened before."""


class BoxShut(Exception):
    """The box does not open."""


def start() -> None:
    """Get the library ready; once, before anything else here."""
    assert lib.sodium_init() >= 0


class SealingKey:
    """The key pair that boxes are sealed to, and the boxes that were opened with it. Safe to share between threads."""

    def __init__(self, memory: LockedMemory) -> None:
        self._memory = memory
        self._secret = ffi.cast("unsigned char *", memory.address)
        self._turn = threading.Lock()
        self._renew()

    def _renew(self) -> None:
        public = ffi.new("unsigned char[32]")
        assert lib.crypto_box_keypair(public, self._secret) == 0
        self._public = public
        self._opened: set[bytes] = set()
        self.public_key = bytes(ffi.buffer(public))
        self.key_id = base64.urlsafe_b64encode(secrets.token_bytes(12)).decode()

    def open_into(self, memory: LockedMemory, box: bytes) -> int:
        """Open the box at the start of the memory; gives the secret's length. Raises `BoxShut`, `BoxUsed`."""
        length = len(box) - _OVERHEAD
        if not 0 < length <= min(SECRET_BYTES, memory.size_bytes):
            raise BoxShut
        # One at a time, it takes a tenth of a millisecond: no box is opened twice, nor with a key that is replaced.
        with self._turn:
            text = ffi.cast("unsigned char *", memory.address)
            if lib.crypto_box_seal_open(text, box, len(box), self._public, self._secret) != 0:
                raise BoxShut
            # A box starts with a public key made for it alone, which its nonce is made from: who changes a byte of
            # it has a box that does not open.
            if box[:32] in self._opened:
                raise BoxUsed
            self._opened.add(box[:32])
            if len(self._opened) >= BOXES_A_KEY:
                self._renew()
        return length


def seal(recipient: bytes, memory: LockedMemory, length: int) -> bytes:
    """Seal the first bytes of the memory to a public key; raises `BoxShut` if that is none."""
    sealed = ffi.new(f"unsigned char[{length + _OVERHEAD}]")
    text = ffi.cast("unsigned char *", memory.address)
    if len(recipient) != 32 or lib.crypto_box_seal(sealed, text, length, recipient) != 0:
        raise BoxShut
    return bytes(ffi.buffer(sealed))


def make_secret(memory: LockedMemory) -> int:
    """Write a random secret, as URL-safe text of more than 256 bits, to the start of the memory; gives its length."""
    lib.randombytes(ffi.cast("unsigned char *", memory.address), SECRET_CHARACTERS)
    for index in range(SECRET_CHARACTERS):
        memory.view[index] = _TEXT[memory.view[index] & 63]
    return SECRET_CHARACTERS


def digest_of(memory: LockedMemory, length: int) -> str:
    """Give the SHA-256, in hex, of the first bytes of the memory."""
    digest = ffi.new("unsigned char[32]")
    assert lib.crypto_hash_sha256(digest, ffi.cast("unsigned char *", memory.address), length) == 0
    return bytes(ffi.buffer(digest)).hex()


def hash_of(memory: LockedMemory, length: int) -> str:
    """Hash the password at the start of the memory, with a salt of its own; gives it in PHC form."""
    out = ffi.new(f"char[{_HASH_BYTES}]")
    text: Any = ffi.cast("char *", memory.address)
    algorithm = lib.crypto_pwhash_alg_argon2id13()
    if lib.crypto_pwhash_str_alg(out, text, length, HASH_PASSES, HASH_MEMORY_BYTES, algorithm) != 0:
        raise MemoryError("no memory for Argon2id")
    return str(ffi.string(out).decode())


def is_hash_of(stored: str, memory: LockedMemory, length: int) -> bool:
    """Tell whether `stored` is the hash of the password at the start of the memory."""
    padded = ffi.new(f"char[{_HASH_BYTES}]", stored.encode()[: _HASH_BYTES - 1])
    return bool(lib.crypto_pwhash_str_verify(padded, ffi.cast("char *", memory.address), length) == 0)


def is_outdated(stored: str) -> bool:
    """Tell whether the hash was made at another cost than today's."""
    padded = ffi.new(f"char[{_HASH_BYTES}]", stored.encode()[: _HASH_BYTES - 1])
    return bool(lib.crypto_pwhash_str_needs_rehash(padded, HASH_PASSES, HASH_MEMORY_BYTES) != 0)
