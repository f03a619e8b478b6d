"""Attempts: decided in batches by the pure engine, under the auction's row lock, at the time of PostgreSQL's clock.

A look without the lock comes first: a refused attempt is answered from the last committed standing and makes nobody
wait. `late` and `suspended` are the exception: a bid that is decided but not committed may have moved the end, so they
are said only under the lock. Whatever the look does not refuse is decided again, in order, in one transaction: one
lock, one reading of the clock, one statement for everything that was accepted.

What a batch refuses under the lock was put there by an attempt before it that the look would have taken; its receipts
are signed when the lock is no longer needed, if the caller says so (`later`).

An attempt is refused as too fast only if it would have been accepted, and only accepted ones count: refused attempts
write nothing, and whoever floods the doors with them is stopped there.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy.orm import Session

from auctions import eligibility, log, plays, receipts, refusals, signing
from auctions.domain.formats import Answer, AttemptKind, Event, RefusalCode, Standing
from auctions.domain.proofs import Signer
from auctions.log import Deed, Head
from auctions.plays import Live
from auctions.receipts import Attempt, Receipt
from marketplace import db, runtime
from marketplace.actor import Actor
from marketplace.errors import Failure, NotFound
from marketplace.idempotency import IdempotencyKeyReused
from marketplace.money import MAX_MINOR, CurrencyMismatch, InvalidAmount, Money

MAX_BATCH: Final = 256
"""So many attempts are decided in one transaction at most."""

LARGEST_MINOR: Final = MAX_MINOR // 100
"""No bid is greater, so that whatever the rules ask for after it is still an amount."""

_ONLY_UNDER_THE_LOCK: Final = frozenset({RefusalCode.LATE, RefusalCode.SUSPENDED, RefusalCode.WRONG_PHASE})


@dataclass(slots=True)
class Room:
    """An auction while a batch is decided: its row, its play, the places of the batch's bidders, the new entries."""

    row: Any
    at: datetime
    live: Live
    standing: Standing
    head: Head
    signer: Signer
    sealed: bool
    locked: bool
    seats: Sequence[Any]
    barred: Mapping[uuid.UUID, Failure]
    unsigned: list[Callable[[], None]]
    entries: list[log.Entry] = field(default_factory=list)
    receipts: dict[tuple[uuid.UUID, bytes], Receipt] = field(default_factory=dict)


def place_bid(
    session: Session,
    *,
    auction_id: uuid.UUID,
    idempotency_key: str,
    actor: Actor,
    kind: AttemptKind = AttemptKind.BID,
    amount: Money | None = None,
    lots: Sequence[str] = (),
    confirmed: bool = False,
) -> Receipt:
    """Make one attempt for the actor's organisation: a batch of one.

    The same key again returns the first receipt. Raises `NotFound`, `NotRegistered`, `NotApproved`, `DepositNotHeld`,
    `CurrencyMismatch`, `IdempotencyKeyReused`, `ConfirmationRequired`, `TooFast`, and a `BidRefused` with the code of
    the rules.
    """
    attempt = Attempt(actor, idempotency_key, kind, amount, tuple(lots), confirmed)
    answer = decide_batch(session, auction_id=auction_id, attempts=[attempt])[0]
    if isinstance(answer, Failure):
        raise answer
    return answer


def decide_batch(
    session: Session,
    *,
    auction_id: uuid.UUID,
    attempts: Sequence[Attempt],
    later: list[Callable[[], None]] | None = None,
) -> list[Receipt | Failure]:
    """Decide up to `MAX_BATCH` attempts in order, in the caller's one transaction; answers come in the same order.

    An answer holds once the caller has committed. A failure of one attempt is its answer and touches no other; what is
    raised instead (a lost connection, a violated constraint) means that nothing of the batch was decided.

    Given `later`, the caller runs what is put there after its commit and before it shows an answer: refused receipts
    are signed then, while others have the lock.
    """
    if len(attempts) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} attempts are decided at once")
    row = next(iter(db.rows(session, _LOOK, {"auction": auction_id})), None)
    if row is None:
        return [NotFound("auction", auction_id) for _ in attempts]
    unsigned: list[Callable[[], None]] = [] if later is None else later
    room = _room(session, row, attempts, unsigned=unsigned)
    answers = _look(room, attempts)
    if None in answers:
        places = [place for place, answer in enumerate(answers) if answer is None or _depends_on_others(answer)]
        rest, seats = [attempts[place] for place in places], [room.seats[place] for place in places]
        decided = _seal(session, room, rest, seats) if room.sealed else _decide_locked(session, room, rest, seats)
        for place, answer in zip(places, decided, strict=True):
            answers[place] = answer
    if later is None:
        for sign in unsigned:
            sign()
    return [answer for answer in answers if answer is not None]


def _depends_on_others(answer: Receipt | Failure) -> bool:
    """Whether an attempt that comes earlier in the same batch may change the answer: it is decided in order then."""
    return isinstance(answer, refusals.AlreadyLeading)


def _look(room: Room, attempts: Sequence[Attempt]) -> list[Receipt | Failure | None]:
    """Answer without the lock what can be: repetitions and refusals. None: the lock decides.

    In an open format whatever comes after the first such attempt is left to the lock too: it would be judged by a
    standing that is about to change, and then once more.
    """
    answers: list[Receipt | Failure | None] = []
    for attempt, seat in zip(attempts, room.seats, strict=True):
        answers.append(_answer(room, attempt, seat))
        if answers[-1] is None and not room.sealed:
            break
    return answers + [None] * (len(attempts) - len(answers))


def _decide_locked(
    session: Session, seen: Room, attempts: Sequence[Attempt], seats: Sequence[Any]
) -> list[Receipt | Failure | None]:
    """Decide what the look did not refuse, under the row's lock. No entry since the look: no key of these in one."""
    row = lock_row(session, seen.row.id)
    known = seats if row.number == seen.row.number else None
    room = _room(session, row, attempts, locked=True, seats=known, unsigned=seen.unsigned)
    answers = [_answer(room, attempt, seat) for attempt, seat in zip(attempts, room.seats, strict=True)]
    if room.entries:
        log.write(session, head=room.head, entries=room.entries, suspended_at=None, play=room.live.text(room.at))
    return answers


def _seal(
    session: Session, room: Room, attempts: Sequence[Attempt], seats: Sequence[Any]
) -> list[Receipt | Failure | None]:
    """Put attempts into the sealed books, which have a lock of their own: neither row nor log may show them."""
    return [
        receipts.sealed(session, row=room.row, seat=seat, attempt=attempt, signer=room.signer)
        for attempt, seat in zip(attempts, seats, strict=True)
    ]


def lock_row(session: Session, auction_id: uuid.UUID) -> Any:
    """Lock the row of an auction and return what deciding needs of it, with PostgreSQL's time read after the lock."""
    return next(iter(db.rows(session, _LOCK, {"auction": auction_id})), None)


def _room(
    session: Session,
    row: Any,
    attempts: Sequence[Attempt],
    *,
    unsigned: list[Callable[[], None]],
    locked: bool = False,
    seats: Sequence[Any] | None = None,
) -> Room:
    """Read what a batch needs; its statements see everything that was committed before the lock was taken."""
    at = max(row.now, row.last_event_at or row.now)
    seats = _seats(session, row, attempts) if seats is None else seats
    present = list({seat.id for seat in seats if seat.id is not None})
    live = plays.live(row)
    return Room(
        row=row,
        at=at,
        live=live,
        standing=live.play.standing(at),
        head=log.head_of(row),
        signer=signing.signer(session, vault=runtime.current().vault, at=at),
        sealed=plays.is_sealed(row),
        locked=locked,
        seats=seats,
        barred=eligibility.barred_of(session, present, at=at) if present else {},
        unsigned=unsigned,
    )


def _seats(session: Session, row: Any, attempts: Sequence[Attempt]) -> Sequence[Any]:
    """Return for each attempt the registration of its organisation, and the entry made with its key."""
    asked = [
        {
            "organisation": attempt.actor.organisation_id,
            "digest": "\\x" + log.key_digest(attempt.idempotency_key).hex(),
            "place": place,
        }
        for place, attempt in enumerate(attempts)
    ]
    values = {"listing": row.listing_id, "asked": orjson.dumps(asked).decode()}
    return db.rows(session, _SEATS, values)


def _answer(room: Room, attempt: Attempt, seat: Any) -> Receipt | Failure | None:
    """Answer one attempt; None when it may be accepted, which only the lock decides."""
    try:
        earlier = _earlier(room, attempt, seat)
        if earlier is not None:
            return earlier
        if seat.id is None:
            raise refusals.NotRegistered
        if seat.id in room.barred:
            raise room.barred[seat.id]
        return _judge(room, attempt, seat)
    except Failure as failure:
        return failure


def _earlier(room: Room, attempt: Attempt, seat: Any) -> Receipt | None:
    """Return the receipt that this key got; raise `IdempotencyKeyReused` for another attempt."""
    if seat.id is None:
        return None
    first = room.receipts.get((seat.id, seat.digest))
    if first is None:
        if seat.number is None:
            return None
        first = receipts.again(room.row, seat)
    same = (attempt.kind, room.row.id) == (first.kind, seat.auction_id or room.row.id)
    if not same or (attempt.amount != first.amount and attempt.amount is not None):
        raise IdempotencyKeyReused
    return first


def _judge(room: Room, attempt: Attempt, seat: Any) -> Receipt | None:
    """Refuse by the rules of the auction, else accept under the lock; None without it."""
    amount = attempt.amount
    if not plays.takes(room.row, attempt.kind, amount=amount is not None, lots=bool(attempt.lots)):
        raise refusals.AttemptNotTaken(attempt.kind, plays.attempts_of(room.row))
    if amount is not None and amount.currency != room.row.currency:
        raise CurrencyMismatch(amount.currency, room.row.currency)
    if amount is not None and amount.minor > LARGEST_MINOR:
        raise InvalidAmount(amount.text, amount.currency)
    minor = None if amount is None else amount.minor
    event = (
        Event(room.at, attempt.kind, seat.bidder_code, seen=minor)
        if attempt.kind == AttemptKind.ACCEPT
        else Event(room.at, attempt.kind, seat.bidder_code, minor or 0, lots=attempt.lots)
    )
    refused = room.live.play.look(event) if room.row.outcome is None else plays.LATE
    if refused is not None:
        if not room.locked and room.row.outcome is None and _undecided(room, refused):
            return None
        raise _refused(room, attempt, event, refused)
    _confirmed(room, attempt)
    _paced(room, seat)
    return _accept(room, attempt, seat, event) if room.locked else None


def _undecided(room: Room, refused: Answer) -> bool:
    """Whether only the lock can say it. Whether a sealed bidder has a bid to withdraw is nobody's to know."""
    if room.sealed:
        return refused.code in {RefusalCode.LATE, RefusalCode.NOTHING_TO_WITHDRAW}
    return refused.code in _ONLY_UNDER_THE_LOCK


def _refused(room: Room, attempt: Attempt, event: Event, answer: Answer) -> refusals.BidRefused:
    """Return the refusal; its signed receipt is put into it when the batch is decided."""
    assert answer.code is not None
    least = None if answer.minimum_next is None else Money(answer.minimum_next, room.row.currency)
    failure = refusals.REFUSALS[answer.code](minimum_next=least, at=room.at)
    head, standing, signer = room.head, room.standing, room.signer

    def sign() -> None:
        key = attempt.idempotency_key
        signed = log.sign(head, event, answer, standing, key=key, signer=signer, chained=False)
        failure.values["receipt"] = signed.document

    room.unsigned.append(sign)
    return failure


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


def _paced(room: Room, seat: Any) -> None:
    """Hold the time between two accepted attempts of one registration."""
    wait = room.live.wait(seat.bidder_code, seconds=room.row.attempt_interval_seconds, at=room.at)
    if wait > timedelta(0):
        raise refusals.TooFast(wait=wait, at=room.at)


def _accept(room: Room, attempt: Attempt, seat: Any, event: Event) -> Receipt:
    answer = room.live.step(event)
    room.standing = room.live.play.standing(room.at)
    deed = Deed(event, seat.id, attempt.actor, attempt.idempotency_key)
    entry, signed = log.append(room.head, deed, answer, room.standing, signer=room.signer)
    room.entries.append(entry)
    receipt = Receipt(
        auction_id=room.row.id,
        number=entry.number,
        sequence=room.head.accepted,
        kind=attempt.kind,
        bidder=seat.bidder_code,
        amount=attempt.amount,
        price=_money(room, entry.price_minor),
        leader=entry.leader,
        minimum_next=_money(room, answer.minimum_next),
        ends_at=entry.ends_at,
        at=event.at,
        proof=signed.document,
    )
    room.receipts[seat.id, seat.digest] = receipt
    return receipt


def _money(room: Room, minor: int | None) -> Money | None:
    return None if minor is None else Money(minor, room.row.currency)


_LOOK: Final = "SELECT *, auction_time() AS now FROM auctions WHERE id = %(auction)s"
_LOCK: Final = (
    "WITH locked AS (SELECT * FROM auctions WHERE id = %(auction)s FOR UPDATE)"
    " SELECT *, auction_time() AS now FROM locked"
)
"""The row is locked inside the CTE, which PostgreSQL never folds into its query: the clock is read after the lock."""

_SEATS: Final = """
    SELECT r.id, r.bidder_code, asked.digest, e.*
    FROM json_to_recordset(%(asked)s::json) AS asked (organisation uuid, digest bytea, place integer)
    LEFT JOIN registrations r ON r.listing_id = %(listing)s AND r.organisation_id = asked.organisation
        AND r.state <> 'withdrawn'
    LEFT JOIN LATERAL (
        SELECT auction_id, number, sequence, kind, amount_minor, lots, price_minor, leader, ends_at, at, receipt,
            signature
        FROM auction_events
        WHERE registration_id = r.id AND idempotency_digest = asked.digest
        OFFSET 0
    ) e ON true
    ORDER BY asked.place
"""
"""`OFFSET 0` keeps the subquery a look into the index for each attempt, however long the log is."""
