"""An award that fails, and whose turn it is then: defaults, promotion at one's own price, release, nobody left."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from auctions import awards, eligibility, events, lots
from auctions.award_models import Award, Default
from auctions.domain.awards import FailureCause
from auctions.domain.lifecycles import AWARD, AwardState
from auctions.models import Listing, Registration
from marketplace import audit, outbox
from marketplace.actor import SYSTEM, Actor, Role
from marketplace.errors import Conflict, Failure, NotFound, Refused
from marketplace.packages import service as packages

OPEN: Final = frozenset({AwardState.PENDING, AwardState.PROTOCOL_CONFIRMED})
"""In force, and the contract still to come."""

GRACE: Final = timedelta(minutes=10)
"""So long the clockwork lets a deadline be past before it writes it down: a contract signed in time may be on its way
through the outbox."""

BATCH: Final = 50


class NotNextInLine(Conflict):
    """Another bidder of the same auction has its turn first."""

    code = "not_next_in_line"

    def __init__(self) -> None:
        super().__init__("Another bidder is next in line; its award is promoted or released first.")


class DefaultTooEarly(Refused):
    """A seller cannot call a buyer defaulted before a deadline has passed; the operator can, on its own evidence."""

    code = "default_too_early"

    def __init__(self) -> None:
        super().__init__("No deadline of this award has passed: only the operator can record a default now.")


def fail_award(
    session: Session,
    *,
    award_id: uuid.UUID,
    reason: str,
    cause: FailureCause = FailureCause.BUYER_DEFAULTED,
    actor: Actor,
    at: datetime,
) -> Award:
    """An award in force comes to nothing; `buyer_defaulted` also bars the bidder from the re-auction of the package.

    Who waits and has lost its deposit or its right to bid is released; where the market's rules say so the next in
    line is promoted at once. With nobody left the package is free and the auction failed. Raises `NotFound`,
    `IllegalMove`, `DefaultTooEarly`.
    """
    award, rows = awards.lock(session, award_id)
    awards.check_acts(award, actor)
    AWARD.move(award.state, "fail")
    defaulted = cause is FailureCause.BUYER_DEFAULTED
    if defaulted and Role.SELLER_MANAGER in actor.roles and awards.overdue(award, at=at) is None:
        raise DefaultTooEarly
    award.ended_at, award.failure_cause = at, cause
    audit.transition(session, award, "fail", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    session.flush()
    if defaulted:
        _record_default(session, award, reason=reason, at=at)
    outbox.publish(session, _failed(award, cause), at=at)
    _next_turn(session, award, rows, actor=actor, at=at)
    return award


def _failed(award: Award, cause: FailureCause) -> events.AwardFailed:
    return events.AwardFailed(
        award_id=award.id,
        auction_id=award.auction_id,
        listing_id=award.listing_id,
        package_id=award.package_id,
        registration_id=award.registration_id,
        cause=cause.value,
        regime=awards.terms_of(award).regime,
    )


def _record_default(session: Session, award: Award, *, reason: str, at: datetime) -> None:
    registration = session.get_one(Registration, award.registration_id)
    session.add(
        Default(
            award_id=award.id,
            organisation_id=registration.organisation_id,
            listing_id=award.listing_id,
            package_id=award.package_id,
            regime=awards.terms_of(award).regime,
            reason=reason,
            price_minor=award.price_minor,
            currency=award.currency,
            created_at=at,
        )
    )
    session.flush()


def _next_turn(session: Session, failed: Award, rows: Sequence[Award], *, actor: Actor, at: datetime) -> None:
    """Release who waits in vain; promote the first who does not, where the rules say so; else see who is left."""
    for waiting in awards.waiting_of(rows, failed.slot):
        unfit = _unfit(session, waiting, at=at)
        if unfit is not None:
            awards.release(session, waiting, reason=unfit.code, actor=actor, at=at)
        elif awards.terms_of(failed).promotes_next:
            _promote(session, waiting, rows, reason="next in line", actor=actor, at=at)
            return
    _end_when_nobody_is_left(session, failed, rows, actor=actor, at=at)


def _unfit(session: Session, award: Award, *, at: datetime) -> Failure | None:
    """Return why a waiting bidder cannot be awarded now, None when it can: covered still, and eligible still."""
    return eligibility.barred_of(session, [award.registration_id], at=at).get(award.registration_id)


def _end_when_nobody_is_left(
    session: Session, award: Award, rows: Sequence[Award], *, actor: Actor, at: datetime
) -> None:
    """Free the package once nothing of it is awarded or waited for; until then, the lots that nobody has any more."""
    left = any(row.state in awards.IN_FORCE or row.state is AwardState.WAITING for row in rows)
    listing = session.get_one(Listing, award.listing_id)
    if left or not packages.is_whole(session, award.package_id):
        lots.let_go(session, listing, awards=rows, at=at)
    else:
        lots.set_free(session, listing, actor=actor, at=at)
    if left:
        return
    outbox.publish(session, events.AuctionFailed(award.auction_id, award.listing_id, award.package_id), at=at)


def promote_award(session: Session, *, award_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Award:
    """The next in line takes the failed winner's place, at its own price: `auction.awarded` for its award.

    Raises `NotFound`, `AwardInForce` while another award of the slot stands, `IllegalMove`, `NotNextInLine`, and why
    the bidder is barred when it is (its deposit is not held any more, for one).
    """
    award, rows = awards.lock(session, award_id)
    awards.check_acts(award, actor)
    if any(row.state in awards.IN_FORCE for row in rows if row.slot == award.slot):
        raise awards.AwardInForce
    AWARD.move(award.state, "promote")
    if awards.waiting_of(rows, award.slot)[0] is not award:
        raise NotNextInLine
    unfit = _unfit(session, award, at=at)
    if unfit is not None:
        raise unfit
    _promote(session, award, rows, reason=reason, actor=actor, at=at)
    return award


def _promote(session: Session, award: Award, rows: Sequence[Award], *, reason: str, actor: Actor, at: datetime) -> None:
    award.in_force_at = at
    audit.transition(session, award, "promote", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    awards.set_turn(award, rows, at=at)
    session.flush()
    awards.announce(session, award, at=at)


def release_award(session: Session, *, award_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Award:
    """A bidder need not wait any longer; by the operator, or by the bidder itself once its winner has failed.

    With nobody left the package is free and the auction failed. Raises `NotFound`, `IllegalMove`, `AwardInForce`.
    """
    award, rows = awards.lock(session, award_id)
    bidder = session.get_one(Registration, award.registration_id)
    if not (actor.sees_everything or bidder.organisation_id == actor.organisation_id):
        raise NotFound("award", award_id)
    in_force = any(row.state in awards.IN_FORCE for row in rows if row.slot == award.slot)
    if in_force and not actor.sees_everything:
        raise awards.AwardInForce
    awards.release(session, award, reason=reason, actor=actor, at=at)
    _end_when_nobody_is_left(session, award, rows, actor=actor, at=at)
    return award


def fail_overdue(session: Session, at: datetime) -> int:
    """Write down that awards failed by their deadline, where the rules make it final; return how many this run did.

    Late, twice and beside itself it does the same: each award is looked at again under its lock.
    """
    past = at - GRACE
    query = (
        select(Award.id)
        .where(
            Award.state.in_(OPEN),
            Award.terms["fails_when_overdue"].as_boolean(),
            or_(Award.protocol_due_at <= past, Award.contract_due_at <= past),
        )
        .order_by(Award.id)
        .limit(BATCH)
    )
    return sum(_fail_if_overdue(session, award_id, past=past, at=at) for award_id in session.scalars(query).all())


def _fail_if_overdue(session: Session, award_id: uuid.UUID, *, past: datetime, at: datetime) -> bool:
    award, _ = awards.lock(session, award_id)
    step = awards.overdue(award, at=past)
    if step is None:
        return False
    cause, reason = FailureCause.DEADLINE_PASSED, f"the deadline of the {step.value} passed"
    fail_award(session, award_id=award_id, reason=reason, cause=cause, actor=SYSTEM, at=at)
    return True
