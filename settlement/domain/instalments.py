"""Money that comes in parts, and shares with a ceiling: exact to the minor unit, nothing ever taken back. Pure.

The deficit rule: after each part every case stands as near to its share of all that came so far as it can without
giving a cent back; the first part is the largest remainder of `marketplace.money.share_out`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.errors import Conflict
from marketplace.money import share_out


class CapsBelowTotal(Conflict):
    """All the ceilings together are below the money."""

    code = "caps_below_total"

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} minor units are above every ceiling and belong to no case.", missing=missing)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A case while a part is shared: `rank` says who is first among equals."""

    place: int
    deficit: int
    rank: tuple[int, str]


def next_part(amount: int, given: Sequence[int], weights: Sequence[int], keys: Sequence[str]) -> list[int]:
    """Return what each case receives of the next part, zero or more each, adding up to `amount`.

    `given`: what each has received of the parts before, minor units. The cents that are left go to the largest
    deficits (share of everything that came so far, less what was given); where whole cents are owed to more cases than
    there are, the smallest deficits wait. Ties: larger weight, then smaller key. Raises ValueError for what is
    negative, of unequal length, or cannot be shared by zero weights.
    """
    if not len(given) == len(weights) == len(keys):
        raise ValueError("one key and one amount given for each weight")
    if amount < 0 or any(one < 0 for one in (*given, *weights)):
        raise ValueError("only amounts and weights of zero or more are shared out")
    whole, total = sum(weights), sum(given) + amount
    if not whole:
        if amount:
            raise ValueError("all weights are zero and there is money to share")
        return [0] * len(weights)
    parts = [max(total * weight // whole - had, 0) for weight, had in zip(weights, given, strict=True)]
    left = amount - sum(parts)
    while left:
        step = 1 if left > 0 else -1
        claims = [
            _Claim(place, total * weights[place] - whole * (given[place] + parts[place]), (-weights[place], key))
            for place, key in enumerate(keys)
            if weights[place] and (step > 0 or parts[place])
        ]
        claims.sort(key=lambda one: one.rank, reverse=step < 0)
        claims.sort(key=lambda one: -step * one.deficit)
        for one in claims[: abs(left)]:
            parts[one.place] += step
            left -= step
    return parts


def share_out_capped(total: int, weights: Sequence[int], caps: Sequence[int | None], keys: Sequence[str]) -> list[int]:
    """Split by largest remainder with a ceiling for each case (None: none); what is above one is shared by the others.

    Raises `CapsBelowTotal` when the money is above all ceilings of the cases with a weight; ValueError as `share_out`.
    """
    if len(caps) != len(keys) or any(cap is not None and cap < 0 for cap in caps):
        raise ValueError("one ceiling of zero or more, or None, for each key")
    parts = [0] * len(keys)
    free, rest = [place for place, weight in enumerate(weights) if weight], total
    while rest and free:
        shares = share_out(rest, [weights[place] for place in free], [keys[place] for place in free])
        full = {
            place: cap
            for place, share in zip(free, shares, strict=True)
            if (cap := caps[place]) is not None and share > cap
        }
        if not full:
            for place, share in zip(free, shares, strict=True):
                parts[place] = share
            return parts
        for place, cap in full.items():
            parts[place] = cap
            rest -= cap
        free = [place for place in free if place not in full]
    if rest:
        raise CapsBelowTotal(rest)
    return parts
