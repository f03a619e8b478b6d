"""Sealed bids on sets of lots, and the best set of them wins.

A bidder may bid on as many sets as it likes, one bid on each; a new bid on the same set replaces the earlier one. A bid
below the sum of its lots' reserves is refused at once. Who wins is in `winners`. (The sealed bids of FDIC and HUD over
several pools, 1997, and what a wrong instruction to an optimiser cost there.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auctions.domain import reading
from auctions.domain.course import Course, refusal
from auctions.domain.formats import (
    Answer,
    AttemptKind,
    AuctionState,
    Award,
    Event,
    Phase,
    Ranked,
    RefusalCode,
    StandingOfAward,
)
from auctions.domain.winners import Offer, Problem, Solution, determine
from marketplace.documents import Node

MAX_LOTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one package auction. `reserves` by lot in the order of the rules, minor units."""

    opens_at: datetime
    ends_at: datetime
    reserves: Mapping[str, int]
    at_reserve: bool
    exclusive: bool
    minimum_bidders: int


class Package(Course):
    """A package auction being played; `_offers` holds (amount, sequence) by bidder and set of lots."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(opens_at=rules.opens_at, ends_at=rules.ends_at)
        self.rules = rules
        self._places = {lot: place for place, lot in enumerate(rules.reserves)}
        self._offers: dict[str, dict[tuple[int, ...], tuple[int, int]]] = {}
        self._solution: Solution | None = None

    def _refusal(self, event: Event) -> Answer | None:
        if event.kind == AttemptKind.WITHDRAW:
            return None if event.bidder in self._offers else refusal(RefusalCode.NOTHING_TO_WITHDRAW)
        reserves = self.rules.reserves
        if any(lot not in reserves for lot in event.lots):
            return refusal(RefusalCode.NO_SUCH_LOT)
        short = event.amount < sum(reserves[lot] for lot in event.lots)
        return refusal(RefusalCode.BELOW_LOT_RESERVES) if short else None

    def _accept(self, event: Event) -> Answer:
        self._solution = None
        if event.kind == AttemptKind.WITHDRAW:
            del self._offers[event.bidder]
        else:
            lots = tuple(sorted(self._places[lot] for lot in event.lots))
            self._offers.setdefault(event.bidder, {})[lots] = (event.amount, self.sequence)
        return Answer(accepted=True, ends_at=self.ends_at)

    def _void(self, bidder: str) -> None:
        self._solution = None
        self._offers.pop(bidder, None)

    def solution(self) -> Solution:
        """Return which bids in force win, whatever the time; raise `TooMuchWork`."""
        if self._solution is None:
            offers = [
                Offer(bidder, lots, amount, number)
                for bidder, held in self._offers.items()
                for lots, (amount, number) in held.items()
            ]
            problem = Problem(
                reserves=tuple(self.rules.reserves.values()),
                at_reserve=self.rules.at_reserve,
                exclusive=self.rules.exclusive,
                offers=tuple(sorted(offers, key=lambda offer: offer.sequence)),
            )
            self._solution = determine(problem)
        return self._solution

    def _sells(self) -> bool:
        enough = len(self._offers) >= self.rules.minimum_bidders
        return enough and bool(self._offers) and bool(self.solution().winners)

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        if state is not AuctionState.SOLD:
            return None, None, (), ()
        names = list(self.rules.reserves)
        rows = [
            Award(won.bidder, won.amount, StandingOfAward.PENDING, tuple(names[lot] for lot in won.lots))
            for won in self.solution().winners
        ]
        return None, self.solution().revenue, (), rows

    def _sealed(self, at: datetime) -> bool:
        return at < self.ends_at

    def _phase(self, at: datetime) -> Phase:
        del at
        return Phase.SEALED

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        del at
        return None, None, None, None

    def _dump(self) -> dict[str, Any]:
        offers = [
            [bidder, list(lots), amount, number]
            for bidder, held in self._offers.items()
            for lots, (amount, number) in held.items()
        ]
        return {"offers": offers}

    def _load(self, dump: Mapping[str, Any]) -> None:
        self._offers = {}
        for bidder, lots, amount, number in dump["offers"]:
            self._offers.setdefault(bidder, {})[tuple(lots)] = (amount, number)


class PackageFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("ends_at", "lots", "unsold_lots_count")
    optional: Sequence[str] = ("exclusive_bids_per_bidder", "minimum_bidders")
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
        AttemptKind.BID: (("bidder", "lots", "amount"), ()),
        AttemptKind.WITHDRAW: (("bidder",), ()),
    }

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at, ends_at = reading.end(members)
        return Rules(
            opens_at=opens_at,
            ends_at=ends_at,
            reserves=_lots(members["lots"], currency),
            at_reserve=members["unsold_lots_count"].one_of(["nothing", "at_reserve"]) == "at_reserve",
            exclusive=reading.flag(members["exclusive_bids_per_bidder"]),
            minimum_bidders=reading.count(members["minimum_bidders"], minimum=0, default=1),
        )

    def start(self, rules: Rules) -> Package:
        """Return an auction without events."""
        return Package(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> Package:
        """Return the play that `dump` was taken from."""
        return Package(rules).restored(dump)


def _lots(node: Node, currency: str) -> dict[str, int]:
    reserves: dict[str, int] = {}
    for row in node.list(minimum=1, maximum=MAX_LOTS):
        members = row.object(["lot", "reserve"])
        lot = members["lot"].text()
        if lot in reserves:
            raise members["lot"].refuse("each lot once")
        reserves[lot] = members["reserve"].amount(currency).minor
    return reserves
