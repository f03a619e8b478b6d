"""Bids: decided by `english.decide` under the auction's row lock, at the time of PostgreSQL's clock.

A look without the lock comes first: the price only rises, so a bid that is refused by an older standing is refused by
the present one too, and need not make others wait. Statements are Core, not ORM: this is the hot path.
"""

import functools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from auctions.domain import terms
from auctions.domain.english import English, Refusal, Rules, Standing, decide
from auctions.domain.formats import RefusalCode
from auctions.domain.lifecycles import LiveState, RegistrationState, live_state
from auctions.models import Auction, Bid, Registration
from marketplace import db
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.db import Page
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.idempotency import IdempotencyKeyReused
from marketplace.money import CurrencyMismatch, Money

_NOW = func.auction_time(type_=db.UtcDateTime())


class BidRefused(Conflict):
    """A bid that the rules of the auction refuse; `minimum_next` says what would do, where that helps."""

    code = "bid_refused"
    because = "The rules of the auction refuse this bid."

    def __init__(self, *, minimum_next: Money | None, at: datetime) -> None:
        more = "" if minimum_next is None else f" The least next bid is {minimum_next}."
        values: dict[str, Any] = {"server_time": format_instant(at)}
        if minimum_next is not None:
            values["minimum_next"] = {"amount": minimum_next.text, "currency": minimum_next.currency}
        super().__init__(self.because + more, **values)


class Suspended(BidRefused):
    """The auction is suspended."""

    code = RefusalCode.SUSPENDED.value
    because = "The auction is suspended."


class NotOpen(BidRefused):
    """Bidding has not opened yet."""

    code = RefusalCode.NOT_OPEN.value
    because = "Bidding has not opened yet."


class Late(BidRefused):
    """The bid came at the end or after it."""

    code = RefusalCode.LATE.value
    because = "The bid came at the end of the auction or after it."


class Voided(BidRefused):
    """The bidder was removed from the auction."""

    code = RefusalCode.VOIDED.value
    because = "The bidder was removed from the auction."


class AlreadyLeading(BidRefused):
    """The leader does not overbid itself."""

    code = RefusalCode.ALREADY_LEADING.value
    because = "You lead the auction; nobody overbids itself."


class BelowStart(BidRefused):
    """The first bid is below the start price."""

    code = RefusalCode.BELOW_START.value
    because = "The bid is below the start price."


class BelowMinimum(BidRefused):
    """The bid is below price and increment."""

    code = RefusalCode.BELOW_MINIMUM.value
    because = "The bid is below the price and the increment."


class OffGrid(BidRefused):
    """The bid is no whole number of steps above the start price."""

    code = RefusalCode.OFF_GRID.value
    because = "The bid is no whole number of steps above the start price."


_REFUSALS = {
    RefusalCode(kind.code): kind
    for kind in (Suspended, NotOpen, Late, Voided, AlreadyLeading, BelowStart, BelowMinimum, OffGrid)
}


class NotRegistered(Refused):
    """The organisation has not applied to the listing."""

    code = "not_registered"

    def __init__(self) -> None:
        super().__init__("Your organisation is not registered for this auction.")


class NotApproved(Refused):
    """The registration waits for the operator, or was refused."""

    code = "not_approved"

    def __init__(self, state: RegistrationState) -> None:
        super().__init__(f"Your registration is {state.value}, not approved.", state=state.value)


class DepositNotHeld(Refused):
    """The ledger does not hold the full deposit."""

    code = "deposit_not_held"

    def __init__(self) -> None:
        super().__init__("Your deposit is not held yet; pay it in with the reference of your registration.")


class LostRace(Conflict):
    """Another bid took the sequence number; the row lock makes this impossible, the constraint proves it."""

    code = "bid_lost_race"

    def __init__(self) -> None:
        super().__init__("Another bid was decided at the same instant; look at the price and bid again.")


db.violation("uq_bids_sequence", LostRace)
db.violation("uq_bids_idempotency_key", IdempotencyKeyReused)
db.violation("ck_bids_in_order", LostRace)


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
    _decided(rules, look, registration_id=look.registration_id, amount=amount, at=look.now)
    row = session.execute(_LOCK, {"auction": auction_id}).one()
    fresh = session.execute(_RECHECK, {"registration": look.registration_id}).one()
    _eligible(fresh)
    at = max(fresh.now, row.last_bid_at or fresh.now)
    standing = _decided(rules, row, registration_id=look.registration_id, amount=amount, at=at)
    receipt = Receipt(
        id=db.new_id(),
        auction_id=auction_id,
        sequence=standing.sequence,
        bidder=look.bidder_code,
        price=amount,
        minimum_next=Money(rules.minimum_next(standing.price), amount.currency),
        ends_at=standing.ends_at,
        at=at,
    )
    _write(session, look.registration_id, receipt, standing, key=idempotency_key, actor=actor)
    return receipt


def _eligible(row: Any) -> None:
    """Refuse whoever may not bid at all. The registration is read again under the lock: it may have changed."""
    if row.registration_state is None:
        raise NotRegistered
    if row.registration_state is not RegistrationState.APPROVED:
        raise NotApproved(row.registration_state)
    if row.covered_at is None:
        raise DepositNotHeld


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
        raise _REFUSALS[decision.code](minimum_next=least, at=at)
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
    session.execute(_INSERT, bid)
    auction = {
        "auction": receipt.auction_id,
        "price": receipt.price.minor,
        "leader": registration_id,
        "new_end": receipt.ends_at,
        "number": receipt.sequence,
        "moves": standing.extensions,
        "time": receipt.at,
    }
    session.execute(_ADVANCE, auction)


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
_LOCK = select(*_STANDING).where(Auction.id == bindparam("auction")).with_for_update()
_RECHECK = select(*_ELIGIBILITY, _NOW.label("now")).where(Registration.id == bindparam("registration"))
_INSERT = insert(Bid.__table__)  # type: ignore[arg-type]  # typed as any table expression by the declarative base
_ADVANCE = (
    update(Auction.__table__)  # type: ignore[arg-type]  # as above
    .where(Auction.id == bindparam("auction"))
    .values(
        price_minor=bindparam("price"),
        leader_registration_id=bindparam("leader"),
        ends_at=bindparam("new_end"),
        sequence=bindparam("number"),
        extensions=bindparam("moves"),
        last_bid_at=bindparam("time"),
    )
)


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
