"""The hybrid Dutch auction: falling prices, then sealed bids above the price taken, then the taker's best bid.

All on a fixed time table: prices, pause, sealed phase, pause, best-bid phase. Without a taker it is over with the
prices, without a sealed bid in force with the sealed phase. (Prozorro.Sale `insider`: 81 prices of 1 % per 5 minutes
down to 20 %, ten minutes of sealed bids, five minutes for the best bid of the Dutch winner; its code, grade P.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auctions.domain import reading
from auctions.domain.course import Course, awards, refusal
from auctions.domain.dutch import Ladder, read_ladder
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
from auctions.domain.sealed import Bids
from marketplace.documents import Node


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one hybrid Dutch auction with its time table, suspensions apart."""

    opens_at: datetime
    ladder: Ladder
    sealed_at: datetime
    sealed_ends_at: datetime
    best_at: datetime
    best_ends_at: datetime
    awards: int

    def phase(self, at: datetime) -> Phase:
        """Return the phase of the time table at `at`."""
        starts = (self.ladder.first_at, self.ladder.ends_at, self.sealed_at, self.sealed_ends_at, self.best_at)
        phases = (Phase.PAUSE, Phase.PRICES, Phase.PAUSE, Phase.SEALED, Phase.PAUSE, Phase.BEST_BID)
        return phases[sum(start <= at for start in starts)]


class HybridDutch(Course):
    """A hybrid Dutch auction being played.

    `_taker` took the Dutch price `_taken`, which sealed bids must exceed even after the taker was voided. `_bids` are
    the sealed bids in force, `_best` at most the taker's. `_not_before` holds an end that a void may not shorten.
    """

    def __init__(self, rules: Rules) -> None:
        super().__init__(opens_at=rules.opens_at, ends_at=rules.ladder.ends_at)
        self.rules = rules
        self._taker: str | None = None
        self._taken: int | None = None
        self._bids, self._best = Bids(), Bids()
        self._stood = timedelta(0)
        self._not_before = rules.ladder.ends_at

    def _refusal(self, event: Event) -> Answer | None:
        phase = self._phase(event.at)
        if event.kind == AttemptKind.ACCEPT:
            code = self._refused_accept(phase, event)
        elif phase is Phase.SEALED:
            code = self._refused_sealed(event)
        elif phase is Phase.BEST_BID:
            code = self._refused_best(event)
        else:
            code = RefusalCode.WRONG_PHASE
        return None if code is None else refusal(code)

    def _refused_accept(self, phase: Phase, event: Event) -> RefusalCode | None:
        if phase is not Phase.PRICES:
            return RefusalCode.WRONG_PHASE
        if self._taker is not None:
            return RefusalCode.TAKEN
        changed = event.seen is not None and event.seen != self._price_shown(event.at)
        return RefusalCode.PRICE_CHANGED if changed else None

    def _refused_sealed(self, event: Event) -> RefusalCode | None:
        if event.kind == AttemptKind.WITHDRAW:
            return None if event.bidder in self._bids.held else RefusalCode.NOTHING_TO_WITHDRAW
        if event.bidder == self._taker:
            return RefusalCode.NOT_ELIGIBLE
        return RefusalCode.BELOW_MINIMUM if event.amount <= (self._taken or 0) else None

    def _refused_best(self, event: Event) -> RefusalCode | None:
        if event.bidder != self._taker:
            return RefusalCode.NOT_ELIGIBLE
        if event.kind == AttemptKind.WITHDRAW:
            return None if event.bidder in self._best.held else RefusalCode.NOTHING_TO_WITHDRAW
        exceeded = max(self._taken or 0, self._bids.top())
        return RefusalCode.BELOW_MINIMUM if event.amount <= exceeded else None

    def _accept(self, event: Event) -> Answer:
        if event.kind == AttemptKind.ACCEPT:
            self._taker, self._taken = event.bidder, self._price_shown(event.at)
            self.ends_at = self._end()
            return Answer(
                accepted=True, sequence=self.sequence, price=self._taken, leader=self._taker, ends_at=self.ends_at
            )
        bids = self._bids if self._phase(event.at) is Phase.SEALED else self._best
        if event.kind == AttemptKind.WITHDRAW:
            del bids.held[event.bidder]
        else:
            bids.put(event.bidder, event.amount, self.sequence)
        self.ends_at = self._end()
        return Answer(accepted=True, ends_at=self.ends_at)

    def _end(self) -> datetime:
        """Return the end by the time table as the log stands."""
        if self._taker is None:
            end = self.rules.ladder.ends_at
        else:
            end = self.rules.best_ends_at if self._bids.held else self.rules.sealed_ends_at
        return max(end, self._not_before) + self._stood

    def _void(self, bidder: str) -> None:
        self._not_before = max(self._not_before, self.ends_at - self._stood)
        self._bids.held.pop(bidder, None)
        if self._taker == bidder:
            self._taker = None
            self._best.held.clear()

    def _resume(self, suspended_at: datetime, at: datetime) -> None:
        self._stood += at - suspended_at
        super()._resume(suspended_at, at)

    def _price_shown(self, at: datetime) -> int | None:
        return self.rules.ladder.price(at - self._stood)

    def _sells(self) -> bool:
        return self._taker is not None or bool(self._bids.held)

    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        ranking = self._ranking()
        if state is AuctionState.SOLD:
            price = ranking[0].amount
            return ranking[0].bidder, price, ranking, awards(ranking, count=self.rules.awards, price=price)
        return None, self._reached(as_of or self.suspended_at or self.ends_at), ranking, ()

    def _ranking(self) -> list[Ranked]:
        rows = self._bids.ranking()
        if self._taker is not None and self._taken is not None:
            amount = self._best.held.get(self._taker, (self._taken, 0))[0]
            rows.append(Ranked(self._taker, amount))
        return sorted(rows, key=lambda row: -row.amount)

    def _reached(self, at: datetime) -> int | None:
        """Return the price reached; sealed bids count from the end of their phase on, when they are opened."""
        if at - self._stood >= self.rules.sealed_ends_at:
            ranking = self._ranking()
            return ranking[0].amount if ranking else None
        return None if self._taker is None else self._taken

    def _sealed(self, at: datetime) -> bool:
        return self._phase(at) is Phase.SEALED

    def _phase(self, at: datetime) -> Phase:
        return self.rules.phase(at - self._stood)

    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        running = self.suspended_at is None and self._taker is None and self.opens_at <= at < self.ends_at
        asked = self._price_shown(at) if running else None
        return (None if self._taker is None else self._taken), self._taker, None, asked

    def _dump(self) -> dict[str, Any]:
        return {
            "taker": self._taker,
            "taken": self._taken,
            "bids": self._bids.dump(),
            "best": self._best.dump(),
            "stood_microseconds": self._stood // timedelta(microseconds=1),
            "not_before": self._not_before.isoformat(),
        }

    def _load(self, dump: Mapping[str, Any]) -> None:
        self._taker, self._taken = dump["taker"], dump["taken"]
        self._bids.load(dump["bids"])
        self._best.load(dump["best"])
        self._stood = timedelta(microseconds=dump["stood_microseconds"])
        self._not_before = datetime.fromisoformat(dump["not_before"])


class HybridDutchFormat:
    """The keys of this format's rules, and its plays."""

    required: Sequence[str] = ("start_price", "steps", "sealed_seconds", "best_bid_seconds", "pause_seconds")
    optional: Sequence[str] = ("awards",)
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
        AttemptKind.ACCEPT: (("bidder",), ("amount",)),
        AttemptKind.BID: (("bidder", "amount"), ()),
        AttemptKind.WITHDRAW: (("bidder",), ()),
    }

    def read(self, members: Mapping[str, Node], currency: str) -> Rules:
        """Read the rules; raise `BadDocument`."""
        opens_at = reading.instant(members["opens_at"])
        ladder = read_ladder(members, currency, opens_at=opens_at)
        pause = reading.seconds(members["pause_seconds"], minimum=0)
        sealed_at = ladder.ends_at + pause
        sealed_ends_at = sealed_at + reading.seconds(members["sealed_seconds"])
        best_at = sealed_ends_at + pause
        return Rules(
            opens_at=opens_at,
            ladder=ladder,
            sealed_at=sealed_at,
            sealed_ends_at=sealed_ends_at,
            best_at=best_at,
            best_ends_at=best_at + reading.seconds(members["best_bid_seconds"]),
            awards=reading.count(members["awards"], minimum=1, default=1),
        )

    def start(self, rules: Rules) -> HybridDutch:
        """Return an auction without events."""
        return HybridDutch(rules)

    def load(self, rules: Rules, dump: Mapping[str, Any]) -> HybridDutch:
        """Return the play that `dump` was taken from."""
        return HybridDutch(rules).restored(dump)
