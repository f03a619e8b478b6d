"""Auctions as a calendar: iCalendar files for whoever is signed in, and secret links for calendars that cannot sign in.

A link carries a random token of 256 bits of which only a hash is kept. It reads the announced auctions' titles and
times and nothing else: no price, no package, no registration. It ends after a year, when it is revoked, and as soon as
its user or organisation may not sign in any more. It is no credential of the API.
"""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import listing as listings
from auctions.domain import icalendar
from auctions.domain.icalendar import Entry
from auctions.domain.lifecycles import ListingState
from auctions.listing_models import CalendarFeed
from auctions.models import Auction, Listing
from marketplace import audit
from marketplace.actor import Actor
from marketplace.crypto import token_hash
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.parties import service as parties
from marketplace.policies import NotSignedIn

PREFIX: Final = "cal_"
LIFETIME: Final = timedelta(days=365)
MAX_FEEDS: Final = 20
MAX_ENTRIES: Final = 500
KEPT: Final = timedelta(days=90)
"""Auctions that ended longer ago are left out."""


class PersonNeededForFeed(Refused):
    """Only a person has a calendar; an API key reads the file with its own credential."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("Calendar links are made by people; with an API key read the calendar directly.")


class TooManyFeeds(Conflict):
    """A person has enough links."""

    code = "too_many_calendar_feeds"

    def __init__(self) -> None:
        super().__init__(f"You have {MAX_FEEDS} calendar links; revoke one first.")


@dataclass(frozen=True, slots=True)
class IssuedFeed:
    """A new link with its token, which is not kept and cannot be shown again."""

    feed: CalendarFeed
    token: str


def issue_feed(session: Session, *, name: str, actor: Actor, at: datetime) -> IssuedFeed:
    """Make a calendar link for a person; raise `PersonNeededForFeed`, `TooManyFeeds`."""
    if actor.user_id is None:
        raise PersonNeededForFeed
    if len(list_feeds(session, actor=actor, at=at)) >= MAX_FEEDS:
        raise TooManyFeeds
    token = PREFIX + secrets.token_urlsafe(32)
    feed = CalendarFeed(
        user_id=actor.user_id,
        organisation_id=actor.organisation_id,
        name=name,
        token_hash=token_hash(token),
        created_at=at,
        expires_at=at + LIFETIME,
    )
    session.add(feed)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=feed, verb="create")
    return IssuedFeed(feed, token)


def list_feeds(session: Session, *, actor: Actor, at: datetime) -> Sequence[CalendarFeed]:
    """Return one's own links that are still good, newest first."""
    query = select(CalendarFeed).where(
        CalendarFeed.user_id == actor.user_id, CalendarFeed.revoked_at.is_(None), CalendarFeed.expires_at > at
    )
    return session.scalars(query.order_by(CalendarFeed.id.desc())).all()


def revoke_feed(session: Session, *, feed_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """End a link of one's own at once; a second time changes nothing. Raises `NotFound`."""
    feed = session.get(CalendarFeed, feed_id, with_for_update=True)
    if feed is None or feed.user_id != actor.user_id:
        raise NotFound("calendar link", feed_id)
    if feed.revoked_at is None:
        feed.revoked_at = at
        audit.record(session, actor=actor, at=at, subject=feed, verb="revoke")


def calendar(session: Session, *, token: str | None, actor: Actor | None, at: datetime) -> bytes:
    """Return the announced auctions as iCalendar, to whoever is signed in or holds a good link; raise `NotSignedIn`."""
    _admit(session, token=token, actor=actor, at=at)
    query = (
        select(Listing, Auction)
        .join(Auction, Auction.listing_id == Listing.id)
        .where(Auction.ends_at > at - KEPT)
        .order_by(Auction.opens_at.desc(), Listing.id)
        .limit(MAX_ENTRIES)
    )
    pairs = [(row[0], row[1]) for row in session.execute(query)]
    entries = [entry for listing, auction in pairs for entry in _entries(listing, auction)]
    return icalendar.write(entries, name="拍卖 / Auctions", at=at)


def listing_calendar(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> bytes:
    """Return one published listing as iCalendar; raise `NotFound`."""
    listing = listings.get_listing(session, listing_id, actor=actor)
    auction = listings.auction_of_listing(session, listing_id)
    if auction is None:
        raise NotFound("calendar of listing", listing_id)
    return icalendar.write(_entries(listing, auction), name=listing.title_zh or "", at=at)


def _admit(session: Session, *, token: str | None, actor: Actor | None, at: datetime) -> None:
    if actor is not None:
        return
    if token is None or not token.startswith(PREFIX):
        raise NotSignedIn
    query = select(CalendarFeed.user_id).where(
        CalendarFeed.token_hash == token_hash(token), CalendarFeed.revoked_at.is_(None), CalendarFeed.expires_at > at
    )
    user_id = session.scalar(query)
    if user_id is None or not parties.may_sign_in(session, user_id):
        raise NotSignedIn


def _entries(listing: Listing, auction: Auction) -> list[Entry]:
    """Return the events of a listing: the end of registration, and the bidding with its end as it stands."""
    assert listing.registration_closes_at is not None
    assert listing.published_at is not None
    title = " / ".join(part for part in (listing.title_zh, listing.title_en) if part)
    cancelled = listing.state is ListingState.WITHDRAWN
    closes = listing.registration_closes_at
    common: Any = {
        "sequence": listing.version + auction.extensions,
        "changed_at": auction.closed_at or listing.published_at,
    }
    return [
        Entry(
            uid=f"{listing.id}-registration@auctions",
            starts_at=closes - timedelta(minutes=15),
            ends_at=closes,
            summary=f"报名截止 Registration closes: {title}",
            cancelled=cancelled,
            **common,
        ),
        Entry(
            uid=f"{listing.id}-bidding@auctions",
            starts_at=auction.opens_at,
            ends_at=auction.ends_at,
            summary=f"竞价 Bidding: {title}",
            description=f"{listing.format.value}; zone {listing.zone}; the end may move while bidding runs.",
            cancelled=cancelled,
            **common,
        ),
    ]
