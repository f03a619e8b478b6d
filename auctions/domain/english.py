"""The English auction: open ascending bids with a soft close, as fixed in the rules of an auction.

`decide` is the one function that accepts or refuses a bid; the live service calls it under the auction's row lock, and
`English` calls it for every attempt of a log. In time means `opens_at <= at < ends_at`. The soft close follows the SPC
rules on online judicial sale (2016), Art. 20, with window and extension as data; the priority of holders of a
pre-emption right follows Art. 21.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from auctions.domain import increments
from auctions.domain.formats import (
    Answer,
    AuctionState,
    Award,
    Event,
    EventKind,
    Outcome,
    Ranked,
    RefusalCode,
    StandingOfAward,
)
from auctions.domain.increments import Fixed, Increment
from marketplace.documents import BadDocument, Node

MAX_SECONDS: Final = 366 * 86_400
MAX_COUNT: Final = 1_000_000
NO_RANK: Final = MAX_COUNT + 1
YEARS: Final = range(1970, 2200)


class Base(enum.StrEnum):
    """From where an extension counts: the instant of the bid, or the end as it stood."""

    BID = "bid"
    END = "end"


@dataclass(frozen=True, slots=True)
class SoftClose:
    """A bid accepted when at most `window_seconds` are left moves the end; never beyond `hard_end`."""

    window_seconds: int
    extension_seconds: int
    base: Base = Base.BID
    hard_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one English auction; amounts in minor units. `ranks`: holders of a pre-emption right, 1 the best."""

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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an auction stands between two events. `price` is None as long as nobody leads."""

    ends_at: datetime
    hard_end: datetime | None = None
    price: int | None = None
    leader: str | None = None
    sequence: int = 0
    extensions: int = 0
    suspended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a bid is refused; `minimum_next` where knowing it lets the bidder do better."""

    code: RefusalCode
    minimum_next: int | None = None


def opening(rules: Rules) -> Standing:
    """Return the standing before the first event."""
    return Standing(ends_at=rules.ends_at, hard_end=rules.soft_close.hard_end if rules.soft_close else None)


def decide(
    rules: Rules, standing: Standing, *, bidder: str, amount: int, at: datetime, voided: bool = False
) -> Standing | Refusal:
    """Accept a bid of `amount` minor units at `at`, returning the new standing, or say why not.

    The first check that fails gives the code: suspended, not_open, late, voided, already_leading, below_start /
    below_minimum, off_grid. A holder of a better right than the leader's may bid exactly the price (a match).
    """
    barred = _barred(rules, standing, at=at, voided=voided)
    if barred is not None:
        return Refusal(barred)
    minimum = rules.minimum_next(standing.price)
    if standing.leader == bidder:
        return Refusal(RefusalCode.ALREADY_LEADING, minimum)
    if amount < minimum and not _matches(rules, standing, bidder, amount):
        return Refusal(
            RefusalCode.BELOW_START if standing.price is None else RefusalCode.BELOW_MINIMUM,
            minimum,
        )
    if rules.grid and (amount - rules.start_price) % rules.increment.above(rules.start_price):
        return Refusal(RefusalCode.OFF_GRID, minimum)
    ends_at = extended(rules, standing, at=at)
    return dataclasses.replace(
        standing,
        price=amount,
        leader=bidder,
        sequence=standing.sequence + 1,
        ends_at=ends_at,
        extensions=standing.extensions + (ends_at > standing.ends_at),
    )


def _barred(rules: Rules, standing: Standing, *, at: datetime, voided: bool) -> RefusalCode | None:
    if standing.suspended_at is not None:
        return RefusalCode.SUSPENDED
    if at < rules.opens_at:
        return RefusalCode.NOT_OPEN
    if at >= standing.ends_at:
        return RefusalCode.LATE
    return RefusalCode.VOIDED if voided else None


def _matches(rules: Rules, standing: Standing, bidder: str, amount: int) -> bool:
    return standing.leader is not None and amount == standing.price and rules.rank(bidder) < rules.rank(standing.leader)


def extended(rules: Rules, standing: Standing, *, at: datetime) -> datetime:
    """Return the end after a bid accepted at `at`: later when `at` lies in the window (inclusive), never earlier."""
    soft = rules.soft_close
    if soft is None or standing.ends_at - at > timedelta(seconds=soft.window_seconds):
        return standing.ends_at
    base = at if soft.base is Base.BID else standing.ends_at
    target = base + timedelta(seconds=soft.extension_seconds)
    if standing.hard_end is not None:
        target = min(target, standing.hard_end)
    return max(standing.ends_at, target)


def suspended(standing: Standing, *, at: datetime) -> Standing:
    """Return the standing after a suspension; one that is suspended or over stays as it is."""
    if standing.suspended_at is not None or at >= standing.ends_at:
        return standing
    return dataclasses.replace(standing, suspended_at=at)


def resumed(rules: Rules, standing: Standing, *, at: datetime) -> Standing:
    """Return the standing after a resumption: its end is `at` + max(remaining, one extension).

    A hard end moves by the length of the suspension; bidders have their extension even where it reaches beyond it.
    """
    if standing.suspended_at is None:
        return standing
    extension = timedelta(seconds=rules.soft_close.extension_seconds if rules.soft_close else 0)
    length = at - standing.suspended_at
    return dataclasses.replace(
        standing,
        suspended_at=None,
        ends_at=at + max(standing.ends_at - standing.suspended_at, extension),
        hard_end=None if standing.hard_end is None else standing.hard_end + length,
    )


class English:
    """An English auction being played: its standing, the accepted bids still in force, and who is void."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.standing = opening(rules)
        self._top: list[tuple[str, int]] = []
        self._best: dict[str, tuple[int, int]] = {}
        self._voided: set[str] = set()

    def step(self, event: Event) -> Answer:
        """Take the next event and answer it."""
        if event.kind == "bid":
            return self._bid(event)
        if event.kind == EventKind.SUSPEND:
            self.standing = suspended(self.standing, at=event.at)
        elif event.kind == EventKind.RESUME:
            self.standing = resumed(self.rules, self.standing, at=event.at)
        else:
            self._void(event.bidder)
        return Answer(accepted=True)

    def _bid(self, event: Event) -> Answer:
        decision = decide(
            self.rules,
            self.standing,
            bidder=event.bidder,
            amount=event.amount,
            at=event.at,
            voided=event.bidder in self._voided,
        )
        if isinstance(decision, Refusal):
            return Answer(accepted=False, code=decision.code, minimum_next=decision.minimum_next)
        self.standing = decision
        self._top.append((event.bidder, event.amount))
        self._best[event.bidder] = (event.amount, decision.sequence)
        return Answer(
            accepted=True,
            sequence=decision.sequence,
            price=decision.price,
            leader=decision.leader,
            minimum_next=self.rules.minimum_next(decision.price),
            ends_at=decision.ends_at,
        )

    def _void(self, bidder: str) -> None:
        """Apply the remaining bids again: amounts never fall along the log, so the last one stands. The end stays."""
        self._voided.add(bidder)
        self._best.pop(bidder, None)
        while self._top and self._top[-1][0] in self._voided:
            self._top.pop()
        leader, price = self._top[-1] if self._top else (None, None)
        self.standing = dataclasses.replace(self.standing, leader=leader, price=price)

    def outcome(self, as_of: datetime | None) -> Outcome:
        """Return the result as of an instant not before the last event; None means after everything has ended."""
        standing, ranking = self.standing, self._ranking()
        state = self._state(as_of)
        sold = state is AuctionState.SOLD
        return Outcome(
            state=state,
            winner=standing.leader if sold else None,
            price=standing.price,
            ends_at=standing.ends_at,
            extensions=standing.extensions,
            accepted=standing.sequence,
            ranking=ranking,
            awards=self._awards(ranking) if sold else (),
        )

    def _state(self, as_of: datetime | None) -> AuctionState:
        if self.standing.suspended_at is not None:
            return AuctionState.SUSPENDED
        if as_of is not None and as_of < self.rules.opens_at:
            return AuctionState.SCHEDULED
        if as_of is not None and as_of < self.standing.ends_at:
            return AuctionState.OPEN
        price = self.standing.price
        enough = price is not None and len(self._best) >= self.rules.minimum_bidders and self.rules.sells(price)
        return AuctionState.SOLD if enough else AuctionState.UNSOLD

    def _ranking(self) -> Sequence[Ranked]:
        def order(bidder: str) -> tuple[int, int, int]:
            amount, sequence = self._best[bidder]
            return (-amount, self.rules.rank(bidder), sequence)

        return [Ranked(bidder, self._best[bidder][0]) for bidder in sorted(self._best, key=order)]

    def _awards(self, ranking: Sequence[Ranked]) -> Sequence[Award]:
        first, *others = ranking[: self.rules.awards]
        rows = [Award(first.bidder, first.amount, StandingOfAward.PENDING)]
        for row in others:
            state = StandingOfAward.WAITING if self.rules.sells(row.amount) else StandingOfAward.UNSUCCESSFUL
            rows.append(Award(row.bidder, row.amount, state))
        return rows


class EnglishFormat:
    """The keys and the reader of this format's rules."""

    required: Sequence[str] = ("ends_at", "start_price", "increment")
    optional: Sequence[str] = (
        "reserve_price",
        "grid",
        "soft_close",
        "minimum_bidders",
        "minimum_raises",
        "awards",
        "priority",
    )
    attempts: Mapping[str, Sequence[str]] = {"bid": ("bidder", "amount")}

    def play(self, members: Mapping[str, Node], currency: str) -> English:
        """Read the rules and return an auction without events; raise `BadDocument`."""
        return English(read(members, currency))


def read(members: Mapping[str, Node], currency: str) -> Rules:
    """Read the rules of an English auction; raise `BadDocument`."""
    opens_at, ends_at = instant(members["opens_at"]), instant(members["ends_at"])
    if ends_at <= opens_at:
        raise members["ends_at"].refuse("an instant after opens_at")
    start_price = members["start_price"].amount(currency).minor
    if start_price <= 0:
        raise members["start_price"].refuse("more than zero")
    increment = increments.read(members["increment"], currency)
    grid = members["grid"].boolean() if members["grid"].given else False
    if grid and not isinstance(increment, Fixed):
        raise members["grid"].refuse("false, because the increment is not fixed")
    return Rules(
        opens_at=opens_at,
        ends_at=ends_at,
        start_price=start_price,
        increment=increment,
        reserve_price=members["reserve_price"].amount(currency).minor if members["reserve_price"].given else None,
        grid=grid,
        soft_close=_soft_close(members["soft_close"], ends_at) if members["soft_close"].given else None,
        minimum_bidders=_count(members["minimum_bidders"], minimum=0, default=1),
        minimum_raises=_count(members["minimum_raises"], minimum=0, default=0),
        awards=_count(members["awards"], minimum=1, default=1),
        ranks=_ranks(members["priority"]) if members["priority"].given else {},
    )


def instant(node: Node) -> datetime:
    """Read an instant of the years 1970 to 2199, so that no sum of instants and seconds leaves the calendar."""
    value = node.instant()
    if value.year not in YEARS:
        raise node.refuse(f"an instant of the years {YEARS.start} to {YEARS.stop - 1}")
    return value


def _count(node: Node, *, minimum: int, default: int) -> int:
    return node.integer(minimum, MAX_COUNT) if node.given else default


def _soft_close(node: Node, ends_at: datetime) -> SoftClose:
    members = node.object(["window_seconds", "extension_seconds"], ["base", "hard_end"])
    hard_end = instant(members["hard_end"]) if members["hard_end"].given else None
    if hard_end is not None and hard_end < ends_at:
        raise members["hard_end"].refuse("an instant not before ends_at")
    return SoftClose(
        window_seconds=members["window_seconds"].integer(0, MAX_SECONDS),
        extension_seconds=members["extension_seconds"].integer(0, MAX_SECONDS),
        base=Base(members["base"].one_of(list(Base))) if members["base"].given else Base.BID,
        hard_end=hard_end,
    )


def _ranks(node: Node) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for row in node.list(maximum=MAX_COUNT):
        members = row.object(["bidder", "rank"])
        bidder = members["bidder"].text()
        if bidder in ranks:
            raise BadDocument(members["bidder"].pointer, bidder, "each bidder once")
        ranks[bidder] = members["rank"].integer(1, MAX_COUNT)
    return ranks
