"""What every format has in common: attempts, answers, outcomes, and the interface that a format satisfies.

A format reads its own rules and plays a log of events in order. Amounts are minor units of the rules' currency, times
are aware instants; nothing here knows who a bidder is beyond an opaque text.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from marketplace.documents import Node


class RefusalCode(enum.StrEnum):
    """Why an attempt is refused; stable, in the order in which the checks are made."""

    SUSPENDED = "suspended"
    NOT_OPEN = "not_open"
    LATE = "late"
    VOIDED = "voided"
    ALREADY_LEADING = "already_leading"
    BELOW_START = "below_start"
    BELOW_MINIMUM = "below_minimum"
    OFF_GRID = "off_grid"


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


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: an attempt (`kind` of the format) or an act of the operator (`EventKind`)."""

    at: datetime
    kind: str
    bidder: str = ""
    amount: int = 0


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
class Ranked:
    """A bidder and its best amount."""

    bidder: str
    amount: int


@dataclass(frozen=True, slots=True)
class Award:
    """What a bidder is awarded, at which price."""

    bidder: str
    price: int
    state: StandingOfAward


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


class Play(Protocol):
    """One auction being played, event by event in order of time."""

    def step(self, event: Event) -> Answer:
        """Take the next event and answer it."""

    def outcome(self, as_of: datetime | None) -> Outcome:
        """Return the result as of an instant not before the last event; None means after everything has ended."""


class Format(Protocol):
    """A way to auction. `attempts` are its kinds of event with the keys that each has beside `at` and `kind`."""

    required: Sequence[str]
    optional: Sequence[str]
    attempts: Mapping[str, Sequence[str]]

    def play(self, members: Mapping[str, Node], currency: str) -> Play:
        """Read the rules and return an auction without events; raise `BadDocument`."""
