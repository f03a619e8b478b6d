"""Largest remainder: the vectorised path equals the reference, sums exactly, and does not care about order."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.money import share_out
from settlement.domain.allocation import MAX_PART, MAX_WHOLE, NothingToShareBy, allocate

weights_of_all_sizes = st.one_of(
    st.integers(0, 5),
    st.integers(0, 10**6),
    st.integers(0, 10**15),
    st.integers(0, 10**18),
)
totals = st.one_of(st.integers(0, 50), st.integers(0, 10**12), st.integers(0, 2**63 - 1))


@st.composite
def sharings(draw):
    weights = draw(st.lists(weights_of_all_sizes, min_size=1, max_size=40))
    keys = draw(
        st.lists(st.text("abc019", min_size=1, max_size=4), min_size=len(weights), max_size=len(weights), unique=True)
    )
    return draw(totals), weights, keys


@given(sharings())
@settings(max_examples=400)
def test_the_vectorised_path_equals_the_reference(sharing):
    total, weights, keys = sharing
    if total and not any(weights):
        with pytest.raises(NothingToShareBy):
            allocate(total, weights, keys)
        return
    parts = allocate(total, weights, keys)
    assert parts.tolist() == share_out(total, weights, keys)
    assert sum(parts.tolist()) == total
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(sharings(), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_a_part_does_not_depend_on_the_order_given(sharing, shuffle):
    total, weights, keys = sharing
    if not any(weights):
        return
    first = dict(zip(keys, allocate(total, weights, keys).tolist(), strict=True))
    order = list(range(len(keys)))
    shuffle.shuffle(order)
    mixed = [keys[i] for i in order]
    assert dict(zip(mixed, allocate(total, [weights[i] for i in order], mixed).tolist(), strict=True)) == first


@given(st.integers(0, 30), st.integers(1, 12))
def test_equal_weights_are_decided_by_code_point(total, count):
    keys = [f"c{number}" for number in range(1, count + 1)]
    parts = dict(zip(keys, allocate(total, [7] * count, keys).tolist(), strict=True))
    favoured = sorted(keys)[: total % count]
    assert parts == {key: total // count + (key in favoured) for key in keys}


@pytest.mark.parametrize("count", [1_000, 20_000])
def test_many_weights_equal_the_reference(count):
    source = random.Random(count)
    weights = [source.choice([0, source.randrange(1, 10), source.randrange(10**9)]) for _ in range(count)]
    keys = [f"c{source.getrandbits(60):x}" for _ in range(count)]
    total = source.randrange(10**13)
    assert allocate(total, weights, keys).tolist() == share_out(total, weights, keys)


@pytest.mark.parametrize(
    ("total", "weights"),
    [
        (MAX_PART - 1, [1, 0]),
        (MAX_PART, [1, 1]),
        (MAX_PART + 1, [1]),
        (2**63 - 1, [1] * 2000),
        (2**63 - 1, [MAX_WHOLE // 4000 - 1] * 2000),
        (10**15, [MAX_WHOLE // 2 - 1, MAX_WHOLE // 2 - 2]),
        (10**15 + 1, [MAX_WHOLE, MAX_WHOLE - 1]),
        (3, [10**30, 10**30 + 1]),
    ],
)
def test_at_the_edges_of_the_asserted_ranges(total, weights):
    keys = [f"{i:06}" for i in range(len(weights))]
    assert allocate(total, weights, keys).tolist() == share_out(total, weights, keys)


def test_takes_arrays():
    parts = allocate(100, np.array([1, 1, 1]), ["c10", "c2", "c1"])
    assert parts.tolist() == [33, 33, 34]


def test_refuses_what_is_no_sharing():
    with pytest.raises(ValueError, match="one key"):
        allocate(1, [1], [])
    with pytest.raises(ValueError, match="zero or more"):
        allocate(1, [1, -1], ["a", "b"])
    with pytest.raises(ValueError, match="zero or more"):
        allocate(-1, [1, 1], ["a", "b"])
    assert allocate(0, [0, 0], ["a", "b"]).tolist() == [0, 0]
    assert allocate(0, [], []).tolist() == []
