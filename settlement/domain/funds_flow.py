"""From the gross price through the deductions to the net proceeds and to every case (资金划付表). Pure.

gross = deductions + net, and the allocations add up to net, both to the minor unit. The same function decides live,
in the preview and on the command line (`../shared/formats/README.md`, section 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from marketplace.errors import Invalid
from marketplace.money import EXACT, Money, Rounding
from settlement.domain.allocation import Integers, NothingToShareBy, allocate

ENGINE: Final = "settlement-1"
"""Version of the rules in this file and in `allocation`; it changes when a figure of theirs would."""

_HUNDREDTH: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Percent:
    """A per cent of the gross price."""

    percent: Decimal
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class Band:
    """The slice of the gross price up to `to` (None: without end) and its per cent."""

    to: Money | None
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Bands:
    """Marginal bands of the gross price, summed exactly and rounded once."""

    bands: tuple[Band, ...]
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class PercentOf:
    """A per cent of the rounded amount of an earlier deduction, such as the VAT on a commission."""

    of: str
    percent: Decimal
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class PercentInside:
    """What an earlier deduction contains, such as the VAT inside a commission: amount × percent / (100 + percent).

    The earlier deduction is less by it, so nothing more leaves the price.
    """

    of: str
    percent: Decimal
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, slots=True)
class Fixed:
    """An amount; with `up_to_rest` as much of it as is left, without it refused when less is left."""

    amount: Money
    up_to_rest: bool = False


Rule = Percent | Bands | PercentOf | PercentInside | Fixed


@dataclass(frozen=True, slots=True)
class Deduction:
    """What a payee takes out of the gross price, and by which rule."""

    name: str
    payee: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Taken:
    """A deduction with its amount."""

    name: str
    payee: str
    amount: Money


@dataclass(frozen=True, slots=True)
class FundsFlow:
    """The distribution of one price: `gross` = sum of `deductions` + `net` = `deposit_applied` + `balance_due`."""

    gross: Money
    deposit_applied: Money
    balance_due: Money
    deductions: tuple[Taken, ...]
    net: Money


class DeductionAboveRest(Invalid):
    """A deduction takes more than the earlier ones have left of the price."""

    code = "deduction_above_rest"

    def __init__(self, position: int, name: str, amount: Money, rest: Money) -> None:
        super().__init__(
            f"The deduction {name!r} takes {amount}, and {rest} is left of the price.", deduction=name, rest=rest.text
        )
        self.position = position


class NoWeights(Invalid):
    """All weights are zero and there is money to share among the cases."""

    code = "no_weights"

    def __init__(self) -> None:
        super().__init__("All weights are zero: the net price cannot be shared among the cases.")


def flow(*, price: Money, deposit: Money, deductions: Sequence[Deduction]) -> FundsFlow:
    """Compute the funds flow of a price; raise `DeductionAboveRest`.

    Deductions are taken in order; percentages and bands are of the gross price. `of` names an earlier one, whose amount
    is what it was before anything inside it was taken out.
    """
    applied = min(deposit, price)
    rest, whole, taken = price, dict[str, Money](), dict[str, Taken]()
    for position, deduction in enumerate(deductions):
        amount = whole[deduction.name] = _amount(deduction.rule, price, rest, whole)
        if isinstance(deduction.rule, PercentInside):
            outer = taken[deduction.rule.of]
            if amount > outer.amount:
                raise DeductionAboveRest(position, deduction.name, amount, outer.amount)
            taken[outer.name] = Taken(outer.name, outer.payee, outer.amount - amount)
        else:
            if amount > rest:
                raise DeductionAboveRest(position, deduction.name, amount, rest)
            rest -= amount
        taken[deduction.name] = Taken(deduction.name, deduction.payee, amount)
    return FundsFlow(price, applied, price - applied, tuple(taken.values()), rest)


def allocation(net: Money, weights: Sequence[int] | Integers, keys: Sequence[str]) -> Integers:
    """Return the part of each case in minor units, in the order given, adding up to `net`; raise `NoWeights`."""
    try:
        return allocate(net.minor, weights, keys)
    except NothingToShareBy:
        raise NoWeights from None


def _amount(rule: Rule, gross: Money, rest: Money, whole: Mapping[str, Money]) -> Money:
    match rule:
        case Percent(percent, rounding):
            return gross.portion(EXACT.multiply(percent, _HUNDREDTH), rounding)
        case Bands(bands, rounding):
            return Money.round(_by_bands(bands, gross), gross.currency, rounding)
        case PercentOf(of, percent, rounding):
            return whole[of].portion(EXACT.multiply(percent, _HUNDREDTH), rounding)
        case PercentInside(of, percent, rounding):
            return _inside(whole[of], percent, rounding)
        case Fixed(amount, up_to_rest):
            return min(amount, rest) if up_to_rest else amount


def _inside(outer: Money, percent: Decimal, rounding: Rounding) -> Money:
    """Round amount × percent / (100 + percent) once, in whole numbers: the quotient has no end in decimals."""
    top, bottom = percent.as_integer_ratio()
    above, below = outer.minor * top, top + 100 * bottom
    if rounding is Rounding.HALF_UP:
        return Money((2 * above + below) // (2 * below), outer.currency)
    return Money(above // below if rounding is Rounding.DOWN else -(-above // below), outer.currency)


def _by_bands(bands: Sequence[Band], gross: Money) -> Decimal:
    """Sum the marginal bands of `gross` exactly, in major units."""
    total, start = Decimal(0), Money.zero(gross.currency)
    for band in bands:
        end = gross if band.to is None else min(band.to, gross)
        if end > start:
            slice_ = EXACT.multiply((end - start).to_decimal(), EXACT.multiply(band.percent, _HUNDREDTH))
            total, start = EXACT.add(total, slice_), end
    return total
