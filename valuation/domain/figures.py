"""Exact figures: how the methods compute with amounts and rates, round each result once, and answer.

Computation runs in Decimal with `PRECISION` digits. Division and powers leave noise in the last of them, so a value is
settled on `SETTLED` before it is rounded: a tie that arithmetic on fractions would see is a tie here too, and nothing
that lies on a cent is pushed past it by a rounding up or down. Not here: money of the books (`marketplace.money`).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Any, Final, ParamSpec, TypeVar

from marketplace.errors import Invalid
from marketplace.money import Rounding, exponent

PRECISION: Final = 110
SETTLED: Final = Decimal("1e-40")
LARGEST: Final = 60
"""No result has more digits before the point."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

P = ParamSpec("P")
R = TypeVar("R")


class ResultTooLarge(Invalid):
    """The figures sent lead to a result with more than sixty digits before the point."""

    code = "result_too_large"

    def __init__(self) -> None:
        super().__init__(
            f"The figures lead to a result of more than {LARGEST} digits; send smaller ones.",
            errors=[{"pointer": "/inputs", "found": "a result too large", "allowed": f"at most {LARGEST} digits"}],
        )


def wide(precision: int = PRECISION) -> Context:
    """Return the context of computation: `precision` digits, any exponent, faults raised."""
    return Context(
        prec=precision,
        rounding=ROUND_HALF_EVEN,
        Emin=MIN_EMIN,
        Emax=MAX_EMAX,
        traps=[InvalidOperation, DivisionByZero, Overflow],
    )


_WIDE: Final = wide()


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with wide decimals, whatever the thread's own context says."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(_WIDE):
            return function(*args, **kwargs)

    return inside


def round_once(value: Decimal, places: int, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Round an unrounded figure to so many decimals (half-up away from zero by default); never minus zero.

    Raises `ResultTooLarge` above sixty digits before the point.
    """
    if value and value.adjusted() >= LARGEST:
        raise ResultTooLarge
    settled = value.quantize(SETTLED, context=_WIDE)
    rounded = settled.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_WIDE)
    return rounded or rounded.copy_abs()


def to_currency(value: Decimal, currency: str, rounding: Rounding = Rounding.HALF_UP) -> Decimal:
    """Round an amount to its currency's decimals, once."""
    return round_once(value, exponent(currency), rounding.value)


def ratio(part: Decimal, whole: Decimal, places: int = 6) -> Decimal | None:
    """Return part / whole rounded once; None when the whole is nothing."""
    with localcontext(_WIDE):
        return round_once(part / whole, places) if whole else None


@functools.lru_cache(maxsize=4096)
def growth(rate: Decimal, years: Decimal) -> Decimal:
    """Return (1 + rate) ** years, by which a later amount is divided to know what it is worth now."""
    with localcontext(_WIDE):
        whole, part = divmod(years, ONE)
        grown = (ONE + rate) ** int(whole)
        return grown * (part * _logarithm(rate)).exp() if part else grown


@functools.lru_cache(maxsize=256)
def _logarithm(rate: Decimal) -> Decimal:
    with localcontext(_WIDE):
        return (ONE + rate).ln()


def total(values: Iterable[Decimal]) -> Decimal:
    """Add up within the wide context."""
    return sum(values, ZERO)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the working, readable by a valuer: what it is and the figure at this point."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method gives: a frozen result whose fields are the keys of the answer, and its working."""

    result: Any
    steps: Sequence[Step] = ()


def plain(value: Any) -> Any:
    """Return a result as JSON: decimals as text with the decimals they were rounded to."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [plain(element) for element in value]
    return value
