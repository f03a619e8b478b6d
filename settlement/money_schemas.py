"""What goes in and out of the routes of money: statements, lines, deposits, payment orders, the books."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Id, Instant, PageArgs, Schema, Text
from marketplace.money import EXPONENTS
from settlement.domain.deposit_life import DepositStage
from settlement.domain.orders import PaymentOrderState, PaymentPurpose, Rail

_CURRENCIES = sorted(EXPONENTS)


class DepositOut(Schema):
    """A deposit: received = held + applied + forfeited + refunding (on its way back) + released + disputed."""

    id = Id(required=True)
    registration_id = Id(required=True)
    organisation_id = Id(required=True)
    reference = ma.fields.String(required=True)
    required = Amount(required=True)
    stage = Choice(DepositStage, required=True)
    received = Amount(required=True)
    held = Amount(required=True)
    applied = Amount(required=True)
    forfeited = Amount(required=True)
    refunding = Amount(required=True)
    released = Amount(required=True)
    disputed = Amount(required=True)
    covered = ma.fields.Boolean(required=True)
    created_at = Instant(required=True)


class ReleaseDueOut(Schema):
    """A deposit that is to go back; `is_proposed`: nothing of it is without a payment order any more."""

    registration_id = Id(required=True)
    organisation_id = Id(required=True)
    listing_id = Id(required=True)
    reference = ma.fields.String(required=True)
    amount = Amount(required=True)
    is_proposed = ma.fields.Boolean(required=True)
    due_at = Instant(required=True)
    is_overdue = ma.fields.Boolean(required=True)


class ReleasesDueOut(Schema):
    """Deposits that are to go back, the earliest deadline first."""

    items = ma.fields.List(ma.fields.Nested(ReleaseDueOut), required=True)


class ReleaseAlertOut(Schema):
    """A deposit that was not back by its deadline."""

    id = Id(required=True)
    registration_id = Id(required=True)
    amount = Amount(required=True)
    due_at = Instant(required=True)
    raised_at = Instant(required=True)


class PaymentOrderArgs(PageArgs):
    """Which orders."""

    state = Choice(PaymentOrderState, load_default=None)


class PaymentOrderFileArgs(Schema):
    """Which orders."""

    state = Choice(PaymentOrderState, load_default=None)


class PaymentOrderOut(Schema):
    """A payment order."""

    id = Id(required=True)
    reference = ma.fields.String(required=True)
    state = Choice(PaymentOrderState, required=True)
    purpose = Choice(PaymentPurpose, required=True)
    rail = Choice(Rail, required=True)
    payee_organisation_id = Id(required=True, allow_none=True)
    payee_name = ma.fields.String(required=True)
    payee_account = ma.fields.String(required=True)
    amount = Amount(required=True)
    remittance = ma.fields.String(required=True)
    source_kind = ma.fields.String(required=True)
    source_id = Id(required=True)
    registration_id = Id(required=True, allow_none=True)
    proposed_by = ma.fields.String(required=True)
    approved_by = ma.fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    approved_at = Instant(required=True, allow_none=True)
    sent_at = Instant(required=True, allow_none=True)
    settled_at = Instant(required=True, allow_none=True)
    settled_by_line_id = Id(required=True, allow_none=True)
    first_approved_by = ma.fields.String(required=True, allow_none=True)
    returned_at = Instant(required=True, allow_none=True)
    returned_by_line_id = Id(required=True, allow_none=True)


class PaymentOrdersOut(Schema):
    """Payment orders, oldest first."""

    items = ma.fields.List(ma.fields.Nested(PaymentOrderOut), required=True)


class PaymentLimitIn(Schema):
    """Up to this amount one approval is enough; above it two persons approve what the clockwork proposed."""

    limit = Amount(required=True)


class PaymentLimitOut(PaymentLimitIn):
    """A limit; the newest of its currency counts."""

    id = Id(required=True)
    created_at = Instant(required=True)
    created_by = ma.fields.String(required=True)


class BankAccountIn(Schema):
    """Where an organisation wants to be paid; without `organisation_id` the sender's own."""

    organisation_id = Id(load_default=None)
    holder = Text(maximum=140, required=True)
    number = Text(maximum=34, pattern="[0-9A-Za-z -]+", required=True)
    bank_name = Text(maximum=140, load_default="", minimum=0)
    bank_code = Text(maximum=14, load_default="", minimum=0)
    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), required=True)


class BankAccountOut(Schema):
    """Where an organisation wants to be paid; the newest of a currency counts."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    holder = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    bank_name = ma.fields.String(required=True)
    bank_code = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    created_at = Instant(required=True)
    created_by = ma.fields.String(required=True)
