"""What every format has in common: attempts, answers, standings, outcomes, and the interface that a format satisfies.

A format reads its own rules and plays a log of events in order. Amounts are minor units of the rules' currency, times
are aware instants; nothing here knows who a bidder is beyond an opaque text.

Live use: one `Play` per auction is fed its events in order by `step`; `look` refuses from the standing as it is without
changing it; `standing` says what may be shown; `dump` and `Format.load` restore a play without its log.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from marketplace.documents import Node


class RefusalCode(enum.StrEnum):
    """Why an attempt is refused; stable, in the order in which the checks are made."""

    SUSPENDED = "suspended"
    NOT_OPEN = "not_open"
    LATE = "late"
    VOIDED = "voided"
    WRONG_PHASE = "wrong_phase"
    TAKEN = "taken"
    NOT_ELIGIBLE = "not_eligible"
    NO_SUCH_LOT = "no_such_lot"
    NOTHING_TO_WITHDRAW = "nothing_to_withdraw"
    ALREADY_LEADING = "already_leading"
    MAXIMUM_NOT_RAISED = "maximum_not_raised"
    BELOW_START = "below_start"
    BELOW_MINIMUM = "below_minimum"
    BELOW_LOT_RESERVES = "below_lot_reserves"
    OFF_GRID = "off_grid"
    PRICE_CHANGED = "price_changed"


class AuctionState(enum.StrEnum):
    """Where an auction stands. Derived from the rules, the log and the time; never stored."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    SUSPENDED = "suspended"
    SOLD = "sold"
    UNSOLD = "unsold"


class StandingOfAward(enum.StrEnum):
    """What a result proposes for a bidder: the first is to sign, others wait, or fall short of reserve or raises."""

    PENDING = "pending"
    WAITING = "waiting"
    UNSUCCESSFUL = "unsuccessful"


class EventKind(enum.StrEnum):
    """What can happen in an auction beside the attempts of its format."""

    SUSPEND = "suspend"
    RESUME = "resume"
    VOID = "void"


class AttemptKind(enum.StrEnum):
    """What bidders can do; which of these, a format says in its `attempts`."""

    BID = "bid"
    MAXIMUM = "maximum"
    ACCEPT = "accept"
    WITHDRAW = "withdraw"


class Phase(enum.StrEnum):
    """What kind of attempt the moment allows. Derived from rules, log and time; never stored."""

    BIDDING = "bidding"
    FREE = "free"
    DELAY = "delay"
    PAUSE = "pause"
    PRICES = "prices"
    ROUND = "round"
    SEALED = "sealed"
    BEST_BID = "best_bid"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: an attempt (`AttemptKind`) or an act of the operator (`EventKind`).

    `amount` is the bid or maximum; `seen` the price that a bidder saw when it accepted, None when it did not say;
    `lots` the lots of a package bid. Values that a kind does not have stay at their defaults.
    """

    at: datetime
    kind: str
    bidder: str = ""
    amount: int = 0
    seen: int | None = None
    lots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one event. `code` only when refused; the other values only where the format gives them."""

    accepted: bool
    code: RefusalCode | None = None
    sequence: int | None = None
    price: int | None = None
    leader: str | None = None
    minimum_next: int | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an auction stands at an instant. `price` and `leader` are None as long as nobody leads, and while sealed.

    `asked` is the price shown now (prices falling, gong rounds), which an `accept` takes. `sequence` is that of the
    last accepted attempt: while `sealed` is true it is for the log alone, since counts are nobody's to know. `ends_at`
    and `suspended_at` are those of the log so far; whether the auction is over, `at >= ends_at` says.
    """

    phase: Phase
    price: int | None
    leader: str | None
    minimum_next: int | None
    asked: int | None
    ends_at: datetime
    extensions: int
    sequence: int
    suspended_at: datetime | None
    sealed: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """A bidder and its best amount."""

    bidder: str
    amount: int


@dataclass(frozen=True, slots=True)
class Award:
    """What a bidder is awarded, at which price; `lots` only of a package auction, in the order of the rules."""

    bidder: str
    price: int
    state: StandingOfAward
    lots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result as of an instant. `winner` and `awards` only when sold."""

    state: AuctionState
    winner: str | None
    price: int | None
    ends_at: datetime
    extensions: int
    accepted: int
    ranking: Sequence[Ranked]
    awards: Sequence[Award]


class WholeLogNeeded(Exception):
    """A void was stepped on a play restored from a dump, and the format must apply all accepted attempts again."""


class TooMuchWork(Exception):
    """Deciding would take longer than any auction may: voids in a long log, or too many package bids to prove the best.

    It depends on the log alone, never on the machine.
    """


class Play(Protocol):
    """One auction being played, event by event in order of time. Mutable and for one owner; never shared by threads."""

    def look(self, event: Event) -> Answer | None:
        """Return the refusal that `step` would give this attempt now, or None; changes nothing.

        It is the cheap look before the lock. `not_open`, `voided` and, as the price only rises, `below_*` hold for
        later standings of the same log too unless a bidder is voided; `late` and `suspended` need not: say them under
        the lock.
        """

    def step(self, event: Event) -> Answer:
        """Take the next event and answer it: O(1) or O(log bidders), however long the log is.

        A void may cost O(log); on a play restored from a dump it may raise `WholeLogNeeded`: then start anew and step
        through the log first.
        """

    def standing(self, at: datetime) -> Standing:
        """Return where the auction stands at `at`, an instant not before the last event."""

    def outcome(self, as_of: datetime | None) -> Outcome:
        """Return the result as of an instant not before the last event; None means after everything has ended."""

    def dump(self) -> dict[str, Any]:
        """Return the state as a JSON value, of the size of the bidders in force, not of the log; see `Format.load`."""


class Format(Protocol):
    """A way to auction: the keys of its rules beside the common ones, its kinds of attempt, and its plays.

    `attempts` gives for each kind the keys required and the keys optional beside `at` and `kind`.
    """

    required: Sequence[str]
    optional: Sequence[str]
    attempts: Mapping[str, tuple[Sequence[str], Sequence[str]]]

    def read(self, members: Mapping[str, Node], currency: str) -> Any:
        """Read the rules; raise `BadDocument`. The value is immutable and belongs to the format."""

    def start(self, rules: Any) -> Play:
        """Return an auction under these rules without events."""

    def load(self, rules: Any, dump: Mapping[str, Any]) -> Play:
        """Return the play that `dump` was taken from; the rules are those it was played under."""
