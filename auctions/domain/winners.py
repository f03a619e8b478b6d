"""Which package bids win: the solver's answer, and for up to `RECHECKED` bids that of an independent brute force.

The order is fixed: most value, then more lots sold, then fewer winning bids, then the smallest sorted list of sequence
numbers. Value is the revenue; where unsold lots count at their reserve, it is the revenue and the reserves of what
stays unsold. No lot is sold twice, and where bids exclude each other no bidder wins more than one.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from auctions.domain.formats import TooMuchWork
from auctions.domain.packing import Packing

MAX_OFFERS: Final = 2000
"""So many bids that no other bid on the same lots beats outright."""

RECHECKED: Final = 15
"""Up to so many bids every subset is tried; the result must be the solver's."""


class RecheckDisagrees(Exception):
    """Solver and brute force differ: a fault of ours, never awarded over."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A bid in force on lots, given by their place in the rules, ascending; minor units."""

    bidder: str
    lots: tuple[int, ...]
    amount: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be decided. `reserves` by lot; `at_reserve`: how unsold lots count; `exclusive`: one win a bidder."""

    reserves: tuple[int, ...]
    at_reserve: bool
    exclusive: bool
    offers: tuple[Offer, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The inputs as they go into the protocol; amounts in minor units as text."""
        return {
            "reserves": [str(reserve) for reserve in self.reserves],
            "unsold_lots_count": "at_reserve" if self.at_reserve else "nothing",
            "exclusive_bids_per_bidder": self.exclusive,
            "bids": [
                {"sequence": o.sequence, "bidder": o.bidder, "lots": list(o.lots), "amount": str(o.amount)}
                for o in self.offers
            ],
        }


@dataclass(frozen=True, slots=True)
class Solution:
    """The winning bids in order of sequence, with the inputs and both results for the protocol.

    `solver` and `recheck` are `{"sequences", "revenue", "lots_sold"}`; `recheck` is None with more than `RECHECKED`
    bids.
    """

    winners: tuple[Offer, ...]
    inputs: dict[str, Any]
    solver: dict[str, Any]
    recheck: dict[str, Any] | None

    @property
    def revenue(self) -> int:
        """What the winning bids bring, minor units."""
        return sum(offer.amount for offer in self.winners)


def determine(problem: Problem) -> Solution:
    """Return the best set of bids; raise `TooMuchWork` when there are too many to prove it."""
    solved = solve(problem)
    checked = enumerate_all(problem) if len(problem.offers) <= RECHECKED else None
    if checked is not None and checked != solved:
        raise RecheckDisagrees
    recheck = None if checked is None else _result(checked)
    return Solution(winners=solved, inputs=problem.document, solver=_result(solved), recheck=recheck)


def _result(winners: Sequence[Offer]) -> dict[str, Any]:
    return {
        "sequences": [offer.sequence for offer in winners],
        "revenue": str(sum(offer.amount for offer in winners)),
        "lots_sold": sum(len(offer.lots) for offer in winners),
    }


def solve(problem: Problem) -> tuple[Offer, ...]:
    """Return the winners by the solver, in order of sequence: each group of bids that share lots by itself."""
    offers = sorted(problem.offers, key=lambda offer: offer.sequence)
    members = _members(problem, offers)
    bids = _undominated(offers, members)
    if len(bids) > MAX_OFFERS:
        raise TooMuchWork
    winners: list[Offer] = []
    for part in _parts(members, bids):
        weights = _weights(problem, [offers[i] for i in part])
        packing = Packing(weights, [members[i] for i in part])
        winners += [offers[part[i]] for i in packing.solve()]
    return tuple(sorted(winners, key=lambda offer: offer.sequence))


def _weights(problem: Problem, offers: Sequence[Offer]) -> list[int]:
    """Return the whole order as one weight of each bid; the offers come in order of sequence.

    Value, lots, minus one for the bid, and a power of two for its place, each so far above the next that no sum of the
    lower reaches it. Sets of equal size compare by their sorted lists of sequences as their powers add up.
    """
    count, lots = len(offers), len(problem.reserves)
    weights = []
    for place, offer in enumerate(offers):
        kept = sum(problem.reserves[lot] for lot in offer.lots) if problem.at_reserve else 0
        levels = ((offer.amount - kept) * (lots + 1) + len(offer.lots)) * (count + 1) - 1
        weights.append((levels << count) + (1 << (count - 1 - place)))
    return weights


def _members(problem: Problem, offers: Sequence[Offer]) -> list[frozenset[int]]:
    """Return what each bid uses up: its lots, and its bidder's one chance where bids exclude each other."""
    if not problem.exclusive:
        return [frozenset(offer.lots) for offer in offers]
    bidders = {bidder: place for place, bidder in enumerate(dict.fromkeys(offer.bidder for offer in offers))}
    return [frozenset((*offer.lots, len(problem.reserves) + bidders[offer.bidder])) for offer in offers]


def _undominated(offers: Sequence[Offer], members: Sequence[frozenset[int]]) -> list[int]:
    """Return the bids, but of those that use up the same only the highest, and of equal ones the first."""
    best: dict[frozenset[int], int] = {}
    for i, need in enumerate(members):
        if need not in best or offers[i].amount > offers[best[need]].amount:
            best[need] = i
    return sorted(best.values())


def _parts(members: Sequence[frozenset[int]], bids: Sequence[int]) -> Iterator[list[int]]:
    """Yield groups of bids that share nothing with the other groups."""
    leaders: dict[int, int] = {}

    def leader(resource: int) -> int:
        while leaders.setdefault(resource, resource) != resource:
            leaders[resource] = leaders[leaders[resource]]
            resource = leaders[resource]
        return resource

    for i in bids:
        first, *others = members[i]
        for other in others:
            leaders[leader(other)] = leader(first)
    groups: dict[int, list[int]] = {}
    for i in bids:
        groups.setdefault(leader(min(members[i])), []).append(i)
    yield from groups.values()


def enumerate_all(problem: Problem) -> tuple[Offer, ...]:
    """Return the winners by trying every subset: no solver, no weights, nothing shared with `solve`."""
    best: tuple[Offer, ...] = ()
    best_key = _key(problem, best)
    for size in range(1, len(problem.offers) + 1):
        for subset in itertools.combinations(problem.offers, size):
            if _allowed(problem, subset) and (key := _key(problem, subset)) < best_key:
                best, best_key = subset, key
    return tuple(sorted(best, key=lambda offer: offer.sequence))


def _allowed(problem: Problem, subset: Sequence[Offer]) -> bool:
    lots = [lot for offer in subset for lot in offer.lots]
    bidders = [offer.bidder for offer in subset]
    return len(lots) == len(set(lots)) and not (problem.exclusive and len(bidders) != len(set(bidders)))


def _key(problem: Problem, subset: Sequence[Offer]) -> tuple[int, int, int, list[int]]:
    """Return what makes a subset better the smaller it is."""
    sold = {lot for offer in subset for lot in offer.lots}
    value = sum(offer.amount for offer in subset)
    if problem.at_reserve:
        value += sum(reserve for lot, reserve in enumerate(problem.reserves) if lot not in sold)
    return -value, -len(sold), len(subset), sorted(offer.sequence for offer in subset)
