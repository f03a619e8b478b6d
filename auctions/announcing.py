"""What happens in an auction, told by webhook to each party: the seller, the bidders, the operator.

A party is told no more than it could see by asking: bidder codes, never identities, except of those it deals with.
Bids are not told one by one: every few seconds the standing goes out where it changed, and of sealed bids nothing.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import listing, sealed_book
from auctions.award_models import Award
from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import RegistrationState
from auctions.models import Auction, Listing, Registration
from marketplace.clock import format_instant
from marketplace.money import Money
from marketplace.outbox import Subscription
from marketplace.parties import service as parties
from marketplace.webhooks import service as webhooks

OPENED: Final = "auction.opened"
PROGRESSED: Final = "auction.progressed"
AWAITS_OPENING: Final = "auction.awaits_opening"
BY_THE_CLOCK: Final = (OPENED, PROGRESSED, AWAITS_OPENING)
"""What no event announces: the clock decides it, and the clockwork tells it."""

PUBLIC_FORMATS: Final = (
    FormatName.ENGLISH,
    FormatName.PROXY,
    FormatName.TWO_PHASE,
    FormatName.DUTCH,
    FormatName.GONG,
)
"""The formats whose standing everybody sees while they run."""

MAX_AUCTIONS: Final = 200
"""So many running auctions are looked at in one run."""

_TO_ALL: Final = ("auction.awarded", "auction.failed")
_PUBLIC: Final = ("listing.published", "listing.withdrawn")
_REGISTERED: Final = (
    "registration.applied", "registration.approved", "registration.refused", "registration.withdrawn",
    "registration.covered", "registration.uncovered",
)  # fmt: skip
_STEERED: Final = ("auction.suspended", "auction.resumed")
_TO_CONCERNED: Final = (
    "award.waiting",
    "award.protocol_confirmed", "award.prolonged", "award.contracted", "award.failed", "award.released",
)  # fmt: skip


def _handler(tell: Callable[..., None], kind: str) -> Callable[[Session, Mapping[str, Any], datetime], None]:
    """Return a handler of its own name for a kind of event."""

    def handler(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
        tell(session, kind=kind, payload=payload, at=at)

    handler.__name__ = f"tell_{kind.replace('.', '_')}"
    return handler


def _tell_everybody(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell whoever listens: the catalogue is open to all who are signed in."""
    data = dict(payload)
    bodies = dict.fromkeys(webhooks.listeners(session, kind=kind), data)
    webhooks.tell(session, kind=kind, event_key=f"{kind}:{payload['listing_id']}", bodies=bodies, at=at)


def _tell_registration(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell a bidder of its own registration, the operator with it, and the seller under the bidder's code.

    The other bidders hear nothing: how many take part is theirs to guess from bids, and of sealed ones from nothing.
    """
    row = session.get_one(Registration, uuid.UUID(payload["registration_id"]))
    seller = session.get_one(Listing, row.listing_id).seller_organisation_id
    shown = {name: value for name, value in payload.items() if name != "registration_id"}
    shown |= {"listing_id": str(row.listing_id), "bidder": row.bidder_code}
    full = shown | {"registration_id": str(row.id)}
    bodies = dict.fromkeys((*parties.operator_organisations(session), row.organisation_id), full) | {seller: shown}
    key = f"{kind}:{row.id}:{payload.get('since', '')}"
    webhooks.tell(session, kind=kind, event_key=key, bodies=bodies, at=at)


def _tell_all(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell the seller, everybody registered and the operator, under bidder codes."""
    data = dict(payload)
    key = payload["auction_id"]
    if "award_id" in payload:
        key = payload["award_id"]
        data |= _award(session, uuid.UUID(payload["award_id"]))[1]
    bodies = _parties(session, uuid.UUID(payload["listing_id"]), data)
    webhooks.tell(session, kind=kind, event_key=f"{kind}:{key}", bodies=bodies, at=at)


def _tell_rectified(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell everybody registered that the terms were corrected, the seller and the operator too."""
    bodies = _parties(session, uuid.UUID(payload["listing_id"]), payload)
    key = f"{kind}:{payload['listing_id']}:{payload['version']}"
    webhooks.tell(session, kind=kind, event_key=key, bodies=bodies, at=at)


def _tell_planned(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell the seller and the operator of the next attempt, or of what is free for one; others hear of a listing."""
    seller = session.get_one(Listing, uuid.UUID(payload["listing_id"])).seller_organisation_id
    data = dict(payload)
    bodies = dict.fromkeys((seller, *parties.operator_organisations(session)), data)
    key = payload.get("part_id", payload["listing_id"])
    webhooks.tell(session, kind=kind, event_key=f"{kind}:{key}", bodies=bodies, at=at)


def _tell_steered(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell all parties that the clock stands still or runs again, and until when the bidding lasts now.

    The deed's number in the log counts the attempts before it: left out where nobody may count them.
    """
    ends_at = session.get_one(Auction, uuid.UUID(payload["auction_id"])).ends_at
    data = dict(payload) | {"ends_at": format_instant(ends_at)}
    if not _is_public(session, uuid.UUID(payload["listing_id"])):
        del data["number"]
    bodies = _parties(session, uuid.UUID(payload["listing_id"]), data)
    key = f"{kind}:{payload['auction_id']}:{payload['number']}"
    webhooks.tell(session, kind=kind, event_key=key, bodies=bodies, at=at)


def _tell_voided(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell a removed bidder, the seller and the operator. The others hear of the standing that is left.

    That somebody registered is known to the others only from its bids, and of a sealed auction from nothing at all.
    """
    row = session.get_one(Registration, uuid.UUID(payload["registration_id"]))
    seller = session.get_one(Listing, row.listing_id).seller_organisation_id
    shown = {"auction_id": payload["auction_id"], "listing_id": payload["listing_id"], "bidder": row.bidder_code}
    bodies = dict.fromkeys((seller, *parties.operator_organisations(session), row.organisation_id), shown)
    webhooks.tell(session, kind=kind, event_key=f"{kind}:{row.id}", bodies=bodies, at=at)


def _tell_concerned(session: Session, *, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    """Tell the seller of an award, its bidder and the operator."""
    award, shown = _award(session, uuid.UUID(payload["award_id"]))
    bidder = session.get_one(Registration, award.registration_id).organisation_id
    data = dict(payload) | shown
    concerned = (award.seller_organisation_id, bidder, *parties.operator_organisations(session))
    key = f"{kind}:{award.id}:{payload.get('number', '')}"
    webhooks.tell(session, kind=kind, event_key=key, bodies=dict.fromkeys(concerned, data), at=at)


def _is_public(session: Session, listing_id: uuid.UUID) -> bool:
    return session.get_one(Listing, listing_id).format in PUBLIC_FORMATS


def _award(session: Session, award_id: uuid.UUID) -> tuple[Award, dict[str, Any]]:
    award = session.get_one(Award, award_id)
    bidder = session.get_one(Registration, award.registration_id)
    return award, {"bidder": bidder.bidder_code, "price": _money(award.price)}


def _money(amount: Money) -> dict[str, str]:
    return {"amount": amount.text, "currency": amount.currency}


def _parties(session: Session, listing_id: uuid.UUID, data: Mapping[str, Any]) -> dict[uuid.UUID, dict[str, Any]]:
    """Return what each party of a listing is told: the same, and to a bidder which code is its own."""
    seller = session.get_one(Listing, listing_id).seller_organisation_id
    told = {one: dict(data) for one in (seller, *parties.operator_organisations(session))}
    registered = select(Registration.organisation_id, Registration.bidder_code).where(
        Registration.listing_id == listing_id,
        Registration.state.in_((RegistrationState.APPLIED, RegistrationState.APPROVED)),
    )
    return told | {row.organisation_id: {**data, "you": row.bidder_code} for row in session.execute(registered)}


def announce_progress(session: Session, at: datetime) -> int:
    """Tell of auctions that opened, that wait for their sealed bids to be opened, and of standings that changed.

    Returns how many messages are new. Late, twice or beside itself it tells the same once: the key of a standing is
    the number of the log's last entry.
    """
    if not set().union(*(webhooks.listeners(session, kind=kind) for kind in BY_THE_CLOCK)):
        return 0
    now = listing.auction_time(session)
    running = (
        select(Auction, sealed_book.awaits_opening().label("is_sealed"))
        .where(Auction.closed_at.is_(None), Auction.opens_at <= now)
        .order_by(Auction.ends_at)
        .limit(MAX_AUCTIONS)
    )
    told = 0
    for auction, is_sealed in session.execute(running).all():
        told += _tell_standing(session, auction, at=at)
        if is_sealed and auction.ends_at <= now and auction.suspended_at is None:
            told += _tell_by_the_clock(session, auction, AWAITS_OPENING, at=at)
    return told


def _tell_by_the_clock(session: Session, auction: Auction, kind: str, *, at: datetime) -> int:
    bodies = _parties(session, auction.listing_id, _ids(auction))
    return webhooks.tell(session, kind=kind, event_key=f"{kind}:{auction.id}", bodies=bodies, at=at)


def _ids(auction: Auction) -> dict[str, Any]:
    return {
        "auction_id": str(auction.id),
        "listing_id": str(auction.listing_id),
        "ends_at": format_instant(auction.ends_at),
    }


def _tell_standing(session: Session, auction: Auction, *, at: datetime) -> int:
    told = _tell_by_the_clock(session, auction, OPENED, at=at)
    if auction.price_minor is None or not _is_public(session, auction.listing_id):
        return told
    leader = session.get(Registration, auction.leader_registration_id) if auction.leader_registration_id else None
    data = _ids(auction) | {
        "sequence": auction.sequence,
        "price": _money(Money(auction.price_minor, auction.currency)),
        "leader": leader and leader.bidder_code,
    }
    return told + webhooks.tell(
        session,
        kind=PROGRESSED,
        event_key=f"{PROGRESSED}:{auction.id}:{auction.number}",
        bodies=_parties(session, auction.listing_id, data),
        at=at,
    )


SUBSCRIPTIONS: Final = (
    *(Subscription(kind, _handler(_tell_everybody, kind)) for kind in _PUBLIC),
    *(Subscription(kind, _handler(_tell_registration, kind)) for kind in _REGISTERED),
    Subscription("listing.rectified", _handler(_tell_rectified, "listing.rectified")),
    Subscription("listing.planned", _handler(_tell_planned, "listing.planned")),
    Subscription("auction.lots_unsold", _handler(_tell_planned, "auction.lots_unsold")),
    *(Subscription(kind, _handler(_tell_steered, kind)) for kind in _STEERED),
    Subscription("auction.bidder_voided", _handler(_tell_voided, "auction.bidder_voided")),
    *(Subscription(kind, _handler(_tell_all, kind)) for kind in _TO_ALL),
    *(Subscription(kind, _handler(_tell_concerned, kind)) for kind in _TO_CONCERNED),
)
