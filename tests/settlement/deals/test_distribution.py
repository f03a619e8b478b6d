"""A price that is distributed as it comes: any cut into instalments ends at the closing, and no figure ever falls."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.money import Money, share_out
from settlement.domain import closing
from settlement.domain.closing import Cases, Claim, Terms
from settlement.domain.distribution import InstalmentsAbovePrice, advance, in_parts, nothing_yet
from settlement.domain.funds_flow import Deduction, Fixed
from tests.settlement.deals.test_closing_and_after import closed


def stages(found, keys, amounts):
    reached = [nothing_yet(found)]
    for amount in amounts:
        reached.append(advance(found, keys, reached[-1], amount))
    return reached


def cut(price, data):
    """Any amounts above zero that add up to the price."""
    amounts = []
    while price and len(amounts) < 11:
        amounts.append(data.draw(st.integers(1, price)))
        price -= amounts[-1]
    return [*amounts, price] if price else amounts


@given(closed(), st.data())
@settings(max_examples=300)
def test_any_instalments_end_at_the_closing_and_nothing_ever_falls(sale, data):
    found, keys = sale
    reached = stages(found, keys, cut(found.flow.gross.minor, data))
    for before, after in pairwise(reached):
        for name in ("taken", "net", "liens", "first"):
            assert all(had <= has for had, has in zip(getattr(before, name), getattr(after, name), strict=True))
        assert after.held >= before.held
        assert after.received == sum(after.taken) + sum(after.net)
        proceeds = dict(zip(keys, after.net, strict=True))
        for one, minor in zip(found.liens, after.liens, strict=True):
            proceeds[one.claim.case] -= minor
        assert all(0 <= once <= minor for once, minor in zip(after.first, proceeds.values(), strict=True))
    last = reached[-1]
    assert last.taken == [one.amount.minor for one in found.flow.deductions]
    assert (last.net, last.first) == (found.net, found.first)
    assert last.liens == [one.minor for one in found.liens]
    assert last.held == found.holdback.minor


@given(closed(), st.data())
def test_no_case_ever_has_more_than_it_ends_with_and_parts_add_up(sale, data):
    found, keys = sale
    amounts = cut(found.flow.gross.minor, data)
    for after in stages(found, keys, amounts):
        assert all(has <= whole for has, whole in zip(after.net, found.net, strict=True))
    parts = in_parts(found, keys, amounts)
    assert [one.received for one in parts] == amounts
    assert [sum(one.net[place] for one in parts) for place in range(len(keys))] == found.net


def money(minor):
    return Money(minor, "CNY")


def sale_of(price, terms, weights=(3, 2, 1)):
    keys = [f"c{place}" for place in range(len(weights))]
    cases = Cases(keys, list(weights), [None] * len(keys))
    return closing.close(price=money(price), deposit=money(0), deductions=[], terms=terms, cases=cases), keys


def test_the_first_part_is_the_largest_remainder():
    found, keys = sale_of(1_000, Terms())
    assert in_parts(found, keys, [100, 900])[0].net == share_out(100, found.net, keys)


def test_costs_and_ranks_are_filled_before_the_cases():
    terms = Terms(
        deductions=(Deduction("cost", "court", Fixed(money(50))),),
        claims=(
            Claim("wages", "staff", 1, money(100)),
            Claim("tax", "office", 2, money(30)),
            Claim("tax 2", "office", 2, money(10)),
            Claim("mortgage", "bank", 1, money(90), case="c0"),
        ),
    )
    found, keys = sale_of(1_000, terms)
    reached = stages(found, keys, [40, 70, 50, 60, 780])
    assert [one.taken for one in reached[1:]] == [
        [40, 0, 0, 0], [50, 60, 0, 0], [50, 100, 8, 2], [50, 100, 30, 10], [50, 100, 30, 10],
    ]  # fmt: skip
    assert [sum(one.net) for one in reached[1:]] == [0, 0, 0, 30, 810]
    assert [one.liens for one in reached[3:]] == [[0], [15], [90]]
    assert reached[4].first == [0, 10, 5]


def test_more_than_the_price_is_refused():
    found, keys = sale_of(100, Terms())
    with pytest.raises(InstalmentsAbovePrice) as refused:
        stages(found, keys, [60, 41])
    assert refused.value.values["allowed"] == 40
