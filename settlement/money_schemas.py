"""What goes in and out of the routes of money: statements, lines, deposits, payment orders, the books."""

import marshmallow as ma

from marketplace import fields
from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema, Text
from marketplace.money import EXPONENTS
from settlement.domain.bank_csv import DateOrder
from settlement.domain.matching import Finding
from settlement.domain.orders import PaymentOrderState, PaymentPurpose, Rail
from settlement.domain.statements import StatementFormat

_CURRENCIES = sorted(EXPONENTS)


class StatementFile(Schema):
    """The file."""

    file = fields.Upload(required=True)


class StatementForm(Schema):
    """How to read it. Without `format` it is recognised; the rest is for CSV exports that do not say it themselves."""

    format = Choice(StatementFormat, load_default=None)
    account = Text(maximum=64, load_default="")
    currency = ma.fields.String(validate=ma.validate.OneOf(_CURRENCIES), load_default="")
    date_order = Choice(DateOrder, load_default=DateOrder.YMD)
    decimal_comma = Flag(from_text=True, load_default=False)
    columns = Text(
        maximum=2000,
        load_default="",
        metadata={"description": 'Own header names as JSON: {"date": "记账日", "credit": "贷方"}.'},
    )


class MatchOut(Schema):
    """What a receipt was counted for."""

    id = Id(required=True)
    line_id = Id(required=True, allow_none=True)
    reference = ma.fields.String(required=True)
    deposit_id = Id(required=True, allow_none=True)
    payment_order_id = Id(required=True, allow_none=True)
    amount = Amount(required=True)
    automatic = ma.fields.Boolean(required=True)
    matched_by = ma.fields.String(required=True)
    matched_at = Instant(required=True)


class StatementLineOut(Schema):
    """One movement: `amount` in +, out −; `open` is the part that is not matched; `finding` says what was found."""

    id = Id(required=True, attribute="line.id")
    statement_id = Id(required=True, attribute="line.statement_id")
    position = Count(required=True, attribute="line.position")
    amount = Amount(required=True, attribute="line.amount")
    open = Amount(required=True)
    booked_on = Day(required=True, attribute="line.booked_on")
    value_on = Day(required=True, attribute="line.value_on")
    remittance = ma.fields.String(required=True, attribute="line.remittance")
    end_to_end_id = ma.fields.String(required=True, attribute="line.end_to_end_id")
    counterparty_name = ma.fields.String(required=True, attribute="line.counterparty_name")
    counterparty_account = ma.fields.String(required=True, attribute="line.counterparty_account")
    bank_reference = ma.fields.String(required=True, attribute="line.bank_reference")
    finding = Choice(Finding, required=True, attribute="line.finding")
    matches = ma.fields.List(ma.fields.Nested(MatchOut), required=True)


class StatementOut(Schema):
    """A statement. `proven`: opening + lines = closing was checked; `new_line_count` of its lines were not known."""

    id = Id(required=True)
    format = Choice(StatementFormat, required=True)
    account_number = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    reference = ma.fields.String(required=True)
    from_on = Day(required=True, allow_none=True)
    to_on = Day(required=True, allow_none=True)
    opening = Amount(required=True, allow_none=True)
    closing = Amount(required=True, allow_none=True)
    proven = ma.fields.Boolean(required=True)
    line_count = Count(required=True)
    new_line_count = Count(required=True)
    pending_count = Count(required=True)
    imported_at = Instant(required=True)
    imported_by = ma.fields.String(required=True)


class StatementWithLinesOut(Schema):
    """A statement with the first 500 of the lines that it brought, and their matches."""

    statement = ma.fields.Nested(StatementOut, required=True)
    lines = ma.fields.List(ma.fields.Nested(StatementLineOut), required=True)


class StatementsOut(Schema):
    """Every statement of a file."""

    items = ma.fields.List(ma.fields.Nested(StatementWithLinesOut), required=True)


class LineArgs(PageArgs):
    """Which lines: of one statement; `open` leaves those of which something is not matched (unapplied cash)."""

    statement_id = Id(load_default=None)
    open = Flag(from_text=True, load_default=False)


class LineMatchIn(Schema):
    """The reference that the line is for: `DP-…`, `INV-…`, or `PO-…` for money that left."""

    reference = Text(maximum=40, required=True)


class DepositOut(Schema):
    """A deposit. `held` is in the books now, `in_refund` on its way back."""

    id = Id(required=True)
    registration_id = Id(required=True)
    organisation_id = Id(required=True)
    reference = ma.fields.String(required=True)
    required = Amount(required=True)
    held = Amount(required=True)
    in_refund = Amount(required=True)
    covered = ma.fields.Boolean(required=True)
    created_at = Instant(required=True)


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


class PaymentOrdersOut(Schema):
    """Payment orders, oldest first."""

    items = ma.fields.List(ma.fields.Nested(PaymentOrderOut), required=True)


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


class CardPaymentOut(Schema):
    """What Stripe's page element needs."""

    id = Id(required=True, attribute="payment.id")
    registration_id = Id(required=True, attribute="payment.registration_id")
    amount = Amount(required=True, attribute="payment.amount")
    intent_id = ma.fields.String(required=True, attribute="payment.intent_id")
    client_secret = ma.fields.String(required=True)


class WebhookOut(Schema):
    """That an event was kept, and what was done about it."""

    event_id = ma.fields.String(required=True)
    outcome = ma.fields.String(required=True)
