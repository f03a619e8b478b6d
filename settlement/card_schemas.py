"""What goes in and out of the routes of the card rail."""

import marshmallow as ma

from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema
from settlement.domain.cards import CardDisputeState, CardPaymentState


class CardRailOut(Schema):
    """Whether cards are taken here; `events`: whether Stripe's events are, without which the sweep finds out later."""

    on = ma.fields.Boolean(required=True)
    events = ma.fields.Boolean(required=True)
    detail = ma.fields.String(required=True)


class CardPaymentArgs(PageArgs):
    """Which card payments."""

    registration_id = Id(load_default=None)
    state = Choice(CardPaymentState, load_default=None)


class CardPaymentOut(Schema):
    """A card payment. `received` is what Stripe charged; `note` why it was refused, failed, or not (all) applied."""

    id = Id(required=True)
    registration_id = Id(required=True)
    organisation_id = Id(required=True)
    state = Choice(CardPaymentState, required=True)
    amount = Amount(required=True)
    received = Amount(required=True, allow_none=True)
    intent_id = ma.fields.String(required=True, allow_none=True)
    charge_id = ma.fields.String(required=True, allow_none=True)
    note = ma.fields.String(required=True)
    created_at = Instant(required=True)
    received_at = Instant(required=True, allow_none=True)


class ClientSecretOut(Schema):
    """What Stripe's page element needs to take the card; it is not kept here."""

    client_secret = ma.fields.String(required=True)


class CardRefundOut(Schema):
    """A refund to a card. `status` is Stripe's own word, `refused` when it made none, empty before its answer."""

    id = Id(required=True)
    order_id = Id(required=True)
    card_payment_id = Id(required=True)
    amount = Amount(required=True)
    refund_id = ma.fields.String(required=True, allow_none=True)
    status = ma.fields.String(required=True)
    note = ma.fields.String(required=True)
    created_at = Instant(required=True)


class CardDisputeOut(Schema):
    """A contested payment. `deposit` is what it takes out of the deposit now, `loss` what we bear ourselves."""

    id = Id(required=True)
    dispute_id = ma.fields.String(required=True)
    card_payment_id = Id(required=True)
    state = Choice(CardDisputeState, required=True)
    status = ma.fields.String(required=True)
    reason = ma.fields.String(required=True)
    amount = Amount(required=True)
    deposit = Amount(required=True)
    loss = Amount(required=True)
    evidence_due_at = Instant(required=True, allow_none=True)
    opened_at = Instant(required=True)
    closed_at = Instant(required=True, allow_none=True)


class StripeLineOut(Schema):
    """A line of our balance at Stripe: amount − fee = net."""

    id = Id(required=True)
    transaction_id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    source = ma.fields.String(required=True)
    amount = Amount(required=True)
    fee = Amount(required=True)
    net = Amount(required=True)
    description = ma.fields.String(required=True)
    happened_at = Instant(required=True)


class CardPayoutOut(Schema):
    """A payout to our bank. `difference`: the amount less what its lines come to, null before Stripe lists them."""

    id = Id(required=True)
    payout_id = ma.fields.String(required=True)
    status = ma.fields.String(required=True)
    automatic = ma.fields.Boolean(required=True)
    amount = Amount(required=True)
    arrival_on = Day(required=True)
    line_count = Count(required=True, allow_none=True)
    difference = Amount(required=True, allow_none=True)
    settled_by_line_id = Id(required=True, allow_none=True)


class PayoutMatchIn(Schema):
    """Which line of our bank."""

    line_id = Id(required=True)


class ClearingOut(Schema):
    """What is open between an object of Stripe and our balance, or our bank; `object_id` is empty when unknown."""

    account = ma.fields.String(required=True)
    object_id = ma.fields.String(required=True)
    balance = Amount(required=True)


class ClearingsOut(Schema):
    """Everything that is open, in order of the account."""

    items = ma.fields.List(ma.fields.Nested(ClearingOut), required=True)


class StripeEventOut(Schema):
    """An event of Stripe: `asked` when its object is (to be) looked at, `ignored` when it is only kept."""

    id = Id(required=True)
    event_id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    object_id = ma.fields.String(required=True)
    outcome = ma.fields.String(required=True)
    received_at = Instant(required=True)


class WebhookOut(Schema):
    """That an event was kept, and what will be done about it."""

    event_id = ma.fields.String(required=True)
    outcome = ma.fields.String(required=True)


class ErrandArgs(PageArgs):
    """Which errands; `waiting`: only those that are not done."""

    waiting = Flag(from_text=True, load_default=False)


class ErrandOut(Schema):
    """Something to be asked of Stripe. `stuck`: it failed too often and waits for a person."""

    id = Id(required=True)
    kind = ma.fields.String(required=True)
    subject = ma.fields.String(required=True)
    waiting = ma.fields.Boolean(required=True)
    stuck = ma.fields.Boolean(required=True)
    attempts = Count(required=True)
    last_error = ma.fields.String(required=True)
    asked_at = Instant(required=True)
    next_attempt_at = Instant(required=True)
    finished_at = Instant(required=True, allow_none=True)
