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

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import listing as listings
from auctions.domain import icalendar
from auctions.domain.format_terms import FormatName
from auctions.domain.icalendar import Entry, Status
from auctions.domain.lifecycles import EntryKind, ListingState
from auctions.listing_models import Announcement, CalendarFeed
from auctions.models import Auction, AuctionEvent, Listing
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
    changes = _changes(session, pairs)
    entries = [entry for listing, auction in pairs for entry in _entries(listing, auction, changes[auction.id])]
    return icalendar.write(entries, name="拍卖 / Auctions", at=at)


def listing_calendar(session: Session, *, listing_id: uuid.UUID, actor: Actor, at: datetime) -> bytes:
    """Return one published listing as iCalendar; raise `NotFound`."""
    listing = listings.get_listing(session, listing_id, actor=actor)
    auction = listings.auction_of_listing(session, listing_id)
    if auction is None:
        raise NotFound("calendar of listing", listing_id)
    change = _changes(session, [(listing, auction)])[auction.id]
    return icalendar.write(_entries(listing, auction, change), name=listing.title_zh or "", at=at)


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


@dataclass(frozen=True, slots=True)
class _Change:
    """How often a listing changed, as a number that only rises, and when last. Neither counts what may not be."""

    sequence: int
    at: datetime


def _changes(session: Session, pairs: Sequence[tuple[Listing, Auction]]) -> dict[uuid.UUID, _Change]:
    """Return the changes of listings by auction: versions of the terms, and entries of the log, which may move the end.

    While a hybrid runs only those of its entries are counted that everybody sees: acceptances and acts of the operator.
    """
    found = _last_entries(session, pairs)
    rectified = select(Announcement.listing_id, func.max(Announcement.at).label("at")).where(
        Announcement.listing_id.in_([listing.id for listing, _ in pairs])
    )
    announced = {row.listing_id: row.at for row in session.execute(rectified.group_by(Announcement.listing_id))}
    changes = {}
    for listing, auction in pairs:
        number, moved_at = found.get(auction.id, (0, None))
        known = (listing.published_at, announced.get(listing.id), moved_at, auction.closed_at)
        changes[auction.id] = _Change(listing.version + number, max(at for at in known if at is not None))
    return changes


def _last_entries(
    session: Session, pairs: Sequence[tuple[Listing, Auction]]
) -> dict[uuid.UUID, tuple[int, datetime | None]]:
    """Return how many entries the logs have, and when the last came in, as far as everybody may know."""
    hidden = [auction.id for listing, auction in pairs if _counts_are_hidden(listing, auction)]
    shown = {auction.id: (auction.number, auction.last_event_at) for _, auction in pairs if auction.id not in hidden}
    query = select(AuctionEvent.auction_id, func.count().label("number"), func.max(AuctionEvent.at).label("at")).where(
        AuctionEvent.auction_id.in_(hidden), AuctionEvent.kind.in_(_SEEN_BY_ALL)
    )
    rows = session.execute(query.group_by(AuctionEvent.auction_id)) if hidden else ()
    return shown | {row.auction_id: (row.number, row.at) for row in rows}


def _counts_are_hidden(listing: Listing, auction: Auction) -> bool:
    return listing.format is FormatName.HYBRID_DUTCH and auction.closed_at is None


_SEEN_BY_ALL: Final = (EntryKind.ACCEPT, EntryKind.SUSPEND, EntryKind.RESUME, EntryKind.VOID)


def _status(listing: Listing, auction: Auction) -> Status:
    if listing.state is ListingState.WITHDRAWN:
        return Status.CANCELLED
    return Status.TENTATIVE if auction.suspended_at is not None else Status.CONFIRMED


def _entries(listing: Listing, auction: Auction, change: _Change) -> list[Entry]:
    """Return the events of a listing: the end of registration, and the bidding with its end as it stands."""
    assert listing.registration_closes_at is not None
    title = " / ".join(part for part in (listing.title_zh, listing.title_en) if part)
    closes = listing.registration_closes_at
    status = _status(listing, auction)
    common: Any = {"sequence": change.sequence, "changed_at": change.at}
    return [
        Entry(
            uid=f"{listing.id}-registration@auctions",
            starts_at=closes - timedelta(minutes=15),
            ends_at=closes,
            summary=f"报名截止 Registration closes: {title}",
            status=Status.CANCELLED if status is Status.CANCELLED else Status.CONFIRMED,
            **common,
        ),
        Entry(
            uid=f"{listing.id}-bidding@auctions",
            starts_at=auction.opens_at,
            ends_at=auction.ends_at,
            summary=f"竞价 Bidding: {title}",
            description=f"{listing.format.value}; zone {listing.zone}; the end may move while bidding runs.",
            status=status,
            **common,
        ),
    ]
