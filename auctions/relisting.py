"""Re-listing: after a failed attempt the next listing is made by the plan that was fixed with the first announcement.

It hears of `auction.failed` and of `auction.lots_unsold`, and makes the next attempt of each package that was left
once (constraint `uq_listings_planned_successor`). It is announced at once when the plan says so and nothing stands in
its way; else it waits as a draft for its seller.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import events, lots, publishing
from auctions import listing as listings
from auctions.domain import relisting as rules
from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import LISTING, AuctionOutcome, ListingState
from auctions.listing_models import PriorityHolder
from auctions.models import Listing
from marketplace import audit, outbox
from marketplace.actor import SYSTEM
from marketplace.packages import service as packages

log = structlog.get_logger(__name__)


def on_auction_failed(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """Make the next attempt of a failed auction, if its plan has one."""
    listing_id, package_id = uuid.UUID(payload["listing_id"]), uuid.UUID(payload["package_id"])
    make_next_attempt(session, listing_id=listing_id, package_id=package_id, at=at)


def on_lots_unsold(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """Make the next attempt for lots that found no buyer, or lost it, if the plan of their listing has one."""
    listing_id, package_id = uuid.UUID(payload["listing_id"]), uuid.UUID(payload["part_id"])
    make_next_attempt(session, listing_id=listing_id, package_id=package_id, at=at)


def make_next_attempt(
    session: Session, *, listing_id: uuid.UUID, package_id: uuid.UUID, at: datetime
) -> Listing | None:
    """Make the next attempt by a listing's plan for a package it left, and return it; None when nothing is to be made.

    There is nothing after a withdrawal, without a plan, at the plan's end, when the package is not free (or listed
    again by hand), when no lot is in it, and when the next attempt is there already.
    """
    before = session.get_one(Listing, listing_id, with_for_update=True)
    attempt = _planned(session, before)
    package = packages.require_package(session, package_id, for_update=True)
    free = package.state == packages.PackageState.FROZEN and not _succeeded(session, before, package_id)
    offered = lots.offered_in(session, before.id, package_id=package_id) if before.format is FormatName.PACKAGE else []
    if attempt is None or not free or (before.format is FormatName.PACKAGE and not offered):
        return None
    listing = _draft(session, before, attempt, package_id=package_id, offered=offered, at=at)
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


def _succeeded(session: Session, before: Listing, package_id: uuid.UUID) -> bool:
    """Whether the package has been listed after this attempt, or the plan has run for it."""
    later = select(Listing.id).where(
        Listing.package_id == package_id,
        Listing.id != before.id,
        (Listing.state == ListingState.PUBLISHED)
        | ((Listing.previous_listing_id == before.id) & (Listing.plan_step > 0)),
    )
    return session.scalar(later.limit(1)) is not None


def _draft(
    session: Session,
    before: Listing,
    attempt: Mapping[str, Any],
    *,
    package_id: uuid.UUID,
    offered: Sequence[str],
    at: datetime,
) -> Listing:
    plan, together = before.relisting_plan, attempt["format"] == FormatName.PACKAGE
    assert plan is not None
    alone = before.planned_lot or (offered[0] if offered and not together else None)
    names = offered if together else [alone] if alone is not None else []
    values = rules.next_terms(
        listings.terms_of(before),
        rules.base_of(listings.terms_of(_first(session, before)), names, together=together),
        attempt,
        preset=listings.preset_of(session, before, at=at),
        notice=plan["notice_days"],
        at=at,
    )
    if alone is not None and before.planned_lot is None:
        values |= rules.titles_of_lot(values, alone)
    listing = Listing(
        package_id=package_id,
        seller_organisation_id=before.seller_organisation_id,
        state=LISTING.initial,
        currency=before.currency,
        attempt=before.attempt + 1,
        previous_listing_id=before.id,
        relisting_plan=plan,
        plan_step=before.plan_step + 1,
        planned_lot=alone,
        attempt_interval_seconds=before.attempt_interval_seconds,
        confirm_above_percent=before.confirm_above_percent,
        created_at=at,
        **values,
    )
    session.add(listing)
    session.flush()
    _carry_over(session, listing, before)
    audit.record(session, actor=SYSTEM, at=at, subject=listing, verb="plan", after=listings.record_of(listing))
    return listing


def _carry_over(session: Session, listing: Listing, before: Listing) -> None:
    """Give a planned draft what the attempt before had beside its terms: holders of priority rights, and the lots."""
    session.add_all(
        PriorityHolder(listing_id=listing.id, organisation_id=holder.organisation_id, rank=holder.rank)
        for holder in listings.priority_holders(session, before.id)
        if listings.terms_of(listing).takes("priority")
    )
    session.flush()
    if listing.format is FormatName.PACKAGE:
        lots.cut_again(session, listing, before=before)


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
