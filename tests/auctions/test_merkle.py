"""The tree of a batch against the recursive definition of RFC 9162, section 2.1.1."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain import merkle


def hashed(leaves):
    """MTH of RFC 9162."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\x01" + hashed(leaves[:middle]) + hashed(leaves[middle:])).digest()


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=70))
def test_every_leaf_leads_to_the_root_of_the_definition(documents):
    leaves = [merkle.leaf(document) for document in documents]
    root, inclusions = merkle.plant(leaves)
    assert root == hashed(leaves)
    for leaf, inclusion in zip(leaves, inclusions, strict=True):
        assert merkle.root_of(leaf, inclusion) == root
        assert merkle.Inclusion.unpacked(inclusion.packed) == inclusion


def test_a_leaf_is_never_taken_for_a_node():
    root, _ = merkle.plant([merkle.leaf(b"a"), merkle.leaf(b"b")])
    assert merkle.leaf(merkle.leaf(b"a") + merkle.leaf(b"b")) != root


@pytest.mark.parametrize("size", [0, merkle.MAX_SIZE + 1])
def test_a_batch_has_its_bounds(size):
    with pytest.raises(ValueError, match="a batch has 1 to 65535 documents"):
        merkle.plant([bytes(32)] * size)
