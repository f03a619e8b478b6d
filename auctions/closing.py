"""Closing: writing down what is already true, and the awards.

An auction is over when the time reaches its end, whether or not anybody noticed. `close_due` replays the log with the
pure engine, holds the result against the row, and writes outcome and awards; it may run late, twice, or on five
workers at once: an auction is closed in one transaction under its locks, or not at all.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import award_views, awards, events, listing, lots, playback, sealed_book
from auctions.domain.formats import AuctionState
from auctions.domain.lifecycles import LISTING, AuctionOutcome
from auctions.models import Auction, Listing, Registration
from marketplace import audit, outbox, search
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money

log = structlog.get_logger(__name__)

BATCH = 50
"""So many auctions are closed in one run; the next run comes a second later."""


WHOLE_LOG: Final = 20_000
"""Entries of a log that is answered in one piece; a longer one is read part by part."""


class ResultPending(Conflict):
    """The auction is not over, or its end is not written down yet."""

    code = "result_pending"

    def __init__(self) -> None:
        super().__init__("There is no result yet; the auction runs, or its end is being written down.")


class LogTooLong(Conflict):
    """The log is too long for one answer."""

    code = "log_too_long"

    def __init__(self, entries: int) -> None:
        super().__init__(
            f"The log has {entries} entries; read it in parts with ?limit=…, then ?limit=…&after=… as `next` says.",
            entries=entries,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """How an auction ended. `winner` is a bidder code; `log_hash` is that of `auction_log`."""

    auction_id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    outcome: AuctionOutcome
    price: Money | None
    winner: str | None
    ended_at: datetime
    accepted: int
    extensions: int
    rules_hash: str
    log_hash: str | None
    awards: Sequence[award_views.AwardView]


def close_due(session: Session, at: datetime) -> int:
    """Write down the end of every auction that is over by PostgreSQL's clock; return how many this run closed."""
    now = listing.auction_time(session)
    due = (
        select(Listing)
        .join(Auction, Auction.listing_id == Listing.id)
        .where(
            Auction.closed_at.is_(None),
            Auction.ends_at <= now,
            Auction.suspended_at.is_(None),
            ~sealed_book.awaits_opening(),
        )
        .order_by(Auction.ends_at)
        .limit(BATCH)
        .with_for_update(of=Listing, skip_locked=True)
    )
    closed = 0
    for row in session.scalars(due).all():
        try:
            with session.begin_nested():
                closed += _close(session, row, now=now, at=at)
        except playback.LogDisagrees:
            log.exception("auction not closed", listing=str(row.id))
    return closed


def _close(session: Session, row: Listing, *, now: datetime, at: datetime) -> bool:
    query = select(Auction).where(Auction.listing_id == row.id).with_for_update()
    auction = session.scalars(query.execution_options(populate_existing=True)).one()
    if auction.closed_at is not None or auction.ends_at > now or auction.suspended_at is not None:
        return False
    standing, answer = playback.concluded(session, auction)
    bidders = _bidders(session, row.id)
    sold = answer["state"] == AuctionState.SOLD
    auction.closed_at = now
    auction.outcome = AuctionOutcome.SOLD if sold else AuctionOutcome.UNSOLD
    auction.log_hash, auction.sequence = answer["log_hash"], answer["accepted"]
    auction.price_minor = None if answer["price"] is None else Money.parse(answer["price"], auction.currency).minor
    leader = answer["winner"] or (standing.leader if auction.price_minor is not None else None)
    auction.leader_registration_id = None if leader is None else bidders[leader]
    _write_down(session, row, auction, answer, bidders, at=at)
    return True


def _write_down(
    session: Session,
    row: Listing,
    auction: Auction,
    answer: dict[str, Any],
    bidders: dict[str, uuid.UUID],
    *,
    at: datetime,
) -> None:
    """Move the listing, and make the awards or set the package free."""
    audit.transition(session, row, "close", lifecycle=LISTING, actor=SYSTEM, at=at)
    row.version += 1
    search.remove(session, kind=listing.SEARCH_KIND, key=str(row.id), at=at)
    session.flush()
    if auction.outcome is AuctionOutcome.SOLD:
        made = awards.propose(session, listing=row, auction=auction, proposed=answer["awards"], bidders=bidders, at=at)
        lots.let_go(session, row, awards=made, at=at)
    else:
        lots.set_free(session, row, actor=SYSTEM, at=at)
        outbox.publish(session, events.AuctionFailed(auction.id, row.id, row.package_id), at=at)


def _bidders(session: Session, listing_id: uuid.UUID) -> dict[str, uuid.UUID]:
    query = select(Registration.bidder_code, Registration.id).where(Registration.listing_id == listing_id)
    return {row.bidder_code: row.id for row in session.execute(query)}


def result(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> Result:
    """Return how an auction ended; raise `NotFound`, or `ResultPending` until its end is written down."""
    auction = session.get(Auction, auction_id)
    if auction is None:
        raise NotFound("auction", auction_id)
    if auction.outcome is None or auction.closed_at is None:
        raise ResultPending
    views = award_views.views_of_auction(session, auction_id, actor=actor)
    return Result(
        auction_id=auction.id,
        listing_id=auction.listing_id,
        package_id=auction.package_id,
        outcome=auction.outcome,
        price=listing.money(auction.price_minor, auction.currency),
        winner=_winner(session, auction),
        ended_at=min(auction.ends_at, auction.closed_at),
        accepted=auction.sequence,
        extensions=auction.extensions,
        rules_hash=auction.rules_hash,
        log_hash=auction.log_hash,
        awards=views,
    )


def _winner(session: Session, auction: Auction) -> str | None:
    """Return the winner's code; lots have winners of their own, in the awards."""
    if auction.outcome is not AuctionOutcome.SOLD or auction.leader_registration_id is None:
        return None
    return session.get_one(Registration, auction.leader_registration_id).bidder_code


def auction_log(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> dict[str, Any]:
    """Return a closed auction as a replay file, reserve included, so that anyone concerned recomputes the result.

    For the seller and the auditor; once it is sold, for everybody: after a failure the reserve stays hidden for the
    next attempt. Raises `NotFound`, `ResultPending`.
    """
    return playback.document_of(session, _with_log(session, auction_id, actor))


def log_page(session: Session, *, auction_id: uuid.UUID, after: int, limit: int | None, actor: Actor) -> dict[str, Any]:
    """Return the replay file of `auction_log` whole, or with `limit` a part of it (`playback.page_of`).

    Raises as `auction_log` does, and `LogTooLong` for the whole of more than `WHOLE_LOG` entries.
    """
    auction = _with_log(session, auction_id, actor)
    if limit is not None:
        return playback.page_of(session, auction, after=after, limit=limit)
    if auction.number > WHOLE_LOG:
        raise LogTooLong(auction.number)
    return playback.document_of(session, auction)


def _with_log(session: Session, auction_id: uuid.UUID, actor: Actor) -> Auction:
    """Return a closed auction whose log the actor may have."""
    auction = session.get(Auction, auction_id)
    if auction is None:
        raise NotFound("auction", auction_id)
    if auction.outcome is None:
        raise ResultPending
    row = session.get_one(Listing, auction.listing_id)
    if auction.outcome is not AuctionOutcome.SOLD and not listing.sees_reserve(row, actor=actor):
        raise NotFound("log of auction", auction_id)
    return auction
