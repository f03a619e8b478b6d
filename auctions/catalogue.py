"""The catalogue: listings as one reader sees them. Which fields of a published listing who sees, its preset says."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import listing as listings
from auctions import rectification
from auctions.domain import presets
from auctions.domain.lifecycles import RegistrationState
from auctions.domain.presets import Audience
from auctions.listing_models import Announcement, PriorityHolder
from auctions.models import Auction, Listing, Registration
from marketplace import db, search
from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.packages import service as packages
from marketplace.parties import service as parties


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing and its auction, None in draft; `hidden` are the terms that this reader does not see."""

    row: Listing
    auction: Auction | None
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ListingPage(ListingView):
    """A listing with the figures of its package, as one reader sees it."""

    seller_name: str = ""
    header: packages.PackageHeader | None = None
    strata: Sequence[packages.Stratum] = ()
    shows_reserve: bool = False
    announcement: Announcement | None = None
    rectifiable_until: datetime | None = None
    priority: Sequence[PriorityHolder] | None = None


def show_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> ListingPage:
    """Return a listing with header and strata of its package; raise `NotFound`."""
    row = listings.get_listing(session, listing_id, actor=actor)
    package = packages.require_package(session, row.package_id)
    names = parties.organisation_names(session, [row.seller_organisation_id])
    newest = select(Announcement).where(Announcement.listing_id == row.id).order_by(Announcement.version.desc())
    return ListingPage(
        row=row,
        auction=listings.auction_of_listing(session, row.id),
        hidden=hidden_from(session, [row], actor=actor)[row.id],
        seller_name=names.get(row.seller_organisation_id, ""),
        header=packages.header(package) if package.header else None,
        strata=packages.strata(session, row.package_id),
        shows_reserve=listings.sees_reserve(row, actor=actor),
        announcement=session.scalars(newest.limit(1)).first(),
        rectifiable_until=rectification.window_end(session, row) if row.published_at else None,
        priority=listings.priority_holders(session, row.id) if listings.sees_terms(row, actor=actor) else None,
    )


def list_listings(session: Session, *, actor: Actor, cursor: str | None, limit: int) -> Page[ListingView]:
    """Return the catalogue, newest first: what was published; to a seller its drafts too, to the operator all."""
    query = select(Listing)
    if not actor.sees_everything:
        own = Listing.seller_organisation_id == actor.organisation_id
        query = query.where(own | Listing.published_at.is_not(None))
    page: Page[Listing] = db.page(session, query, key_column=Listing.id, cursor=cursor, limit=limit)
    return Page(_views(session, page.items, actor=actor), page.next)


def find_listings(session: Session, *, query: str, limit: int, actor: Actor) -> Page[ListingView]:
    """Return published listings that have every word of `query`, best first, on one page."""
    hits = search.find(session, kind=listings.SEARCH_KIND, query=query, limit=limit)
    keys = [uuid.UUID(hit.key) for hit in hits]
    rows = {row.id: row for row in session.scalars(select(Listing).where(Listing.id.in_(keys)))}
    return Page(_views(session, [rows[key] for key in keys if key in rows], actor=actor), None)


def _views(session: Session, rows: Sequence[Listing], *, actor: Actor) -> list[ListingView]:
    query = select(Auction).where(Auction.listing_id.in_([row.id for row in rows]))
    auctions = {auction.listing_id: auction for auction in session.scalars(query)}
    hidden = hidden_from(session, rows, actor=actor)
    return [ListingView(row, auctions.get(row.id), hidden[row.id]) for row in rows]


def hidden_from(session: Session, rows: Sequence[Listing], *, actor: Actor) -> Mapping[uuid.UUID, frozenset[str]]:
    """Return for each listing the terms that the actor does not see; three queries however many rows.

    The seller, operator and auditor see every term; `registered` are organisations with an approved registration.
    """
    others = [row for row in rows if row.published_at is not None and not listings.sees_terms(row, actor=actor)]
    if not others:
        return {row.id: frozenset() for row in rows}
    numbers = _preset_versions(session, [row.id for row in others])
    approved = _approved(session, [row.id for row in others], actor=actor)
    found: dict[uuid.UUID, frozenset[str]] = {row.id: frozenset() for row in rows}
    for row in others:
        if row.id in numbers:
            audience = Audience.REGISTERED if row.id in approved else Audience.EVERYONE
            found[row.id] = presets.version(row.preset, numbers[row.id]).hidden_from(audience)
    return found


def _preset_versions(session: Session, listing_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    query = (
        select(Announcement.listing_id, func.max(Announcement.preset_version))
        .where(Announcement.listing_id.in_(listing_ids))
        .group_by(Announcement.listing_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _approved(session: Session, listing_ids: Iterable[uuid.UUID], *, actor: Actor) -> set[uuid.UUID]:
    query = select(Registration.listing_id).where(
        Registration.listing_id.in_(listing_ids),
        Registration.organisation_id == actor.organisation_id,
        Registration.state == RegistrationState.APPROVED,
    )
    return set(session.scalars(query))


def hidden_terms(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> frozenset[str]:
    """Return the terms of a published listing that the actor does not see."""
    row = session.get_one(Listing, listing_id)
    return hidden_from(session, [row], actor=actor)[row.id]


def shown_rules(rules: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Return the public rules without the terms hidden from a reader."""
    return {name: value for name, value in rules.items() if name not in hidden}
