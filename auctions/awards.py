"""Awards after the hammer: protocol, contract, prolongation, failure, and the turn of the next in line.

Every step locks the auction, then all its awards: of two people who confirm and fail at once, one is told that the
other was first. What the clock decides (`auctions.domain.awards.overdue`) is true whether or not anybody wrote it down.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import eligibility, events
from auctions.award_models import Award, AwardProlongation
from auctions.domain import awards as rules
from auctions.domain.awards import AwardTerms, Deadlines, Step
from auctions.domain.calendars import YearNotInCalendar
from auctions.domain.formats import StandingOfAward
from auctions.domain.lifecycles import AWARD, AwardState
from auctions.models import Auction, Listing
from marketplace import audit, db, files, outbox
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.files import FileStore
from marketplace.money import Money

log = structlog.get_logger(__name__)

IN_FORCE: Final = frozenset({AwardState.PENDING, AwardState.PROTOCOL_CONFIRMED, AwardState.CONTRACTED})
MAX_DOCUMENT_BYTES: Final = 20 * 1024 * 1024


class AwardInForce(Conflict):
    """The auction has an award in force already."""

    code = "award_in_force"

    def __init__(self) -> None:
        super().__init__("Another award of this auction is in force.")


class ProtocolNotConfirmed(Conflict):
    """The market's rules want the seller's confirmation of the protocol before the contract."""

    code = "protocol_not_confirmed"

    def __init__(self) -> None:
        super().__init__("The seller has not confirmed the protocol of this award yet.")


class DeadlinePassed(Conflict):
    """The time for this step is over."""

    code = "deadline_passed"

    def __init__(self, step: Step) -> None:
        super().__init__(f"The deadline of the {step.value} has passed.", step=step.value)


class NoProlongation(Conflict):
    """This prolongation is not the next that the market's rules allow."""

    code = "no_prolongation"

    def __init__(self, *, granted: int, allowed: int) -> None:
        super().__init__(
            f"{granted} of {allowed} prolongations are granted; only the next one can be asked for.",
            granted=granted,
            allowed=allowed,
        )


class DocumentMissing(Invalid):
    """A prolongation needs a document with content."""

    code = "document_missing"

    def __init__(self) -> None:
        super().__init__("Upload the document on which the prolongation rests; this one is empty.")


db.violation("uq_awards_in_force", AwardInForce)
db.violation("pk_award_lots", AwardInForce)
db.violation(
    "uq_award_prolongations_award_id_number", lambda: NoProlongation(granted=0, allowed=rules.MAX_PROLONGATIONS)
)


def terms_of(award: Award) -> AwardTerms:
    """Return the terms under which an award was made."""
    return AwardTerms.of_document(award.terms)


def overdue(award: Award, *, at: datetime) -> Step | None:
    """Return the step of an award whose deadline has passed, None when there is none."""
    return rules.overdue(terms_of(award), award.state, Deadlines(award.protocol_due_at, award.contract_due_at), at=at)


def propose(
    session: Session,
    *,
    listing: Listing,
    auction: Auction,
    proposed: Sequence[Mapping[str, Any]],
    bidders: Mapping[str, uuid.UUID],
    at: datetime,
) -> Sequence[Award]:
    """Write the awards of a closed auction, by the terms of its market, announce those in force, and return all.

    `proposed` are the rows `awards` of the engine's answer: each `pending` one wins a slot, those `waiting` queue for
    the first. `bidders`: registrations by bidder code.
    """
    preset = eligibility.preset_of(session, listing)
    terms = AwardTerms.of_document({**preset.awards, "zone": preset.zone})
    made: list[Award] = []
    slots = 0
    for place, one in enumerate((one for one in proposed if one["state"] != StandingOfAward.UNSUCCESSFUL), start=1):
        wins = one["state"] == StandingOfAward.PENDING
        slots += wins
        made.append(
            Award(
                auction_id=auction.id,
                listing_id=listing.id,
                package_id=listing.package_id,
                seller_organisation_id=listing.seller_organisation_id,
                registration_id=bidders[one["bidder"]],
                slot=slots if wins else 1,
                place=place,
                lots=list(one.get("lots") or ()),
                state=AwardState.PENDING if wins else AwardState.WAITING,
                price_minor=Money.parse(one["price"], auction.currency).minor,
                currency=auction.currency,
                terms=terms.document(),
                created_at=at,
                in_force_at=at if wins else None,
            )
        )
    for award in made:
        set_turn(award, made, at=at)
    session.add_all(made)
    session.flush()
    for award in made:
        audit.record(session, actor=SYSTEM, at=at, subject=award, verb="award", after={"state": award.state.value})
        if award.state is AwardState.PENDING:
            announce(session, award, at=at)
        else:
            outbox.publish(session, events.AwardWaits(award.id, award.auction_id, award.listing_id), at=at)
    return made


def set_turn(award: Award, rows: Sequence[Award], *, at: datetime) -> None:
    """Give an award in force its deadlines, and name who is next should it fail."""
    if award.state is not AwardState.PENDING:
        return
    award.in_force_at = at
    award.runner_up_registration_id = next((one.registration_id for one in waiting_of(rows, award.slot)), None)
    try:
        due = rules.deadlines(terms_of(award), since=at)
    except YearNotInCalendar:
        log.exception("an award without deadlines", auction=str(award.auction_id))
        return
    award.protocol_due_at, award.contract_due_at = due.protocol, due.contract


def announce(session: Session, award: Award, *, at: datetime) -> None:
    """Announce that an award is in force."""
    event = events.AuctionAwarded(award.id, award.auction_id, award.listing_id, award.package_id)
    outbox.publish(session, event, at=at)


def require_award(session: Session, award_id: uuid.UUID) -> Award:
    """Return an award; raise `NotFound`. No visibility check."""
    award = session.get(Award, award_id)
    if award is None:
        raise NotFound("award", award_id)
    return award


def lock(session: Session, award_id: uuid.UUID) -> tuple[Award, Sequence[Award]]:
    """Lock the auction, then its awards; return the one asked for and all of them in the order of their turns."""
    auction_id = session.scalar(select(Award.auction_id).where(Award.id == award_id))
    if auction_id is None:
        raise NotFound("award", award_id)
    session.execute(select(Auction.id).where(Auction.id == auction_id).with_for_update())
    query = select(Award).where(Award.auction_id == auction_id).order_by(Award.slot, Award.place).with_for_update()
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    return next(row for row in rows if row.id == award_id), rows


def check_acts(award: Award, actor: Actor) -> None:
    """Refuse whoever is neither the seller of the award nor the operator."""
    if not (actor.sees_everything or award.seller_organisation_id == actor.organisation_id):
        raise NotFound("award", award.id)


def confirm_protocol(session: Session, *, award_id: uuid.UUID, actor: Actor, at: datetime) -> Award:
    """The seller confirms the protocol of an award.

    Raises `NotFound` to everybody but the seller, `IllegalMove`, and `DeadlinePassed` where the market's rules make
    the deadline final.
    """
    award, _ = lock(session, award_id)
    if award.seller_organisation_id != actor.organisation_id:
        raise NotFound("award", award_id)
    AWARD.move(award.state, "confirm_protocol")
    _check_in_time(award, at=at)
    award.protocol_confirmed_at = at
    audit.transition(session, award, "confirm_protocol", lifecycle=AWARD, actor=actor, at=at)
    session.flush()
    outbox.publish(session, events.AwardProtocolConfirmed(award.id, award.auction_id, award.listing_id), at=at)
    return award


def _check_in_time(award: Award, *, at: datetime) -> None:
    late = overdue(award, at=at)
    if late is not None and terms_of(award).fails_when_overdue:
        raise DeadlinePassed(late)


def check_contract(session: Session, *, award_id: uuid.UUID, at: datetime) -> None:
    """Refuse a signature that cannot count any more or yet. For settlement, before it takes one.

    Raises `NotFound`, `IllegalMove`, `ProtocolNotConfirmed`, `DeadlinePassed`.
    """
    award = require_award(session, award_id)
    if award.state is not AwardState.CONTRACTED:
        _check_protocol(award)
        _check_in_time(award, at=at)


def _check_protocol(award: Award) -> None:
    AWARD.move(award.state, "confirm_contract")
    if rules.waits_for(terms_of(award), award.state) is Step.PROTOCOL:
        raise ProtocolNotConfirmed


def confirm_contract(session: Session, *, award_id: uuid.UUID, actor: Actor, at: datetime) -> Award:
    """The contract is signed: the award is contracted, who waited is released; a second time changes nothing.

    Raises `NotFound`, `IllegalMove`, `ProtocolNotConfirmed`. For settlement, which may learn of a signature in time a
    moment after the deadline: only the state counts here.
    """
    award, rows = lock(session, award_id)
    if award.state is AwardState.CONTRACTED:
        return award
    _check_protocol(award)
    award.ended_at = at
    audit.transition(session, award, "confirm_contract", lifecycle=AWARD, actor=actor, at=at)
    session.flush()
    outbox.publish(session, events.AwardContracted(award.id, award.auction_id, award.listing_id), at=at)
    for other in waiting_of(rows, award.slot):
        release(session, other, reason="contract signed", actor=actor, at=at)
    return award


def prolong(
    session: Session,
    *,
    award_id: uuid.UUID,
    number: int,
    reason: str,
    content: bytes,
    file_name: str,
    media_type: str,
    store: FileStore,
    actor: Actor,
    at: datetime,
) -> AwardProlongation:
    """Give the contract of an award more time, on a document and with a reason.

    `number` says which prolongation is meant, so that two people who ask at once use up one. Raises `NotFound`,
    `IllegalMove`, `NoProlongation`, `DeadlinePassed` (also where the deadline is not final), `DocumentMissing`.
    """
    award, _ = lock(session, award_id)
    check_acts(award, actor)
    AWARD.move(award.state, "confirm_contract")
    late = overdue(award, at=at)
    if late is not None:
        raise DeadlinePassed(late)
    granted = len(prolongations_of(session, award.id))
    terms = terms_of(award)
    assert award.in_force_at is not None
    due_at = rules.prolonged(terms, number=number, since=award.in_force_at)
    if number != granted + 1 or due_at is None or award.contract_due_at is None:
        raise NoProlongation(granted=granted, allowed=len(terms.prolongation_days))
    if not content:
        raise DocumentMissing
    kept = files.store(session, store, content=content, name=file_name, media_type=media_type, actor=actor, at=at)
    row = AwardProlongation(
        award_id=award.id,
        number=number,
        file_id=kept.id,
        file_name=file_name,
        reason=reason,
        previous_due_at=award.contract_due_at,
        due_at=due_at,
        created_at=at,
    )
    award.contract_due_at = due_at
    session.add(row)
    session.flush()
    after = {"number": number, "contract_due_at": due_at.isoformat(), "sha256": kept.sha256}
    audit.record(session, actor=actor, at=at, subject=award, verb="prolong", after=after, reason=reason)
    outbox.publish(session, events.AwardProlonged(award.id, award.auction_id, award.listing_id, number), at=at)
    return row


def prolongations_of(session: Session, award_id: uuid.UUID) -> Sequence[AwardProlongation]:
    """Return the prolongations of an award in order. No visibility check."""
    query = select(AwardProlongation).where(AwardProlongation.award_id == award_id)
    return session.scalars(query.order_by(AwardProlongation.number)).all()


def release(session: Session, award: Award, *, reason: str, actor: Actor, at: datetime) -> None:
    """Let a waiting bidder go; raise `IllegalMove`. The caller holds the locks."""
    audit.transition(session, award, "release", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    award.ended_at = at
    session.flush()
    event = events.AwardReleased(award.id, award.auction_id, award.listing_id, award.registration_id)
    outbox.publish(session, event, at=at)


def waiting_of(rows: Sequence[Award], slot: int) -> list[Award]:
    """Return the awards of a slot that wait, in the order of their turns."""
    return [row for row in rows if row.slot == slot and row.state is AwardState.WAITING]


def awards_of_listing(session: Session, listing_id: uuid.UUID) -> Sequence[Award]:
    """Return every award of a listing in the order of their turns. No visibility check. For settlement."""
    query = select(Award).where(Award.listing_id == listing_id).order_by(Award.slot, Award.place)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def lock_award(session: Session, award_id: uuid.UUID) -> Award:
    """Return an award that nobody moves until the end of the transaction; raise `NotFound`. For settlement."""
    return lock(session, award_id)[0]
