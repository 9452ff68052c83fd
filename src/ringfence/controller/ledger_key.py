"""The key that signs the ledger's checkpoints: Ed25519, in the controller's data folder, beside its CA.

Controllers of one cloud share it, as they share the CA: a checkpoint that another key signed is not believed.
"""

from __future__ import annotations

import fcntl
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.controller.authority import make_private_folder, write_private
from ringfence.decide import notes


class LedgerKey:
    """The key in a folder of its own. Opening it makes it if it is not there."""

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        file = folder / "ledger.key"
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                write_private(file, _pem(Ed25519PrivateKey.generate()))
        loaded = serialization.load_pem_private_key(file.read_bytes(), password=None)
        assert isinstance(loaded, Ed25519PrivateKey), "the ledger's key is an Ed25519 one"
        self._key = loaded
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self._public = loaded.public_key().public_bytes(*raw)
        # The log's name: one for each key, so that logs of two clouds are never taken for one.
        self.origin = f"ringfence/{sha256(self._public).hexdigest()[:16]}"

    @property
    def verifier(self) -> str:
        """The public key as verifiers of signed notes are given it."""
        return notes.verifier_key(self.origin, self._public)

    def seal(self, size: int, root: bytes) -> str:
        """Sign the checkpoint of a tree."""
        text = notes.checkpoint_text(self.origin, size, root)
        return notes.signed_note(text, name=self.origin, public_key=self._public, signature=self._key.sign(text))

    def open(self, note: str) -> tuple[int, bytes] | None:
        """Give size and root of a checkpoint that this key signed; None if it did not."""
        read = notes.parse_note(note)
        if read is None or read.origin != self.origin:
            return None
        key_id = notes.key_id(self.origin, self._public)
        signature = read.signatures.get(self.origin, b"")
        try:
            self._key.public_key().verify(signature.removeprefix(key_id), read.signed)
        except InvalidSignature:
            return None
        # Whatever was said in another way than this key says it is not what it said.
        return (read.size, read.root) if self.seal(read.size, read.root) == note else None


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
