"""What goes in and out of the routes of defaults: policies, previews, forfeited deposits."""

import marshmallow as ma

from marketplace.fields import Amount, Day, Id, Instant, ReasonIn, Schema


class DefaultPolicyIn(Schema):
    """The next version of what a default costs under a regime; in force from a later day.

    `rules`: `causes` that cost the deposit, `uses` in order (`sale_costs`, `price_gap`), `rest` to `seller` or
    `buyer`, `claim` whether what is missing stays owed.
    """

    regime = ma.fields.String(required=True, validate=ma.validate.Length(min=1, max=60))
    valid_from_on = Day(required=True)
    rules = ma.fields.Dict(required=True)


class DefaultPolicyOut(Schema):
    """A version of what a default costs, in force from its day until the next."""

    id = Id(required=True)
    regime = ma.fields.String(required=True)
    version = ma.fields.Integer(required=True)
    valid_from_on = Day(required=True)
    rules = ma.fields.Dict(required=True)
    created_at = Instant(required=True)


class DefaultPreviewOut(Schema):
    """What would happen if the buyer of a deal defaulted now. `returned` goes back to whoever paid it."""

    policy = ma.fields.Nested(DefaultPolicyOut, required=True)
    price = Amount(required=True)
    forfeited = Amount(required=True)
    returned = Amount(required=True)
    next_registration_id = Id(required=True, allow_none=True)
    next_price = Amount(required=True, allow_none=True)


class ForfeitureOut(Schema):
    """A deposit that a failed award cost its bidder; `settled_at` is when it was used."""

    id = Id(required=True)
    award_id = Id(required=True)
    deal_id = Id(required=True, allow_none=True)
    registration_id = Id(required=True)
    organisation_id = Id(required=True)
    seller_organisation_id = Id(required=True)
    cause = ma.fields.String(required=True)
    price = Amount(required=True)
    amount = Amount(required=True)
    forfeited_at = Instant(required=True)
    settled_at = Instant(required=True, allow_none=True)


class ForfeitureUsesOut(Schema):
    """Where a lost deposit goes: the first four add up to it; `claim` is still owed by the buyer."""

    sale_costs = Amount(required=True)
    price_gap = Amount(required=True)
    seller = Amount(required=True)
    buyer = Amount(required=True)
    claim = Amount(required=True)


class ForfeiturePreviewOut(Schema):
    """A forfeited deposit with what it will be used for, or was."""

    forfeiture = ma.fields.Nested(ForfeitureOut, required=True, attribute="row")
    policy = ma.fields.Nested(DefaultPolicyOut, required=True)
    sale_costs = Amount(required=True)
    resale_price = Amount(required=True)
    uses = ma.fields.Nested(ForfeitureUsesOut, required=True)


class ForfeitureIn(ReasonIn):
    """Sale costs, and the price of the next sale where it is not that of the next in line."""

    sale_costs = Amount(required=True)
    resale_price = Amount(load_default=None)


class ForfeitureAskIn(Schema):
    """Figures to preview with; without them no costs, and the price of the next in line's deal."""

    sale_costs = Amount(load_default=None)
    resale_price = Amount(load_default=None)
