"""What an operator does to a running auction: suspend it, resume it fairly, remove a bidder. Each is in the log.

After a resumption the end is resumption + max(remaining, one extension). A removed bidder's attempts stay visible;
price and leader are those of the remaining attempts, and the end is not shortened.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from auctions import bidding, events, log, playback, plays, sealed_book, signing
from auctions.domain.formats import Answer, Event, EventKind, Standing, TooMuchWork, WholeLogNeeded
from auctions.models import Auction, Registration
from auctions.plays import Live
from marketplace import audit, outbox
from marketplace.actor import Actor
from marketplace.crypto import Vault
from marketplace.errors import Conflict, NotFound


class BiddingOver(Conflict):
    """The auction has ended."""

    code = "bidding_over"

    def __init__(self) -> None:
        super().__init__("The auction has ended.")


class AlreadySuspended(Conflict):
    """The auction is suspended."""

    code = "already_suspended"

    def __init__(self) -> None:
        super().__init__("The auction is suspended already.")


class NotSuspended(Conflict):
    """The auction is not suspended."""

    code = "not_suspended"

    def __init__(self) -> None:
        super().__init__("The auction is not suspended.")


class AlreadyVoided(Conflict):
    """The bidder was removed before."""

    code = "already_voided"

    def __init__(self) -> None:
        super().__init__("This bidder was removed from the auction already.")


class TooManyRemovals(Conflict):
    """So many bidders were removed in so long a log that it cannot be played again for one more."""

    code = "too_many_removals"

    def __init__(self) -> None:
        super().__init__("The log is too long to be played again after one more removal; withdraw the auction instead.")


def suspend_auction(
    session: Session, *, auction_id: uuid.UUID, reason: str, vault: Vault, actor: Actor, at: datetime
) -> Auction:
    """Stop the bidding and the clock; raise `NotFound`, `BiddingOver`, `AlreadySuspended`."""
    row, now = _locked(session, auction_id)
    if row.suspended_at is not None:
        raise AlreadySuspended
    if now >= row.ends_at:
        raise BiddingOver
    number = _act(session, row, Event(now, EventKind.SUSPEND), reason=reason, vault=vault, actor=actor)
    outbox.publish(session, events.AuctionSuspended(auction_id, row.listing_id, row.package_id, number), at=at)
    return _told(session, row, "suspend", reason=reason, actor=actor, at=at)


def resume_auction(
    session: Session, *, auction_id: uuid.UUID, reason: str, vault: Vault, actor: Actor, at: datetime
) -> Auction:
    """Let the bidding go on; raise `NotFound`, `BiddingOver`, `NotSuspended`."""
    row, now = _locked(session, auction_id)
    if row.suspended_at is None:
        raise NotSuspended
    number = _act(session, row, Event(now, EventKind.RESUME), reason=reason, vault=vault, actor=actor)
    outbox.publish(session, events.AuctionResumed(auction_id, row.listing_id, row.package_id, number), at=at)
    return _told(session, row, "resume", reason=reason, actor=actor, at=at)


def void_bidder(
    session: Session,
    *,
    auction_id: uuid.UUID,
    registration_id: uuid.UUID,
    reason: str,
    vault: Vault,
    actor: Actor,
    at: datetime,
) -> Auction:
    """Remove a bidder that may not take part, also after the end as long as the result is not written down.

    Raises `NotFound`, `BiddingOver` once the auction is closed, `AlreadyVoided`, `TooManyRemovals`.
    """
    row, now = _locked(session, auction_id)
    registration = session.get(Registration, registration_id)
    if registration is None or registration.listing_id != row.listing_id:
        raise NotFound("registration", registration_id)
    event = Event(now, EventKind.VOID, registration.bidder_code)
    if log.was_voided(session, auction_id=auction_id, registration_id=registration_id):
        raise AlreadyVoided
    _act(session, row, event, registration_id=registration_id, reason=reason, vault=vault, actor=actor)
    outbox.publish(session, events.BidderVoided(auction_id, row.listing_id, registration_id), at=at)
    return _told(session, row, "void", reason=reason, actor=actor, at=at, bidder=registration.bidder_code)


def _locked(session: Session, auction_id: uuid.UUID) -> tuple[Any, datetime]:
    """Lock an auction that is not closed; returns its row and the time of the deed, never before the last event.

    The books of a sealed one are locked first: a bid is sealed either before the deed, or knowing it.
    """
    sealed_book.lock_books(session, auction_id)
    row = bidding.lock_row(session, auction_id)
    if row is None:
        raise NotFound("auction", auction_id)
    if row.outcome is not None:
        raise BiddingOver
    return row, max(row.now, row.last_event_at or row.now)


def _act(
    session: Session,
    row: Any,
    event: Event,
    *,
    registration_id: uuid.UUID | None = None,
    reason: str,
    vault: Vault,
    actor: Actor,
) -> int:
    """Write a deed of the operator into the log; return its number."""
    head, signer = log.head_of(row), signing.signer(session, vault=vault, at=event.at)
    live, answer, standing = _stepped(session, row, event)
    deed = log.Deed(event, registration_id, actor, reason=reason)
    entry = log.append(head, deed, answer, standing, key_id=signer.key_id)
    log.write(session, head=head, entries=[entry], standing=standing, play=live.text(event.at), signer=signer)
    return entry.number


def _stepped(session: Session, row: Any, event: Event) -> tuple[Live, Answer, Standing]:
    """Let the auction take a deed. Where a removal means to apply all attempts again, the whole log is played first."""
    live = plays.live(row)
    try:
        try:
            answer = live.step(event)
        except WholeLogNeeded:
            live = Live(playback.played(session, row), live.accepted_at)
            answer = live.step(event)
        return live, answer, live.play.standing(event.at)
    except TooMuchWork:
        raise TooManyRemovals from None


def _told(
    session: Session, row: Any, verb: str, *, reason: str, actor: Actor, at: datetime, bidder: str | None = None
) -> Auction:
    auction = session.get_one(Auction, row.id, populate_existing=True)
    after = {"ends_at": auction.ends_at.isoformat()} | ({} if bidder is None else {"bidder": bidder})
    audit.record(session, actor=actor, at=at, subject=auction, verb=verb, after=after, reason=reason)
    session.flush()
    return auction
