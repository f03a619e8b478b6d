"""Changing a listing: a draft freely, a published one only within the rectification window of its preset.

Prozorro.Sale (dgf) lets the terms be corrected in the first two working days after publication; a judicial sale never.
Once a deposit is held, or bidding has opened, nothing changes unless the preset says so: people rely on the text.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import events, publishing
from auctions import listing as listings
from auctions.domain import calendars, format_terms
from auctions.domain.lifecycles import ListingState
from auctions.models import Auction, Listing, Registration
from marketplace import audit, outbox
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.errors import Conflict

PLANNED: Final = frozenset({
    "preset", "format", "zone", "asset_kind", "start_price", "reserve_price", "increment", "deposit", "relisting_plan",
    *format_terms.NAMES,
}) - {"stop_at"}  # fmt: skip
"""What a re-listing plan fixed in advance; the seller of a planned draft may change its words and times."""


class TermsFixed(Conflict):
    """The terms of a published listing do not change, or not these, or not any longer; `allowed` is what still may."""

    code = "terms_fixed"

    def __init__(self, state: ListingState, because: str, *, allowed: Iterable[str], until: datetime | None) -> None:
        super().__init__(
            f"The listing is {state.value}: {because}",
            state=state.value,
            allowed=sorted(allowed),
            until=None if until is None else format_instant(until),
        )


class PlanFixed(Conflict):
    """The term of a planned re-listing was fixed with the first announcement; withdraw the draft to leave the plan."""

    code = "plan_fixed"

    def __init__(self, terms: Iterable[str]) -> None:
        super().__init__(
            "Fixed in advance by the re-listing plan: " + ", ".join(sorted(terms)) + ".", allowed=["withdraw"]
        )


def edit_listing(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime, **terms: Any) -> Listing:
    """Change terms of a draft, or rectify a published listing; None empties an optional term.

    Raises `NotFound`, `TermsFixed`, `PlanFixed`, for a published listing `ListingNotReady` if it would lack anything,
    and as `set_terms` does. The caller has checked the version against `lock_listing`.
    """
    listing = listings.lock_listing(session, listing_id, actor=actor)
    if listing.state is ListingState.PUBLISHED:
        return _rectify(session, listing, terms, actor=actor, at=at)
    if listing.state is not ListingState.DRAFT:
        raise TermsFixed(listing.state, "its terms are fixed.", allowed=[], until=None)
    planned = PLANNED.intersection(terms) if listing.plan_step else None
    if planned:
        raise PlanFixed(planned)
    before = listings.record_of(listing)
    listings.set_terms(session, listing, terms=terms, at=at)
    _keep(session, listing, before, verb="edit", actor=actor, at=at)
    return listing


def _keep(session: Session, listing: Listing, before: dict[str, Any], *, verb: str, actor: Actor, at: datetime) -> None:
    listing.version += 1
    session.flush()
    after = listings.record_of(listing)
    audit.record(session, actor=actor, at=at, subject=listing, verb=verb, before=before, after=after)


def _rectify(session: Session, listing: Listing, terms: Mapping[str, Any], *, actor: Actor, at: datetime) -> Listing:
    """Correct a published listing: a new version of rules and announcement, and word to whoever has registered."""
    query = select(Auction).where(Auction.listing_id == listing.id).with_for_update()
    auction = session.scalars(query.execution_options(populate_existing=True)).one()
    _check_window(session, listing, auction, terms, at=at)
    before = listings.record_of(listing)
    with session.no_autoflush:  # the row's own constraint would refuse what lacks something, without naming it
        listings.set_terms(session, listing, terms=terms, at=at)
        found = publishing.gaps(session, listing, at=at)
    if found:
        raise publishing.ListingNotReady(found)
    _keep(session, listing, before, verb="rectify", actor=actor, at=at)
    publishing.refreeze(session, listing, auction=auction, at=at)
    outbox.publish(session, events.ListingRectified(listing.id, listing.package_id, listing.version), at=at)
    return listing


def _check_window(
    session: Session, listing: Listing, auction: Auction, terms: Mapping[str, Any], *, at: datetime
) -> None:
    rules = listings.preset_of(session, listing, at=at).rectification
    until = window_end(session, listing)
    opened = listings.auction_time(session) >= auction.opens_at
    verbs = [] if opened else ["withdraw"]
    if until is None:
        raise TermsFixed(listing.state, "its preset has no rectification.", allowed=verbs, until=None)
    if at >= until or opened:
        raise TermsFixed(listing.state, "the time for rectification is over.", allowed=verbs, until=until)
    if not rules["after_first_registration"] and _relied_on(session, listing, auction):
        raise TermsFixed(listing.state, "a deposit is held for it, so its terms are fixed.", allowed=verbs, until=until)
    wrong = set(terms).difference(rules["fields"])
    if wrong:
        because = "these terms are fixed: " + ", ".join(sorted(wrong)) + "."
        raise TermsFixed(listing.state, because, allowed=[*verbs, *rules["fields"]], until=until)


def window_end(session: Session, listing: Listing) -> datetime | None:
    """Return when the rectification of a published listing ends, exclusive; None when its preset has none."""
    assert listing.published_at is not None
    preset = listings.preset_of(session, listing, at=listing.published_at)
    if not preset.rectification["working_days"]:
        return None
    return calendars.deadline(
        listing.published_at,
        working_days=preset.rectification["working_days"],
        calendar_name=preset.calendar,
        zone=preset.zone,
    )


def _relied_on(session: Session, listing: Listing, auction: Auction) -> bool:
    covered = select(Registration.id).where(Registration.listing_id == listing.id, Registration.covered_at.is_not(None))
    return auction.sequence > 0 or session.scalar(covered.limit(1)) is not None
