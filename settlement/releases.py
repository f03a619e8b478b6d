"""Deposits that go back: of those who did not win, of those who need not wait any longer, of an auction that failed.

Whose award is in force or waits keeps its deposit with us, and whoever defaulted may have lost it: that is decided by
the awards as they stand, never by the order in which events arrive.
"""

import uuid
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace.actor import Actor
from settlement import deals, default_policies, deposits
from settlement.deal_models import Deal
from settlement.default_models import Forfeiture
from settlement.domain.deal import OPEN_FOR_PAYMENT, DealState

_SIGNED: Final = frozenset({DealState.SIGNED, DealState.READY, DealState.DISTRIBUTED, DealState.SETTLED})
_LIVE: Final = frozenset(
    {auctions.AwardState.PENDING, auctions.AwardState.PROTOCOL_CONFIRMED, auctions.AwardState.WAITING}
)
"""Awards whose deposit is needed still."""


def release_losers(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Give back at once what losers deposited; the runner-up's only when the contract is signed (rules.md, Money)."""
    deal = deals.require_deal(session, deal_id)
    kept = {deal.registration_id} | _staked(session, deal.listing_id)
    if deal.runner_up_registration_id is not None and deal.state not in _SIGNED:
        kept.add(deal.runner_up_registration_id)
    for registration in auctions.registrations_of(session, deal.listing_id):
        if registration.id not in kept:
            _release_held(session, registration.id, deal.currency, reason="not awarded", actor=actor, at=at)


def release_listing(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Give back every deposit of a listing whose auction came to nothing, but for those of failed awards.

    These are dealt with by `award.failed` alone, whichever event is delivered first: what is lost is never refunded.
    """
    kept = _staked(session, listing_id)
    for registration in auctions.registrations_of(session, listing_id):
        if registration.id not in kept:
            _release_held(session, registration.id, registration.currency, reason="no award", actor=actor, at=at)


def release_runner_up(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Give back the runner-up's deposit once the contract is signed; without a runner-up nothing happens."""
    deal = deals.require_deal(session, deal_id)
    if deal.runner_up_registration_id is None or deal.state is DealState.CANCELLED:
        return
    release_bidder(
        session,
        listing_id=deal.listing_id,
        registration_id=deal.runner_up_registration_id,
        reason="contract signed",
        actor=actor,
        at=at,
    )


def release_bidder(
    session: Session,
    *,
    listing_id: uuid.UUID,
    registration_id: uuid.UUID,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    """Give back the deposit of a bidder that need not wait, unless another award of its own needs it."""
    if registration_id not in _staked(session, listing_id):
        currency = auctions.require_registration(session, registration_id).currency
        _release_held(session, registration_id, currency, reason=reason, actor=actor, at=at)


def release_late(session: Session, *, registration_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Give back what is held again for a registration whose listing is over for it, however it ended.

    Who defaulted in it gets nothing by itself: what its default cost is a person's decision. Nor does the winner while
    it owes some of its price, signed or not.
    """
    registration = auctions.require_registration(session, registration_id)
    lost = select(Forfeiture.id).where(Forfeiture.registration_id == registration_id)
    owed = select(Deal.id).where(Deal.registration_id == registration_id, Deal.state.in_(OPEN_FOR_PAYMENT))
    stays = any(session.scalars(query.limit(1)).first() is not None for query in (lost, owed))
    if is_over(session, registration) and not stays:
        _release_held(session, registration_id, registration.currency, reason="not awarded", actor=actor, at=at)


def is_over(session: Session, registration: auctions.Registration) -> bool:
    """Say whether a listing has ended and needs the deposit of a registration no more.

    Sold, unsold and withdrawn are endings; awards whose deal is not open yet keep their runner-up.
    """
    auction = auctions.auction_of_listing(session, registration.listing_id)
    if auction is None or auction.closed_at is None:
        return False
    awards = auctions.awards_of_listing(session, registration.listing_id)
    if auction.outcome is auctions.AuctionOutcome.SOLD and not awards:
        return False
    opened = set(session.scalars(select(Deal.award_id).where(Deal.award_id.in_([one.id for one in awards]))))
    waiting = {one.runner_up_registration_id for one in awards if one.state in _LIVE and one.id not in opened}
    return registration.id not in kept_of_listing(session, registration.listing_id) | waiting


def _release_held(
    session: Session, registration_id: uuid.UUID, currency: str, *, reason: str, actor: Actor, at: datetime
) -> None:
    """Give back what is held for a registration, if anything is."""
    if deposits.held(session, registration_id=registration_id, currency=currency):
        deposits.release(session, registration_id=registration_id, reason=reason, actor=actor, at=at)


def kept_of_listing(session: Session, listing_id: uuid.UUID) -> set[uuid.UUID]:
    """Registrations of a listing whose deposit stays: staked, or of the runner-up of a deal that nobody signed yet."""
    waiting = select(Deal.runner_up_registration_id).where(
        Deal.listing_id == listing_id, Deal.state.in_([DealState.AWAITING_PAYMENT, DealState.PAID])
    )
    return _staked(session, listing_id) | {one for one in session.scalars(waiting) if one is not None}


def is_needed(
    session: Session, *, listing_id: uuid.UUID, registration_id: uuid.UUID, but: uuid.UUID | None = None
) -> bool:
    """Say whether an award of a registration (another than `but`) is open or waits, and needs its deposit."""
    return any(
        award.registration_id == registration_id and award.state in _LIVE and award.id != but
        for award in auctions.awards_of_listing(session, listing_id)
    )


def next_in_line(session: Session, award: auctions.Award) -> auctions.Award | None:
    """Return the award that waits next behind another in its slot."""
    rows = auctions.awards_of_listing(session, award.listing_id)
    waiting = (
        one
        for one in rows
        if (one.auction_id, one.slot) == (award.auction_id, award.slot) and one.state is auctions.AwardState.WAITING
    )
    return next(waiting, None)


def _staked(session: Session, listing_id: uuid.UUID) -> set[uuid.UUID]:
    """Registrations whose deposit no release may touch: needed still, or lost and not taken yet."""
    awards = auctions.awards_of_listing(session, listing_id)
    taken = set(session.scalars(select(Forfeiture.award_id).where(Forfeiture.award_id.in_([one.id for one in awards]))))
    return {one.registration_id for one in awards if one.state in _LIVE or _is_lost(session, one, taken)}


def _is_lost(session: Session, award: auctions.Award, taken: set[uuid.UUID]) -> bool:
    if award.state is not auctions.AwardState.FAILED or award.id in taken:
        return False
    return award.failure_cause in default_policies.rules_of(default_policies.policy_of(session, award)).causes
