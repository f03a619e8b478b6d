"""Closing: writing down what is already true, and the awards.

An auction is over when the time reaches its end, whether or not anybody noticed. `close_due` replays the log with the
pure engine, holds the result against the row, and writes outcome and awards; it may run late, twice, or on five
workers at once: an auction is closed in one transaction under its locks, or not at all.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import bidding, events, listing
from auctions.domain import terms
from auctions.domain.formats import AuctionState, StandingOfAward
from auctions.domain.lifecycles import AWARD, LISTING, AuctionOutcome, AwardState
from auctions.domain.replay import replay
from auctions.models import Auction, Award, Bid, Listing, Registration
from marketplace import audit, db, outbox, search
from marketplace.actor import SYSTEM, Actor
from marketplace.clock import format_instant
from marketplace.documents import Node
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money
from marketplace.packages import service as packages

log = structlog.get_logger(__name__)

BATCH = 50
"""So many auctions are closed in one run; the next run comes a second later."""


class AwardInForce(Conflict):
    """The auction has an award in force already."""

    code = "award_in_force"

    def __init__(self) -> None:
        super().__init__("Another award of this auction is in force.")


class ResultPending(Conflict):
    """The auction is not over, or its end is not written down yet."""

    code = "result_pending"

    def __init__(self) -> None:
        super().__init__("There is no result yet; the auction runs, or its end is being written down.")


class LogDisagrees(Exception):
    """The replayed log and the stored row differ: a fault of ours, never closed over."""


db.violation("uq_awards_in_force", AwardInForce)


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award with what a reader may know: the organisation only for those concerned."""

    row: Award
    bidder: str
    organisation_id: uuid.UUID | None


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
    awards: Sequence[AwardView]


def close_due(session: Session, at: datetime) -> int:
    """Write down the end of every auction that is over by PostgreSQL's clock; return how many this run closed."""
    now = listing.auction_time(session)
    due = (
        select(Listing)
        .join(Auction, Auction.listing_id == Listing.id)
        .where(Auction.closed_at.is_(None), Auction.ends_at <= now)
        .order_by(Auction.ends_at)
        .limit(BATCH)
        .with_for_update(of=Listing, skip_locked=True)
    )
    closed = 0
    for row in session.scalars(due).all():
        try:
            with session.begin_nested():
                closed += _close(session, row, now=now, at=at)
        except LogDisagrees:
            log.exception("auction not closed", listing=str(row.id))
    return closed


def _close(session: Session, row: Listing, *, now: datetime, at: datetime) -> bool:
    query = select(Auction).where(Auction.listing_id == row.id).with_for_update()
    auction = session.scalars(query.execution_options(populate_existing=True)).one()
    if auction.closed_at is not None or auction.ends_at > now:
        return False
    answer = _replayed(session, auction)
    auction.closed_at = now
    auction.log_hash = answer["log_hash"]
    sold = answer["state"] == AuctionState.SOLD
    auction.outcome = AuctionOutcome.SOLD if sold else AuctionOutcome.UNSOLD
    audit.transition(session, row, "close", lifecycle=LISTING, actor=SYSTEM, at=at)
    row.version += 1
    search.remove(session, kind=listing.SEARCH_KIND, key=str(row.id), at=at)
    session.flush()
    if sold:
        _award(session, row, auction, answer, at=at)
    else:
        packages.unlist_package(session, row.package_id, actor=SYSTEM, at=at)
        outbox.publish(session, events.AuctionFailed(auction.id, row.id, row.package_id), at=at)
    return True


def _replayed(session: Session, auction: Auction) -> dict[str, Any]:
    """Return the answer of the pure engine to the log; raise `LogDisagrees` when the row says anything else."""
    answer = replay(Node(_document(session, auction)))
    codes = bidding.bidder_codes(session, [auction.leader_registration_id] if auction.leader_registration_id else [])
    price = None if auction.price_minor is None else Money(auction.price_minor, auction.currency).text
    refused = [row["event"] for row in answer["answers"] if not row["accepted"]]
    stored: dict[str, Any] = {
        "leader": next(iter(codes.values()), None),
        "price": price,
        "ends_at": format_instant(auction.ends_at),
        "extensions": auction.extensions,
        "accepted": auction.sequence,
        "refused": [],
    }
    leader = answer["ranking"][0]["bidder"] if answer["ranking"] else None
    replayed = {name: answer[name] for name in ("price", "ends_at", "extensions", "accepted")}
    replayed |= {"leader": leader, "refused": refused}
    if stored != replayed:
        raise LogDisagrees(f"auction {auction.id}: stored {stored}, replayed {replayed}")
    return answer


def _document(session: Session, auction: Auction) -> dict[str, Any]:
    """Return the auction as a replay file: complete rules and the accepted bids under bidder codes."""
    query = (
        select(Bid.at, Bid.amount_minor, Registration.bidder_code)
        .join(Registration, Registration.id == Bid.registration_id)
        .where(Bid.auction_id == auction.id)
        .order_by(Bid.sequence)
    )
    rows = [
        {
            "at": format_instant(row.at),
            "kind": "bid",
            "bidder": row.bidder_code,
            "amount": Money(row.amount_minor, auction.currency).text,
        }
        for row in session.execute(query)
    ]
    rules = terms.with_reserve(listing.rules_of(auction), auction.reserve_minor)
    return {"rules": rules, "events": rows, "as_of": None}


def _award(session: Session, row: Listing, auction: Auction, answer: dict[str, Any], *, at: datetime) -> None:
    by_code = {
        code: registration_id
        for registration_id, code in bidding.bidder_codes(session, _bidders(session, auction)).items()
    }
    winner, *others = answer["awards"]
    waiting = next((other for other in others if other["state"] == StandingOfAward.WAITING), None)
    runner_up = by_code[waiting["bidder"]] if waiting else None

    def award(proposed: dict[str, Any], state: AwardState, next_in_line: uuid.UUID | None) -> Award:
        return Award(
            auction_id=auction.id,
            listing_id=row.id,
            package_id=row.package_id,
            seller_organisation_id=row.seller_organisation_id,
            registration_id=by_code[proposed["bidder"]],
            runner_up_registration_id=next_in_line,
            state=state,
            price_minor=Money.parse(proposed["price"], auction.currency).minor,
            currency=auction.currency,
            created_at=at,
        )

    first = award(winner, AwardState.PENDING, runner_up)
    rows = [first] + ([award(waiting, AwardState.WAITING, None)] if waiting else [])
    session.add_all(rows)
    session.flush()
    for made in rows:
        audit.record(session, actor=SYSTEM, at=at, subject=made, verb="award", after={"state": made.state.value})
    outbox.publish(session, events.AuctionAwarded(first.id, auction.id, row.id, row.package_id), at=at)


def _bidders(session: Session, auction: Auction) -> Sequence[uuid.UUID]:
    return session.scalars(select(Bid.registration_id).where(Bid.auction_id == auction.id).distinct()).all()


def require_award(session: Session, award_id: uuid.UUID, *, for_update: bool = False) -> Award:
    """Return an award, its row locked on demand; raise `NotFound`. No visibility check."""
    query = select(Award).where(Award.id == award_id)
    query = query.with_for_update().execution_options(populate_existing=True) if for_update else query
    award = session.scalars(query).first()
    if award is None:
        raise NotFound("award", award_id)
    return award


def confirm_contract(session: Session, *, award_id: uuid.UUID, actor: Actor, at: datetime) -> Award:
    """The contract is signed: the award is contracted, the runner-up released; a second time changes nothing.

    Raises `NotFound`, `IllegalMove`. For settlement.
    """
    award = require_award(session, award_id, for_update=True)
    if award.state is AwardState.CONTRACTED:
        return award
    audit.transition(session, award, "confirm_contract", lifecycle=AWARD, actor=actor, at=at)
    for other in _waiting(session, award):
        audit.transition(session, other, "release", lifecycle=AWARD, actor=actor, at=at, reason="contract signed")
    session.flush()
    return award


def fail_award(session: Session, *, award_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Award:
    """The awarded bidder does not sign or pay; raise `NotFound`, `IllegalMove`. For settlement.

    Without a runner-up who waits the package is free again. What becomes of the deposit is settlement's to decide.
    """
    award = require_award(session, award_id, for_update=True)
    audit.transition(session, award, "fail", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    if not _waiting(session, award):
        packages.unlist_package(session, award.package_id, actor=actor, at=at)
    session.flush()
    return award


def promote_award(session: Session, *, award_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Award:
    """The runner-up takes the failed winner's place, at its own price: `auction.awarded` for its award.

    Raises `NotFound`, `IllegalMove`, or `AwardInForce` while the winner's award stands.
    """
    award = require_award(session, award_id, for_update=True)
    if _in_force(session, award.auction_id):
        raise AwardInForce
    audit.transition(session, award, "promote", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    session.flush()
    outbox.publish(
        session, events.AuctionAwarded(award.id, award.auction_id, award.listing_id, award.package_id), at=at
    )
    return award


def release_award(session: Session, *, award_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Award:
    """A runner-up need not wait any longer; when no award is in force the package is free again."""
    award = require_award(session, award_id, for_update=True)
    audit.transition(session, award, "release", lifecycle=AWARD, actor=actor, at=at, reason=reason)
    session.flush()
    if not _in_force(session, award.auction_id):
        packages.unlist_package(session, award.package_id, actor=actor, at=at)
    return award


def _waiting(session: Session, award: Award) -> Sequence[Award]:
    query = select(Award).where(Award.auction_id == award.auction_id, Award.state == AwardState.WAITING)
    return session.scalars(query.with_for_update()).all()


def _in_force(session: Session, auction_id: uuid.UUID) -> bool:
    states = (AwardState.PENDING, AwardState.CONTRACTED)
    query = select(Award.id).where(Award.auction_id == auction_id, Award.state.in_(states))
    return session.scalar(query) is not None


def get_award(session: Session, award_id: uuid.UUID, *, actor: Actor) -> AwardView:
    """Return an award to its seller, its bidder, operator and auditor; raise `NotFound` to everybody else."""
    award = require_award(session, award_id)
    view = _views(session, [award], actor=actor)[0]
    if view.organisation_id is None:
        raise NotFound("award", award_id)
    return view


def _views(session: Session, awards: Sequence[Award], *, actor: Actor) -> list[AwardView]:
    ids = [award.registration_id for award in awards]
    bidders = {row.id: row for row in session.scalars(select(Registration).where(Registration.id.in_(ids)))}
    views = []
    for award in awards:
        bidder = bidders[award.registration_id]
        concerned = (award.seller_organisation_id, bidder.organisation_id)
        sees = actor.sees_everything or actor.organisation_id in concerned
        views.append(AwardView(award, bidder.bidder_code, bidder.organisation_id if sees else None))
    return views


def result(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> Result:
    """Return how an auction ended; raise `NotFound`, or `ResultPending` until its end is written down."""
    auction = session.get(Auction, auction_id)
    if auction is None:
        raise NotFound("auction", auction_id)
    if auction.outcome is None or auction.closed_at is None:
        raise ResultPending
    awards = session.scalars(select(Award).where(Award.auction_id == auction_id).order_by(Award.id)).all()
    views = _views(session, awards, actor=actor)
    sold = auction.outcome is AuctionOutcome.SOLD
    return Result(
        auction_id=auction.id,
        listing_id=auction.listing_id,
        package_id=auction.package_id,
        outcome=auction.outcome,
        price=listing.money(auction.price_minor, auction.currency),
        winner=views[0].bidder if sold else None,
        ended_at=min(auction.ends_at, auction.closed_at),
        accepted=auction.sequence,
        extensions=auction.extensions,
        rules_hash=auction.rules_hash,
        log_hash=auction.log_hash,
        awards=views,
    )


def auction_log(session: Session, *, auction_id: uuid.UUID, actor: Actor) -> dict[str, Any]:
    """Return a closed auction as a replay file, reserve included, so that anyone concerned recomputes the result.

    For the seller and the auditor; once it is sold, for everybody: after a failure the reserve stays hidden for the
    next attempt. Raises `NotFound`, `ResultPending`.
    """
    auction = session.get(Auction, auction_id)
    if auction is None:
        raise NotFound("auction", auction_id)
    if auction.outcome is None:
        raise ResultPending
    row = session.get_one(Listing, auction.listing_id)
    if auction.outcome is not AuctionOutcome.SOLD and not listing.sees_reserve(row, actor=actor):
        raise NotFound("log of auction", auction_id)
    return _document(session, auction)
