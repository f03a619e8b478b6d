"""The methods of valuation against exact fractions, over random inputs."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.valuation.asking import half_up, result
from valuation.domain.figures import round_once

cents = st.integers(0, 10**12).map(lambda minor: f"{minor // 100}.{minor % 100:02d}")
rates = st.integers(0, 1000).map(lambda mille: f"{mille // 1000}.{mille % 1000:03d}")
whole_years = st.integers(0, 30).map(str)


@given(cents, rates, rates, cents, st.none() | cents, st.none() | cents, whole_years, rates, cents)
def test_secured_liquidation_equals_fractions(market, haircut, cost, claim, cap, prior, years, discount, fee):
    found = result(
        "secured_liquidation",
        {
            "market_value": market,
            "haircut": haircut,
            "sale_cost_rate": cost,
            "claim": claim,
            "registered_cap": cap,
            "prior_liens": prior,
            "sale_in_years": years,
            "costs": [{"amount": fee, "in_years": "1"}],
            "discount_rate": discount,
        },
    )
    rest = Fraction(market) * (1 - Fraction(haircut)) * (1 - Fraction(cost)) - Fraction(prior or 0)
    recovery = min(Fraction(claim), max(Fraction(0), rest), *([Fraction(cap)] if cap is not None else []))
    worth = recovery / (1 + Fraction(discount)) ** int(years) - Fraction(fee) / (1 + Fraction(discount))
    assert found["recovery"] == half_up(recovery)
    assert found["deficiency"] == half_up(Fraction(claim) - recovery)
    assert found["value"] == half_up(worth)


@given(st.lists(cents, min_size=1, max_size=7), rates, st.lists(rates, max_size=3))
def test_start_prices_equal_fractions(opinions, floor_rate, cuts):
    found = result(
        "start_price",
        {"opinions": opinions, "floor_rate": floor_rate, "rounds": cuts, "deposit_rates": ["0.05", "0.2"]},
    )
    start = Fraction(ceil(sum(map(Fraction, opinions)) / len(opinions) * Fraction(floor_rate) * 100), 100)
    expected = [start]
    for cut in cuts:
        start = Fraction(ceil(start * (1 - Fraction(cut)) * 100), 100)
        expected.append(start)
    assert [Fraction(one) for one in found["starts"]] == expected
    for one, deposit in zip(expected, found["deposits"], strict=True):
        assert Fraction(deposit["low"]) >= one / 20 > Fraction(deposit["low"]) - Fraction(1, 100)
        assert Fraction(deposit["high"]) <= one / 5 < Fraction(deposit["high"]) + Fraction(1, 100)


@given(
    cents,
    st.lists(st.tuples(cents, st.integers(1, 4), st.none() | cents), max_size=8),
)
def test_lien_waterfall_neither_makes_nor_loses_a_cent(proceeds, rows):
    liens = [{"name": f"{n}", "rank": rank, "claim": claim, "cap": cap} for n, (claim, rank, cap) in enumerate(rows)]
    found = result("lien_waterfall", {"proceeds": proceeds, "costs": [], "liens": liens})
    paid = [Fraction(row["amount"]) for row in found["paid"]]
    assert sum(paid) + Fraction(found["surplus"]) == Fraction(proceeds)
    limits = [min(Fraction(lien["claim"]), Fraction(lien["cap"] or lien["claim"])) for lien in liens]
    assert all(0 <= one <= limit for one, limit in zip(paid, limits, strict=True))
    for lien, one, limit in zip(liens, paid, limits, strict=True):
        if one < limit:  # whoever is not paid in full leaves nothing to later ranks and the owner
            later = [part for other, part in zip(liens, paid, strict=True) if other["rank"] > lien["rank"]]
            assert sum(later) == 0
            assert found["surplus"] == "0.00"


@given(cents, rates, st.integers(1, 9), rates, rates)
def test_a_higher_target_rate_never_raises_the_price(face, recovery, years, low, high):
    low, high = sorted([low, high], key=Decimal)
    timing = ["0"] * (years - 1) + ["1"]
    shared = {"face": face, "recovery_rate": recovery, "timing": timing, "servicing_rate": "0.1"}
    prices = [
        Decimal(result("unsecured_curve", shared | {"target_irr": rate, "convention": "mid_year"})["price"])
        for rate in (low, high)
    ]
    assert prices[0] >= prices[1] >= 0
    assert prices[0] <= Decimal(face)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.integers(1, 400), rates)
@settings(max_examples=50)
def test_xirr_makes_the_flows_worth_nothing(coming, days_between, yearly):
    spent = max(1, int(sum(coming) / (1 + float(yearly))))
    flows = [{"on": "2000-01-01", "amount": f"-{spent}.00"}] + [
        {"on": f"{2000 + number * days_between // 365 + 1}-06-30", "amount": f"{amount}.00"}
        for number, amount in enumerate(coming)
    ]
    rate = result("cash_flows", {"flows": flows})["xirr"]
    assert rate is not None
    days = result("cash_flows", {"flows": flows})["days"]

    def worth(at):
        return sum(float(f["amount"]) / (1 + at) ** (day / 365) for f, day in zip(flows, days, strict=True))

    assert worth(float(rate) - 1e-6) >= 0 >= worth(float(rate) + 1e-6)


def test_settling_sees_a_tie_through_the_noise_of_division():
    third = Decimal(1) / Decimal(3)
    assert round_once(third * 3 * Decimal("0.005"), 2) == Decimal("0.01")
    assert str(round_once(Decimal("-0.004"), 2)) == "0.00"
    assert str(round_once(Decimal("-0.005"), 2)) == "-0.01"
