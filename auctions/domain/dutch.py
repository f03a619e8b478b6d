"""The Dutch auction: prices fall by a time table until somebody takes one.

`steps.pause_seconds` pass before the first price, which is the start price; each is shown for `steps.seconds`. While an
auction is suspended its time table stands still.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auctions.domain import reading
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
from marketplace.documents import Node


@dataclass(frozen=True, slots=True)
class Ladder:
    """The falling prices: `count` of them from `start_price` in minor units, each `drop` lower, shown for `seconds`."""

    start_price: int
    count: int
    drop: int
    seconds: timedelta
    first_at: datetime

    @property
    def ends_at(self) -> datetime:
        """When the last price has been shown."""
        return self.first_at + self.count * self.seconds

    def price(self, at: datetime) -> int | None:
        """Return the price shown at `at`, None before the first and after the last."""
        if not self.first_at <= at < self.ends_at:
            return None
        return self.start_price - (at - self.first_at) // self.seconds * self.drop


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one Dutch auction."""

    opens_at: datetime
    ladder: Ladder


class Dutch(Course):
    """A Dutch auction being played; `_stood` is how long its time table has stood still."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(opens_at=rules.opens_at, ends_at=rules.ladder.ends_at)
        self.rules = rules
        self.price: int | None = None
        self.leader: str | None = None
        self._stood = timedelta(0)

    def _refusal(self, event: Event) -> Answer | None:
        shown = self.rules.ladder.price(event.at - self._stood)
        if shown is None:
            return refusal(RefusalCode.WRONG_PHASE)
        changed = event.seen is not None and event.seen != shown
        return refusal(RefusalCode.PRICE_CHANGED) if changed else None

    def _accept(self, event: Event) -> Answer:
        self.price = self.rules.ladder.price(event.at - self._stood)
        self.leader, self.ends_at = event.bidder, event.at
        return Answer(accepted=True, sequence=self.sequence, price=self.price, leader=self.leader, ends_at=self.ends_at)

    def _void(self, bidder: str) -> None:
        if self.leader == bidder:
            self.price = self.leader = None

    def _resume(self, suspended_at: datetime, at: datetime) -> None:
        self._stood += at - suspended_at
        super()._resume(suspended_at, at)

    def _sells(self) -> bool:
        return self.leader is not None

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        if self.leader is None or self.price is None:
            return None, None, (), ()
        ranking = [Ranked(self.leader, self.price)]
        if state is not AuctionState.SOLD:
            return None, self.price, ranking, ()
        return self.leader, self.price, ranking, awards(ranking, count=1, price=self.price)

    def _phase(self, at: datetime) -> Phase:
        return Phase.PAUSE if at - self._stood < self.rules.ladder.first_at else Phase.PRICES

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        running = self.suspended_at is None and self.opens_at <= at < self.ends_at
        asked = self.rules.ladder.price(at - self._stood) if running else None
        return self.price, self.leader, None, asked

    def _dump(self) -> dict[str, Any]:
        stood = self._stood // timedelta(microseconds=1)
        return {"price": self.price, "leader": self.leader, "stood_microseconds": stood}

    def _load(self, dump: Mapping[str, Any]) -> None:
        self.price, self.leader = dump["price"], dump["leader"]
        self._stood = timedelta(microseconds=dump["stood_microseconds"])


class DutchFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("start_price", "steps")
    optional: Sequence[str] = ()
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {AttemptKind.ACCEPT: (("bidder",), ("amount",))}

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at = reading.instant(members["opens_at"])
        return Rules(opens_at, read_ladder(members, currency, opens_at=opens_at))

    def start(self, rules: Rules) -> Dutch:
        """Return an auction without events."""
        return Dutch(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> Dutch:
        """Return the play that `dump` was taken from."""
        return Dutch(rules).restored(dump)


def read_ladder(members: Mapping[str, Node], currency: str, *, opens_at: datetime) -> Ladder:
    """Read `start_price` and `steps`: prices that stay above zero, a time table of bounded length."""
    start_price = reading.positive(members["start_price"], currency)
    steps = members["steps"].object(["count", "seconds", "drop", "pause_seconds"])
    count = steps["count"].integer(1, reading.MAX_COUNT)
    seconds, pause = reading.seconds(steps["seconds"]), reading.seconds(steps["pause_seconds"], minimum=0)
    drop = steps["drop"].amount(currency).minor
    if start_price - (count - 1) * drop <= 0:
        raise steps["drop"].refuse("so little that every price stays above zero")
    if count * (seconds // timedelta(seconds=1)) > reading.MAX_LENGTH // timedelta(seconds=1):
        raise steps["count"].refuse(f"a time table of at most {reading.MAX_LENGTH.days} days")
    return Ladder(start_price=start_price, count=count, drop=drop, seconds=seconds, first_at=opens_at + pause)
