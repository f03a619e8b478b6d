"""Strata: a package cut along one dimension at a time. The cells of each dimension add up to the header."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from marketplace.cases.domain.case import Litigation, Security
from marketplace.cases.domain.identity import PROVINCES
from marketplace.cases.domain.masking import AMOUNT_LIMITS, amount_band
from marketplace.money import exponent
from marketplace.packages.domain.package import Dimension, FrozenCase

DAYS_LIMITS: Final = (1, 31, 61, 91, 181, 361, 721, 1081, 1801)
"""Lower limits of the bands of days past due: the usual months, the 90 and 360 of the five classes, then years."""

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Cell:
    """One stratum; amounts in minor units."""

    dimension: Dimension
    value: str
    loans: int
    principal: int
    interest: int
    other: int


def days_band(days: int) -> str:
    """Return the band of days past due: `0`, `1-30`, … `1801-`."""
    position = bisect.bisect_right(DAYS_LIMITS, days)
    if position == 0:
        return "0"
    lower = DAYS_LIMITS[position - 1]
    return f"{lower}-{DAYS_LIMITS[position] - 1}" if position < len(DAYS_LIMITS) else f"{lower}-"


def _days_order() -> list[str]:
    return ["0", *(days_band(limit) for limit in DAYS_LIMITS)]


def _size_order() -> list[str]:
    return [amount_band(limit, decimals=0) for limit in (0, *AMOUNT_LIMITS)]


_ORDER: Final = {
    Dimension.SECURITY: [member.value for member in Security],
    Dimension.DAYS_PAST_DUE: _days_order(),
    Dimension.LITIGATION: [member.value for member in Litigation],
    Dimension.SIZE: _size_order(),
    Dimension.PROVINCE: [*PROVINCES.values()],
}


def stratify(cases: Iterable[FrozenCase], *, currency: str) -> list[Cell]:
    """Cut cases along every dimension; cells in the order of the dimension, unknown regions by name at its end."""
    decimals = exponent(currency)
    sums: dict[tuple[Dimension, str], list[int]] = {}
    for case in cases:
        for place in (
            (Dimension.SECURITY, case.security),
            (Dimension.DAYS_PAST_DUE, days_band(case.days_past_due)),
            (Dimension.LITIGATION, case.litigation),
            (Dimension.SIZE, amount_band(case.exposure, decimals=decimals)),
            (Dimension.PROVINCE, case.province or UNKNOWN),
        ):
            cell = sums.setdefault(place, [0, 0, 0, 0])
            cell[0] += 1
            cell[1] += case.principal
            cell[2] += case.interest
            cell[3] += case.other
    return [Cell(*place, *sums[place]) for place in sorted(sums, key=_place)]


def _place(place: tuple[Dimension, str]) -> tuple[int, int, str]:
    dimension, value = place
    order = _ORDER[dimension]
    return list(Dimension).index(dimension), order.index(value) if value in order else len(order), value
