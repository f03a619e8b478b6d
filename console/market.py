"""Home, the catalogue and one listing: what is open for this person, what is for sale, on which terms."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from flask import request
from sqlalchemy.orm import Session

from auctions import service as auctions
from console import offers, site
from console import sale as sales
from console import strata as pictures
from console.offers import Offer
from console.site import pages
from due_diligence import service as due_diligence
from marketplace import http, policies
from marketplace.actor import Actor, OrganisationKind
from marketplace.errors import NotFound
from marketplace.money import Money
from marketplace.packages import service as packages
from marketplace.parties import service as parties
from settlement import service as settlement
from valuation import service as valuation

PAGE: Final = 20
SHORT: Final = 6
QUERY_LENGTH_MAX: Final = 200


@pages.route("/", policy=policies.signed_in())
def home() -> Any:
    """Show what is open for this person."""
    session, actor = http.session(), http.actor()
    found = auctions.list_listings(session, actor=actor, cursor=None, limit=PAGE)
    shown = offers.offers_of(session, found.items, actor=actor)
    buys = actor.organisation_kind is OrganisationKind.BUYER
    values = actor.organisation_kind is OrganisationKind.VALUER
    return site.render(
        "home.html",
        running=[offer for offer in shown if offer.auction and offer.auction.state in _RUNNING][:SHORT],
        registrations=_registrations(session, actor) if buys or actor.sees_everything else None,
        packages=None if buys or values else packages.list_packages(session, actor=actor, cursor=None, limit=SHORT),
        appraisals=_appraisals(session, actor) if values else None,
        deals=None if values else settlement.list_deals(session, state=None, cursor=None, limit=SHORT, actor=actor),
    )


_RUNNING: Final = frozenset(
    {
        auctions.LiveState.SCHEDULED,
        auctions.LiveState.OPEN,
        auctions.LiveState.SUSPENDED,
        auctions.LiveState.ENDED,
    }
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """An appraisal with its package and who asked for it."""

    row: Any
    package: str
    seller: str


def _appraisals(session: Session, actor: Actor) -> list[Opinion]:
    """Return the appraisals that a valuer was asked for, newest first."""
    found = valuation.list_appraisals(session, package_id=None, cursor=None, limit=SHORT, actor=actor).items
    rows = [view.appraisal for view in found]
    names = parties.organisation_names(session, {row.organisation_id for row in rows})
    return [
        Opinion(row, packages.require_package(session, row.package_id).name, names.get(row.organisation_id, ""))
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Application:
    """A registration with the title of its listing; `organisation` None for its own reader."""

    row: auctions.Registration
    title: str
    organisation: str | None


def _registrations(session: Session, actor: Actor) -> list[Application]:
    """Return a buyer's own registrations, newest first; to operator and auditor those that wait for a decision."""
    found = auctions.list_registrations(session, listing_id=None, cursor=None, limit=100, actor=actor).items
    if actor.sees_everything:
        found = [view for view in found if view.row.state is auctions.RegistrationState.APPLIED]
    return [
        Application(
            view.row,
            offers.title_of(auctions.get_listing(session, view.row.listing_id, actor=actor)),
            view.organisation_name if actor.sees_everything else None,
        )
        for view in found[:SHORT]
    ]


@pages.route("/listings", policy=policies.signed_in())
def catalogue() -> Any:
    """List what is for sale, or what fits a search."""
    session, actor = http.session(), http.actor()
    query = request.args.get("q", "").strip()[:QUERY_LENGTH_MAX]
    if query:
        found = auctions.find_listings(session, query=query, limit=PAGE, actor=actor)
    else:
        found = auctions.list_listings(session, actor=actor, cursor=request.args.get("cursor"), limit=PAGE)
    return site.render(
        "catalogue.html", query=query, offers=offers.offers_of(session, found.items, actor=actor), cursor=found.next
    )


@pages.route("/listings/<uuid:listing_id>", policy=policies.signed_in())
def listing(listing_id: uuid.UUID) -> Any:
    """Show one listing: terms, the figures of its package, the data room's size, one's own registration."""
    session, actor = http.session(), http.actor()
    found = auctions.show_listing(session, listing_id, actor=actor)
    row = found.row
    offer = offers.offer_of(session, found, seller=found.seller_name, actor=actor)
    registrations = auctions.list_registrations(session, listing_id=listing_id, cursor=None, limit=100, actor=actor)
    return site.render(
        "listing.html",
        offer=offer,
        terms=Terms.of(row),
        sale=sales.sale_of(session, row, hidden=found.hidden, actor=actor, at=http.at()),
        strata=pictures.pictures(found.strata, currency=row.currency, folded=not auctions.sees_terms(row, actor=actor)),
        room=_room(session, offer, actor),
        registrations=registrations,
        card_payments=_card_payments(session, registrations.items, actor),
    )


def _card_payments(session: Session, registrations: Any, actor: Actor) -> list[settlement.CardPayment]:
    """Return how a buyer's deposit stands by card, newest first; others see that on finance's side."""
    if actor.organisation_kind is not OrganisationKind.BUYER:
        return []
    own = [view.row.id for view in registrations]
    return [one for row in own for one in settlement.payments_of(session, registration_id=row, actor=actor)]


@dataclass(frozen=True, slots=True)
class Terms:
    """The public terms of a listing: everything that an announcement prints, and nothing that it hides.

    `extends` and `reserved`: whether its format has a soft close, and a hidden reserve.
    """

    format: str
    description: str | None
    increment: dict[str, Any] | None
    deposit: Money | None
    registration_closes_at: Any
    opens_at: Any
    window_seconds: int
    extension_seconds: int
    clock_seconds: int | None
    hard_end_at: Any
    minimum_bidders: int
    extends: bool
    reserved: bool
    currency: str

    @classmethod
    def of(cls, row: auctions.Listing) -> "Terms":
        """Return the public terms of a row."""
        return cls(
            format=row.format,
            description=row.description,
            increment=row.increment,
            deposit=row.deposit,
            registration_closes_at=row.registration_closes_at,
            opens_at=row.opens_at,
            window_seconds=row.soft_close_window_seconds,
            extension_seconds=row.soft_close_extension_seconds,
            clock_seconds=row.format_terms.get("first_bid_clock_seconds"),
            hard_end_at=row.hard_end_at,
            minimum_bidders=row.minimum_bidders,
            extends=auctions.takes(row.format, "soft_close"),
            reserved=auctions.takes(row.format, "reserve_price"),
            currency=row.currency,
        )


@dataclass(frozen=True, slots=True)
class RoomSize:
    """The data room as far as the reader may see it; `documents` None for who may not enter it."""

    state: str
    documents: int | None
    pages: int


def _room(session: Session, offer: Offer, actor: Actor) -> RoomSize | None:
    room = due_diligence.room_of_package(session, offer.package_id)
    if room is None:
        return None
    try:
        index = due_diligence.room_index(session, room_id=room.id, actor=actor, at=http.at())
    except NotFound:
        return RoomSize(room.state, None, 0)
    readings = [view.current.reading for view in index.documents]
    return RoomSize(room.state, len(index.documents), sum(reading.pages or 0 for reading in readings if reading))
