"""Money changed from one currency into another: two entries tied by a position, and the gain or loss of it. Pure.

An entry has one currency, so a change is two: what is given up against `fx_position` in its currency, what is received
against `fx_position` in its own. The two positions together are what the change is worth: valued at a rate, what is
left in the home currency is gain (credit) or loss (debit), moved to `fx_result` so that the position is worth nothing.
"""

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from marketplace.errors import Conflict, Invalid
from marketplace.lifecycle import Lifecycle
from marketplace.money import Money, Rounding
from settlement.domain.ledger import FX_POSITION, FX_RESULT, Line, transfer


class ExchangeState(enum.StrEnum):
    """Where a change of money, or a valuation of what was changed, stands: two persons decide, always."""

    PROPOSED = "proposed"
    POSTED = "posted"
    REJECTED = "rejected"


EXCHANGE: Final = Lifecycle(
    "exchange",
    ExchangeState.PROPOSED,
    (
        (ExchangeState.PROPOSED, "approve", ExchangeState.POSTED),
        (ExchangeState.PROPOSED, "reject", ExchangeState.REJECTED),
    ),
)


class LinesChanged(Conflict):
    """What is open of the lines is not what was proposed."""

    code = "lines_changed"

    def __init__(self) -> None:
        super().__init__("What is open of the two bank lines is not what was proposed; reject it and propose it anew.")


class RevaluedAlready(Conflict):
    """The position is valued once for a day in a home currency."""

    code = "revalued_already"

    def __init__(self) -> None:
        super().__init__("The position was valued for this day already; what comes later is valued on a later day.")


class NothingChanged(Invalid):
    """A change gives up and receives money, each above zero, in two currencies."""

    code = "nothing_changed"

    def __init__(self) -> None:
        super().__init__("Money is changed from one currency into another, both amounts above zero.")


class RateNotPositive(Invalid):
    """A rate is above zero."""

    code = "rate_not_positive"

    def __init__(self) -> None:
        super().__init__("A rate says how much of the home currency one unit of the other is worth, above zero.")


class RateMissing(Invalid):
    """Every currency that the position is in has a rate."""

    code = "rate_missing"

    def __init__(self, currencies: Sequence[str]) -> None:
        super().__init__("A rate is missing for: " + ", ".join(currencies) + ".", missing=list(currencies))


LEGS: Final = ("fx.sold", "fx.bought")
"""Kinds of source of the two entries of a change."""


def legs(
    *, sold: Money, bought: Money, from_account: str, to_account: str
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Return the lines in the currency sold and in the currency bought; raise `NothingChanged`."""
    if sold.currency == bought.currency or sold.minor <= 0 or bought.minor <= 0:
        raise NothingChanged
    return (
        transfer(debit=FX_POSITION, credit=from_account, amount_minor=sold.minor),
        transfer(debit=to_account, credit=FX_POSITION, amount_minor=bought.minor),
    )


def result(*, home: Money, foreign: Sequence[tuple[Money, Decimal]]) -> Money:
    """Return the gain (above zero) or loss of a position, in the home currency.

    `home` and each of `foreign` are balances of `fx_position`, debit +, with the rate: units of home for one of it. A
    credit abroad is money that we hold, a debit at home what we gave for it: gain = −(home + Σ foreign × rate), each
    product rounded half-up once. Raises `RateNotPositive`.
    """
    total = home
    for balance, rate in foreign:
        if rate <= 0:
            raise RateNotPositive
        total += Money.round(balance.to_decimal() * rate, home.currency, Rounding.HALF_UP)
    return -total


def result_lines(gain: Money) -> tuple[Line, ...]:
    """Return the lines that move a gain (or a loss, below zero) from the position to the result; none for nothing."""
    if gain.minor > 0:
        return transfer(debit=FX_POSITION, credit=FX_RESULT, amount_minor=gain.minor)
    if gain.minor < 0:
        return transfer(debit=FX_RESULT, credit=FX_POSITION, amount_minor=-gain.minor)
    return ()
