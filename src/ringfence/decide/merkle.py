"""The tree of RFC 6962: hashes of leaves and nodes, roots, and proofs. Pure: where hashes are kept is the caller's.

`node(height, number)` stands for the caller's store: it gives the hash of a whole subtree of 2^height leaves, the
`number`th of that height. Only subtrees that are full are ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(body: bytes) -> bytes:
    """Hash an entry (RFC 6962, 2.1)."""
    return sha256(b"\0" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees that stand side by side."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Hash a list of leaves' hashes, whatever its length."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        # An odd one out moves up as it is: the same tree as the RFC's recursion makes.
        pairs = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(pairs) * 2 :]
    return row[0]


def root(size: int, node: Node) -> bytes:
    """Hash the whole tree of `size` leaves."""
    return _range(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Give the hashes that lead from the leaf to the root, lowest first (RFC 6962, 2.1.1)."""
    assert 0 <= index < size
    return _path(index, 0, size, node)


def consistency_proof(first: int, second: int, node: Node) -> list[bytes]:
    """Give the hashes that show the tree of `first` leaves to begin that of `second` (RFC 6962, 2.1.2)."""
    assert 0 < first <= second
    return _subproof(first, 0, second, node, whole=True)


def _split(size: int) -> int:
    """Give the largest power of two smaller than the size."""
    return 1 << (size - 1).bit_length() - 1


def _range(begin: int, end: int, node: Node) -> bytes:
    size = end - begin
    height = size.bit_length() - 1
    if size == 1 << height and begin % size == 0:
        return node(height, begin >> height)
    middle = begin + _split(size)
    return node_hash(_range(begin, middle, node), _range(middle, end, node))


def _path(index: int, begin: int, end: int, node: Node) -> list[bytes]:
    if end - begin == 1:
        return []
    middle = begin + _split(end - begin)
    if index < middle:
        return [*_path(index, begin, middle, node), _range(middle, end, node)]
    return [*_path(index, middle, end, node), _range(begin, middle, node)]


def _subproof(first: int, begin: int, end: int, node: Node, *, whole: bool) -> list[bytes]:
    if first == end:
        return [] if whole else [_range(begin, end, node)]
    middle = begin + _split(end - begin)
    if first <= middle:
        return [*_subproof(first, begin, middle, node, whole=whole), _range(middle, end, node)]
    return [*_subproof(first, middle, end, node, whole=False), _range(begin, middle, node)]
