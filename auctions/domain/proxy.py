"""Automatic bidding: bidders leave maxima, the engine bids for them no more than it takes to lead.

Alone, the leader stands at the start price; otherwise the price is min(best maximum, second maximum + its increment),
and it never falls. Once the best maximum covers the reserve, the price is at least the reserve. Ties go to the earlier
sequence. (Ockenfels & Roth, "Late and multiple bidding in second price Internet auctions", 2006.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from auctions.domain import increments, reading
from auctions.domain.course import Course, awards, refusal
from auctions.domain.english import SoftClose, end_after, first_bid_clock, soft_close
from auctions.domain.formats import (
    Answer,
    AttemptKind,
    AuctionState,
    Award,
    Event,
    Phase,
    Ranked,
    RefusalCode,
    TooMuchWork,
    WholeLogNeeded,
)
from auctions.domain.increments import Increment
from marketplace.documents import Node

MAX_WORK: Final = 5_000_000
"""So many accepted maxima are applied again because of voids, all voids of one log together."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one auction with automatic bidding; amounts in minor units."""

    opens_at: datetime
    ends_at: datetime
    start_price: int
    increment: Increment
    reserve_price: int | None
    soft_close: SoftClose | None
    minimum_bidders: int
    awards: int
    first_bid_clock: timedelta | None = None

    def minimum_next(self, price: int | None) -> int:
        """Return the least maximum that may challenge: the start price, later the price and its increment."""
        return self.start_price if price is None else price + self.increment.above(price)

    def sells(self, amount: int) -> bool:
        """Whether an amount reaches the reserve."""
        return self.reserve_price is None or amount >= self.reserve_price


class Proxy(Course):
    """An auction with automatic bidding being played.

    `_maxima` holds (maximum, sequence that set it) of the bidders in force; `_log` the accepted maxima in order, since
    the price depends on their order and a void applies the rest again. A play restored from a dump has no log.
    """

    def __init__(self, rules: Rules) -> None:
        soft = rules.soft_close
        super().__init__(
            opens_at=rules.opens_at,
            ends_at=rules.ends_at,
            hard_end=soft.hard_end if soft else None,
            extension=soft.extension if soft else timedelta(0),
        )
        self.rules = rules
        self.price: int | None = None
        self.leader: str | None = None
        self._maxima: dict[str, tuple[int, int]] = {}
        self._log: list[tuple[str, int, int]] | None = []
        self._stale = False
        self._work = 0

    def _refusal(self, event: Event) -> Answer | None:
        self._settle()
        if self.leader == event.bidder:
            raised = event.amount > self._maxima[event.bidder][0]
            return None if raised else refusal(RefusalCode.MAXIMUM_NOT_RAISED)
        minimum = self.rules.minimum_next(self.price)
        if event.amount < minimum:
            return refusal(RefusalCode.BELOW_START if self.price is None else RefusalCode.BELOW_MINIMUM, minimum)
        return None

    def _accept(self, event: Event) -> Answer:
        before = (self.price, self.leader)
        if self._log is not None:
            self._log.append((event.bidder, event.amount, self.sequence))
        self._apply(event.bidder, event.amount, self.sequence)
        if before != (self.price, self.leader):
            self._take_end(end_after(self, self.rules.soft_close, self.rules.first_bid_clock, at=event.at))
        return Answer(
            accepted=True,
            sequence=self.sequence,
            price=self.price,
            leader=self.leader,
            minimum_next=self.rules.minimum_next(self.price),
            ends_at=self.ends_at,
        )

    def _apply(self, bidder: str, maximum: int, number: int) -> None:
        """Let a maximum work: alone, as the leader's own raise, or as a challenge that the better maximum wins."""
        rules = self.rules
        if self.price is None or self.leader is None:
            self.price, self.leader = rules.start_price, bidder
        elif self.leader != bidder:
            held = self._maxima[self.leader][0]
            second, best = (held, maximum) if maximum > held else (maximum, held)
            self.price = max(self.price, min(best, second + rules.increment.above(second)))
            if maximum > held:
                self.leader = bidder
        self._maxima[bidder] = (maximum, number)
        reserve = rules.reserve_price
        if reserve is not None and self.price < reserve <= self._maxima[self.leader][0]:
            self.price = reserve

    def _void(self, bidder: str) -> None:
        if bidder not in self._maxima:
            return
        if self._log is None:
            raise WholeLogNeeded
        self._stale = True

    def _settle(self) -> None:
        """Apply the accepted maxima of those who remain again, once for any number of voids in a row."""
        if not self._stale or self._log is None:
            return
        self._work += len(self._log)
        if self._work > MAX_WORK:
            raise TooMuchWork
        self._stale = False
        self._log = [row for row in self._log if row[0] not in self.voided]
        self.price = self.leader = None
        self._maxima = {}
        for bidder, maximum, number in self._log:
            self._apply(bidder, maximum, number)

    def _sells(self) -> bool:
        self._settle()
        enough = len(self._maxima) >= self.rules.minimum_bidders
        return self.price is not None and enough and self.rules.sells(self.price)

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        self._settle()
        ranking = self._ranking()
        if state is not AuctionState.SOLD or self.price is None:
            return None, self.price, ranking, ()
        rows = awards(ranking, count=self.rules.awards, price=self.price, sells=self.rules.sells)
        return self.leader, self.price, ranking, rows

    def _ranking(self) -> list[Ranked]:
        """Return the leader at the price, then the others at their maxima, which are used up."""
        if self.price is None or self.leader is None:
            return []
        rows = sorted((-maximum, number, bidder) for bidder, (maximum, number) in self._maxima.items())
        others = [Ranked(bidder, -maximum) for maximum, _, bidder in rows if bidder != self.leader]
        return [Ranked(self.leader, self.price), *others]

    def _phase(self, at: datetime) -> Phase:
        del at
        return Phase.BIDDING

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        del at
        self._settle()
        return self.price, self.leader, self.rules.minimum_next(self.price), None

    def _dump(self) -> dict[str, Any]:
        self._settle()
        maxima = [[bidder, maximum, number] for bidder, (maximum, number) in self._maxima.items()]
        return {"price": self.price, "leader": self.leader, "maxima": maxima}

    def _load(self, dump: Mapping[str, Any]) -> None:
        self.price, self.leader = dump["price"], dump["leader"]
        self._maxima = {bidder: (maximum, number) for bidder, maximum, number in dump["maxima"]}
        self._log = None


class ProxyFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("ends_at", "start_price", "increment")
    optional: Sequence[str] = ("reserve_price", "soft_close", "minimum_bidders", "awards", "first_bid_clock_seconds")
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {AttemptKind.MAXIMUM: (("bidder", "amount"), ())}

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at, ends_at = reading.end(members)
        return Rules(
            opens_at=opens_at,
            ends_at=ends_at,
            start_price=reading.positive(members["start_price"], currency),
            increment=increments.read(members["increment"], currency),
            reserve_price=reading.amount(members["reserve_price"], currency),
            soft_close=soft_close(members["soft_close"], ends_at),
            minimum_bidders=reading.count(members["minimum_bidders"], minimum=0, default=1),
            awards=reading.count(members["awards"], minimum=1, default=1),
            first_bid_clock=first_bid_clock(members["first_bid_clock_seconds"]),
        )

    def start(self, rules: Rules) -> Proxy:
        """Return an auction without events."""
        return Proxy(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> Proxy:
        """Return the play that `dump` was taken from; without its log, it cannot step the void of a bidder in force."""
        return Proxy(rules).restored(dump)
