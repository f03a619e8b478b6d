"""What the routes of auctions take in and give out."""

from typing import Any

import marshmallow as ma

from auctions.domain.english import MAX_COUNT, MAX_SECONDS
from auctions.domain.lifecycles import AuctionOutcome, AwardState, ListingState, LiveState, RegistrationState
from auctions.listing import ListingPage, ListingView
from auctions.registration import RegistrationView
from marketplace.fields import Amount, Choice, Count, Flag, Id, Instant, PageArgs, Schema, Text


class TermsIn(Schema):
    """Terms of a draft; what is not given stays as it is, null empties a term. Amounts in the package's currency."""

    title_zh = Text(maximum=200, allow_none=True)
    title_en = Text(maximum=200, allow_none=True)
    description = Text(maximum=5000, allow_none=True)
    start_price = Amount(positive=True, allow_none=True)
    reserve_price = Amount(allow_none=True, metadata={"description": "Hidden; null means none."})
    increment = ma.fields.Dict(
        allow_none=True,
        metadata={
            "description": "fixed, percent or bands, as in a replay file; amounts as strings.",
            "example": {"kind": "fixed", "amount": "50000.00"},
        },
    )
    deposit = Amount(allow_none=True)
    registration_closes_at = Instant(allow_none=True)
    opens_at = Instant(allow_none=True)
    ends_at = Instant(allow_none=True)
    soft_close_window_seconds = Count(maximum=MAX_SECONDS)
    soft_close_extension_seconds = Count(maximum=MAX_SECONDS)
    hard_end_at = Instant(allow_none=True)
    minimum_bidders = Count(minimum=1, maximum=MAX_COUNT)


class ListingIn(TermsIn):
    """A new draft."""

    package_id = Id(required=True)


class TermsOut(Schema):
    """A listing in a list: what everybody signed in sees of its terms."""

    id = Id(required=True)
    package_id = Id(required=True)
    auction_id = Id(required=True, allow_none=True)
    state = Choice(ListingState, required=True)
    version = Count(required=True)
    currency = ma.fields.String(required=True)
    title_zh = ma.fields.String(required=True, allow_none=True)
    title_en = ma.fields.String(required=True, allow_none=True)
    description = ma.fields.String(required=True, allow_none=True)
    start_price = Amount(required=True, allow_none=True)
    increment = ma.fields.Dict(required=True, allow_none=True)
    deposit = Amount(required=True, allow_none=True)
    registration_closes_at = Instant(required=True, allow_none=True)
    opens_at = Instant(required=True, allow_none=True)
    ends_at = Instant(required=True, allow_none=True)
    soft_close_window_seconds = Count(required=True)
    soft_close_extension_seconds = Count(required=True)
    hard_end_at = Instant(required=True, allow_none=True)
    minimum_bidders = Count(required=True)
    created_at = Instant(required=True)
    published_at = Instant(required=True, allow_none=True)

    @ma.pre_dump
    def flatten(self, view: ListingView, **_: Any) -> dict[str, Any]:
        """Put the row's values and what belongs to it side by side."""
        auction = view.auction
        values = {name: getattr(view.row, name) for name in self.fields if hasattr(view.row, name)}
        values["auction_id"] = auction and auction.id
        if isinstance(view, ListingPage):
            values |= {"seller_name": view.seller_name, "strata": view.strata}
            values["header"] = view.header.document() if view.header else None
            values["rules_hash"] = auction and auction.rules_hash
            values["reserve_commitment"] = auction and auction.reserve_commitment
            if not view.shows_reserve:
                del values["reserve_price"]
        return values


class StratumOut(Schema):
    """One cell of the package along a dimension."""

    dimension = ma.fields.String(required=True)
    value = ma.fields.String(required=True)
    loans = Count(required=True)
    principal = Amount(required=True)
    interest = Amount(required=True)


class ListingOut(TermsOut):
    """A listing with the header and strata of its package. `reserve_price` only for the seller and the auditor."""

    seller_organisation_id = Id(required=True)
    seller_name = ma.fields.String(required=True)
    reserve_price = Amount(allow_none=True)
    rules_hash = ma.fields.String(required=True, allow_none=True)
    reserve_commitment = ma.fields.String(required=True, allow_none=True)
    header = ma.fields.Dict(required=True, allow_none=True)
    strata = ma.fields.List(ma.fields.Nested(StratumOut), required=True)


class CatalogueArgs(PageArgs):
    """A page of the catalogue, or what was found."""

    q = Text(maximum=200, load_default=None, metadata={"description": "Words that a published listing must have."})


class MissingOut(Schema):
    """One thing that stands in the way of publishing."""

    code = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)


class ReadinessOut(Schema):
    """Whether a listing can be published now."""

    ready = Flag(required=True)
    missing = ma.fields.List(ma.fields.Nested(MissingOut), required=True)


class RegistrationOut(Schema):
    """A registration. A seller sees code, state and cover only; the other values are null for it."""

    id = Id(required=True)
    listing_id = Id(required=True)
    state = Choice(RegistrationState, required=True)
    bidder_code = ma.fields.String(required=True)
    organisation_id = Id(required=True, allow_none=True)
    organisation_name = ma.fields.String(required=True, allow_none=True)
    reference = ma.fields.String(required=True, allow_none=True)
    deposit = Amount(required=True)
    covered = Flag(required=True)
    covered_at = Instant(required=True, allow_none=True)
    applied_at = Instant(required=True)
    decided_at = Instant(required=True, allow_none=True)

    @ma.pre_dump
    def flatten(self, view: RegistrationView, **_: Any) -> dict[str, Any]:
        """Put the row's values side by side; identity and reference only in a full view."""
        values = {name: getattr(view.row, name) for name in self.fields if hasattr(view.row, name)}
        values["covered"] = view.row.covered_at is not None
        values["organisation_name"] = view.organisation_name
        if not view.full:
            values |= {"organisation_id": None, "reference": None}
        return values


class BidIn(Schema):
    """A bid."""

    amount = Amount(positive=True, required=True)


class ReceiptOut(Schema):
    """The standing right after one's accepted bid; `server_time` is when it entered the system."""

    id = Id(required=True)
    auction_id = Id(required=True)
    sequence = Count(required=True)
    bidder = ma.fields.String(required=True)
    price = Amount(required=True)
    minimum_next = Amount(required=True)
    ends_at = Instant(required=True)
    server_time = Instant(attribute="at", required=True)


class BidOut(Schema):
    """An accepted bid under its bidder's code; `ends_at` is the end after it."""

    sequence = Count(required=True)
    bidder = ma.fields.String(required=True)
    amount = Amount(required=True)
    at = Instant(required=True)
    ends_at = Instant(required=True)


class AuctionOut(Schema):
    """An auction at `server_time`. `leader` and `you` are bidder codes."""

    id = Id(required=True)
    listing_id = Id(required=True)
    package_id = Id(required=True)
    state = Choice(LiveState, required=True)
    price = Amount(required=True, allow_none=True)
    leader = ma.fields.String(required=True, allow_none=True)
    minimum_next = Amount(required=True)
    sequence = Count(required=True)
    extensions = Count(required=True)
    opens_at = Instant(required=True)
    ends_at = Instant(required=True)
    server_time = Instant(required=True)
    rules = ma.fields.Dict(required=True)
    rules_hash = ma.fields.String(required=True)
    reserve_commitment = ma.fields.String(required=True)
    you = ma.fields.String(required=True, allow_none=True)


class AwardOut(Schema):
    """An award. `organisation_id` is null for whoever is not concerned."""

    id = Id(required=True, attribute="row.id")
    auction_id = Id(required=True, attribute="row.auction_id")
    listing_id = Id(required=True, attribute="row.listing_id")
    package_id = Id(required=True, attribute="row.package_id")
    state = Choice(AwardState, required=True, attribute="row.state")
    price = Amount(required=True, attribute="row.price")
    bidder = ma.fields.String(required=True)
    organisation_id = Id(required=True, allow_none=True)
    created_at = Instant(required=True, attribute="row.created_at")


class ResultOut(Schema):
    """How an auction ended; the winner first, the runner-up after it."""

    auction_id = Id(required=True)
    listing_id = Id(required=True)
    package_id = Id(required=True)
    outcome = Choice(AuctionOutcome, required=True)
    price = Amount(required=True, allow_none=True)
    winner = ma.fields.String(required=True, allow_none=True)
    ended_at = Instant(required=True)
    accepted = Count(required=True)
    extensions = Count(required=True)
    rules_hash = ma.fields.String(required=True)
    log_hash = ma.fields.String(required=True, allow_none=True)
    awards = ma.fields.List(ma.fields.Nested(AwardOut), required=True)


class ReplayOut(Schema):
    """The result and the answer to every event."""

    state = ma.fields.String(required=True)
    winner = ma.fields.String(required=True, allow_none=True)
    price = ma.fields.String(required=True, allow_none=True)
    ends_at = ma.fields.String(required=True)
    extensions = Count(required=True)
    accepted = Count(required=True)
    ranking = ma.fields.List(ma.fields.Dict(), required=True)
    awards = ma.fields.List(ma.fields.Dict(), required=True)
    answers = ma.fields.List(ma.fields.Dict(), required=True)
    log_hash = ma.fields.String(required=True)
    engine = ma.fields.String(required=True)


class ReplayFileOut(Schema):
    """A replay file."""

    rules = ma.fields.Dict(required=True)
    events = ma.fields.List(ma.fields.Dict(), required=True)
    as_of = ma.fields.String(required=True, allow_none=True)
