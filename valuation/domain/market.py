"""What the market says: prices of comparable claims, and the lawful start price that opinions of value lead to."""

from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Annotated

from marketplace.documents import Node
from marketplace.money import Rounding
from valuation.domain import figures
from valuation.domain.figures import ONE, Answer, Step, exact, to_currency, total
from valuation.domain.inputs import Amount, Factor, Inputs, Length, MoneyInputs, Rate

_MAX_ROUNDS = 1200
"""Longest series of sales."""
_MAX_ADJUSTMENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable(Inputs):
    """A sale: its price to the claim sold, and factors that make it comparable."""

    ratio: Factor
    adjustments: Annotated[tuple[Factor, ...], Length(0, _MAX_ADJUSTMENTS)]

    @property
    def adjusted(self) -> Decimal:
        """The ratio times all its factors."""
        ratio = self.ratio
        for factor in self.adjustments:
            ratio *= factor
        return ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparables(MoneyInputs):
    """A claim and the sales that it is compared with."""

    claim: Amount
    comparables: Annotated[tuple[Comparable, ...], Length(1)]


@dataclass(frozen=True, slots=True)
class ComparablesResult:
    """The median of the adjusted ratios, and the claim times it."""

    ratio: Decimal
    value: Decimal


@exact
def comparables(inputs: Comparables) -> Answer:
    """Value a claim by the median of adjusted price ratios (even count: mean of the middle two)."""
    adjusted = [comparable.adjusted for comparable in inputs.comparables]
    ratio = median(adjusted)
    result = ComparablesResult(figures.round_once(ratio, 6), to_currency(inputs.claim * ratio, inputs.currency))
    steps = [
        Step(
            f"claim at the adjusted ratio {figures.round_once(one, 6)}",
            to_currency(inputs.claim * one, inputs.currency),
        )
        for one in sorted(adjusted)
    ]
    return Answer(result, [*steps, Step("claim at the median", result.value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPrice(MoneyInputs):
    """Opinions of value and the terms of a sale: floor, cuts of later rounds, range of the deposit."""

    opinions: Annotated[tuple[Amount, ...], Length(1)]
    floor_rate: Rate
    rounds: Annotated[tuple[Rate, ...], Length(0, _MAX_ROUNDS)]
    deposit_rates: Annotated[tuple[Rate, ...], Length(2, 2)]

    def check(self, node: Node) -> None:
        """Refuse a deposit range that is upside down."""
        if self.deposit_rates[0] > self.deposit_rates[1]:
            raise node.child("deposit_rates").refuse("two rates, the lower first")


@dataclass(frozen=True, slots=True)
class DepositRange:
    """Bounds of the deposit for one start price: the low one rounded up, the high one down."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class StartPriceResult:
    """One start and one deposit range per round: one more than there are cuts."""

    basis: Decimal
    starts: tuple[Decimal, ...]
    deposits: tuple[DepositRange, ...]


@exact
def start_price(inputs: StartPrice) -> Answer:
    """Return the lowest lawful start price of each round and its range of deposits.

    The first start is the unrounded mean of the opinions × floor rate, each later one the rounded start before it
    × (1 - cut); floors round up, caps down. Source of the customary figures (0.70; cut at most 0.20; deposit 0.05 to
    0.20): rules of the Supreme People's Court on online judicial sale (2016), Art. 10, 17, 26.
    """
    basis = total(inputs.opinions) / len(inputs.opinions)
    starts = [to_currency(basis * inputs.floor_rate, inputs.currency, Rounding.UP)]
    for cut in inputs.rounds:
        starts.append(to_currency(starts[-1] * (ONE - cut), inputs.currency, Rounding.UP))
    low, high = inputs.deposit_rates
    deposits = tuple(
        DepositRange(
            to_currency(start * low, inputs.currency, Rounding.UP),
            to_currency(start * high, inputs.currency, Rounding.DOWN),
        )
        for start in starts
    )
    result = StartPriceResult(to_currency(basis, inputs.currency), tuple(starts), deposits)
    steps = [
        Step(f"mean of {len(inputs.opinions)} opinions", result.basis),
        *(Step(f"start price of round {number}", start) for number, start in enumerate(starts, start=1)),
    ]
    return Answer(result, steps)
