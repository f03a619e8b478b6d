"""What goes in and out of the routes of money changed."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Day, Id, Instant, Rate, Schema, Text
from marketplace.money import EXPONENTS
from settlement.domain.exchange import ExchangeState

_CURRENCIES = sorted(EXPONENTS)
_MAX_RATES = 50


class ChangeIn(Schema):
    """The bank line that took money in one currency, the one that brought money in another, and why."""

    sold_line_id = Id(required=True)
    bought_line_id = Id(required=True)
    reason = Text(maximum=500, required=True)


class DecidedOut(Schema):
    """Who proposed and who decided."""

    id = Id(required=True)
    state = Choice(ExchangeState, required=True)
    reason = ma.fields.String(required=True)
    proposed_by = ma.fields.String(required=True)
    proposed_at = Instant(required=True)
    decided_by = ma.fields.String(required=True, allow_none=True)
    decided_at = Instant(required=True, allow_none=True)


class ChangeOut(DecidedOut):
    """Money changed: `sold` was given up, `bought` received."""

    sold_line_id = Id(required=True)
    bought_line_id = Id(required=True)
    sold = Amount(required=True)
    bought = Amount(required=True)


class RateIn(Schema):
    """How much of the home currency one unit of `currency` is worth."""

    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), required=True)
    rate = Rate(minimum="0.000001", maximum="1000000", required=True)


class ValuationIn(Schema):
    """The home currency, the day, and a rate for every other currency of the position."""

    home = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), required=True)
    value_on = Day(required=True)
    rates = ma.fields.List(ma.fields.Nested(RateIn), required=True, validate=ma.validate.Length(max=_MAX_RATES))


class RevaluationIn(ValuationIn):
    """As previewed, and why."""

    reason = Text(maximum=500, required=True)


class ValuationOut(Schema):
    """Gain (above zero) or loss (below) that a valuation would post."""

    gain = Amount(required=True)


class RevaluationOut(DecidedOut):
    """A valuation of the position; `gain` comes with its posting."""

    home = ma.fields.String(required=True)
    value_on = Day(required=True)
    rates = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String(), required=True)
    gain = Amount(required=True, allow_none=True)
    entry_id = Id(required=True, allow_none=True)
