"""What the routes of auctions take in and give out."""

from typing import Any

import marshmallow as ma

from auctions.award_schemas import AwardOut
from auctions.domain.lifecycles import AuctionOutcome, RegistrationState
from auctions.registration import RegistrationView
from marketplace.fields import Amount, Choice, Count, Flag, Id, Instant, Schema


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
    no_resale_at = Instant(required=True, allow_none=True)
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


class LogArgs(Schema):
    """Which part of a log; without `limit` all of it."""

    after = Count(load_default=0, from_text=True, metadata={"description": "`next` of the part before."})
    limit = Count(minimum=1, maximum=10_000, load_default=None, from_text=True)


class ReplayFileOut(Schema):
    """A replay file. A part of one has `next`, null in the last; the events of all parts make the file."""

    rules = ma.fields.Dict(required=True)
    events = ma.fields.List(ma.fields.Dict(), required=True)
    as_of = ma.fields.String(required=True, allow_none=True)
    next = Count(allow_none=True)
