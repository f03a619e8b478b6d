"""A price that is distributed as it comes: each instalment through the same waterfall, nothing ever taken back. Pure.

What the whole price gives everybody is known from the first day (`settlement.domain.closing`). An instalment fills it:
deductions in their order, senior claims by rank, then the cases by the deficit rule, liens out of their case's share by
rank. The last instalment ends at the figures of the closing, however the price was cut into instalments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.errors import Conflict
from settlement.domain.closing import Closing
from settlement.domain.instalments import next_part


class InstalmentsAbovePrice(Conflict):
    """More would be distributed than the price."""

    code = "instalments_above_price"

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} minor units of the price are not distributed yet; that much can be.", allowed=left)


@dataclass(frozen=True, slots=True)
class Stage:
    """What everybody has received so far, minor units; the lists are in the order of the closing.

    `received` = sum of `taken` (deductions and senior claims) + sum of `net`. A case has received `first` of its
    proceeds (its `net` less the `liens` on it); the rest of them is kept back.
    """

    received: int
    taken: list[int]
    net: list[int]
    liens: list[int]
    first: list[int]

    @property
    def held(self) -> int:
        """What is kept back of the proceeds of all cases."""
        return sum(self.net) - sum(self.liens) - sum(self.first)


def nothing_yet(closed: Closing) -> Stage:
    """Return the stage before the first instalment."""
    cases = len(closed.net)
    return Stage(0, [0] * len(closed.flow.deductions), [0] * cases, [0] * len(closed.liens), [0] * cases)


def advance(closed: Closing, keys: Sequence[str], before: Stage, amount: int) -> Stage:
    """Return the stage after an instalment of `amount` minor units, above zero; raise `InstalmentsAbovePrice`.

    No figure is below what it was `before`; with the whole price received every figure is that of `closed`.
    """
    left = closed.flow.gross.minor - before.received
    if amount > left:
        raise InstalmentsAbovePrice(left)
    received = before.received + amount
    taken = _taken(closed, before, received)
    part = received - sum(taken) - sum(before.net)
    net = _added(before.net, next_part(part, before.net, closed.net, keys))
    liens = _liens(closed, keys, before, net)
    proceeds = dict(zip(keys, net, strict=True))
    for one, minor in zip(closed.liens, liens, strict=True):
        proceeds[one.claim.case or ""] -= minor
    first = [
        minor * at_once // whole if whole else 0
        for minor, at_once, whole in zip(proceeds.values(), closed.first, closed.proceeds, strict=True)
    ]
    return Stage(received, taken, net, liens, first)


def part_between(before: Stage, after: Stage) -> Stage:
    """Return what one instalment brought everybody: the stage after it less the stage before it."""
    return Stage(
        after.received - before.received,
        _less(after.taken, before.taken),
        _less(after.net, before.net),
        _less(after.liens, before.liens),
        _less(after.first, before.first),
    )


def in_parts(closed: Closing, keys: Sequence[str], amounts: Sequence[int]) -> list[Stage]:
    """Return what each of several instalments brings everybody; raise as `advance`."""
    stage, parts = nothing_yet(closed), []
    for amount in amounts:
        after = advance(closed, keys, stage, amount)
        parts.append(part_between(stage, after))
        stage = after
    return parts


def _taken(closed: Closing, before: Stage, received: int) -> list[int]:
    """Deductions one after the other as they stand, then senior claims by rank."""
    whole = [one.amount.minor for one in closed.flow.deductions]
    plain = len(whole) - len(closed.senior)
    ranks = [*range(plain), *(plain + one.claim.rank for one in closed.senior)]
    return _filled(received, ranks, whole, before.taken, [one.name for one in closed.flow.deductions])


def _liens(closed: Closing, keys: Sequence[str], before: Stage, net: Sequence[int]) -> list[int]:
    shares, liens = dict(zip(keys, net, strict=True)), list(before.liens)
    places: dict[str, list[int]] = {}
    for place, one in enumerate(closed.liens):
        places.setdefault(one.claim.case or "", []).append(place)
    for case, own in places.items():
        filled = _filled(
            shares[case],
            [closed.liens[place].claim.rank for place in own],
            [closed.liens[place].minor for place in own],
            [before.liens[place] for place in own],
            [closed.liens[place].claim.name for place in own],
        )
        for place, minor in zip(own, filled, strict=True):
            liens[place] = minor
    return liens


def _filled(
    minor: int, ranks: Sequence[int], whole: Sequence[int], given: Sequence[int], names: Sequence[str]
) -> list[int]:
    """Fill `whole` out of `minor`, lower ranks first, equal ranks by the deficit rule; nobody falls below `given`."""
    filled = list(given)
    for rank in sorted(set(ranks)):
        places = [place for place, one in enumerate(ranks) if one == rank]
        had = [given[place] for place in places]
        due = min(minor, sum(whole[place] for place in places))
        parts = next_part(due - sum(had), had, [whole[place] for place in places], [names[place] for place in places])
        for place, part in zip(places, parts, strict=True):
            filled[place] += part
        minor -= due
    return filled


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [left + right for left, right in zip(one, other, strict=True)]


def _less(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [left - right for left, right in zip(one, other, strict=True)]
