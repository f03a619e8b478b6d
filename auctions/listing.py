"""Listings: drafting the terms, what is still missing, publishing, the catalogue, withdrawing."""

import json
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from auctions import events
from auctions.domain import terms as domain
from auctions.domain.canonical import canonical, fingerprint
from auctions.domain.lifecycles import LISTING, AuctionOutcome, ListingState
from auctions.domain.terms import Missing, Surroundings, Terms
from auctions.models import Auction, Listing
from due_diligence import service as due_diligence
from marketplace import audit, db, outbox, search
from marketplace.actor import Actor, OrganisationKind
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money
from marketplace.packages import service as packages
from marketplace.parties import service as parties
from valuation import service as valuation

SEARCH_KIND = "listing"

_AMOUNTS = {"start_price": "start_price_minor", "reserve_price": "reserve_minor", "deposit": "deposit_minor"}
_TERMS = tuple(Terms.__dataclass_fields__)


class ListingNotReady(Conflict):
    """Something still stands in the way of publishing; `errors` name everything at once."""

    code = "listing_not_ready"

    def __init__(self, gaps: Sequence[Missing]) -> None:
        super().__init__(
            "The listing is not ready: " + ", ".join(gap.code for gap in gaps) + ".",
            errors=[{"code": gap.code, "detail": gap.detail} for gap in gaps],
        )


class PackageAlreadyListed(Conflict):
    """The package has a published listing or a live auction."""

    code = "package_already_listed"

    def __init__(self) -> None:
        super().__init__("This package is listed already; one live auction for each package.")


class TermsFixed(Conflict):
    """The terms of a published listing do not change."""

    code = "terms_fixed"

    def __init__(self, state: ListingState) -> None:
        super().__init__(f"The listing is {state.value}: its terms are fixed.", state=state.value)


class BiddingUnderWay(Conflict):
    """A seller may not withdraw once bidding has opened."""

    code = "bidding_under_way"

    def __init__(self) -> None:
        super().__init__("Bidding has opened; only the operator can withdraw the listing now.")


class AuctionOver(Conflict):
    """The auction has ended; its result stands."""

    code = "auction_over"

    def __init__(self) -> None:
        super().__init__("The auction has ended; its result stands.")


db.violation("uq_listings_published_package", PackageAlreadyListed)
db.violation("uq_auctions_live_package", PackageAlreadyListed)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a listing can be published now, and everything that stands in its way."""

    ready: bool
    missing: Sequence[Missing]


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing and its auction, None in draft."""

    row: Listing
    auction: Auction | None


@dataclass(frozen=True, slots=True)
class ListingPage(ListingView):
    """A listing with the figures of its package, as one reader sees it."""

    seller_name: str
    header: packages.PackageHeader | None
    strata: Sequence[packages.Stratum]
    shows_reserve: bool


def create_listing(session: Session, *, package_id: uuid.UUID, actor: Actor, at: datetime, **terms: Any) -> Listing:
    """Begin a draft for a package of one's own, with any of its terms; raise as `edit_listing` does."""
    package = packages.get_package(session, package_id, actor=actor)
    if package.organisation_id != actor.organisation_id:
        raise NotFound("package", package_id)
    listing = Listing(
        package_id=package.id,
        seller_organisation_id=package.organisation_id,
        state=LISTING.initial,
        currency=package.currency,
        created_at=at,
    )
    _set_terms(listing, terms)
    session.add(listing)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=listing, verb="create", after=_record(listing))
    return listing


def edit_listing(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime, **terms: Any) -> Listing:
    """Change terms of a draft; None empties an optional term.

    Raises `NotFound`, `TermsFixed`, `CurrencyMismatch`, and `BadDocument` for an increment that is none. The caller
    has checked the version against `lock_listing`.
    """
    listing = lock_listing(session, listing_id, actor=actor)
    if listing.state is not ListingState.DRAFT:
        raise TermsFixed(listing.state)
    before = _record(listing)
    _set_terms(listing, terms)
    listing.version += 1
    session.flush()
    audit.record(session, actor=actor, at=at, subject=listing, verb="edit", before=before, after=_record(listing))
    return listing


def _set_terms(listing: Listing, terms: dict[str, Any]) -> None:
    for name, value in terms.items():
        if name in _AMOUNTS:
            setattr(listing, _AMOUNTS[name], domain.same_currency(value, listing.currency))
        elif name == "increment" and value is not None:
            listing.increment = domain.normal_increment(value, listing.currency)
        else:
            setattr(listing, name, value)


def _record(listing: Listing) -> dict[str, Any]:
    """Return the terms for the audit record; the reserve only as given or not."""
    values = {name: getattr(listing, name) for name in _TERMS if name != "reserve_minor"}
    plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
    return plain | {"reserve_given": listing.reserve_minor is not None}


def lock_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> Listing:
    """Return a listing of the actor's organisation, its row locked; raise `NotFound`."""
    listing = session.get(Listing, listing_id, with_for_update=True)
    if listing is None or listing.seller_organisation_id != actor.organisation_id:
        raise NotFound("listing", listing_id)
    return listing


def get_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> Listing:
    """Return a listing: a draft to its seller, operator and auditor, a published one to everybody signed in."""
    listing = session.get(Listing, listing_id)
    if listing is None or not (listing.published_at is not None or sees_terms(listing, actor=actor)):
        raise NotFound("listing", listing_id)
    return listing


def sees_terms(listing: Listing, *, actor: Actor) -> bool:
    """Whether the actor sees everything but the reserve at every stage: the seller, operator and auditor."""
    return actor.sees_everything or listing.seller_organisation_id == actor.organisation_id


def sees_reserve(listing: Listing, *, actor: Actor) -> bool:
    """Whether the actor may know the reserve: the seller, and the auditor, who reads everything; not the operator."""
    return (
        listing.seller_organisation_id == actor.organisation_id or actor.organisation_kind is OrganisationKind.AUDITOR
    )


def show_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> ListingPage:
    """Return a listing with header and strata of its package; raise `NotFound`."""
    row = get_listing(session, listing_id, actor=actor)
    package = packages.require_package(session, row.package_id)
    names = parties.organisation_names(session, [row.seller_organisation_id])
    return ListingPage(
        row=row,
        auction=auction_of_listing(session, row.id),
        seller_name=names.get(row.seller_organisation_id, ""),
        header=packages.header(package) if package.header else None,
        strata=packages.strata(session, row.package_id),
        shows_reserve=sees_reserve(row, actor=actor),
    )


def list_listings(session: Session, *, actor: Actor, cursor: str | None, limit: int) -> Page[ListingView]:
    """Return the catalogue, newest first: what was published; to a seller its drafts too, to the operator all."""
    query = select(Listing)
    if not actor.sees_everything:
        own = Listing.seller_organisation_id == actor.organisation_id
        query = query.where(own | Listing.published_at.is_not(None))
    page: Page[Listing] = db.page(session, query, key_column=Listing.id, cursor=cursor, limit=limit)
    return Page(_views(session, page.items), page.next)


def find_listings(session: Session, *, query: str, limit: int) -> Page[ListingView]:
    """Return published listings that have every word of `query`, best first, on one page."""
    hits = search.find(session, kind=SEARCH_KIND, query=query, limit=limit)
    keys = [uuid.UUID(hit.key) for hit in hits]
    rows = {row.id: row for row in session.scalars(select(Listing).where(Listing.id.in_(keys)))}
    return Page(_views(session, [rows[key] for key in keys if key in rows]), None)


def _views(session: Session, rows: Sequence[Listing]) -> list[ListingView]:
    query = select(Auction).where(Auction.listing_id.in_([row.id for row in rows]))
    auctions = {auction.listing_id: auction for auction in session.scalars(query)}
    return [ListingView(row, auctions.get(row.id)) for row in rows]


def auction_of_listing(session: Session, listing_id: uuid.UUID) -> Auction | None:
    """Return the auction of a published listing. No visibility check."""
    return session.scalars(select(Auction).where(Auction.listing_id == listing_id)).first()


def terms_of(listing: Listing) -> Terms:
    """Return the terms of a listing as the domain takes them."""
    return Terms(**{name: getattr(listing, name) for name in _TERMS})


def readiness(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> Readiness:
    """Say everything that stands in the way of publishing; raise `NotFound`."""
    listing = get_listing(session, listing_id, actor=actor)
    if not sees_terms(listing, actor=actor):
        raise NotFound("listing", listing_id)
    gaps = _gaps(session, listing, at=at)
    return Readiness(ready=not gaps and listing.state is ListingState.DRAFT, missing=gaps)


def _gaps(session: Session, listing: Listing, *, at: datetime) -> list[Missing]:
    package = packages.require_package(session, listing.package_id)
    elsewhere = select(Listing.id).where(
        Listing.package_id == listing.package_id, Listing.state == ListingState.PUBLISHED, Listing.id != listing.id
    )
    frozen = package.state == packages.PackageState.FROZEN
    header = packages.header(package) if package.header else None
    room = due_diligence.room_of_package(session, listing.package_id)
    around = Surroundings(
        package_frozen=frozen or listing.state is not ListingState.DRAFT,
        package_listed_elsewhere=session.scalar(elsewhere.limit(1)) is not None,
        header_complete=header is not None and header.loans > 0 and header.principal.minor > 0,
        appraisal_accepted=valuation.accepted_appraisal(session, listing.package_id, at=at) is not None,
        room_open=room is not None and room.state == "open",
    )
    return domain.missing(terms_of(listing), around, at=at)


def publish_listing(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> Listing:
    """Announce the package: the rules are frozen with their hash, the reserve is committed, the auction is made.

    Raises `NotFound`, `IllegalMove`, `ListingNotReady` (everything missing at once), `PackageAlreadyListed`.
    """
    listing = lock_listing(session, listing_id, actor=actor)
    LISTING.move(listing.state, "publish")
    packages.require_package(session, listing.package_id, for_update=True)
    gaps = _gaps(session, listing, at=at)
    if gaps:
        raise ListingNotReady(gaps)
    packages.list_package(session, listing.package_id, actor=actor, at=at)
    listing.published_at = at
    listing.version += 1
    audit.transition(session, listing, "publish", lifecycle=LISTING, actor=actor, at=at)
    session.add(_new_auction(listing))
    session.flush()
    _make_findable(session, listing, at=at)
    outbox.publish(session, events.ListingPublished(listing.id, listing.package_id), at=at)
    return listing


def _new_auction(listing: Listing) -> Auction:
    assert listing.opens_at is not None
    assert listing.ends_at is not None
    rules, salt = domain.rules_document(terms_of(listing)), secrets.token_hex(16)
    return Auction(
        listing_id=listing.id,
        package_id=listing.package_id,
        currency=listing.currency,
        rules=canonical(rules).decode(),
        rules_hash=fingerprint(rules),
        reserve_minor=listing.reserve_minor,
        reserve_salt=salt,
        reserve_commitment=domain.commitment(salt=salt, reserve_minor=listing.reserve_minor, currency=listing.currency),
        opens_at=listing.opens_at,
        ends_at=listing.ends_at,
    )


def _make_findable(session: Session, listing: Listing, *, at: datetime) -> None:
    package = packages.require_package(session, listing.package_id)
    words = (listing.title_zh, listing.title_en, listing.description, package.name)
    search.put(
        session,
        kind=SEARCH_KIND,
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
    if listing is None or not sees_terms(listing, actor=actor):
        raise NotFound("listing", listing_id)
    published = listing.state is ListingState.PUBLISHED
    audit.transition(session, listing, "withdraw", lifecycle=LISTING, actor=actor, at=at, reason=reason)
    listing.version += 1
    if published:
        _withdraw_auction(session, listing, actor=actor, at=at)
    session.flush()
    return listing


def _withdraw_auction(session: Session, listing: Listing, *, actor: Actor, at: datetime) -> None:
    auction = session.scalars(select(Auction).where(Auction.listing_id == listing.id).with_for_update()).one()
    now = auction_time(session)
    if now >= auction.ends_at:
        raise AuctionOver
    if now >= auction.opens_at and not actor.sees_everything:
        raise BiddingUnderWay
    auction.closed_at = now
    auction.outcome = AuctionOutcome.WITHDRAWN
    packages.unlist_package(session, listing.package_id, actor=actor, at=at)
    search.remove(session, kind=SEARCH_KIND, key=str(listing.id), at=at)
    outbox.publish(session, events.AuctionFailed(auction.id, listing.id, listing.package_id), at=at)


def auction_time(session: Session) -> datetime:
    """Return the time of auctions: PostgreSQL's clock, whole milliseconds. One clock for bids, display and closing."""
    now: datetime = session.execute(text("SELECT auction_time()")).scalar_one()
    return now


def rules_of(auction: Auction) -> dict[str, Any]:
    """Return the public rules of an auction as they were frozen."""
    rules: dict[str, Any] = json.loads(auction.rules)
    return rules


def money(minor: int | None, currency: str) -> Money | None:
    """Return an amount of a nullable column."""
    return None if minor is None else Money(minor, currency)
