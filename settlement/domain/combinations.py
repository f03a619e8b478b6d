"""Which amounts add up to a target: every solution of two to five parts, bounded. Pure and exact."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

MAX_PARTS: Final = 5
MAX_AMOUNTS: Final = 40
MAX_SOLUTIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Combinations:
    """Solutions as ascending positions, in order; `complete` is False when there are more than are listed."""

    solutions: tuple[tuple[int, ...], ...]
    complete: bool


def combinations_to(
    target: int, amounts: Sequence[int], *, fewest: int = 2, most: int = MAX_PARTS, limit: int = MAX_SOLUTIONS
) -> Combinations:
    """Find the sets of `fewest` to `most` positions whose amounts (above zero) add up to `target`.

    Raises ValueError for more than 40 amounts: a search that is not exhaustive could call a solution unique that is
    not. At most C(40, 4) prefixes are tried, the last part is looked up.
    """
    if len(amounts) > MAX_AMOUNTS or any(amount <= 0 for amount in amounts):
        raise ValueError("at most 40 amounts, each above zero")
    places: dict[int, list[int]] = defaultdict(list)
    for position, amount in enumerate(amounts):
        places[amount].append(position)
    found = list(islice(_search(target, (), amounts, places, fewest=fewest, most=most), limit + 1))
    return Combinations(tuple(sorted(found[:limit])), complete=len(found) <= limit)


def _search(
    rest: int,
    chosen: tuple[int, ...],
    amounts: Sequence[int],
    places: Mapping[int, Sequence[int]],
    *,
    fewest: int,
    most: int,
) -> Iterator[tuple[int, ...]]:
    """Every way to complete `chosen` by positions after its last one, the last of them looked up."""
    start = chosen[-1] + 1 if chosen else 0
    if len(chosen) + 1 >= fewest:
        for last in places.get(rest, ()):
            if last >= start:
                yield (*chosen, last)
    if len(chosen) + 1 < most:
        for position in range(start, len(amounts)):
            if amounts[position] < rest:
                left = rest - amounts[position]
                yield from _search(left, (*chosen, position), amounts, places, fewest=fewest, most=most)
