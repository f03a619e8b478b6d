"""Attempts: decided in batches by the pure engine, under the auction's row lock, at the time of PostgreSQL's clock.

Where the process remembers enough of the auction to expect an acceptance (`auctions.entering`), the row is locked at
once and everything is decided under the lock, in order. Otherwise a look without the lock comes first: it refuses what
the last committed standing refuses, for good, because the price only rises; such attempts make nobody wait. `late` and
`suspended` are the exception: a bid that is decided but not committed may have moved the end, so they are said only
under the lock. Whatever the look does not refuse is decided again, in order, in one transaction: one lock, one reading
of the clock, one statement for everything that was accepted.

What the look refused after the first of these in the batch is told the standing that the batch ends in: it stays
refused, and its bidder learns the minimum that it now has to bid, at the time of the lock's clock.

An attempt is refused as too fast only if it would have been accepted, and only accepted ones count: refused attempts
write nothing, and whoever floods the doors with them is stopped there.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from auctions import eligibility, entering, judging, log, plays, receipts, refusals, signing
from auctions.answering import Decided
from auctions.domain.formats import AttemptKind, RefusalCode, Standing
from auctions.domain.proofs import SignedReceipt
from auctions.eligibility import Seat
from auctions.entering import Entered
from auctions.judging import Case, Decision, Refusal, Room, Turned
from auctions.plays import Live
from auctions.receipts import Attempt, Receipt
from marketplace import direct, runtime
from marketplace.actor import Actor
from marketplace.errors import Failure, NotFound
from marketplace.money import Money
from marketplace.parties import service as parties

MAX_BATCH: Final = 256
"""So many attempts are decided in one transaction at most."""


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
    session: Session, *, auction_id: uuid.UUID, attempts: Sequence[Attempt]
) -> Sequence[Receipt | Failure]:
    """Decide up to `MAX_BATCH` attempts in order, in the caller's one transaction; answers come in the same order.

    An answer holds once the caller has committed. A failure of one attempt is its answer and touches no other; what is
    raised instead (a lost connection, a violated constraint) means that nothing of the batch was decided.
    """
    entered = entering.enter(session, auction_id=auction_id, expected=attempts, at=runtime.current().clock.now())
    return decide(session, entered=entered, auction_id=auction_id, attempts=attempts).answers()


def decide(session: Session, *, entered: Entered, auction_id: uuid.UUID, attempts: Sequence[Attempt]) -> Decided:
    """Decide a batch as `decide_batch` does; its answers are made of what is returned, best after the commit."""
    if len(attempts) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} attempts are decided at once")
    row = next(iter(entered.row.rows()), None)
    if row is None:
        return Decided([NotFound("auction", auction_id) for _ in attempts])
    cases = [Case(place, one) for place, one in enumerate(attempts)]
    room = _entered(session, row, cases, entered)
    found = [judging.judge(room, case) for case in cases]
    if None not in found:
        written = _write(session, room)
        return Decided(_complete(found), room, written)
    if room.sealed:
        direct.end_pipeline(session)
        sealed = [_seal(session, room, case) if found[case.place] is None else found[case.place] for case in cases]
        return Decided(_complete(sealed), room)
    first = found.index(None)
    left = [case for case in cases[first:] if not _is_final(found[case.place])]
    final = _locked(session, room, left)
    for case in left:
        found[case.place] = judging.judge(final, case)
    _tell_the_end(room.standing, final, cases[first:], found)
    written = _write(session, final)
    return Decided(_complete(found), final, written)


def _complete(found: Sequence[Decision | None]) -> list[Decision]:
    """Return decisions of which none is open any more."""
    return [decision for decision in found if decision is not None]


def _is_final(decision: Decision | None) -> bool:
    """Whether attempts that are accepted before this one cannot change what the look decided of it."""
    if isinstance(decision, Refusal):
        return decision.answer.code in _FINAL
    if isinstance(decision, Turned):
        return not isinstance(decision.failure, refusals.ConfirmationRequired | refusals.TooFast)
    return decision is not None


def _tell_the_end(looked: Standing, final: Room, cases: Iterable[Case], found: list[Decision | None]) -> None:
    """Let those whom the look refused know the standing in which the batch ends; nothing is accepted any more."""
    final.locked = False
    for case in cases:
        decision = found[case.place]
        if isinstance(decision, Refusal) and decision.standing is looked:
            again = judging.judge(final, case)
            found[case.place] = again if isinstance(again, Refusal) else decision


def _write(session: Session, room: Room) -> dict[int, SignedReceipt]:
    """Remember where the auction stands, write what was accepted and return the receipts by number."""
    entering.remember(room)
    entries = [accepted.entry for accepted in room.accepted.values()]
    if not entries:
        return {}
    play, signer = room.live.text(room.at), room.signer
    signed = log.write(session, head=room.head, entries=entries, standing=room.standing, play=play, signer=signer)
    return {entry.number: receipt for entry, receipt in zip(entries, signed, strict=True)}


def _seal(session: Session, room: Room, case: Case) -> Receipt | Failure:
    """Put an attempt into the sealed books, which have a lock of their own: neither row nor log may show them."""
    seat = room.seats[case.attempt.actor.organisation_id.int]
    return receipts.sealed(session, row=room.row, seat=seat, attempt=case.attempt, signer=room.signer)


def lock_row(session: Session, auction_id: uuid.UUID) -> Any:
    """Lock the row of an auction and return what deciding needs of it, with PostgreSQL's time read after the lock."""
    return next(iter(direct.rows(session, entering.LOCK, {"auction": auction_id})), None)


def _entered(session: Session, row: Any, cases: Sequence[Case], entered: Entered) -> Room:
    """Return the room as it was entered; what was asked for others than those who came is asked again."""
    at = _time(row)
    pairs = {(case.attempt.actor.organisation_id.int, case.attempt.digest) for case in cases}
    seats, earlier = entered.seats, entered.earlier
    if seats is None or earlier is None or not entered.covers(pairs, at):
        organisations = _organisations(cases)
        seats = eligibility.ask_seats(session, listing_id=row.listing_id, organisations=organisations, at=at)
        earlier = entering.ask_earlier(session, auction_id=row.id, listing_id=row.listing_id, cases=cases)
    live = plays.live(row)
    room = _room(session, row, live, seats=eligibility.seats_of(seats), earlier=_by_key(earlier))
    room.locked = entered.locked
    return room


def _locked(session: Session, seen: Room, cases: Sequence[Case]) -> Room:
    """Lock the row and return the room of `cases` as it is then.

    Seats are read again, by statements that see everything committed before the lock was taken, and whoever has none
    then has lost it; keys only if an entry came in since the look.
    """
    listing_id, organisations = seen.row.listing_id, _organisations(cases)
    locked = direct.Asked(session, entering.LOCK, {"auction": seen.row.id})
    asked = eligibility.ask_seats(session, listing_id=listing_id, organisations=organisations, at=seen.at)
    since = entering.ask_earlier(
        session, auction_id=seen.row.id, listing_id=listing_id, cases=cases, since=seen.row.number
    )
    row = locked.rows()[0]
    seats, earlier = eligibility.seats_of(asked), _by_key(since)
    at = _time(row)
    if parties.market_day(at) != parties.market_day(seen.at):
        asked = eligibility.ask_seats(session, listing_id=listing_id, organisations=organisations, at=at)
        seats = eligibility.seats_of(asked)
    live = seen.live if plays.mark(row) == plays.mark(seen.row) else plays.live(row)
    again = {organisation.int for organisation in organisations}
    others = {number: seat for number, seat in seen.seats.items() if number not in again}
    room = _room(session, row, live, seats={**others, **seats}, earlier={**seen.earlier, **earlier})
    room.locked = True
    return room


def _organisations(cases: Iterable[Case]) -> Iterable[uuid.UUID]:
    """Return the organisations of cases, each once."""
    return {case.attempt.actor.organisation_id.int: case.attempt.actor.organisation_id for case in cases}.values()


def _time(row: Any) -> datetime:
    """Return the time at which attempts are decided: PostgreSQL's, and never before the last entry."""
    at: datetime = max(row.now, row.last_event_at or row.now)
    return at


def _room(session: Session, row: Any, live: Live, *, seats: Mapping[int, Seat], earlier: Mapping[bytes, Any]) -> Room:
    at = _time(row)
    return Room(
        row=row,
        at=at,
        live=live,
        standing=live.play.standing(at),
        head=log.head_of(row),
        signer=signing.signer(session, vault=runtime.current().vault, at=at),
        sealed=plays.is_sealed(row),
        locked=False,
        seats=seats,
        earlier=earlier,
    )


def _by_key(asked: direct.Asked) -> dict[bytes, Any]:
    return {entry.registration_id.bytes + entry.idempotency_digest: entry for entry in asked.rows()}


_FINAL: Final = frozenset(
    {RefusalCode.NOT_OPEN, RefusalCode.VOIDED, RefusalCode.BELOW_START, RefusalCode.BELOW_MINIMUM}
)
"""What later standings of the same log refuse too (`formats.Play.look`)."""
