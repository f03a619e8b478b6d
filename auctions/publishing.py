"""Publishing a listing: what is still missing, the legal checks, freezing rules and announcement, taking it back.

The announcement is one canonical document with a hash; in it are the hashes of the rules, of the preset, of its
calendar and of the re-listing plan. The reserve is committed by a hash of its own and told to nobody.
"""

import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import events, lots, onward_sales, opening, sealed_book, signing
from auctions import listing as listings
from auctions.domain import calendars, checks, references, relisting
from auctions.domain import terms as domain
from auctions.domain.canonical import canonical, fingerprint
from auctions.domain.checks import Facts
from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import LISTING, AuctionOutcome, ListingState
from auctions.domain.presets import Preset, PresetNotInForce
from auctions.domain.terms import Missing, Surroundings
from auctions.listing_models import Announcement
from auctions.models import Auction, Listing
from due_diligence import service as due_diligence
from marketplace import audit, db, outbox, runtime, search
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money
from marketplace.packages import service as packages
from valuation import service as valuation


class ListingNotReady(Conflict):
    """Something still stands in the way of publishing; `errors` name everything at once, with the source of a law."""

    code = "listing_not_ready"

    def __init__(self, gaps: Sequence[Missing]) -> None:
        super().__init__(
            "The listing is not ready: " + ", ".join(gap.code for gap in gaps) + ".",
            errors=[gap.document() for gap in gaps],
        )


class PackageAlreadyListed(Conflict):
    """The package has a published listing or a live auction."""

    code = "package_already_listed"

    def __init__(self) -> None:
        super().__init__("This package is listed already; one live auction for each package.")


class BiddingUnderWay(Conflict):
    """A seller may not withdraw once bidding has opened."""

    code = "bidding_under_way"

    def __init__(self) -> None:
        super().__init__("Bidding has opened; only the operator can withdraw the listing now.")


db.violation("uq_listings_published_package", PackageAlreadyListed)
db.violation("uq_auctions_live_package", PackageAlreadyListed)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a listing can be published now, and everything that stands in its way."""

    ready: bool
    missing: Sequence[Missing]


def readiness(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> Readiness:
    """Say everything that stands in the way of publishing; raise `NotFound`."""
    listing = listings.get_listing(session, listing_id, actor=actor)
    if not listings.sees_terms(listing, actor=actor):
        raise NotFound("listing", listing_id)
    found = gaps(session, listing, at=at)
    return Readiness(ready=not found and listing.state is ListingState.DRAFT, missing=found)


def gaps(session: Session, listing: Listing, *, at: datetime) -> list[Missing]:
    """Return everything that a listing lacks at `at`, the legal checks of its preset included."""
    package = packages.require_package(session, listing.package_id)
    elsewhere = select(Listing.id).where(
        Listing.package_id == listing.package_id, Listing.state == ListingState.PUBLISHED, Listing.id != listing.id
    )
    frozen = package.state == packages.PackageState.FROZEN
    header = packages.header(package) if package.header else None
    room = due_diligence.room_of_package(session, listing.package_id)
    appraisal = valuation.accepted_appraisal(session, listing.package_id, at=at)
    around = Surroundings(
        package_frozen=frozen or listing.state is not ListingState.DRAFT,
        package_listed_elsewhere=session.scalar(elsewhere.limit(1)) is not None,
        header_complete=header is not None and header.loans > 0 and header.principal.minor > 0,
        appraisal_accepted=appraisal is not None,
        room_open=room is not None and room.state == "open",
    )
    found = domain.missing(listings.terms_of(listing), around, at=at) + lots.gaps(session, listing)
    found += onward_sales.gaps(session, listing, vault=runtime.current().vault)
    if listing.relisting_plan is not None and not listing.plan_step:
        found += relisting.gaps(listings.terms_of(listing), listing.relisting_plan)
    try:
        preset = listings.preset_of(session, listing, at=at)
    except PresetNotInForce as failure:
        return [*found, Missing(failure.code, failure.detail)]
    return found + _legal_gaps(session, listing, preset, appraisal, at=at)


def _legal_gaps(session: Session, listing: Listing, preset: Preset, appraisal: Any, *, at: datetime) -> list[Missing]:
    if not preset.checks:
        return []
    before = session.get(Listing, listing.previous_listing_id) if listing.previous_listing_id else None
    facts = Facts(
        appraisal_minor=None if appraisal is None else appraisal.value_minor,
        previous_start_minor=None if before is None else before.start_price_minor,
        published_at=listing.published_at or at,
    )
    return checks.judge(listings.terms_of(listing), preset, facts)


def publish_listing(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> Listing:
    """Announce the package: the rules are frozen with their hash, the reserve is committed, the auction is made.

    Raises `NotFound`, `IllegalMove`, `ListingNotReady` (everything missing at once), `PackageAlreadyListed`.
    """
    listing = listings.lock_listing(session, listing_id, actor=actor)
    LISTING.move(listing.state, "publish")
    packages.require_package(session, listing.package_id, for_update=True)
    found = gaps(session, listing, at=at)
    if found:
        raise ListingNotReady(found)
    announce(session, listing, actor=actor, at=at)
    return listing


def announce(session: Session, listing: Listing, *, actor: Actor, at: datetime) -> None:
    """Publish a draft that lacks nothing; the caller holds the locks of the listing and of its package."""
    packages.list_package(session, listing.package_id, actor=actor, at=at)
    signing.ensure_key(session, vault=runtime.current().vault, at=at)
    preset = listings.preset_of(session, listing, at=at)
    _draw_codes(session, listing)
    rules = _rules(session, listing)
    if not listings.terms_of(listing).takes("ends_at"):
        listing.ends_at = domain.scheduled_end(rules)
    listing.published_at = at
    listing.version += 1
    audit.transition(session, listing, "publish", lifecycle=LISTING, actor=actor, at=at)
    auction = Auction(listing_id=listing.id, package_id=listing.package_id, currency=listing.currency)
    freeze(auction, listing, rules)
    session.add(auction)
    session.flush()
    if rules["format"] in sealed_book.SEALED_FORMATS:
        names = [lot["lot"] for lot in rules.get("lots", [])]
        opening.prepare(session, auction_id=auction.id, lots=names, vault=runtime.current().vault, at=at)
    keep_announcement(session, listing, auction=auction, preset=preset, at=at)
    session.flush()
    make_findable(session, listing, at=at)
    outbox.publish(session, events.ListingPublished(listing.id, listing.package_id), at=at)


def _draw_codes(session: Session, listing: Listing) -> None:
    """Draw the bidder codes of priority holders, so that the rules can name them before they register."""
    codes = references.BIDDER_CODES
    for holder in listings.priority_holders(session, listing.id):
        taken = {one.bidder_code for one in listings.priority_holders(session, listing.id)}
        free = [number for number in codes if references.bidder_code(number) not in taken]
        holder.bidder_code = references.bidder_code(secrets.choice(free))
    session.flush()


def _rules(session: Session, listing: Listing) -> dict[str, Any]:
    holders = listings.priority_holders(session, listing.id)
    ranks = [(holder.bidder_code, holder.rank) for holder in holders if holder.bidder_code is not None]
    return domain.rules_document(listings.terms_of(listing), priority=ranks)


def freeze(auction: Auction, listing: Listing, rules: Mapping[str, Any]) -> None:
    """Write rules, times and the commitment of the reserve onto an auction."""
    assert listing.opens_at is not None
    auction.rules, auction.rules_hash = canonical(rules).decode(), fingerprint(rules)
    auction.reserve_minor, auction.reserve_salt = listing.reserve_minor, secrets.token_hex(16)
    auction.reserve_commitment = domain.commitment(
        salt=auction.reserve_salt, reserve_minor=listing.reserve_minor, currency=listing.currency
    )
    auction.attempt_interval_seconds = listing.attempt_interval_seconds
    auction.confirm_above_percent = listing.confirm_above_percent
    auction.opens_at = listing.opens_at
    auction.ends_at = domain.scheduled_end(dict(rules))


def refreeze(session: Session, listing: Listing, *, auction: Auction, at: datetime) -> None:
    """Fix changed terms of a published listing anew; the caller holds the locks of the listing and of its auction."""
    rules = _rules(session, listing)
    if not listings.terms_of(listing).takes("ends_at"):
        listing.ends_at = domain.scheduled_end(rules)
    freeze(auction, listing, rules)
    keep_announcement(session, listing, auction=auction, preset=listings.preset_of(session, listing, at=at), at=at)
    session.flush()
    make_findable(session, listing, at=at)


def keep_announcement(session: Session, listing: Listing, *, auction: Auction, preset: Preset, at: datetime) -> None:
    """Add the next version of a listing's announcement."""
    newest = select(Announcement.version).where(Announcement.listing_id == listing.id)
    number = (session.scalar(newest.order_by(Announcement.version.desc()).limit(1)) or 0) + 1
    document = _announcement(listing, auction, preset, number=number, at=at)
    if listing.format is FormatName.PACKAGE:
        document["lots"] = lots.announced(session, listing.id)
        document["rest_not_for_sale"] = listing.rest_not_for_sale
    row = Announcement(
        listing_id=listing.id,
        version=number,
        preset=preset.name,
        preset_version=preset.version,
        document=canonical(document).decode(),
        hash=fingerprint(document),
        at=at,
    )
    session.add(row)


def _announcement(listing: Listing, auction: Auction, preset: Preset, *, number: int, at: datetime) -> dict[str, Any]:
    assert listing.deposit_minor is not None
    assert listing.registration_closes_at is not None
    plan = listing.relisting_plan
    return {
        "listing_id": str(listing.id),
        "package_id": str(listing.package_id),
        "seller_organisation_id": str(listing.seller_organisation_id),
        "version": number,
        "announced_at": format_instant(at),
        "titles": {"zh": listing.title_zh, "en": listing.title_en},
        "description": listing.description,
        "asset_kind": listing.asset_kind.value,
        "attempt": listing.attempt,
        "previous_listing_id": listing.previous_listing_id and str(listing.previous_listing_id),
        "zone": listing.zone,
        "format": listing.format.value,
        "deposit": {"amount": Money(listing.deposit_minor, listing.currency).text, "currency": listing.currency},
        "registration_closes_at": format_instant(listing.registration_closes_at),
        "opens_at": format_instant(auction.opens_at),
        "ends_at": format_instant(auction.ends_at),
        "attempt_interval_seconds": listing.attempt_interval_seconds,
        "confirm_above_percent": listing.confirm_above_percent,
        "rules_hash": auction.rules_hash,
        "reserve_commitment": auction.reserve_commitment,
        "preset": {"name": preset.name, "version": preset.version, "hash": preset.hash},
        "calendar": {"name": preset.calendar, "hash": calendars.calendar(preset.calendar).hash},
        "relisting": None if plan is None else {"plan": plan, "hash": fingerprint(plan), "step": listing.plan_step},
    }


def announcements(session: Session, *, listing_id: uuid.UUID, actor: Actor) -> list[dict[str, Any]]:
    """Return every version of an announcement with its hash, newest first; raise `NotFound`."""
    listings.get_listing(session, listing_id, actor=actor)
    query = select(Announcement).where(Announcement.listing_id == listing_id).order_by(Announcement.version.desc())
    return [{"hash": row.hash, "document": json.loads(row.document)} for row in session.scalars(query)]


def make_findable(session: Session, listing: Listing, *, at: datetime) -> None:
    """Put a published listing into the search index."""
    package = packages.require_package(session, listing.package_id)
    words = (listing.title_zh, listing.title_en, listing.description, package.name)
    search.put(
        session,
        kind=listings.SEARCH_KIND,
        key=str(listing.id),
        text="\n".join(word for word in words if word),
        payload={"package_id": str(listing.package_id)},
        at=at,
    )


def withdraw_listing(session: Session, *, listing_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Listing:
    """Take a listing back: a draft; a published one by its seller before bidding opens, by the operator until it ends.

    Raises `NotFound`, `IllegalMove`, `BiddingUnderWay`, `AuctionOver`. The package is free again; `auction.failed`.
    """
    listing = session.get(Listing, listing_id, with_for_update=True)
    if listing is None or not listings.sees_terms(listing, actor=actor):
        raise NotFound("listing", listing_id)
    published = listing.state is ListingState.PUBLISHED
    audit.transition(session, listing, "withdraw", lifecycle=LISTING, actor=actor, at=at, reason=reason)
    listing.version += 1
    if published:
        _withdraw_auction(session, listing, actor=actor, at=at)
        outbox.publish(session, events.ListingWithdrawn(listing.id, listing.package_id), at=at)
    session.flush()
    return listing


def _withdraw_auction(session: Session, listing: Listing, *, actor: Actor, at: datetime) -> None:
    auction = session.scalars(select(Auction).where(Auction.listing_id == listing.id).with_for_update()).one()
    now = listings.auction_time(session)
    if now >= auction.ends_at and auction.suspended_at is None:
        raise listings.AuctionOver
    if now >= auction.opens_at and not actor.sees_everything:
        raise BiddingUnderWay
    auction.closed_at = now
    auction.outcome = AuctionOutcome.WITHDRAWN
    packages.unlist_package(session, listing.package_id, actor=actor, at=at)
    search.remove(session, kind=listings.SEARCH_KIND, key=str(listing.id), at=at)
    outbox.publish(session, events.AuctionFailed(auction.id, listing.id, listing.package_id), at=at)
