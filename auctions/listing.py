"""Drafts of listings: the terms, and who may see and change them. Publishing and the catalogue are files beside."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from auctions.domain import format_terms, presets, relisting, wall_times
from auctions.domain import terms as domain
from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import LISTING, AuctionOutcome, ListingState
from auctions.domain.presets import Preset
from auctions.domain.terms import AssetKind, Terms
from auctions.listing_models import Announcement, PriorityHolder
from auctions.models import Auction, Listing
from marketplace import audit
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import format_instant
from marketplace.documents import BadDocument, Node
from marketplace.errors import Conflict, Failure, NotFound
from marketplace.money import Money
from marketplace.packages import service as packages
from marketplace.parties import service as parties

SEARCH_KIND: Final = "listing"

_AMOUNTS: Final = {"start_price": "start_price_minor", "reserve_price": "reserve_minor", "deposit": "deposit_minor"}
_TERMS: Final = tuple(Terms.__dataclass_fields__)


class AuctionOver(Conflict):
    """The auction has ended; its result stands."""

    code = "auction_over"

    def __init__(self) -> None:
        super().__init__("The auction has ended; its result stands.")


def create_listing(session: Session, *, package_id: uuid.UUID, actor: Actor, at: datetime, **terms: Any) -> Listing:
    """Begin a draft for a package of one's own, with any of its terms; raise as `set_terms` does.

    After an attempt that failed it is the next attempt, whether or not a plan asked for it.
    """
    package = packages.get_package(session, package_id, actor=actor)
    if package.organisation_id != actor.organisation_id:
        raise NotFound("package", package_id)
    before = last_attempt(session, package.id)
    listing = Listing(
        package_id=package.id,
        seller_organisation_id=package.organisation_id,
        state=LISTING.initial,
        currency=package.currency,
        attempt=1 if before is None else before[0].attempt + (before[1].outcome is AuctionOutcome.UNSOLD),
        previous_listing_id=None if before is None else before[0].id,
        created_at=at,
    )
    session.add(listing)
    session.flush()
    set_terms(session, listing, terms={"preset": presets.PLAIN} | terms, at=at)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=listing, verb="create", after=record_of(listing))
    return listing


def last_attempt(session: Session, package_id: uuid.UUID) -> tuple[Listing, Auction] | None:
    """Return the last closed listing of a package with its auction: what a new listing is another attempt after.

    An attempt whose winner failed is repeated; only one that found no buyer counts as a failed attempt.
    """
    query = (
        select(Listing, Auction)
        .join(Auction, Auction.listing_id == Listing.id)
        .where(Listing.package_id == package_id, Listing.state == ListingState.CLOSED)
        .order_by(Auction.closed_at.desc(), Listing.id.desc())
    )
    found = session.execute(query).first()
    return None if found is None else (found[0], found[1])


def set_terms(session: Session, listing: Listing, *, terms: Mapping[str, Any], at: datetime) -> None:
    """Write terms as the API names them onto a listing; None empties an optional term.

    A new preset brings its defaults for whatever is not given. A new format drops the terms that mean nothing in it.
    Raises `CurrencyMismatch`, `UnknownPreset`, `PresetNotInForce`, `UnknownZone`, `NotFound` for a priority holder, and
    `BadDocument` at the pointer of a term that is wrong or that the format does not have.
    """
    values = dict(terms)
    if "preset" in values:
        values = _with_defaults(listing, values, at=at)
    if "format" in values:
        listing.format = FormatName(values.pop("format"))
    format_terms.check_taken(listing.format, [name for name, value in values.items() if value is not None])
    kept = {name: value for name, value in listing.format_terms.items() if format_terms.takes(listing.format, name)}
    for name in format_terms.NAMES:
        if name in values:
            kept[name] = _format_term(name, values.pop(name), listing.currency)
    listing.format_terms = {name: value for name, value in kept.items() if value is not None}
    if "priority" in values:
        _set_priority(session, listing, values.pop("priority") or [])
    for name, value in values.items():
        _set_term(listing, name, value)


def _with_defaults(listing: Listing, values: dict[str, Any], *, at: datetime) -> dict[str, Any]:
    preset = presets.in_force(values.pop("preset"), parties.market_day(at))
    listing.preset = preset.name
    name = FormatName(values.get("format") or preset.defaults["format"])
    defaults = {term: value for term, value in preset.defaults.items() if format_terms.takes(name, term)}
    length = defaults.pop("duration_seconds", None)
    opens = values.get("opens_at")
    if length is not None and opens is not None and format_terms.takes(name, "ends_at"):
        defaults["ends_at"] = opens + timedelta(seconds=length)
    return {"zone": preset.zone} | defaults | values


def _format_term(name: str, value: Any, currency: str) -> Any:
    if value is None:
        return None
    return format_terms.read(name, format_instant(value) if isinstance(value, datetime) else value, currency)


def _set_term(listing: Listing, name: str, value: Any) -> None:
    if name in _AMOUNTS:
        setattr(listing, _AMOUNTS[name], domain.same_currency(value, listing.currency))
    elif name == "increment" and value is not None:
        listing.increment = domain.normal_increment(value, listing.currency)
    elif name == "relisting_plan" and value is not None:
        listing.relisting_plan = relisting.read_plan(Node(value, "/relisting_plan"), listing.currency)
    elif name == "zone":
        listing.zone = wall_times.zone_of(value).key
    elif name == "asset_kind":
        listing.asset_kind = AssetKind(value)
    else:
        setattr(listing, name, value)


def _set_priority(session: Session, listing: Listing, holders: Sequence[Mapping[str, Any]]) -> None:
    if len({holder["organisation_id"] for holder in holders}) != len(holders):
        raise BadDocument("/priority", "an organisation twice", "each organisation once")
    for place, holder in enumerate(holders):
        kind = _kind_of(session, holder["organisation_id"])
        if kind is not OrganisationKind.BUYER:
            pointer = f"/priority/{place}/organisation_id"
            raise BadDocument(pointer, str(holder["organisation_id"]), "a buyer of this market")
    session.execute(delete(PriorityHolder).where(PriorityHolder.listing_id == listing.id))
    session.add_all(
        PriorityHolder(listing_id=listing.id, organisation_id=holder["organisation_id"], rank=holder["rank"])
        for holder in holders
    )


def _kind_of(session: Session, organisation_id: uuid.UUID) -> OrganisationKind | None:
    try:
        return parties.require_organisation(session, organisation_id).kind
    except Failure:
        return None


def priority_holders(session: Session, listing_id: uuid.UUID) -> Sequence[PriorityHolder]:
    """Return the holders of pre-emption rights in a listing, best rank first. No visibility check."""
    query = select(PriorityHolder).where(PriorityHolder.listing_id == listing_id)
    return session.scalars(query.order_by(PriorityHolder.rank, PriorityHolder.id)).all()


def record_of(listing: Listing) -> dict[str, Any]:
    """Return the terms for the audit record; the reserve only as given or not."""
    values = {name: getattr(listing, name) for name in _TERMS if name != "reserve_minor"}
    plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
    return plain | {"reserve_given": listing.reserve_minor is not None, "relisting_plan": listing.relisting_plan}


def terms_of(listing: Listing) -> Terms:
    """Return the terms of a listing as the domain takes them."""
    return Terms(**{name: getattr(listing, name) for name in _TERMS})


def preset_of(session: Session, listing: Listing, *, at: datetime) -> Preset:
    """Return the preset of a listing: frozen with its announcement, for a draft the version in force at `at`."""
    newest = select(Announcement.preset_version).where(Announcement.listing_id == listing.id)
    number = session.scalar(newest.order_by(Announcement.version.desc()).limit(1))
    if number is not None:
        return presets.version(listing.preset, number)
    return presets.in_force(listing.preset, parties.market_day(listing.published_at or at))


def lock_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> Listing:
    """Return a listing of the actor's organisation, its row locked; raise `NotFound`."""
    listing = session.get(Listing, listing_id, with_for_update=True)
    if listing is None or listing.seller_organisation_id != actor.organisation_id:
        raise NotFound("listing", listing_id)
    return listing


def get_listing(session: Session, listing_id: uuid.UUID, *, actor: Actor) -> Listing:
    """Return a listing: a draft to its seller, operator and auditor, a published one to everybody signed in."""
    listing = session.get(Listing, listing_id)
    if listing is None or not (listing.published_at is not None or sees_terms(listing, actor=actor)):
        raise NotFound("listing", listing_id)
    return listing


def sees_terms(listing: Listing, *, actor: Actor) -> bool:
    """Whether the actor sees everything but the reserve at every stage: the seller, operator and auditor."""
    return actor.sees_everything or listing.seller_organisation_id == actor.organisation_id


def sees_reserve(listing: Listing, *, actor: Actor) -> bool:
    """Whether the actor may know the reserve: the seller, and the auditor, who reads everything; not the operator."""
    return (
        listing.seller_organisation_id == actor.organisation_id or actor.organisation_kind is OrganisationKind.AUDITOR
    )


def auction_of_listing(session: Session, listing_id: uuid.UUID) -> Auction | None:
    """Return the auction of a published listing. No visibility check."""
    return session.scalars(select(Auction).where(Auction.listing_id == listing_id)).first()


def auction_time(session: Session) -> datetime:
    """Return the time of auctions: PostgreSQL's clock, whole milliseconds. One clock for bids, display and closing."""
    now: datetime = session.execute(text("SELECT auction_time()")).scalar_one()
    return now


def rules_of(auction: Auction) -> dict[str, Any]:
    """Return the public rules of an auction as they were frozen."""
    rules: dict[str, Any] = json.loads(auction.rules)
    return rules


def money(minor: int | None, currency: str) -> Money | None:
    """Return an amount of a nullable column."""
    return None if minor is None else Money(minor, currency)
