"""Exact money: integer minor units in an ISO 4217 currency.

Arithmetic refuses mixed currencies and floats, rounding is an explicit call that names its direction, and
`share_out` returns integer parts that add up to the whole. Not here: exchange rates, display formats of a locale.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Final

from marketplace.errors import Invalid

EXPONENTS: Final = {
    "CNY": 2, "EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "HKD": 2, "SGD": 2, "PLN": 2, "CZK": 2, "RON": 2,
    "SEK": 2, "DKK": 2, "NOK": 2, "UAH": 2, "TRY": 2, "HUF": 2, "AUD": 2, "CAD": 2, "JPY": 0, "KRW": 0, "KWD": 3,
    "BHD": 3,
}  # fmt: skip
"""Decimals of the currencies that the market trades in (ISO 4217)."""

MAX_MINOR: Final = 2**63 - 1
"""Largest amount a BIGINT column holds, in minor units."""

EXACT: Final = Context(prec=60)
"""Decimal context for rates and products: wide enough that no product of a BIGINT and a rate is rounded early."""

_WITHDRAWN: Final = {"DEM": 2}
"""Currencies that no new thing is priced in but that papers of before are still read and proven in."""

_AMOUNT = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,12})?", re.ASCII)


class Rounding(enum.Enum):
    """Direction of a rounding; legal floors round up, legal caps round down."""

    HALF_UP = ROUND_HALF_UP
    UP = ROUND_CEILING
    DOWN = ROUND_FLOOR


class UnknownCurrency(Invalid):
    """The currency code is not one that the market trades in."""

    code = "unknown_currency"

    def __init__(self, currency: str) -> None:
        super().__init__(f"Currency {currency!r} is not traded here.", allowed=sorted(EXPONENTS))


class InvalidAmount(Invalid):
    """The text is not an exact amount of the currency."""

    code = "invalid_amount"

    def __init__(self, text: object, currency: str) -> None:
        super().__init__(
            f"{str(text)[:60]!r} is not an amount of {currency}: digits with at most "
            f"{exponent(currency)} decimals, as a string.",
            found=str(text)[:60],
        )


class CurrencyMismatch(Invalid):
    """Two amounts of different currencies met."""

    code = "currency_mismatch"

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"The amount is in {found}; {expected} is expected here.", found=found, allowed=[expected])


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency; raise `UnknownCurrency`."""
    decimals = EXPONENTS.get(currency, _WITHDRAWN.get(currency)) if isinstance(currency, str) else None
    if decimals is None:
        raise UnknownCurrency(str(currency)[:8])
    return decimals


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount: `minor` units (cents, fen) of `currency`. Negative amounts are allowed; callers bound them."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are int, not {type(self.minor).__name__}")
        exponent(self.currency)
        if abs(self.minor) > MAX_MINOR:
            raise InvalidAmount(self.minor, self.currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> "Money":
        """Read `"1234.56"`; refuse floats, signs other than a leading minus, exponents, too many decimals."""
        decimals = exponent(currency)
        if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
            raise InvalidAmount(text, currency)
        whole, _, fraction = text.partition(".")
        if len(fraction) > decimals:
            raise InvalidAmount(text, currency)
        return cls(int(whole + fraction.ljust(decimals, "0")), currency)

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """Nothing, in `currency`."""
        return cls(0, currency)

    @classmethod
    def round(cls, value: Decimal, currency: str, rounding: Rounding) -> "Money":
        """Round an exact decimal number of major units once, in the direction named."""
        quantum = Decimal(1).scaleb(-exponent(currency))
        rounded = value.quantize(quantum, rounding=rounding.value, context=EXACT)
        return cls(int(rounded.scaleb(exponent(currency), EXACT)), currency)

    def _same(self, other: "Money") -> None:
        if not isinstance(other, Money):
            raise TypeError("money meets only money")
        if other.currency != self.currency:
            raise CurrencyMismatch(other.currency, self.currency)

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __mul__(self, count: int) -> "Money":
        if type(count) is not int:
            raise TypeError("money is multiplied by int; use `portion` for rates")
        return Money(self.minor * count, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __gt__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor > other.minor

    def __ge__(self, other: "Money") -> bool:
        self._same(other)
        return self.minor >= other.minor

    def __bool__(self) -> bool:
        return self.minor != 0

    def portion(self, rate: Decimal, rounding: Rounding) -> "Money":
        """This amount times an exact rate (0.05 is five per cent), rounded once to minor units."""
        if not isinstance(rate, Decimal):
            raise TypeError("a rate is a Decimal")
        return Money.round(EXACT.multiply(self.to_decimal(), rate), self.currency, rounding)

    def to_decimal(self) -> Decimal:
        """Major units, exact."""
        return Decimal(self.minor).scaleb(-exponent(self.currency), EXACT)

    @property
    def text(self) -> str:
        """`"1234.56"`: exactly the currency's decimals."""
        decimals = exponent(self.currency)
        sign = "-" if self.minor < 0 else ""
        digits = str(abs(self.minor)).rjust(decimals + 1, "0")
        return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"

    def __str__(self) -> str:
        return f"{self.text} {self.currency}"

    def share_out(self, weights: Sequence[int], keys: Sequence[str]) -> list["Money"]:
        """Split by largest remainder; see `share_out`."""
        return [Money(part, self.currency) for part in share_out(self.minor, weights, keys)]


def share_out(total: int, weights: Sequence[int], keys: Sequence[str]) -> list[int]:
    """Split `total` minor units in proportion to `weights` so that the parts add up to it exactly.

    Largest remainder; ties go to the larger weight, then the smaller key by code point. Weights are integers ≥ 0, not
    all zero unless `total` is 0; a zero weight receives nothing. The order given decides nothing.
    """
    if len(weights) != len(keys):
        raise ValueError("one key for each weight")
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("only amounts and weights of zero or more are shared out")
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("all weights are zero and there is money to share")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    rest = total - sum(parts)
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), -weights[i], keys[i]))
    for i in order[:rest]:
        parts[i] += 1
    return parts
