"""Dated cash flows: the rate they earn (XIRR), what they are worth at a rate (XNPV), act/365 and a year's compounding.

With w = (1 + rate)^(-1/365), a day's discount, the sum of discounted flows is a polynomial in w with the days as
exponents. One change of sign means one positive root (Descartes); it is found by Newton's method on the logarithm of
the ratio of both sides, which only ever rises with w.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Annotated

from marketplace.documents import BadDocument, Node
from valuation.domain import figures
from valuation.domain.figures import ONE, ZERO, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Inputs, Length, MoneyInputs, Rate, SignedAmount

_YEAR = 365
_FIRST, _LAST = date(1970, 1, 1), date(2199, 12, 31)
_RATE_PLACES = 6
_GUARD = 60
"""Digits kept beyond those printed."""
_LOWEST = Decimal(-100)
"""ln w lies above it: amounts differ by a factor of at most 10^26, days by at least one."""

Terms = Sequence[tuple[int, Decimal]]
"""(day from the first flow, net amount of that day), days rising, no amount of nothing."""


def _day(node: Node, _: str) -> date:
    on = node.date()
    if not _FIRST <= on <= _LAST:
        raise node.refuse(f"a date from {_FIRST} to {_LAST}")
    return on


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedFlow(Inputs):
    """Money that comes (positive) or goes (negative) on a day."""

    on: Annotated[date, _day]
    amount: SignedAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class CashFlows(MoneyInputs):
    """Flows in order of date, and the rate to value them at."""

    flows: Annotated[tuple[DatedFlow, ...], Length(1)]
    rate: Rate | None = None

    def check(self, node: Node) -> None:
        """Refuse flows that go back in time."""
        for index, (one, other) in enumerate(pairwise(self.flows), start=1):
            if other.on < one.on:
                place = node.child("flows").child(index).child("on")
                raise BadDocument(place.pointer, other.on.isoformat(), f"{one.on} or later: in order of date")


@dataclass(frozen=True, slots=True)
class CashFlowsResult:
    """`xirr` None unless the signs change exactly once; `multiple` what came / what went; `days` from the first one."""

    xirr: Decimal | None
    xnpv: Decimal | None
    multiple: Decimal | None
    days: tuple[int, ...]


@exact
def cash_flows(inputs: CashFlows) -> Answer:
    """Describe dated flows by their rate of return, present value and multiple."""
    days = tuple((flow.on - inputs.flows[0].on).days for flow in inputs.flows)
    amounts = [flow.amount for flow in inputs.flows]
    came, went = total(a for a in amounts if a > 0), -total(a for a in amounts if a < 0)
    terms = _net(days, amounts)
    xnpv = None
    if inputs.rate is not None:
        xnpv = to_currency(_value_and_slope(terms, _discount_of_a_day(inputs.rate))[0], inputs.currency)
    result = CashFlowsResult(
        xirr=xirr(terms) if _sign_changes(amounts) == 1 else None,
        xnpv=xnpv,
        multiple=figures.ratio(came, went, 4),
        days=days,
    )
    steps = [
        Step("money that goes", to_currency(went, inputs.currency)),
        Step("money that comes", to_currency(came, inputs.currency)),
    ]
    return Answer(result, steps)


def _discount_of_a_day(rate: Decimal) -> Decimal:
    """Return what one day discounts by, (1 + rate)^(-1/365)."""
    return ONE / figures.growth(rate, ONE / _YEAR)


def _net(days: Sequence[int], amounts: Sequence[Decimal]) -> Terms:
    by_day: dict[int, Decimal] = {}
    for day, amount in zip(days, amounts, strict=True):
        by_day[day] = by_day.get(day, ZERO) + amount
    return [(day, amount) for day, amount in by_day.items() if amount]


def _sign_changes(amounts: Sequence[Decimal]) -> int:
    signs = [amount > 0 for amount in amounts if amount]
    return sum(one is not other for one, other in pairwise(signs))


def xirr(terms: Terms) -> Decimal | None:
    """Return the annual rate at which the discounted flows add up to nothing, rounded once to six places.

    None when, netted by day, the flows do not change sign exactly once: then there is no rate, or not one alone.
    """
    if _sign_changes([amount for _, amount in terms]) != 1:
        return None
    first = terms[0][1] > 0
    early = [(day - terms[0][0], abs(amount)) for day, amount in terms if (amount > 0) is first]
    late = [(day - terms[0][0], abs(amount)) for day, amount in terms if (amount > 0) is not first]
    log_w = _root(early, late)
    digits = max(0, math.ceil(-log_w * _YEAR / Decimal(10).ln()))
    with localcontext(figures.wide(2 * _GUARD + digits)):
        w = _polish(early, late, log_w.exp(), Decimal(1).scaleb(-_GUARD - digits))
        return _print_rate(ONE / w**_YEAR - ONE)


def _print_rate(annual: Decimal) -> Decimal:
    settled = annual.quantize(figures.SETTLED)
    rounded = settled.quantize(Decimal(1).scaleb(-_RATE_PLACES), rounding="ROUND_HALF_UP")
    return rounded or rounded.copy_abs()


@exact
def _root(early: Terms, late: Terms) -> Decimal:
    """Return ln w where both sides are equal, by Newton's method within brackets."""
    goal = Decimal(1).scaleb(-_GUARD // 2)
    low, high, x = _LOWEST, -_LOWEST, ZERO
    while high - low > goal:
        gap, slope = _compare(early, late, x.exp())
        step = gap.ln() / slope
        if abs(step) < goal:
            return x - step
        low, high = (x, high) if step < 0 else (low, x)
        x = x - step if low < x - step < high else (low + high) / 2
    return x


def _polish(early: Terms, late: Terms, w: Decimal, goal: Decimal) -> Decimal:
    """Return w to a relative error of `goal` from one that is right to thirty digits: each round doubles them."""
    while True:
        gap, slope = _compare(early, late, w)
        step = (gap - ONE) / slope
        w -= w * step
        if abs(step) < goal:
            return w


def _compare(early: Terms, late: Terms, w: Decimal) -> tuple[Decimal, Decimal]:
    """Return late / early at w, and by how much its logarithm rises with that of w."""
    one, one_slope = _value_and_slope(early, w)
    other, other_slope = _value_and_slope(late, w)
    return other / one, other_slope / other - one_slope / one


def _value_and_slope(terms: Terms, w: Decimal) -> tuple[Decimal, Decimal]:
    """Return Σ amount × w^day and Σ amount × day × w^day, from the last day down (Horner)."""
    value, slope, later = ZERO, ZERO, terms[-1][0] if terms else 0
    for day, amount in reversed(terms):
        power = w if later - day == 1 else w ** (later - day)
        value, slope, later = value * power + amount, slope * power + amount * day, day
    power = w**later
    return value * power, slope * power
