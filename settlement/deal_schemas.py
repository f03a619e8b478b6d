"""What goes in and out of the routes of deals: deals, fee schedules, allocations, trails, reconciliations."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Day, Id, Instant, PageArgs, Schema
from marketplace.money import EXPONENTS
from settlement.domain.deal import DealState, Party
from settlement.reconciliation import Figure, Group
from settlement.words import Language


class LanguageArgs(Schema):
    """Language of a paper."""

    language = Choice(Language, load_default=Language.ZH)


class StatementArgs(LanguageArgs):
    """Whose statement; only operator and auditor choose, a party gets its own."""

    party = Choice(Party, load_default=None)


class DealArgs(PageArgs):
    """Which deals."""

    state = Choice(DealState, load_default=None)


class DealOut(Schema):
    """A deal. `due` is what is still to be paid, `overdue`: late; `net` and `case_count` come with the distribution.

    `netted`: collections of the seller set off against the balance. `distributed`: how much of the price is, which may
    be some of it where the terms say per instalment.
    """

    id = Id(required=True, attribute="deal.id")
    award_id = Id(required=True, attribute="deal.award_id")
    package_id = Id(required=True, attribute="deal.package_id")
    listing_id = Id(required=True, attribute="deal.listing_id")
    reference = ma.fields.String(required=True, attribute="deal.reference")
    state = Choice(DealState, required=True, attribute="deal.state")
    seller_organisation_id = Id(required=True, attribute="deal.seller_organisation_id")
    seller_name = ma.fields.String(required=True)
    buyer_organisation_id = Id(required=True, attribute="deal.buyer_organisation_id")
    buyer_name = ma.fields.String(required=True)
    price = Amount(required=True, attribute="deal.price")
    deposit = Amount(required=True, attribute="deal.deposit")
    balance = Amount(required=True, attribute="deal.balance")
    received = Amount(required=True, attribute="deal.received")
    waived = Amount(required=True, attribute="deal.waived")
    netted = Amount(required=True, attribute="deal.netted")
    due = Amount(required=True, attribute="deal.due")
    distributed = Amount(required=True, attribute="deal.distributed")
    net = Amount(required=True, allow_none=True, attribute="deal.net")
    case_count = ma.fields.Integer(required=True, allow_none=True, attribute="deal.case_count")
    payment_order_id = Id(required=True, allow_none=True, attribute="deal.payment_order_id")
    fee_schedule_id = Id(required=True, attribute="deal.fee_schedule_id")
    due_on = Day(required=True, attribute="deal.due_on")
    overdue = ma.fields.Boolean(required=True)
    opened_at = Instant(required=True, attribute="deal.opened_at")
    paid_at = Instant(required=True, allow_none=True, attribute="deal.paid_at")
    seller_signed_at = Instant(required=True, allow_none=True, attribute="deal.seller_signed_at")
    buyer_signed_at = Instant(required=True, allow_none=True, attribute="deal.buyer_signed_at")
    distributed_at = Instant(required=True, allow_none=True, attribute="deal.distributed_at")
    settled_at = Instant(required=True, allow_none=True, attribute="deal.settled_at")
    cancelled_at = Instant(required=True, allow_none=True, attribute="deal.cancelled_at")


class DeductionOut(Schema):
    """What a payee takes out of the price."""

    name = ma.fields.String(required=True)
    payee = ma.fields.String(required=True)
    amount = Amount(required=True)


class FundsFlowOut(Schema):
    """From the gross price to the net: gross = deductions + net = deposit_applied + balance_due."""

    gross = Amount(required=True)
    deposit_applied = Amount(required=True)
    balance_due = Amount(required=True)
    deductions = ma.fields.List(ma.fields.Nested(DeductionOut), required=True)
    net = Amount(required=True)


class AllocationOut(Schema):
    """The part of the net proceeds that belongs to one case. `weight` is principal + interest at the cut-off."""

    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    weight = Amount(required=True)
    amount = Amount(required=True)


class FeeScheduleIn(Schema):
    """The next version of what is deducted; `deductions` as in the funds flow document (formats, section 3)."""

    currency = ma.fields.String(required=True, validate=ma.validate.OneOf(sorted(EXPONENTS)))
    valid_from_on = Day(required=True)
    deductions = ma.fields.List(ma.fields.Dict(), required=True, validate=ma.validate.Length(max=100))


class FeeScheduleOut(Schema):
    """A version of what is deducted, in force from its day until the next."""

    id = Id(required=True)
    currency = ma.fields.String(required=True)
    version = ma.fields.Integer(required=True)
    valid_from_on = Day(required=True)
    deductions = ma.fields.List(ma.fields.Dict(), required=True)
    created_at = Instant(required=True)


class BankLineOut(Schema):
    """A movement on the bank account and how much of it belongs to the deal (incoming +, outgoing −)."""

    line_id = Id(required=True)
    role = ma.fields.String(required=True)
    booked_on = Day(required=True)
    amount = Amount(required=True)
    part = Amount(required=True)
    counterparty_name = ma.fields.String(required=True)
    remittance = ma.fields.String(required=True)
    bank_reference = ma.fields.String(required=True)


class TrailEntryOut(Schema):
    """An entry of the books and the bank lines behind it; `share`: what the case has of a distributed instalment."""

    entry_id = Id(required=True)
    source_kind = ma.fields.String(required=True)
    description = ma.fields.String(required=True)
    value_on = Day(required=True)
    posted_at = Instant(required=True)
    amount = Amount(required=True)
    share = Amount(required=True, allow_none=True)
    lines = ma.fields.List(ma.fields.Nested(BankLineOut), required=True)


class TrailDealOut(Schema):
    """A deal that the case was sold in."""

    deal_id = Id(required=True)
    reference = ma.fields.String(required=True)
    state = ma.fields.String(required=True)
    case_key = ma.fields.String(required=True)
    weight = Amount(required=True)
    price = Amount(required=True)
    net = Amount(required=True)
    case_count = ma.fields.Integer(required=True)
    case_price = Amount(required=True, allow_none=True)
    allocated = Amount(required=True)
    entries = ma.fields.List(ma.fields.Nested(TrailEntryOut), required=True)


class MoneyTrailOut(Schema):
    """From one case back to the bank lines."""

    case_id = Id(required=True)
    deals = ma.fields.List(ma.fields.Nested(TrailDealOut), required=True)


class LineCaseOut(Schema):
    """A case behind a bank line. `role`: deposit, balance (money in) or payout (money out)."""

    case_id = Id(required=True)
    case_key = ma.fields.String(required=True)
    deal_id = Id(required=True)
    reference = ma.fields.String(required=True)
    role = ma.fields.String(required=True)
    allocated = Amount(required=True)


class FigureOut(Schema):
    """One figure; `difference` is its amount less the first of its group."""

    group = Choice(Group, required=True)
    figure = Choice(Figure, required=True)
    source = ma.fields.String(required=True)
    amount = Amount(required=True)
    difference = Amount(required=True)


class ReconciliationOut(Schema):
    """Every figure of a deal. `agrees`: no difference anywhere; `difference` is the largest one."""

    deal_id = Id(required=True, attribute="deal.deal.id")
    reference = ma.fields.String(required=True, attribute="deal.deal.reference")
    state = Choice(DealState, required=True, attribute="deal.deal.state")
    at = Instant(required=True)
    agrees = ma.fields.Boolean(required=True)
    difference = Amount(required=True)
    paid_out = Amount(required=True)
    in_payment = Amount(required=True)
    rows = ma.fields.List(ma.fields.Nested(FigureOut), required=True)


class BankCheckOut(Schema):
    """Of one currency: the bank's lines against the books; all postings add up to zero."""

    currency = ma.fields.String(required=True)
    lines = Amount(required=True)
    ledger = Amount(required=True)
    difference = Amount(required=True)
    all_postings = Amount(required=True)


class ReconciliationsOut(Schema):
    """A page of reconciliations, newest first, and the check of the whole bank account."""

    items = ma.fields.List(ma.fields.Nested(ReconciliationOut), required=True)
    next = ma.fields.String(allow_none=True, required=True)
    bank = ma.fields.List(ma.fields.Nested(BankCheckOut), required=True)


class SplitAllocationOut(Schema):
    """What one case receives, as text."""

    case = ma.fields.String(required=True)
    amount = ma.fields.String(required=True)


class SplitDeductionOut(Schema):
    """What a payee takes, as text."""

    name = ma.fields.String(required=True)
    payee = ma.fields.String(required=True)
    amount = ma.fields.String(required=True)


class SplitOut(Schema):
    """The answer of `python -m settlement split` (formats, section 3); amounts are decimal strings."""

    gross = ma.fields.String(required=True)
    deposit_applied = ma.fields.String(required=True)
    balance_due = ma.fields.String(required=True)
    deductions = ma.fields.List(ma.fields.Nested(SplitDeductionOut), required=True)
    net = ma.fields.String(required=True)
    price_adjustment = ma.fields.String(required=True)
    allocations = ma.fields.List(ma.fields.Nested(SplitAllocationOut), required=True)
    total = ma.fields.String(required=True)
    engine = ma.fields.String(required=True)
