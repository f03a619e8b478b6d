"""Sealed bids, at the first price or at the second (Vickrey): one bid of each bidder, opened at the end.

Bids may be changed and withdrawn until the end; the last change of the amount counts and carries its time, which
decides ties. Before the end an answer says that an attempt was taken, and nothing about anybody. (Vickrey, 1961; the
sealed bids of FDIC and HUD loan sales.)
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auctions.domain import increments, reading
from auctions.domain.course import Course, awards, refusal
from auctions.domain.formats import (
    Answer,
    AttemptKind,
    AuctionState,
    Award,
    Event,
    Phase,
    Ranked,
    RefusalCode,
)
from marketplace.documents import MISSING, BadDocument, Node


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one auction by sealed bids; amounts in minor units. `raised`: the least amount that sells."""

    opens_at: datetime
    ends_at: datetime
    start_price: int
    reserve_price: int | None
    raised: int
    minimum_bidders: int
    awards: int
    second_price: bool

    def sells(self, amount: int) -> bool:
        """Whether an amount reaches the reserve and the start price with the minimum of raises."""
        return amount >= self.raised and (self.reserve_price is None or amount >= self.reserve_price)

    def price(self, ranking: Sequence[Ranked]) -> int:
        """Return what the first of a ranking pays: its bid, or by Vickrey the second bid, never under the reserve."""
        if not self.second_price:
            return ranking[0].amount
        second = ranking[1].amount if len(ranking) > 1 else self.start_price
        return second if self.reserve_price is None else max(second, self.reserve_price)


class Bids:
    """Sealed bids in force: (amount, sequence of its last change) by bidder."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, str]] = []

    def put(self, bidder: str, amount: int, number: int) -> None:
        """Take a bid; the same amount again keeps its place."""
        if bidder not in self.held or self.held[bidder][0] != amount:
            self.held[bidder] = (amount, number)
            heapq.heappush(self._heap, (-amount, number, bidder))

    def top(self) -> int:
        """Return the best amount, 0 without any bid: what was changed or taken back leaves the heap when it is met."""
        while self._heap and self.held.get(self._heap[0][2]) != (-self._heap[0][0], self._heap[0][1]):
            heapq.heappop(self._heap)
        return -self._heap[0][0] if self._heap else 0

    def ranking(self) -> list[Ranked]:
        """Return the best first; of equal amounts the one that was there first."""
        rows = sorted((-amount, number, bidder) for bidder, (amount, number) in self.held.items())
        return [Ranked(bidder, -amount) for amount, _, bidder in rows]

    def dump(self) -> list[list[Any]]:
        """Return them as a JSON value."""
        return [[bidder, amount, number] for bidder, (amount, number) in self.held.items()]

    def load(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take over what `dump` returned."""
        self.held = {bidder: (amount, number) for bidder, amount, number in rows}
        self._heap = [(-amount, number, bidder) for bidder, (amount, number) in self.held.items()]
        heapq.heapify(self._heap)


class Sealed(Course):
    """An auction by sealed bids being played."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(opens_at=rules.opens_at, ends_at=rules.ends_at)
        self.rules = rules
        self._bids = Bids()

    def _refusal(self, event: Event) -> Answer | None:
        if event.kind == AttemptKind.WITHDRAW:
            return None if event.bidder in self._bids.held else refusal(RefusalCode.NOTHING_TO_WITHDRAW)
        return refusal(RefusalCode.BELOW_START) if event.amount < self.rules.start_price else None

    def _accept(self, event: Event) -> Answer:
        if event.kind == AttemptKind.WITHDRAW:
            del self._bids.held[event.bidder]
        else:
            self._bids.put(event.bidder, event.amount, self.sequence)
        return Answer(accepted=True, ends_at=self.ends_at)

    def _void(self, bidder: str) -> None:
        self._bids.held.pop(bidder, None)

    def _sells(self) -> bool:
        ranking = self._bids.ranking()
        enough = bool(ranking) and len(ranking) >= self.rules.minimum_bidders
        return enough and self.rules.sells(ranking[0].amount)

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        ranking = self._bids.ranking()
        if state is not AuctionState.SOLD:
            return None, None, ranking, ()
        price = self.rules.price(ranking)
        rows = awards(ranking, count=self.rules.awards, price=price, sells=self.rules.sells)
        return ranking[0].bidder, price, ranking, rows

    def _sealed(self, at: datetime) -> bool:
        return at < self.ends_at

    def _phase(self, at: datetime) -> Phase:
        del at
        return Phase.SEALED

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        del at
        return None, None, None, None

    def _dump(self) -> dict[str, Any]:
        return {"bids": self._bids.dump()}

    def _load(self, dump: Mapping[str, Any]) -> None:
        self._bids.load(dump["bids"])


class SealedFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("ends_at", "start_price")
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
        AttemptKind.BID: (("bidder", "amount"), ()),
        AttemptKind.WITHDRAW: (("bidder",), ()),
    }

    def __init__(self, *, second_price: bool) -> None:
        self.second_price = second_price
        raises = () if second_price else ("increment", "minimum_raises")
        self.optional: Sequence[str] = ("reserve_price", "minimum_bidders", "awards", *raises)

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`, also when raises are asked for and no increment says how much."""
        opens_at, ends_at = reading.end(members)
        start_price = reading.positive(members["start_price"], currency)
        return Rules(
            opens_at=opens_at,
            ends_at=ends_at,
            start_price=start_price,
            reserve_price=reading.amount(members["reserve_price"], currency),
            raised=start_price if self.second_price else start_price + _raises(members, start_price, currency),
            minimum_bidders=reading.count(members["minimum_bidders"], minimum=0, default=1),
            awards=reading.count(members["awards"], minimum=1, default=1),
            second_price=self.second_price,
        )

    def start(self, rules: Rules) -> Sealed:
        """Return an auction without events."""
        return Sealed(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> Sealed:
        """Return the play that `dump` was taken from."""
        return Sealed(rules).restored(dump)


def _raises(members: Mapping[str, Node], start_price: int, currency: str) -> int:
    """Return the minimum of raises as an amount: so many increments of the start price."""
    raises = reading.count(members["minimum_raises"], minimum=0, default=0)
    node = members["increment"]
    if node.given:
        return raises * increments.read(node, currency).above(start_price)
    if raises:
        raise BadDocument(node.pointer, MISSING, "this key is required with minimum_raises")
    return 0
