"""Re-listing: after a failed attempt the next listing is made by the plan that was fixed with the first announcement.

It hears of `auction.failed`, and makes each next attempt once (constraint `uq_listings_planned_successor`). It is
announced at once when the plan says so and nothing stands in its way; else it waits as a draft for its seller.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import events, publishing
from auctions import listing as listings
from auctions.domain import relisting as rules
from auctions.domain.lifecycles import LISTING, AuctionOutcome, ListingState
from auctions.domain.relisting import Base
from auctions.listing_models import PriorityHolder
from auctions.models import Listing
from marketplace import audit, outbox
from marketplace.actor import SYSTEM
from marketplace.packages import service as packages

log = structlog.get_logger(__name__)


def on_auction_failed(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """Make the next attempt of a failed auction, if its plan has one."""
    make_next_attempt(session, listing_id=uuid.UUID(payload["listing_id"]), at=at)


def make_next_attempt(session: Session, *, listing_id: uuid.UUID, at: datetime) -> Listing | None:
    """Make the next attempt by a listing's plan and return it; None when there is nothing to make.

    There is nothing after a withdrawal, without a plan, at the plan's end, when the package is not free (or listed
    again by hand), and when the next attempt is there already.
    """
    before = session.get_one(Listing, listing_id, with_for_update=True)
    attempt = _planned(session, before)
    package = packages.require_package(session, before.package_id, for_update=True)
    if attempt is None or package.state != packages.PackageState.FROZEN or _succeeded(session, before):
        return None
    listing = _draft(session, before, attempt, at=at)
    published = _published(session, listing, at=at)
    outbox.publish(session, events.ListingPlanned(listing.id, before.id, listing.package_id, int(published)), at=at)
    return listing


def _planned(session: Session, before: Listing) -> Mapping[str, Any] | None:
    plan, step = before.relisting_plan, before.plan_step
    auction = listings.auction_of_listing(session, before.id)
    if plan is None or auction is None or auction.outcome in {None, AuctionOutcome.WITHDRAWN}:
        return None
    attempts = plan["attempts"]
    return attempts[step] if step < len(attempts) else None


def _succeeded(session: Session, before: Listing) -> bool:
    """Whether the package has been listed after this attempt, or the plan has run for it."""
    later = select(Listing.id).where(
        Listing.package_id == before.package_id,
        Listing.id != before.id,
        (Listing.state == ListingState.PUBLISHED)
        | ((Listing.previous_listing_id == before.id) & (Listing.plan_step > 0)),
    )
    return session.scalar(later.limit(1)) is not None


def _draft(session: Session, before: Listing, attempt: Mapping[str, Any], *, at: datetime) -> Listing:
    first = _first(session, before)
    plan = before.relisting_plan
    assert plan is not None
    assert first.start_price_minor is not None
    assert first.deposit_minor is not None
    base = Base(first.start_price_minor, first.reserve_minor, first.deposit_minor, first.increment)
    values = rules.next_terms(
        listings.terms_of(before),
        base,
        attempt,
        preset=listings.preset_of(session, before, at=at),
        notice=plan["notice_days"],
        at=at,
    )
    listing = Listing(
        package_id=before.package_id,
        seller_organisation_id=before.seller_organisation_id,
        state=LISTING.initial,
        currency=before.currency,
        attempt=before.attempt + 1,
        previous_listing_id=before.id,
        relisting_plan=plan,
        plan_step=before.plan_step + 1,
        attempt_interval_seconds=before.attempt_interval_seconds,
        confirm_above_percent=before.confirm_above_percent,
        created_at=at,
        **values,
    )
    session.add(listing)
    session.flush()
    session.add_all(
        PriorityHolder(listing_id=listing.id, organisation_id=holder.organisation_id, rank=holder.rank)
        for holder in listings.priority_holders(session, before.id)
        if listings.terms_of(listing).takes("priority")
    )
    session.flush()
    audit.record(session, actor=SYSTEM, at=at, subject=listing, verb="plan", after=listings.record_of(listing))
    return listing


def _first(session: Session, listing: Listing) -> Listing:
    """Return the listing that the plan was fixed with: that before all its steps."""
    while listing.plan_step:
        listing = session.get_one(Listing, listing.previous_listing_id)
    return listing


def _published(session: Session, listing: Listing, *, at: datetime) -> bool:
    plan = listing.relisting_plan
    if plan is None or not plan["publish"]:
        return False
    lacking = publishing.gaps(session, listing, at=at)
    if lacking:
        log.warning("re-listing waits", listing=str(listing.id), missing=[gap.code for gap in lacking])
        return False
    publishing.announce(session, listing, actor=SYSTEM, at=at)
    return True
