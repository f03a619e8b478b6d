"""The geometry of pictures: widths, axes and steps as whole numbers. The templates draw them as SVG. Pure.

Positions are per mille of the picture's width or height, counted from the left and from the *top*, so that nothing is
rounded through binary fractions and the same figures give the same picture. Not here: words, formats, colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FULL: Final = 1000
"""Per mille of the whole width or height."""

_STEPS: Final = (1, 2, 5)
_MICROSECOND: Final = timedelta(microseconds=1)


def widths(values: Sequence[int]) -> list[int]:
    """Return the length of each bar, per mille of the longest; what is more than nothing is seen (at least 4)."""
    longest = max(values, default=0)
    if longest <= 0:
        return [0] * len(values)
    return [max(value * FULL // longest, 4) if value > 0 else 0 for value in values]


def shares(values: Sequence[int]) -> list[int]:
    """Return the share of each value in their sum, per mille, that add up to 1000 (0 each when the sum is 0).

    The rest of rounding down goes to the largest remainders, earlier values first.
    """
    whole = sum(values)
    if whole <= 0:
        return [0] * len(values)
    parts = [value * FULL // whole for value in values]
    order = sorted(range(len(values)), key=lambda i: (-(values[i] * FULL % whole), i))
    for i in order[: FULL - sum(parts)]:
        parts[i] += 1
    return parts


def ticks(low: int, high: int, most: int = 5) -> list[int]:
    """Return at most `most` + 1 round values (1, 2 or 5 times a power of ten) that span `low` to `high`."""
    if high <= low:
        high = low + 1
    step = _round_step(-(-(high - low) // most))
    first = low // step * step
    last = -(-high // step) * step
    return list(range(first, last + 1, step))


def _round_step(least: int) -> int:
    power = 1
    while True:
        for step in _STEPS:
            if step * power >= least:
                return step * power
        power *= 10


@dataclass(frozen=True, slots=True)
class Mark:
    """A value on an axis and where it stands."""

    value: int
    at: int


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant on the time axis and where it stands."""

    instant: datetime
    at: int


@dataclass(frozen=True, slots=True)
class Dot:
    """One accepted bid: `x` from the left, `y` from the top."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price over time as a staircase: each bid lifts it at its instant, nothing happens in between."""

    steps: tuple[Dot, ...]
    dots: tuple[Dot, ...]
    prices: tuple[Mark, ...]
    moments: tuple[Moment, ...]

    @property
    def points(self) -> str:
        """The staircase as the `points` of an SVG polyline."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.steps)


def price_line(
    bids: Sequence[tuple[datetime, int]], *, start: int, opens_at: datetime, until: datetime
) -> PriceLine | None:
    """Lay out the prices of accepted bids, in order of time, between `opens_at` and `until`; None without any.

    `start` is the start price in minor units, where the axis begins.
    """
    if not bids:
        return None
    until = max(until, bids[-1][0], opens_at + timedelta(seconds=1))
    marks = ticks(min(start, *(price for _, price in bids)), max(price for _, price in bids))
    low, high = marks[0], marks[-1]
    dots = [Dot(_across(at, opens_at, until), _down(price, low, high)) for at, price in bids]
    steps: list[Dot] = []
    for dot in dots:
        if steps:
            steps.append(Dot(dot.x, steps[-1].y))
        steps.append(dot)
    steps.append(Dot(FULL, steps[-1].y))
    return PriceLine(
        steps=tuple(steps),
        dots=tuple(dots),
        prices=tuple(Mark(value, _down(value, low, high)) for value in marks),
        moments=tuple(Moment(opens_at + (until - opens_at) * i // 2, FULL * i // 2) for i in range(3)),
    )


def _across(at: datetime, opens_at: datetime, until: datetime) -> int:
    inside = min(max(at, opens_at), until) - opens_at
    return FULL * (inside // _MICROSECOND) // ((until - opens_at) // _MICROSECOND)


def _down(price: int, low: int, high: int) -> int:
    return FULL - FULL * (price - low) // (high - low)
