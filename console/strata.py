"""A package as pictures: the cells of each dimension as bars beside their exact figures. Pure.

For outsiders small cells are folded into one, so that no group of fewer than five loans is told apart (`rules.md`,
masking by default). Not here: the figures themselves, which `packages` computed at the freeze.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console import charts
from marketplace.money import Money
from marketplace.packages.service import Stratum

SMALLEST_GROUP: Final = 5
"""A cell with fewer loans could point at one person."""

FOLDED: Final = "folded"
"""Value of the cell that small cells are folded into."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: its value, count, principal + interest, share of the whole and length, both per mille."""

    value: str
    loans: int
    exposure: Money
    share: int
    width: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One dimension: its bars and their sum."""

    dimension: str
    rows: tuple[Row, ...]
    loans: int
    exposure: Money


def pictures(cells: Sequence[Stratum], *, currency: str, folded: bool) -> list[Picture]:
    """Return one picture a dimension, in the order given; with `folded`, no cell has fewer than five loans."""
    dimensions = dict.fromkeys(str(cell.dimension) for cell in cells)
    result = []
    for dimension in dimensions:
        parts = [
            (cell.value, cell.loans, cell.principal_minor + cell.interest_minor)
            for cell in cells
            if str(cell.dimension) == dimension
        ]
        result.append(_picture(dimension, _fold(parts) if folded else parts, currency))
    return result


def _fold(parts: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Fold the smallest cells into one until none is smaller than a group; a single one takes the next along.

    One small cell alone could be found by subtraction, which is why it never stands alone.
    """
    by_size = sorted(parts, key=lambda part: (part[1], part[0]))
    hidden: set[str] = set()
    loans = 0
    for value, count, _ in by_size:
        if count >= SMALLEST_GROUP and (not hidden or (loans >= SMALLEST_GROUP and len(hidden) > 1)):
            break
        hidden.add(value)
        loans += count
    if not hidden:
        return list(parts)
    exposure = sum(amount for value, _, amount in parts if value in hidden)
    return [part for part in parts if part[0] not in hidden] + [(FOLDED, loans, exposure)]


def _picture(dimension: str, parts: Sequence[tuple[str, int, int]], currency: str) -> Picture:
    amounts = [amount for _, _, amount in parts]
    rows = tuple(
        Row(value, loans, Money(amount, currency), share, width)
        for (value, loans, amount), share, width in zip(
            parts, charts.shares(amounts), charts.widths(amounts), strict=True
        )
    )
    return Picture(dimension, rows, sum(loans for _, loans, _ in parts), Money(sum(amounts), currency))
