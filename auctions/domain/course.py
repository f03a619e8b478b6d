"""The course of an auction, whatever its format: the clock, suspension, void bidders, the numbers of accepted attempts.

A format derives its play from `Course` and says which attempts it refuses, what an accepted one changes, and who wins.
In time means `opens_at <= at < ends_at`.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self

from auctions.domain.formats import (
    Answer,
    AuctionState,
    Award,
    Event,
    EventKind,
    Outcome,
    Phase,
    Ranked,
    RefusalCode,
    Standing,
    StandingOfAward,
)

ACCEPTED: Final = Answer(accepted=True)
"""The answer to an act of the operator."""


def refusal(code: RefusalCode, minimum_next: int | None = None) -> Answer:
    """Return the answer to a refused attempt; `minimum_next` where the format tells it."""
    return Answer(accepted=False, code=code, minimum_next=minimum_next)


class Course(abc.ABC):
    """One auction being played; satisfies `formats.Play`.

    `ends_at` is the end as the log stands. On resumption it is `at` + max(remaining, one extension), and a hard end
    moves by the length of the suspension; bidders have their extension even where it reaches beyond the hard end.
    """

    def __init__(
        self,
        *,
        opens_at: datetime,
        ends_at: datetime,
        hard_end: datetime | None = None,
        extension: timedelta = timedelta(0),
    ) -> None:
        self.opens_at = opens_at
        self.ends_at = ends_at
        self.hard_end = hard_end
        self.extension = extension
        self.suspended_at: datetime | None = None
        self.sequence = 0
        self.extensions = 0
        self.voided: set[str] = set()

    def look(self, event: Event) -> Answer | None:
        """Return the refusal that `step` would give this attempt now, or None."""
        if self.suspended_at is not None:
            return refusal(RefusalCode.SUSPENDED)
        if event.at < self.opens_at:
            return refusal(RefusalCode.NOT_OPEN)
        if event.at >= self.ends_at:
            return refusal(RefusalCode.LATE)
        if event.bidder in self.voided:
            return refusal(RefusalCode.VOIDED)
        return self._refusal(event)

    def step(self, event: Event) -> Answer:
        """Take the next event and answer it."""
        kind = event.kind
        if kind == EventKind.SUSPEND:
            if self.suspended_at is None and event.at < self.ends_at:
                self.suspended_at = event.at
            return ACCEPTED
        if kind == EventKind.RESUME:
            if self.suspended_at is not None:
                self._resume(self.suspended_at, event.at)
            return ACCEPTED
        if kind == EventKind.VOID:
            if event.bidder not in self.voided:
                self.voided.add(event.bidder)
                self._void(event.bidder)
            return ACCEPTED
        refused = self.look(event)
        if refused is not None:
            return refused
        self.sequence += 1
        return self._accept(event)

    def outcome(self, as_of: datetime | None) -> Outcome:
        """Return the result as of an instant not before the last event; None means after everything has ended."""
        state = self._state(as_of)
        winner, price, ranking, awards = self._result(state, as_of)
        return Outcome(
            state=state,
            winner=winner,
            price=price,
            ends_at=self.ends_at,
            extensions=self.extensions,
            accepted=self.sequence,
            ranking=ranking,
            awards=awards,
        )

    def standing(self, at: datetime) -> Standing:
        """Return where the auction stands at `at`."""
        price, leader, minimum_next, asked = self._shown(at)
        return Standing(
            phase=self._phase(at),
            price=price,
            leader=leader,
            minimum_next=minimum_next,
            asked=asked,
            ends_at=self.ends_at,
            extensions=self.extensions,
            sequence=self.sequence,
            suspended_at=self.suspended_at,
            sealed=self._sealed(at),
        )

    def dump(self) -> dict[str, Any]:
        """Return the whole state as a JSON value."""
        return {
            "ends_at": self.ends_at.isoformat(),
            "hard_end": self.hard_end and self.hard_end.isoformat(),
            "suspended_at": self.suspended_at and self.suspended_at.isoformat(),
            "sequence": self.sequence,
            "extensions": self.extensions,
            "voided": sorted(self.voided),
        } | self._dump()

    def restored(self, dump: Mapping[str, Any]) -> Self:
        """Take the state of a dump over and return the play."""
        self.ends_at = datetime.fromisoformat(dump["ends_at"])
        self.hard_end = _instant(dump["hard_end"])
        self.suspended_at = _instant(dump["suspended_at"])
        self.sequence, self.extensions = dump["sequence"], dump["extensions"]
        self.voided = set(dump["voided"])
        self._load(dump)
        return self

    def _resume(self, suspended_at: datetime, at: datetime) -> None:
        length = at - suspended_at
        self.suspended_at = None
        self.ends_at = at + max(self.ends_at - suspended_at, self.extension)
        if self.hard_end is not None:
            self.hard_end += length

    def _take_end(self, ends_at: datetime) -> None:
        """Take over the end that an accepted attempt leads to; a later one is an extension."""
        self.extensions += ends_at > self.ends_at
        self.ends_at = ends_at

    def _state(self, as_of: datetime | None) -> AuctionState:
        if self.suspended_at is not None:
            return AuctionState.SUSPENDED
        if as_of is not None and as_of < self.opens_at:
            return AuctionState.SCHEDULED
        if as_of is not None and as_of < self.ends_at:
            return AuctionState.OPEN
        return AuctionState.SOLD if self._sells() else AuctionState.UNSOLD

    def _sealed(self, at: datetime) -> bool:
        """Whether amounts and counts are nobody's to know at `at`; open formats never hide them."""
        del at
        return False

    @abc.abstractmethod
    def _refusal(self, event: Event) -> Answer | None:
        """Return why the format refuses an attempt that is in time and of a bidder not void; None accepts it."""

    @abc.abstractmethod
    def _accept(self, event: Event) -> Answer:
        """Apply an attempt that takes the sequence `self.sequence`, and answer it."""

    @abc.abstractmethod
    def _void(self, bidder: str) -> None:
        """Apply the remaining accepted attempts again in order, without re-checking; the end stays."""

    @abc.abstractmethod
    def _sells(self) -> bool:
        """Whether the auction, being over, has sold."""

    @abc.abstractmethod
    def _result(
        self, state: AuctionState, as_of: datetime | None
    ) -> tuple[str | None, int | None, Sequence[Ranked], Sequence[Award]]:
        """Return winner, price, ranking and awards in a state, as of an instant or after everything."""

    @abc.abstractmethod
    def _phase(self, at: datetime) -> Phase:
        """Return the phase at an instant."""

    @abc.abstractmethod
    def _shown(self, at: datetime) -> tuple[int | None, str | None, int | None, int | None]:
        """Return price, leader, least next bid and asked price as anybody may see them at `at`."""

    @abc.abstractmethod
    def _dump(self) -> dict[str, Any]:
        """Return what the format keeps beside what every course keeps."""

    @abc.abstractmethod
    def _load(self, dump: Mapping[str, Any]) -> None:
        """Take over what `_dump` returned."""


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def awards(
    ranking: Sequence[Ranked], *, count: int, price: int, sells: Callable[[int], bool] = lambda _: True
) -> Sequence[Award]:
    """Return the first `count` of a ranking: the first at `price`, the others waiting at their own amount.

    An amount that would not sell by itself (`sells`) is unsuccessful.
    """
    first, *others = ranking[:count]
    rows = [Award(first.bidder, price, StandingOfAward.PENDING)]
    for row in others:
        state = StandingOfAward.WAITING if sells(row.amount) else StandingOfAward.UNSUCCESSFUL
        rows.append(Award(row.bidder, row.amount, state))
    return rows
