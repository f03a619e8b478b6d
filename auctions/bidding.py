"""Bids: decided by `english.decide` under the auction's row lock, at the time of PostgreSQL's clock.

A look without the lock comes first: the price only rises, so a bid that is refused by an older standing is refused by
the present one too, and need not make others wait. `late` is the exception: a bid that is decided but not committed
may have moved the end, so it is said only under the lock. Statements are Core, not ORM: this is the hot path.
"""

import functools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from auctions import refusals
from auctions.domain import terms
from auctions.domain.english import English, Refusal, Rules, Standing, decide
from auctions.domain.lifecycles import LiveState, RegistrationState, live_state
from auctions.models import Auction, Bid, Registration
from marketplace import db
from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.idempotency import IdempotencyKeyReused
from marketplace.money import CurrencyMismatch, Money

_NOW = func.auction_time(type_=db.UtcDateTime())


db.violation("uq_bids_sequence", refusals.LostRace)
db.violation("uq_bids_idempotency_key", IdempotencyKeyReused)
db.violation("ck_bids_in_order", refusals.LostRace)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an accepted bid: the standing right after it. `at` is the time it entered the system."""

    id: uuid.UUID
    auction_id: uuid.UUID
    sequence: int
    bidder: str
    price: Money
    minimum_next: Money
    ends_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class AuctionView:
    """An auction as everybody signed in sees it at `server_time`; `leader` is a bidder code."""

    id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    state: LiveState
    price: Money | None
    leader: str | None
    minimum_next: Money
    sequence: int
    extensions: int
    opens_at: datetime
    ends_at: datetime
    server_time: datetime
    rules: dict[str, Any]
    rules_hash: str
    reserve_commitment: str
    you: str | None


@dataclass(frozen=True, slots=True)
class BidView:
    """An accepted bid under its bidder's code."""

    id: uuid.UUID
    sequence: int
    bidder: str
    amount: Money
    at: datetime
    ends_at: datetime


@functools.lru_cache(maxsize=512)
def read_rules(text: str) -> Rules:
    """Return frozen rules as the domain takes them; a function of their text, so remembering it keeps no truth."""
    play = terms.read(json.loads(text)).play
    assert isinstance(play, English)
    return play.rules


def place_bid(session: Session, *, auction_id: uuid.UUID, amount: Money, idempotency_key: str, actor: Actor) -> Receipt:
    """Bid `amount` for the actor's organisation; the time is PostgreSQL's, taken after the auction row is locked.

    The same key again returns the first receipt. Raises `NotFound`, `NotRegistered`, `NotApproved`, `DepositNotHeld`,
    `CurrencyMismatch`, `IdempotencyKeyReused`, and a `BidRefused` with the code of the rules.
    """
    look = session.execute(
        _LOOK, {"auction": auction_id, "organisation": actor.organisation_id, "key": idempotency_key}
    ).first()
    if look is None:
        raise NotFound("auction", auction_id)
    rules = read_rules(look.rules)
    if look.bid_id is not None:
        return _receipt_again(look, rules, amount)
    _eligible(look)
    if amount.currency != look.currency:
        raise CurrencyMismatch(amount.currency, look.currency)
    try:
        _decided(rules, look, registration_id=look.registration_id, amount=amount, at=look.now)
    except refusals.Late:
        if look.outcome is not None:
            raise
    return _place_locked(session, look, rules, amount, key=idempotency_key, actor=actor)


def _place_locked(session: Session, look: Any, rules: Rules, amount: Money, *, key: str, actor: Actor) -> Receipt:
    """Decide under the row lock; a refusal gives way to the receipt of a twin with the same key that came first."""
    row = session.execute(_LOCK, {"auction": look.id}).one()
    at = max(row.now, row.last_bid_at or row.now)
    try:
        standing = _decided(rules, row, registration_id=look.registration_id, amount=amount, at=at)
    except refusals.BidRefused:
        again = session.execute(_LOOK, {"auction": look.id, "organisation": actor.organisation_id, "key": key}).one()
        if again.bid_id is None:
            raise
        return _receipt_again(again, rules, amount)
    receipt = _receipt(look, rules, amount, standing, at=at)
    _write(session, look.registration_id, receipt, standing, key=key, actor=actor)
    return receipt


def _receipt(look: Any, rules: Rules, amount: Money, standing: Standing, *, at: datetime) -> Receipt:
    return Receipt(
        id=db.new_id(),
        auction_id=look.id,
        sequence=standing.sequence,
        bidder=look.bidder_code,
        price=amount,
        minimum_next=Money(rules.minimum_next(standing.price), amount.currency),
        ends_at=standing.ends_at,
        at=at,
    )


def _eligible(row: Any) -> None:
    """Refuse whoever may not bid at all."""
    if row.registration_state is None:
        raise refusals.NotRegistered
    if row.registration_state is not RegistrationState.APPROVED:
        raise refusals.NotApproved(row.registration_state)
    if row.covered_at is None:
        raise refusals.DepositNotHeld


def _decided(rules: Rules, row: Any, *, registration_id: uuid.UUID, amount: Money, at: datetime) -> Standing:
    """Return the standing after the bid, or raise the refusal of the rules. A closed auction has ended."""
    standing = Standing(
        ends_at=row.ends_at if row.outcome is None else min(row.ends_at, at),
        hard_end=rules.soft_close.hard_end if rules.soft_close else None,
        price=row.price_minor,
        leader=None if row.leader_registration_id is None else str(row.leader_registration_id),
        sequence=row.sequence,
        extensions=row.extensions,
    )
    decision = decide(rules, standing, bidder=str(registration_id), amount=amount.minor, at=at)
    if isinstance(decision, Refusal):
        least = None if decision.minimum_next is None else Money(decision.minimum_next, amount.currency)
        raise refusals.REFUSALS[decision.code](minimum_next=least, at=at)
    return decision


def _write(
    session: Session, registration_id: uuid.UUID, receipt: Receipt, standing: Standing, *, key: str, actor: Actor
) -> None:
    bid = {
        "id": receipt.id,
        "auction_id": receipt.auction_id,
        "sequence": receipt.sequence,
        "registration_id": registration_id,
        "amount_minor": receipt.price.minor,
        "at": receipt.at,
        "ends_at": receipt.ends_at,
        "idempotency_key": key,
        "actor_user_id": actor.user_id,
        "actor_api_key_id": actor.api_key_id,
    }
    auction = {
        "auction": receipt.auction_id,
        "price": receipt.price.minor,
        "leader": registration_id,
        "new_end": receipt.ends_at,
        "number": receipt.sequence,
        "moves": standing.extensions,
        "time": receipt.at,
    }
    written = session.execute(_WRITE, {f"bid_{name}": value for name, value in bid.items()} | auction).first()
    if written is None:
        _eligible(session.execute(_RECHECK, {"registration": registration_id}).one())
        raise AssertionError("the registration may bid, and its bid was not written")


def _receipt_again(look: Any, rules: Rules, amount: Money) -> Receipt:
    """Return the receipt of a bid that was made with this key; raise `IdempotencyKeyReused` for another amount."""
    if (look.bid_amount_minor, look.currency) != (amount.minor, amount.currency) or look.bid_auction_id != look.id:
        raise IdempotencyKeyReused
    return Receipt(
        id=look.bid_id,
        auction_id=look.id,
        sequence=look.bid_sequence,
        bidder=look.bidder_code,
        price=amount,
        minimum_next=Money(rules.minimum_next(amount.minor), amount.currency),
        ends_at=look.bid_ends_at,
        at=look.bid_at,
    )


_STANDING = (
    Auction.price_minor,
    Auction.leader_registration_id,
    Auction.ends_at,
    Auction.sequence,
    Auction.extensions,
    Auction.last_bid_at,
    Auction.outcome,
)
_ELIGIBILITY = (Registration.state.label("registration_state"), Registration.covered_at)
_LOOK = (
    select(
        Auction.id,
        Auction.currency,
        Auction.rules,
        *_STANDING,
        *_ELIGIBILITY,
        Registration.id.label("registration_id"),
        Registration.bidder_code,
        Bid.id.label("bid_id"),
        Bid.auction_id.label("bid_auction_id"),
        Bid.sequence.label("bid_sequence"),
        Bid.amount_minor.label("bid_amount_minor"),
        Bid.ends_at.label("bid_ends_at"),
        Bid.at.label("bid_at"),
        _NOW.label("now"),
    )
    .outerjoin(
        Registration,
        and_(
            Registration.listing_id == Auction.listing_id,
            Registration.organisation_id == bindparam("organisation"),
            Registration.state != RegistrationState.WITHDRAWN,
        ),
    )
    .outerjoin(Bid, and_(Bid.registration_id == Registration.id, Bid.idempotency_key == bindparam("key")))
    .where(Auction.id == bindparam("auction"))
)
_LOCKED = select(*_STANDING).where(Auction.id == bindparam("auction")).with_for_update().cte("locked")
_LOCK = select(_LOCKED, _NOW.label("now"))
"""The row is locked inside the CTE, which PostgreSQL never folds into its query: the clock is read after the lock."""

_RECHECK = select(*_ELIGIBILITY).where(Registration.id == bindparam("registration"))
_BID_COLUMNS = tuple(column.name for column in Bid.__table__.columns)
_BID = (
    insert(Bid)
    .from_select(
        _BID_COLUMNS,
        select(*(bindparam(f"bid_{name}", type_=Bid.__table__.c[name].type) for name in _BID_COLUMNS)).where(
            Registration.id == bindparam("leader"),
            Registration.state == RegistrationState.APPROVED,
            Registration.covered_at.is_not(None),
        ),
        include_defaults=False,
    )
    .returning(Bid.id)
    .cte("bid")
)
_WRITE = (
    update(Auction)
    .where(Auction.id == bindparam("auction"), exists(select(_BID)))
    .values(
        price_minor=bindparam("price"),
        leader_registration_id=bindparam("leader"),
        ends_at=bindparam("new_end"),
        sequence=bindparam("number"),
        extensions=bindparam("moves"),
        last_bid_at=bindparam("time"),
    )
    .returning(Auction.id)
    .execution_options(synchronize_session=False)
)
"""Bid and auction in one statement, if the registration may still bid: it sees what was committed meanwhile."""


def view_auction(session: Session, auction_id: uuid.UUID, *, actor: Actor) -> AuctionView:
    """Return an auction as of PostgreSQL's clock: never reserve or identities; `you` is the actor's own bidder code."""
    leader, own = aliased(Registration), aliased(Registration)
    query = (
        select(Auction, leader.bidder_code.label("leader"), own.bidder_code.label("you"), _NOW.label("now"))
        .outerjoin(leader, leader.id == Auction.leader_registration_id)
        .outerjoin(
            own,
            and_(
                own.listing_id == Auction.listing_id,
                own.organisation_id == actor.organisation_id,
                own.state != RegistrationState.WITHDRAWN,
            ),
        )
        .where(Auction.id == auction_id)
    )
    found = session.execute(query).first()
    if found is None:
        raise NotFound("auction", auction_id)
    auction: Auction = found[0]
    return AuctionView(
        id=auction.id,
        listing_id=auction.listing_id,
        package_id=auction.package_id,
        state=live_state(opens_at=auction.opens_at, ends_at=auction.ends_at, outcome=auction.outcome, at=found.now),
        price=None if auction.price_minor is None else Money(auction.price_minor, auction.currency),
        leader=found.leader,
        minimum_next=Money(read_rules(auction.rules).minimum_next(auction.price_minor), auction.currency),
        sequence=auction.sequence,
        extensions=auction.extensions,
        opens_at=auction.opens_at,
        ends_at=auction.ends_at,
        server_time=found.now,
        rules=json.loads(auction.rules),
        rules_hash=auction.rules_hash,
        reserve_commitment=auction.reserve_commitment,
        you=found.you,
    )


def list_bids(session: Session, *, auction_id: uuid.UUID, cursor: str | None, limit: int) -> Page[BidView]:
    """Return the accepted bids of an auction, newest first, under bidder codes; raise `NotFound`."""
    currency = session.scalar(select(Auction.currency).where(Auction.id == auction_id))
    if currency is None:
        raise NotFound("auction", auction_id)
    page: Page[Bid] = db.page(
        session, select(Bid).where(Bid.auction_id == auction_id), key_column=Bid.id, cursor=cursor, limit=limit
    )
    codes = bidder_codes(session, [bid.registration_id for bid in page.items])
    views = [
        BidView(
            id=bid.id,
            sequence=bid.sequence,
            bidder=codes[bid.registration_id],
            amount=Money(bid.amount_minor, currency),
            at=bid.at,
            ends_at=bid.ends_at,
        )
        for bid in page.items
    ]
    return Page(views, page.next)


def bidder_codes(session: Session, registration_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return bidder codes by registration."""
    query = select(Registration.id, Registration.bidder_code).where(Registration.id.in_(set(registration_ids)))
    return {row.id: row.bidder_code for row in session.execute(query)}
