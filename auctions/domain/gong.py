"""Gong rounds: each round asks one price, the first taker ends it, a pause follows, the next round asks a step more.

A round that nobody takes ends the auction. After the open ascending format of Prozorro.Sale whose rounds last three
minutes with a deadline in the afternoon (its public worker, `gong`; grade P).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auctions.domain import reading
from auctions.domain.ascending import Ascending
from auctions.domain.course import awards, refusal
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
class Rules:
    """The rules of gong rounds; amounts in minor units. No round starts at or after `stop_at`."""

    opens_at: datetime
    start_price: int
    step: int
    pause: timedelta
    round: timedelta
    stop_at: datetime
    awards: int


class Gong(Ascending):
    """Gong rounds being played; `round_at` is the start of the round that runs or comes next."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(
            opens_at=rules.opens_at,
            ends_at=min(rules.opens_at + rules.round, rules.stop_at),
            hard_end=rules.stop_at,
            extension=rules.round,
        )
        self.rules = rules
        self.round_at = rules.opens_at
        self._best = {}

    @property
    def asked(self) -> int:
        """The price that the round asks: a step above the price reached, at first above the start price."""
        return (self.rules.start_price if self.price is None else self.price) + self.rules.step

    def _refusal(self, event: Event) -> Answer | None:
        if event.at < self.round_at:
            return refusal(RefusalCode.WRONG_PHASE)
        asked = self.asked
        if self.leader == event.bidder:
            return refusal(RefusalCode.ALREADY_LEADING, asked)
        if event.kind == AttemptKind.ACCEPT:
            changed = event.seen is not None and event.seen != asked
            return refusal(RefusalCode.PRICE_CHANGED) if changed else None
        if event.amount < asked:
            return refusal(RefusalCode.BELOW_START if self.price is None else RefusalCode.BELOW_MINIMUM, asked)
        off = (event.amount - self.rules.start_price) % self.rules.step
        return refusal(RefusalCode.OFF_GRID, asked) if off else None

    def _accept(self, event: Event) -> Answer:
        self._lead(event.bidder, self.asked if event.kind == AttemptKind.ACCEPT else event.amount)
        self.round_at = event.at + self.rules.pause
        ends_at = self._cut(self.round_at + self.rules.round)
        if ends_at > self.ends_at:
            self.ends_at = ends_at
            self.extensions += 1
        return Answer(
            accepted=True,
            sequence=self.sequence,
            price=self.price,
            leader=self.leader,
            minimum_next=self.asked,
            ends_at=self.ends_at,
        )

    def _cut(self, ends_at: datetime) -> datetime:
        return ends_at if self.hard_end is None else min(ends_at, self.hard_end)

    def _resume(self, suspended_at: datetime, at: datetime) -> None:
        if suspended_at < self.round_at:
            self.round_at += at - suspended_at
        super()._resume(suspended_at, at)
        self.ends_at = self._cut(self.ends_at)

    def _sells(self) -> bool:
        return self.leader is not None

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        del as_of
        ranking = self._ranking()
        if state is not AuctionState.SOLD or self.price is None:
            return None, self.price, ranking, ()
        return self.leader, self.price, ranking, awards(ranking, count=self.rules.awards, price=self.price)

    def _phase(self, at: datetime) -> Phase:
        return Phase.PAUSE if at < self.round_at else Phase.ROUND

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        asked = self.asked if self.round_at <= at < self.ends_at else None
        return self.price, self.leader, self.asked, asked

    def _dump(self) -> dict[str, Any]:
        return super()._dump() | {"round_at": self.round_at.isoformat()}

    def _load(self, dump: Mapping[str, Any]) -> None:
        super()._load(dump)
        self.round_at = datetime.fromisoformat(dump["round_at"])


class GongFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("start_price", "increment", "pause_seconds", "round_seconds", "stop_at")
    optional: Sequence[str] = ("awards",)
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
        AttemptKind.ACCEPT: (("bidder",), ("amount",)),
        AttemptKind.BID: (("bidder", "amount"), ()),
    }

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at, stop_at = reading.end(members, "stop_at")
        return Rules(
            opens_at=opens_at,
            start_price=reading.positive(members["start_price"], currency),
            step=reading.fixed(members["increment"], currency),
            pause=reading.seconds(members["pause_seconds"], minimum=0),
            round=reading.seconds(members["round_seconds"]),
            stop_at=stop_at,
            awards=reading.count(members["awards"], minimum=1, default=1),
        )

    def start(self, rules: Rules) -> Gong:
        """Return an auction without events."""
        return Gong(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> Gong:
        """Return the play that `dump` was taken from."""
        return Gong(rules).restored(dump)
