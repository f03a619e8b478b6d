"""Exact money: parsing, refusing, rounding once, sharing out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import CurrencyMismatch, InvalidAmount, Money, Rounding, UnknownCurrency, share_out

amounts = st.integers(-(10**17), 10**17)


@given(amounts, st.sampled_from(["CNY", "JPY", "KWD"]))
def test_text_round_trip(minor, currency):
    money = Money(minor, currency)
    assert Money.parse(money.text, currency) == money


@pytest.mark.parametrize(
    "text", ["1.005", "1e3", "", " 1", "١", "+1", "1.", ".5", "NaN", "1,000", "--1", 1.5, None, True, "9" * 20]
)
def test_refuses_what_is_no_amount(text):
    with pytest.raises(InvalidAmount):
        Money.parse(text, "CNY")


def test_refuses_strangers():
    with pytest.raises(UnknownCurrency):
        Money.parse("1", "XXX")
    with pytest.raises(CurrencyMismatch):
        _ = Money(1, "CNY") + Money(1, "EUR")
    with pytest.raises(TypeError):
        Money(1.0, "CNY")
    with pytest.raises(TypeError):
        _ = Money(1, "CNY") * 1.5


@pytest.mark.parametrize(
    ("rounding", "up", "down"),
    [(Rounding.HALF_UP, "0.02", "-0.02"), (Rounding.UP, "0.02", "-0.01"), (Rounding.DOWN, "0.01", "-0.02")],
)
def test_rounding_names_its_direction(rounding, up, down):
    assert Money.round(Decimal("0.015"), "CNY", rounding).text == up
    assert Money.round(Decimal("-0.015"), "CNY", rounding).text == down


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**12), min_size=1, max_size=40), st.randoms())
def test_share_out_adds_up_and_ignores_order(total, weights, random):
    keys = [f"c{index}" for index in range(len(weights))]
    if not any(weights):
        weights[0] = 1
    parts = share_out(total, weights, keys)
    assert sum(parts) == total
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)
    whole = sum(weights)
    assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))
    order = list(range(len(weights)))
    random.shuffle(order)
    shuffled = share_out(total, [weights[i] for i in order], [keys[i] for i in order])
    assert [shuffled[order.index(i)] for i in range(len(order))] == parts


def test_share_out_ties_larger_weight_then_key():
    assert share_out(100, [333, 333, 334], ["b", "a", "c"]) == [33, 33, 34]
    assert share_out(100, [1, 1, 1], ["b", "a", "c"]) == [33, 34, 33]
    assert share_out(1, [1, 1], ["c10", "c2"]) == [1, 0]


def test_share_out_refuses_money_without_weights():
    with pytest.raises(ValueError, match="all weights are zero"):
        share_out(1, [0, 0], ["a", "b"])
    assert share_out(0, [0, 0], ["a", "b"]) == [0, 0]
