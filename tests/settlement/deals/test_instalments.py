"""Parts and ceilings: exact, nothing taken back, the order given decides nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.money import share_out
from settlement.domain.instalments import CapsBelowTotal, next_part, share_out_capped

KEYS = [f"LN{n}" for n in range(8)]
cases = st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any)
parts = st.lists(st.integers(0, 60), min_size=1, max_size=12)


@settings(max_examples=150)
@given(weights=cases, amounts=parts)
def test_parts_add_up_and_nothing_is_taken_back(weights, amounts) -> None:
    keys, total = KEYS[: len(weights)], [0] * len(weights)
    for number, amount in enumerate(amounts):
        part = next_part(amount, total, weights, keys)
        assert min(part) >= 0
        assert sum(part) == amount
        assert all(weight or not one for weight, one in zip(weights, part, strict=True))
        if number == 0:
            assert part == share_out(amount, weights, keys)
        turned = next_part(amount, total[::-1], weights[::-1], keys[::-1])
        assert turned[::-1] == part
        total = [one + more for one, more in zip(total, part, strict=True)]
    whole, came = sum(weights), sum(total)
    assert all(abs(came * weight - whole * one) < 2 * whole for weight, one in zip(weights, total, strict=True))


def test_who_has_more_than_its_share_waits_and_gives_nothing_back() -> None:
    weights, keys = [1, 5, 5], ["a", "b", "c"]
    first = next_part(4, [0, 0, 0], weights, keys)
    second = next_part(1, first, weights, keys)
    assert [one + more for one, more in zip(first, second, strict=True)] == share_out(5, weights, keys)
    assert next_part(0, [1, 0, 0], weights, keys) == [0, 0, 0]
    assert next_part(2, [3, 0, 0], weights, keys) == [0, 1, 1]


@settings(max_examples=100)
@given(weights=cases, total=st.integers(0, 200), data=st.data())
def test_ceilings_hold_and_the_rest_is_shared(weights, total, data) -> None:
    keys = KEYS[: len(weights)]
    caps = data.draw(st.lists(st.none() | st.integers(0, 60), min_size=len(weights), max_size=len(weights)))
    room = sum(10**6 if cap is None else cap for cap, weight in zip(caps, weights, strict=True) if weight)
    if room < total:
        with pytest.raises(CapsBelowTotal):
            share_out_capped(total, weights, caps, keys)
        return
    found = share_out_capped(total, weights, caps, keys)
    assert sum(found) == total
    assert all(cap is None or one <= cap for one, cap in zip(found, caps, strict=True))
    plain = share_out(total, weights, keys)
    if all(cap is None or one <= cap for one, cap in zip(plain, caps, strict=True)):
        assert found == plain


@pytest.mark.parametrize(
    ("amount", "had", "weights", "keys"), [(1, [0], [1], []), (-1, [0], [1], ["a"]), (1, [0], [0], ["a"])]
)
def test_nonsense_is_refused(amount, had, weights, keys) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one built-in error for every misuse, as `share_out`
        next_part(amount, had, weights, keys)
