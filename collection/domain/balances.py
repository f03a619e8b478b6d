"""What is owed and how payments reduce it: order of a part payment, delay interest, repayment plans.

Amounts are `Money`; every amount is rounded half-up where the rule says so and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from marketplace.money import EXACT, Money, Rounding

ORDER: Final = ("other", "interest", "principal")
"""Costs, then interest, then principal (Civil Code, Art. 561), by the balances of a case."""
DELAY_RATE: Final = Decimal("0.000175")
"""Delay interest in enforcement, per day, on the judged sum (Supreme People's Court, 2014)."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in on a day."""

    on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class Applied:
    """`applied` holds every bucket of the balances; payment = Σ applied + excess."""

    applied: Mapping[str, Money]
    excess: Money


def payment_order(payment: Money, order: Sequence[str], balances: Mapping[str, Money]) -> Applied:
    """Apply a payment to balances one after the other; what is left over is excess."""
    rest, applied = payment, {}
    for bucket in order:
        part = min(rest, balances[bucket])
        applied[bucket], rest = part, rest - part
    return Applied(applied, rest)


@dataclass(frozen=True, slots=True)
class InterestPeriod:
    """So many days on a sum that did not change."""

    days: int
    on_sum: Money
    interest: Money


def delay_interest(judged: Money, *, from_on: date, to_on: date, payments: Sequence[Payment]) -> list[InterestPeriod]:
    """Return the periods between payments, each rounded half-up; a payment counts from its day on.

    Payments are in order of date within [from_on, to_on]; what exceeds the judged sum leaves nothing owed, never less.
    Days without length make no period.
    """
    periods, owed, since = [], judged, from_on
    for day, amount in [*((payment.on, payment.amount) for payment in payments), (to_on, Money.zero(judged.currency))]:
        days = (day - since).days
        if days:
            periods.append(InterestPeriod(days, owed, owed.portion(DELAY_RATE * days, Rounding.HALF_UP)))
        owed, since = owed - min(owed, amount), day
    return periods


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One month of a plan; `principal` is repaid, `balance` still owed after it."""

    number: int
    instalment: Money
    interest: Money
    principal: Money
    balance: Money


def instalment_of(principal: Money, *, annual_rate: Decimal, months: int) -> Money:
    """Return the level instalment of an annuity with a monthly rate of annual_rate / 12, half-up."""
    if not annual_rate:
        return Money.round(EXACT.divide(principal.to_decimal(), Decimal(months)), principal.currency, Rounding.HALF_UP)
    monthly = EXACT.divide(annual_rate, Decimal(12))
    growth = EXACT.power(EXACT.add(Decimal(1), monthly), months)
    factor = EXACT.divide(EXACT.multiply(monthly, growth), EXACT.subtract(growth, Decimal(1)))
    return principal.portion(factor, Rounding.HALF_UP)


def repayment_plan(principal: Money, *, annual_rate: Decimal, months: int) -> list[PlanRow]:
    """Return the rows of a plan: interest of each month rounded, the last row paying whatever is left.

    An instalment is never above balance + interest. The principal parts add up to the principal.
    """
    level = instalment_of(principal, annual_rate=annual_rate, months=months)
    monthly = EXACT.divide(annual_rate, Decimal(12))
    rows, balance = [], principal
    for number in range(1, months + 1):
        interest = balance.portion(monthly, Rounding.HALF_UP)
        owed = balance + interest
        instalment = owed if number == months else min(level, owed)
        repaid = instalment - interest
        balance -= repaid
        rows.append(PlanRow(number, instalment, interest, repaid, balance))
    return rows
