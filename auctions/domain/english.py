"""The English auction: open ascending bids with a soft close, as fixed in the rules of an auction.

The soft close follows the SPC rules on online judicial sale (2016), Art. 20, with window and extension as data; the
priority of holders of a pre-emption right follows Art. 21. A sale may also run until somebody bids and a
fixed time more: `first_bid_clock` (变卖 after two failed judicial auctions; practice, S).
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from auctions.domain import increments, reading
from auctions.domain.ascending import Ascending
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
from auctions.domain.increments import Increment
from marketplace.documents import Node

NO_RANK: Final = reading.MAX_COUNT + 1


class Base(enum.StrEnum):
    """From where an extension counts: the instant of the bid, or the end as it stood."""

    BID = "bid"
    END = "end"


@dataclass(frozen=True, slots=True)
class SoftClose:
    """A bid accepted when at most `window` is left moves the end; never beyond `hard_end`."""

    window: timedelta
    extension: timedelta
    base: Base = Base.BID
    hard_end: datetime | None = None

    def extended(self, ends_at: datetime, hard_end: datetime | None, *, at: datetime) -> datetime:
        """Return the end after a bid at `at`: later when `at` lies in the window (inclusive), never earlier."""
        if ends_at - at > self.window:
            return ends_at
        target = (at if self.base is Base.BID else ends_at) + self.extension
        if hard_end is not None and target > hard_end:
            target = hard_end
        return max(ends_at, target)


def end_after_first_bid(ends_at: datetime, hard_end: datetime | None, *, at: datetime, clock: timedelta) -> datetime:
    """Return the end once the first bid, at `at`, has started the clock: sooner than announced, or later.

    A hard end keeps it from moving later, but never takes back what bidders had already.
    """
    target = at + clock
    if hard_end is not None and target > ends_at:
        target = max(ends_at, min(target, hard_end))
    return target


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one English auction; amounts in minor units. `ranks`: holders of a pre-emption right, 1 the best.

    With a `first_bid_clock` the first accepted bid ends the auction so much later, whatever end was announced.
    """

    opens_at: datetime
    ends_at: datetime
    start_price: int
    increment: Increment
    reserve_price: int | None = None
    grid: bool = False
    soft_close: SoftClose | None = None
    minimum_bidders: int = 1
    minimum_raises: int = 0
    awards: int = 1
    ranks: Mapping[str, int] = field(default_factory=dict)
    first_bid_clock: timedelta | None = None

    def minimum_next(self, price: int | None) -> int:
        """Return the least amount of the next bid: the start price, later the price and its increment."""
        return self.start_price if price is None else price + self.increment.above(price)

    def sells(self, amount: int) -> bool:
        """Whether an amount reaches the reserve and the start price with the minimum of raises."""
        raised = self.start_price + self.minimum_raises * self.increment.above(self.start_price)
        return amount >= raised and (self.reserve_price is None or amount >= self.reserve_price)

    def rank(self, bidder: str) -> int:
        """Return the rank of a bidder's pre-emption right; whoever has none comes after all who have."""
        return self.ranks.get(bidder, NO_RANK)


def end_after(course: Course, soft: SoftClose | None, clock: timedelta | None, *, at: datetime) -> datetime:
    """Return the end after an accepted attempt that changed price or leader; the very first starts a clock.

    It starts once: a void does not stop it, and no later attempt starts it again.
    """
    if clock is not None and course.sequence == 1:
        return end_after_first_bid(course.ends_at, course.hard_end, at=at, clock=clock)
    return course.ends_at if soft is None else soft.extended(course.ends_at, course.hard_end, at=at)


class English(Ascending):
    """An English auction being played."""

    def __init__(self, rules: Rules) -> None:
        soft = rules.soft_close
        super().__init__(
            opens_at=rules.opens_at,
            ends_at=rules.ends_at,
            hard_end=soft.hard_end if soft else None,
            extension=soft.extension if soft else timedelta(0),
        )
        self.rules = rules
        self._best = {}

    def _refusal(self, event: Event) -> Answer | None:
        rules, price, amount = self.rules, self.price, event.amount
        minimum = rules.minimum_next(price)
        if self.leader == event.bidder:
            return refusal(RefusalCode.ALREADY_LEADING, minimum)
        if amount < minimum and not self._matches(event.bidder, amount):
            return refusal(RefusalCode.BELOW_START if price is None else RefusalCode.BELOW_MINIMUM, minimum)
        if rules.grid and (amount - rules.start_price) % rules.increment.above(rules.start_price):
            return refusal(RefusalCode.OFF_GRID, minimum)
        return None

    def _matches(self, bidder: str, amount: int) -> bool:
        """Whether the holder of a better right than the leader's bids exactly the price."""
        rules = self.rules
        return self.leader is not None and amount == self.price and rules.rank(bidder) < rules.rank(self.leader)

    def _accept(self, event: Event) -> Answer:
        bidder, amount, rules = event.bidder, event.amount, self.rules
        self._lead(bidder, amount)
        self._take_end(end_after(self, rules.soft_close, rules.first_bid_clock, at=event.at))
        return Answer(
            accepted=True,
            sequence=self.sequence,
            price=amount,
            leader=bidder,
            minimum_next=rules.minimum_next(amount),
            ends_at=self.ends_at,
        )

    def _sells(self) -> bool:
        enough = len(self._best) >= self.rules.minimum_bidders
        return self.price is not None and enough and self.rules.sells(self.price)

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        ranking = self._ranking()
        if state is not AuctionState.SOLD or self.price is None:
            return None, self.price, ranking, ()
        rows = awards(ranking, count=self.rules.awards, price=self.price, sells=self.rules.sells)
        return self.leader, self.price, ranking, rows

    def _rank(self, bidder: str) -> int:
        return self.rules.rank(bidder)

    def _phase(self, at: datetime) -> Phase:
        del at
        return Phase.BIDDING

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        del at
        return self.price, self.leader, self.rules.minimum_next(self.price), None


class EnglishFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("ends_at", "start_price", "increment")
    optional: Sequence[str] = (
        "reserve_price",
        "grid",
        "soft_close",
        "minimum_bidders",
        "minimum_raises",
        "awards",
        "priority",
        "first_bid_clock_seconds",
    )
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {AttemptKind.BID: (("bidder", "amount"), ())}

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at, ends_at = reading.end(members)
        soft = soft_close(members["soft_close"], ends_at)
        clock = first_bid_clock(members["first_bid_clock_seconds"])
        return read_ascending(members, currency, opens_at=opens_at, ends_at=ends_at, soft=soft, clock=clock)

    def start(self, rules: Rules) -> English:
        """Return an auction without events."""
        return English(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> English:
        """Return the play that `dump` was taken from."""
        return English(rules).restored(dump)


def read_ascending(
    members: Mapping[str, Node],
    currency: str,
    *,
    opens_at: datetime,
    ends_at: datetime,
    soft: SoftClose | None,
    clock: timedelta | None = None,
) -> Rules:
    """Read what English and two-phase rules share; raise `BadDocument`."""
    start_price = reading.positive(members["start_price"], currency)
    increment = increments.read(members["increment"], currency)
    return Rules(
        opens_at=opens_at,
        ends_at=ends_at,
        start_price=start_price,
        increment=increment,
        reserve_price=reading.amount(members["reserve_price"], currency),
        grid=reading.grid(members["grid"], increment),
        soft_close=soft,
        minimum_bidders=reading.count(members["minimum_bidders"], minimum=0, default=1),
        minimum_raises=reading.count(members["minimum_raises"], minimum=0, default=0),
        awards=reading.count(members["awards"], minimum=1, default=1),
        ranks=reading.ranks(members["priority"]),
        first_bid_clock=clock,
    )


def first_bid_clock(node: Node) -> timedelta | None:
    """Read `first_bid_clock_seconds`, which may be absent or null; raise `BadDocument`."""
    return reading.seconds(node) if node.given else None


def soft_close(node: Node, ends_at: datetime) -> SoftClose | None:
    """Read `soft_close`, which may be absent or null; raise `BadDocument`."""
    if not node.given:
        return None
    members = node.object(["window_seconds", "extension_seconds"], ["base", "hard_end"])
    hard_end = reading.instant(members["hard_end"]) if members["hard_end"].given else None
    if hard_end is not None and hard_end < ends_at:
        raise members["hard_end"].refuse("an instant not before ends_at")
    return SoftClose(
        window=reading.seconds(members["window_seconds"], minimum=0),
        extension=reading.seconds(members["extension_seconds"], minimum=0),
        base=Base(members["base"].one_of(list(Base))) if members["base"].given else Base.BID,
        hard_end=hard_end,
    )
