"""A seeded day of the market: bidders, a fake bank, a fake Stripe, workers that die, people that change their minds.

After every step, whatever it was: sums are zero in every currency, the client-money check is off by exactly what the
bank took without an order, clearing keys are zero or listed, control totals agree, deposits received = applied +
released + forfeited + contested + held (each deposit and all together), what lies between card, Stripe and bank is what
the rows of the two sides differ by, Stripe knows everything that we believe of it, and nothing that was written has
changed. When all is done Stripe's balance is ours to the cent. A failure names its seed and step. That it can fail is
shown by `test_faults`.
"""

import pytest

from tests.settlement.simulation.market import Market

STEPS, AWARD = 125, 55


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "defaults"), [(3, False), (20260302, True), (11, True)])
def test_a_day_of_the_market(unpaid_sale, running, stripe, bidders, seed: int, defaults: bool) -> None:
    market = Market(unpaid_sale, running, stripe, bidders, seed, defaults=defaults)
    market.do("wire")
    done: list[str] = []
    try:
        for number in range(STEPS):
            if number == AWARD:
                market.award()
            done.append(market.step())
            market.verify()
        market.settle_down()
        market.verify_rest()
        market.verify_gone()
    except Exception as error:
        error.add_note(f"seed {seed}, step {len(done)}: {done}")
        raise
    assert {deal["state"] for deal in market.deals()} == {"settled"}
    assert market.orders("sent") == market.orders("proposed") == []
    assert market.crashes >= 1
    assert market.orders("returned"), "one at least came back, and was paid again"
    assert len(market.finance.ok("GET", "/forfeitures")["items"]) == int(market.defaulted)
    assert stripe.all("refund")
    assert stripe.all("dispute")
