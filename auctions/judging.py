"""One attempt judged by the standing of its auction: by the pure engine, at a time, for a bidder with a seat.

Nothing here asks the database. What may be accepted is accepted only in a room whose row is locked; everything that a
bidder is shown is made afterwards (`auctions.answering`), when others have the lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from auctions import log, plays, receipts, refusals
from auctions.domain.formats import Answer, AttemptKind, Event, RefusalCode, Standing
from auctions.domain.proofs import Signer
from auctions.eligibility import Seat
from auctions.log import Deed, Entry, Head
from auctions.plays import Live
from auctions.receipts import Attempt, Receipt
from marketplace.errors import Failure, Invalid
from marketplace.idempotency import IdempotencyKeyReused
from marketplace.money import MAX_MINOR, CurrencyMismatch, InvalidAmount, Money

LARGEST_MINOR: Final = MAX_MINOR // 100
"""No bid is greater, so that whatever the rules ask for after it is still an amount."""

_ONLY_UNDER_THE_LOCK: Final = frozenset({RefusalCode.LATE, RefusalCode.SUSPENDED, RefusalCode.WRONG_PHASE})


@dataclass(frozen=True, slots=True)
class Case:
    """An attempt and its place in the batch."""

    place: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal by the rules, and the standing it was made by."""

    case: Case
    event: Event
    answer: Answer
    standing: Standing


@dataclass(frozen=True, slots=True)
class Turned:
    """A bidder turned away although the rules of the auction would not refuse it, and the standing then.

    It may not bid, is too fast, has to confirm, or used its key for something else.
    """

    case: Case
    event: Event
    failure: Failure
    standing: Standing


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An attempt that was accepted; `entry` is to be written. A repetition in the same batch gets the same."""

    case: Case
    seat: Seat
    answer: Answer
    entry: Entry


Decision = Receipt | Failure | Refusal | Turned | Acceptance
"""What becomes of an attempt: a receipt that it got before, a failure, or what its signed answer is made of."""


@dataclass(slots=True)
class Room:
    """An auction while a batch is decided: its row, its play, the seats of the batch's bidders, the new entries.

    `seats` are by the number of the organisation's id; `earlier` has the entries made before with keys of this batch,
    by key of the seat and digest together, as `accepted` has what is new.
    """

    row: Any
    at: datetime
    live: Live
    standing: Standing
    head: Head
    signer: Signer
    sealed: bool
    locked: bool
    seats: Mapping[int, Seat]
    earlier: Mapping[bytes, Any]
    accepted: dict[bytes, Acceptance] = field(default_factory=dict)


def judge(room: Room, case: Case) -> Decision | None:
    """Decide one attempt; None when it may be accepted, which only the lock decides."""
    seat = room.seats.get(case.attempt.actor.organisation_id.int)
    if seat is None:
        return refusals.NotRegistered()
    try:
        earlier = _earlier(room, case, seat)
        if earlier is not None:
            return earlier
        if seat.barred is not None:
            raise seat.barred
        return _by_the_rules(room, case, seat)
    except Failure as failure:
        return _turned(room, case, seat, failure)


def _turned(room: Room, case: Case, seat: Seat, failure: Failure) -> Turned | Failure:
    """Return how a bidder is turned away; what is no attempt of this auction is not signed."""
    try:
        _readable(room, case.attempt)
    except Invalid:
        return failure
    return Turned(case, _event(room, case.attempt, seat), failure, room.standing)


def _earlier(room: Room, case: Case, seat: Seat) -> Receipt | Acceptance | None:
    """Return what this key got before; raise `IdempotencyKeyReused` for another attempt."""
    key = seat.key + case.attempt.digest
    twin = room.accepted.get(key)
    if twin is not None:
        if not _same(case.attempt, twin.case.attempt.kind, twin.case.attempt.amount):
            raise IdempotencyKeyReused
        return twin
    entry = room.earlier.get(key)
    if entry is None:
        return None
    first = receipts.again(room.row, entry)
    if entry.auction_id != room.row.id or not _same(case.attempt, first.kind, first.amount):
        raise IdempotencyKeyReused
    return first


def _same(attempt: Attempt, kind: AttemptKind, amount: Money | None) -> bool:
    return attempt.kind == kind and attempt.amount in {amount, None}


def _by_the_rules(room: Room, case: Case, seat: Seat) -> Refusal | Acceptance | None:
    """Refuse by the rules of the auction, else accept under the lock; None without it."""
    _readable(room, case.attempt)
    event = _event(room, case.attempt, seat)
    refused = room.live.play.look(event) if room.row.outcome is None else plays.LATE
    if refused is not None:
        if not room.locked and room.row.outcome is None and _undecided(room, refused):
            return None
        return Refusal(case, event, refused, room.standing)
    _confirmed(room, case.attempt)
    _paced(room, seat)
    return _accept(room, case, seat, event) if room.locked else None


def _readable(room: Room, attempt: Attempt) -> None:
    """Raise what no rule of the auction has to refuse: it is no attempt of this auction."""
    amount = attempt.amount
    if not plays.takes(room.row, attempt.kind, amount=amount is not None, lots=bool(attempt.lots)):
        raise refusals.AttemptNotTaken(attempt.kind, plays.attempts_of(room.row))
    if amount is not None:
        if amount.currency != room.row.currency:
            raise CurrencyMismatch(amount.currency, room.row.currency)
        if amount.minor > LARGEST_MINOR:
            raise InvalidAmount(amount.text, amount.currency)


def _event(room: Room, attempt: Attempt, seat: Seat) -> Event:
    """Return the attempt as the engine takes it."""
    minor = None if attempt.amount is None else attempt.amount.minor
    if attempt.kind == AttemptKind.ACCEPT:
        return Event(room.at, attempt.kind, seat.bidder_code, seen=minor)
    return Event(room.at, attempt.kind, seat.bidder_code, minor or 0, lots=attempt.lots)


def _undecided(room: Room, refused: Answer) -> bool:
    """Whether only the lock can say it. Whether a sealed bidder has a bid to withdraw is nobody's to know."""
    if room.sealed:
        return refused.code in {RefusalCode.LATE, RefusalCode.NOTHING_TO_WITHDRAW}
    return refused.code in _ONLY_UNDER_THE_LOCK


def _confirmed(room: Room, attempt: Attempt) -> None:
    """Ask again before an amount far above what is needed is taken: it may have a digit too many."""
    percent = room.row.confirm_above_percent
    if attempt.confirmed or attempt.amount is None or percent is None:
        return
    minimum = room.standing.minimum_next
    minimum = plays.floor_of(room.row) if minimum is None and room.sealed else minimum
    if minimum is None:
        return
    if (attempt.amount.minor - minimum) * 100 > minimum * percent:
        raise refusals.ConfirmationRequired(minimum_next=Money(minimum, room.row.currency), at=room.at)


def _paced(room: Room, seat: Seat) -> None:
    """Hold the time between two accepted attempts of one registration."""
    wait = room.live.wait(seat.bidder_code, seconds=room.row.attempt_interval_seconds, at=room.at)
    if wait > timedelta(0):
        raise refusals.TooFast(wait=wait, at=room.at)


def _accept(room: Room, case: Case, seat: Seat, event: Event) -> Acceptance:
    answer = room.live.step(event)
    room.standing = room.live.play.standing(room.at)
    deed = Deed(event, seat.id, case.attempt.actor, case.attempt.digest)
    entry = log.append(room.head, deed, answer, room.standing, key_id=room.signer.key_id)
    accepted = Acceptance(case, seat, answer, entry)
    room.accepted[seat.key + case.attempt.digest] = accepted
    return accepted
