"""An auction as people see it: never the reserve, an identity or another's maximum; sealed bids not even counted."""

import dataclasses
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, and_, bindparam, exists, func, literal_column, select
from sqlalchemy.orm import Session, aliased

from auctions import catalogue, log, plays
from auctions.domain import proofs
from auctions.domain.formats import Phase
from auctions.domain.lifecycles import EntryKind, LiveState, RegistrationState, live_state
from auctions.models import Auction, AuctionEvent, Registration
from auctions.proof_models import OpenedBox
from marketplace import db, runtime
from marketplace.actor import Actor
from marketplace.db import Page, UnknownCursor
from marketplace.errors import NotFound
from marketplace.money import Money

_NOW: Final = func.auction_time(type_=db.UtcDateTime())
_END: Final = 2**63 - 1

_LEADER, _OWN, _REMOVAL = aliased(Registration), aliased(Registration), aliased(AuctionEvent)
_SEEN: Final = (
    select(Auction, _LEADER.bidder_code, _OWN.bidder_code, _OWN.id, _NOW)
    .outerjoin(_LEADER, _LEADER.id == Auction.leader_registration_id)
    .outerjoin(
        _OWN,
        and_(
            _OWN.listing_id == Auction.listing_id,
            _OWN.organisation_id == bindparam("organisation_id"),
            _OWN.state != RegistrationState.WITHDRAWN,
        ),
    )
    .where(Auction.id == bindparam("auction_id"))
)
_VOIDED: Final = (
    exists()
    .where(
        _REMOVAL.auction_id == AuctionEvent.auction_id,
        _REMOVAL.registration_id == AuctionEvent.registration_id,
        _REMOVAL.kind == literal_column("'void'"),
    )
    .label("voided")
)
_BIDS: Final = (
    select(AuctionEvent, Registration.bidder_code, Registration.organisation_id, _VOIDED)
    .join(Registration, Registration.id == AuctionEvent.registration_id)
    .where(
        AuctionEvent.auction_id == bindparam("auction_id"),
        AuctionEvent.sequence.is_not(None),
        AuctionEvent.number < bindparam("below", type_=BigInteger),
    )
    .order_by(AuctionEvent.number.desc())
    .limit(bindparam("limit", type_=Integer))
)
_ACCEPTANCES: Final = _BIDS.where(AuctionEvent.kind == EntryKind.ACCEPT)
"""Statements are made once: the feed asks them ten times a second and more."""


@dataclass(frozen=True, slots=True)
class AuctionView:
    """An auction as everybody signed in sees it at `server_time`; `leader` is a bidder code.

    `asked` is the price that an acceptance takes now, where the format shows one. While bids are sealed there is no
    price, leader or `sequence`. `head` is the published head of the log's hash chain, None before its first entry and
    while bids are sealed. `live_url` is the origin of the door that takes bids fastest, None where only this one does.
    """

    id: uuid.UUID
    listing_id: uuid.UUID
    package_id: uuid.UUID
    state: LiveState
    phase: Phase
    price: Money | None
    leader: str | None
    minimum_next: Money | None
    asked: Money | None
    sequence: int | None
    extensions: int
    opens_at: datetime
    ends_at: datetime
    server_time: datetime
    rules: dict[str, Any]
    rules_hash: str
    reserve_commitment: str
    head: str | None
    you: str | None
    your_maximum: Money | None
    live_url: str | None


@dataclass(frozen=True, slots=True)
class BidView:
    """An accepted attempt under its bidder's code, with the price and the end after it.

    `amount` is None for a withdrawal, and for another's maximum. `voided`: its bidder was removed; it counts no more.
    """

    number: int
    sequence: int
    kind: EntryKind
    bidder: str
    amount: Money | None
    price: Money | None
    at: datetime
    ends_at: datetime
    voided: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """An auction's row as one reader finds it at `now`: its leader's code, the reader's own code and registration."""

    auction: Auction
    leader: str | None
    you: str | None
    registration_id: uuid.UUID | None
    now: datetime


def see(session: Session, auction_id: uuid.UUID, *, actor: Actor) -> Seen:
    """Return an auction's row for a reader; raise `NotFound`."""
    values = {"auction_id": auction_id, "organisation_id": actor.organisation_id}
    found = session.execute(_SEEN, values).first()
    if found is None:
        raise NotFound("auction", auction_id)
    return Seen(*found)


def view_auction(session: Session, auction_id: uuid.UUID, *, actor: Actor) -> AuctionView:
    """Return an auction as of PostgreSQL's clock; `you` and `your_maximum` are the actor's own. Raises `NotFound`."""
    seen = see(session, auction_id, actor=actor)
    return view_of(session, seen, hidden=catalogue.hidden_terms(session, seen.auction.listing_id, actor=actor))


def view_of(session: Session, found: Seen, *, hidden: frozenset[str]) -> AuctionView:
    """Return what a reader sees of an auction, from whom these terms are hidden."""
    auction = found.auction
    now: datetime = max(found.now, auction.last_event_at or found.now)
    standing = plays.standing(auction, now)
    closed = auction.outcome is not None
    sealed = (standing.sealed or plays.is_sealed(auction)) and not closed

    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, auction.currency)

    shown = AuctionView(
        id=auction.id,
        listing_id=auction.listing_id,
        package_id=auction.package_id,
        state=live_state(
            opens_at=auction.opens_at,
            ends_at=auction.ends_at,
            outcome=auction.outcome,
            suspended_at=auction.suspended_at,
            at=found.now,
        ),
        phase=standing.phase,
        price=money(auction.price_minor if closed else standing.price),
        leader=found.leader if closed else standing.leader,
        minimum_next=money(standing.minimum_next),
        asked=None if closed else money(standing.asked),
        sequence=None if sealed else auction.sequence,
        extensions=auction.extensions,
        opens_at=auction.opens_at,
        ends_at=auction.ends_at,
        server_time=found.now,
        rules=json.loads(auction.rules),
        rules_hash=auction.rules_hash,
        reserve_commitment=auction.reserve_commitment,
        head=None if sealed or auction.head is None else proofs.head_text(auction.head),
        you=found.you,
        your_maximum=money(_own_maximum(session, auction.id, found.registration_id)) if found.registration_id else None,
        live_url=runtime.current().settings.live_url,
    )
    return _veiled(shown, hidden)


def _veiled(view: AuctionView, hidden: frozenset[str]) -> AuctionView:
    """Leave out the terms that the preset hides from this reader; the first minimum tells the start price."""
    if not hidden:
        return view
    untold = "start_price" in hidden and view.price is None
    least = None if untold else view.minimum_next
    return dataclasses.replace(view, rules=catalogue.shown_rules(view.rules, hidden), minimum_next=least)


def _own_maximum(session: Session, auction_id: uuid.UUID, registration_id: uuid.UUID) -> int | None:
    query = select(func.max(AuctionEvent.amount_minor)).where(
        AuctionEvent.registration_id == registration_id,
        AuctionEvent.auction_id == auction_id,
        AuctionEvent.kind == literal_column("'maximum'"),
    )
    return session.scalar(query)


def list_bids(
    session: Session, *, auction_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[BidView]:
    """Return the accepted attempts of an auction, newest first, under bidder codes; raise `NotFound`, `UnknownCursor`.

    Sealed bids are listed once they are opened and the auction is closed; those of a hybrid's sealed phase after it.
    """
    seen = see(session, auction_id, actor=actor)
    return bids_of(session, seen, cursor=cursor, limit=limit, actor=actor)


def bids_of(session: Session, found: Seen, *, cursor: str | None, limit: int, actor: Actor) -> Page[BidView]:
    """Return what `list_bids` does of an auction that was just seen; raise `UnknownCursor`."""
    auction, below = found.auction, _number(cursor)
    standing = plays.standing(auction, max(found.now, auction.last_event_at or found.now))
    if plays.is_sealed(auction):
        closed = auction.outcome is not None
        return _opened(session, auction, below=below, limit=limit) if closed else Page([], None)
    query = _ACCEPTANCES if standing.sealed else _BIDS
    values = {"auction_id": auction.id, "below": _END if below is None else below, "limit": limit + 1}
    views = [
        _bid(event, code, auction.currency, own=organisation_id == actor.organisation_id, voided=voided)
        for event, code, organisation_id, voided in session.execute(query, values)
    ]
    return _cut(views, limit)


def _bid(event: AuctionEvent, code: str, currency: str, *, own: bool, voided: bool) -> BidView:
    assert event.sequence is not None
    shown = None if event.kind is EntryKind.MAXIMUM and not own else log.minor_of(event)
    return BidView(
        number=event.number,
        sequence=event.sequence,
        kind=event.kind,
        bidder=code,
        amount=None if shown is None else Money(shown, currency),
        price=None if event.price_minor is None else Money(event.price_minor, currency),
        at=event.at,
        ends_at=event.ends_at,
        voided=voided,
    )


def _opened(session: Session, auction: Auction, *, below: int | None, limit: int) -> Page[BidView]:
    query = (
        select(OpenedBox, Registration.bidder_code)
        .join(Registration, Registration.id == OpenedBox.registration_id)
        .where(OpenedBox.auction_id == auction.id)
        .order_by(OpenedBox.number.desc())
        .limit(limit + 1)
    )
    if below is not None:
        query = query.where(OpenedBox.number < below)
    voided = _voided(session, auction.id)
    views = [
        BidView(
            number=box.number,
            sequence=box.number,
            kind=EntryKind(box.kind),
            bidder=code,
            amount=None if box.amount_minor is None else Money(box.amount_minor, auction.currency),
            price=None,
            at=box.at,
            ends_at=auction.ends_at,
            voided=box.registration_id in voided,
        )
        for box, code in session.execute(query)
    ]
    return _cut(views, limit)


def _cut(views: Sequence[BidView], limit: int) -> Page[BidView]:
    more = len(views) > limit
    return Page(views[:limit], str(views[limit - 1].number) if more else None)


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):  # noqa: PLR2004 - what a BIGINT holds
        raise UnknownCursor
    return int(cursor)


def _voided(session: Session, auction_id: uuid.UUID) -> set[uuid.UUID]:
    query = select(AuctionEvent.registration_id).where(
        AuctionEvent.auction_id == auction_id, AuctionEvent.kind == literal_column("'void'")
    )
    return {one for one in session.scalars(query) if one is not None}


def bidder_codes(session: Session, registration_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return bidder codes by registration."""
    query = select(Registration.id, Registration.bidder_code).where(Registration.id.in_(set(registration_ids)))
    return {row.id: row.bidder_code for row in session.execute(query)}
