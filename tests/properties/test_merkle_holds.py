"""The tree of RFC 6962: what `decide.merkle` proves, the auditor's script believes, and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.client import audit
from ringfence.decide import merkle

pytestmark = pytest.mark.unit

# The leaves and roots that Certificate Transparency's own implementations are tested with.
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")] + [
    bytes.fromhex("606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def node_of(hashes: list[bytes]) -> merkle.Node:
    return lambda height, number: merkle.root_of(hashes[number << height : (number + 1) << height])


def recursive(hashes: list[bytes]) -> bytes:
    """The RFC's own words (2.1), as slow as they are."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1" + recursive(hashes[:split]) + recursive(hashes[split:])).digest()


bodies = st.lists(st.binary(max_size=3), min_size=1, max_size=70)


@pytest.mark.parametrize("size", ROOTS)
def test_the_root_is_the_one_that_certificate_transparency_expects(size):
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert merkle.root_of(hashes).hex() == ROOTS[size]
    assert merkle.root(size, node_of(hashes)).hex() == ROOTS[size]
    assert audit.tree_of(LEAVES[:size]) == (size, bytes.fromhex(ROOTS[size]))


@given(bodies)
def test_every_way_to_the_root_gives_what_the_rfc_says(leaves):
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    told = recursive(hashes)
    assert merkle.root_of(hashes) == merkle.root(len(hashes), node_of(hashes)) == told
    assert audit.tree_of(leaves) == (len(leaves), told)


@given(bodies, st.data())
def test_an_entry_is_proven_at_its_place_and_at_no_other(leaves, data):
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    index = data.draw(st.integers(0, len(leaves) - 1))
    elsewhere = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.inclusion_proof(index, len(leaves), node_of(hashes))
    tree = (len(leaves), merkle.root_of(hashes))
    assert audit.is_in(index, hashes[index], tree, path)
    if hashes[elsewhere] != hashes[index]:
        assert not audit.is_in(index, hashes[elsewhere], tree, path)
    for at in range(len(path)):
        wrong = [*path[:at], sha256(path[at]).digest(), *path[at + 1 :]]
        assert not audit.is_in(index, hashes[index], tree, wrong)
    for wrong in (path[:-1], [*path, path[-1]]) if path else ():
        with pytest.raises(ValueError, match="too"):
            audit.is_in(index, hashes[index], tree, wrong)


@given(bodies, st.data())
def test_growth_is_proven_and_a_changed_past_is_not(leaves, data):
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    first = data.draw(st.integers(1, len(leaves)))
    path = merkle.consistency_proof(first, len(leaves), node_of(hashes))
    old, new = (first, merkle.root_of(hashes[:first])), (len(leaves), merkle.root_of(hashes))
    assert audit.begins(old, new, path)
    changed = data.draw(st.integers(0, first - 1))
    other = [*hashes[:changed], sha256(hashes[changed]).digest(), *hashes[changed + 1 :]]
    rewritten = (len(leaves), merkle.root_of(other))
    assert not audit.begins(old, rewritten, path)
    if first < len(leaves):
        assert not audit.begins(old, rewritten, merkle.consistency_proof(first, len(leaves), node_of(other)))
