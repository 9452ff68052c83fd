"""The auditor's script: checks ringfence's ledger offline. Needs Python 3.11 and `cryptography`, no ringfence.

    audit.py KEY entry PROOF.json             an entry is in the ledger that its checkpoint signs
    audit.py KEY log CHECKPOINT LEDGER.jsonl  these are all entries of the checkpoint, in their order
    audit.py KEY growth OLD NEW PROOF.json    the ledger of checkpoint NEW begins with that of OLD

KEY is NAME+ID+KEY. Formats: RFC 6962 and 9162, and C2SP's signed-note and tlog-checkpoint.
"""

import json
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def signed_tree(key: str, note: str) -> tuple[int, bytes]:
    """Give the size and the root of a checkpoint; raises `ValueError` if the key did not sign it."""
    name, told_id, told_key = key.split("+", 2)
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")[:3]
    for line in signatures.splitlines():
        signature = b64decode(line.rpartition(" ")[2])
        if line.startswith(f"\N{EM DASH} {name} ") and signature[:4].hex() == told_id and origin == name:
            public = Ed25519PublicKey.from_public_bytes(b64decode(told_key)[1:])
            public.verify(signature[4:], f"{text}\n".encode())
            return int(size), b64decode(root)
    raise ValueError("no signature of this key")


def steps(at: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each hash of the path, and whether it stands to the left (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for step in path:
        if last == 0:
            raise ValueError("the proof is too long")
        yield step, bool(at & 1) or at == last
        while at == last and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")


def is_in(index: int, hashed: bytes, tree: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Tell whether the path leads from the leaf's hash to the tree's root."""
    for step, left in steps(index, tree[0] - 1, path):
        hashed = node(step, hashed) if left else node(hashed, step)
    return 0 <= index < tree[0] and hashed == tree[1]


def begins(first: tuple[int, bytes], second: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Tell whether the second tree begins with the first."""
    if first[0] == second[0] or not 0 < first[0] < second[0]:
        return first == second and not path
    at, last = first[0] - 1, second[0] - 1
    start, *others = [first[1], *path] if first[0] & at == 0 else path
    odd = (at ^ (at + 1)).bit_length() - 1
    old = new = start
    for step, left in steps(at >> odd, last >> odd, others):
        old, new = (node(step, old), node(step, new)) if left else (old, node(new, step))
    return (old, new) == (first[1], second[1])


def tree_of(bodies: Iterable[bytes]) -> tuple[int, bytes]:
    """Hash all entries, given in order: their number, and the root."""
    size, peaks = 0, list[bytes]()
    for size, body in enumerate(bodies, start=1):
        peaks.append(sha256(b"\0" + body).digest())
        for _ in range((size & -size).bit_length() - 1):
            peaks[-2:] = [node(*peaks[-2:])]
    while len(peaks) > 1:
        peaks[-2:] = [node(*peaks[-2:])]
    return size, peaks[0] if peaks else sha256(b"").digest()


def main(key: str, what: str, *files: str) -> bool:
    if what == "log":
        with Path(files[1]).open("rb") as lines:
            return tree_of(line.rstrip(b"\n") for line in lines) == signed_tree(key, Path(files[0]).read_text())
    proof = json.loads(Path(files[-1]).read_text())
    path = [b64decode(each) for each in proof["hashes"]]
    if what == "entry":
        index = json.loads(proof["body"])["index"]
        hashed = sha256(b"\0" + proof["body"].encode()).digest()
        return is_in(index, hashed, signed_tree(key, proof["checkpoint"]), path)
    old, new = (signed_tree(key, Path(file).read_text()) for file in files[:2])
    return begins(old, new, path)


if __name__ == "__main__":
    sys.exit(None if main(*sys.argv[1:]) else "NOT PROVEN")
