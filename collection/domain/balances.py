"""What is owed and how payments reduce it: order of a part payment, delay interest, repayment plans.

Amounts are `Money`; every amount is rounded half-up where the rule says so and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from marketplace.documents import Node
from marketplace.money import EXACT, Money, Rounding, share_out

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


Order = tuple[tuple[str, ...], ...]
"""Sets of buckets in the order in which money pays them; buckets of one set are paid pro rata."""

BUCKETS: Final = ("costs", "interest", "principal")
"""What is owed on a case, by the names of an order; `other` of its balances are the costs."""

CIVIL_CODE: Final[Order] = tuple((bucket,) for bucket in BUCKETS)
"""Costs of realising the claim, interest, the main debt (Civil Code 561), unless the parties agreed otherwise."""


def read_order(node: Node) -> Order:
    """Read an order that names each bucket once; the Civil Code's when none is given. Raises `BadDocument`."""
    if not node.given:
        return CIVIL_CODE
    order = tuple(tuple(name.one_of(BUCKETS) for name in one.list(minimum=1)) for one in node.list(minimum=1))
    if sorted(name for one in order for name in one) != sorted(BUCKETS):
        raise node.refuse("sets that hold each of " + ", ".join(BUCKETS) + " once")
    return order


def by_sets(minor: int, owed: Mapping[str, int], order: Order) -> dict[str, int]:
    """Split money among what is owed, set by set, minor units; what is above everything owed is `excess`.

    Buckets of one set are paid pro rata by largest remainder; the parts and the excess add up to `minor`.
    """
    parts: dict[str, int] = {}
    for one in order:
        limits = [owed[bucket] for bucket in one]
        due = min(minor, sum(limits))
        parts.update(zip(one, share_out(due, limits, one), strict=True))
        minor -= due
    return {**parts, "excess": minor}


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
