"""Routes of the card rail: payments of buyers, what finance sees of Stripe, its events, errands tried again."""

import uuid
from typing import Any

import flask

from marketplace import errands, http, runtime
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.errands import Errand
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, public, reads, signed_in
from settlement import (
    card_balance,
    card_clearing,
    card_client,
    card_disputes,
    card_events,
    card_payments,
    card_payouts,
    card_refunds,
    card_returns,
)
from settlement import card_schemas as schemas
from settlement.card_models import CardDispute, CardPayment, CardPayout, CardRefund, StripeLine, WebhookEvent
from settlement.models import PaymentOrder
from settlement.money_schemas import PaymentOrderOut

FINANCE = Role.OPERATOR_FINANCE
_WEBHOOK_BYTES = 512 * 1024
_ERRANDS = "stripe."

blueprint = http.Blueprint("cards", description="How is a deposit paid by card?")


@blueprint.get("/card-rail", policy=signed_in())
@blueprint.response(200, schemas.CardRailOut)
def show_rail() -> dict[str, Any]:
    """Whether deposits can be paid by card here."""
    settings = runtime.current().settings
    on = settings.stripe_api_key is not None
    detail = "Deposits can be paid by card." if on else card_client.StripeOff().detail
    return {"on": on, "events": settings.stripe_webhook_secret is not None, "detail": detail}


@blueprint.post("/registrations/<uuid:registration_id>/card-payments", policy=allow(Role.BUYER_BIDDER), idempotent=True)
@blueprint.response(201, schemas.CardPaymentOut)
def request_payment(registration_id: uuid.UUID) -> CardPayment:
    """Ask to pay what is missing of a deposit by card; 503 where Stripe is not configured."""
    return card_payments.request_payment(
        http.session(), registration_id=registration_id, actor=http.actor(), at=http.at()
    )


@blueprint.get("/card-payments", policy=reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST))
@blueprint.arguments(schemas.CardPaymentArgs, location="query")
@blueprint.response(200, page_of(schemas.CardPaymentOut))
def list_payments(arguments: dict[str, Any]) -> Page[CardPayment]:
    """Card payments, newest first; a buyer sees its own."""
    return card_payments.list_payments(http.session(), **arguments, actor=http.actor())


@blueprint.get("/card-payments/<uuid:payment_id>", policy=reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST))
@blueprint.response(200, schemas.CardPaymentOut)
def get_payment(payment_id: uuid.UUID) -> CardPayment:
    """One card payment."""
    return card_payments.require_payment(http.session(), payment_id, actor=http.actor())


@blueprint.post("/card-payments/<uuid:payment_id>/client-secret", policy=allow(Role.BUYER_BIDDER))
@blueprint.response(200, schemas.ClientSecretOut)
def get_client_secret(payment_id: uuid.UUID) -> dict[str, str]:
    """What the payer's browser needs to confirm an open payment; asked of Stripe each time, never kept."""
    client = card_client.client_of(runtime.current().settings)
    intent_id = card_payments.require_open(http.session(), payment_id, actor=http.actor())
    http.end_transaction()
    return {"client_secret": card_client.client_secret(client, intent_id)}


@blueprint.post("/card-payments/<uuid:payment_id>/cancel", policy=allow(Role.BUYER_BIDDER, FINANCE), idempotent=True)
@blueprint.response(202, schemas.CardPaymentOut)
def cancel_payment(payment_id: uuid.UUID) -> CardPayment:
    """Give up an open payment; one that is paid first stays paid."""
    return card_payments.ask_to_cancel(http.session(), payment_id=payment_id, actor=http.actor(), at=http.at())


@blueprint.post("/card-payments/<uuid:payment_id>/refresh", policy=allow(Role.BUYER_BIDDER, FINANCE))
@blueprint.response(202, schemas.CardPaymentOut)
def refresh_payment(payment_id: uuid.UUID) -> CardPayment:
    """Look at Stripe again."""
    return card_payments.refresh(http.session(), payment_id=payment_id, actor=http.actor(), at=http.at())


@blueprint.post("/card-payments/<uuid:payment_id>/refund", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(201, PaymentOrderOut)
def refund_unapplied(data: dict[str, Any], payment_id: uuid.UUID) -> PaymentOrder:
    """Propose to send back to the card what no deposit took."""
    return card_returns.refund_unapplied(
        http.session(), payment_id=payment_id, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/card-refunds", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CardRefundOut))
def list_refunds(page: dict[str, Any]) -> Page[CardRefund]:
    """Refunds to cards, newest first."""
    return card_refunds.list_refunds(http.session(), **page)


@blueprint.get("/card-disputes", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CardDisputeOut))
def list_disputes(page: dict[str, Any]) -> Page[CardDispute]:
    """Contested card payments, newest first."""
    return card_disputes.list_disputes(http.session(), **page)


@blueprint.get("/card-payouts", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CardPayoutOut))
def list_payouts(page: dict[str, Any]) -> Page[CardPayout]:
    """Payouts of Stripe to our bank, newest first."""
    return card_payouts.list_payouts(http.session(), **page)


@blueprint.post("/card-payouts/<uuid:payout_id>/match", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.PayoutMatchIn)
@blueprint.response(200, schemas.CardPayoutOut)
def match_payout(data: dict[str, Any], payout_id: uuid.UUID) -> CardPayout:
    """Say which line of our bank shows a payout."""
    return card_payouts.match_line(http.session(), payout_id=payout_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/stripe-lines", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.StripeLineOut))
def list_lines(page: dict[str, Any]) -> Page[StripeLine]:
    """The lines of our balance at Stripe, newest first."""
    return card_balance.list_lines(http.session(), **page)


@blueprint.get("/card-clearing", policy=reads())
@blueprint.response(200, schemas.ClearingsOut)
def list_clearing() -> dict[str, Any]:
    """What is open between cards, our balance at Stripe and our bank, with the object of Stripe that it is about."""
    return {"items": card_clearing.list_open(http.session())}


@blueprint.post("/stripe/webhook", policy=public(), max_bytes=_WEBHOOK_BYTES)
@blueprint.response(200, schemas.WebhookOut)
def receive_event() -> WebhookEvent:
    """Take in an event that Stripe signed; once for each event id."""
    return card_events.receive_event(
        http.session(),
        body=flask.request.get_data(),
        signature=flask.request.headers.get("Stripe-Signature", ""),
        secret=runtime.current().settings.stripe_webhook_secret,
        at=http.at(),
    )


@blueprint.get("/stripe-events", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.StripeEventOut))
def list_events(page: dict[str, Any]) -> Page[WebhookEvent]:
    """Stripe's events, newest first."""
    return card_events.list_events(http.session(), **page)


@blueprint.get("/stripe-errands", policy=reads())
@blueprint.arguments(schemas.ErrandArgs, location="query")
@blueprint.response(200, page_of(schemas.ErrandOut))
def list_errands(arguments: dict[str, Any]) -> Page[Errand]:
    """What Stripe is (to be) asked, newest first."""
    return errands.list_errands(http.session(), prefix=_ERRANDS, **arguments)


@blueprint.post("/stripe-errands/<uuid:errand_id>/retry", policy=allow(FINANCE))
@blueprint.response(202, schemas.ErrandOut)
def retry_errand(errand_id: uuid.UUID) -> Errand:
    """Try an errand again now; nothing is done twice at Stripe."""
    return errands.retry(http.session(), errand_id=errand_id, at=http.at())
