"""The Stripe rail: a deposit paid by card, for amounts under Stripe's limit. Off, and saying so, without keys.

A PaymentIntent carries an idempotency key made from our registration, so a repeated or crashed request finds the same
intent again. Money is counted only when Stripe's signed event says it came; an event is kept once, whatever its order.
Refunds through Stripe are payment orders on the rail `stripe`, carried out by hand in Stripe's own pages.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import stripe
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, Invalid, NotFound, Unavailable
from marketplace.money import EXPONENTS, Money
from marketplace.settings import Settings
from settlement import ledger, matches
from settlement.domain import ledger as books
from settlement.domain.orders import Rail
from settlement.domain.references import find_references
from settlement.models import CardPayment, Match, WebhookEvent

MAX_MINOR: Final = 99_999_999
"""Largest amount of one PaymentIntent: eight digits (Stripe, API reference, PaymentIntent.amount)."""

TOLERANCE_SECONDS: Final = 300
_INTENTS: Final = uuid.UUID("6f0c7f3c-9d1a-5e0e-8a53-0d8f5a4f9b11")


class StripeOff(Unavailable):
    """No key of Stripe is configured."""

    code = "stripe_off"

    def __init__(self) -> None:
        super().__init__("Card payments are off: this installation has no Stripe key. Pay the deposit by bank wire.")


class StripeFailed(Unavailable):
    """Stripe does not answer, or refuses."""

    code = "stripe_failed"

    def __init__(self) -> None:
        super().__init__("Stripe did not take the payment request; nothing was charged. Try again, or pay by wire.")


class SignatureWrong(Invalid):
    """The event was not signed by Stripe with our secret, or long ago."""

    status = 400
    code = "signature_wrong"

    def __init__(self) -> None:
        super().__init__("The signature of the event does not fit; nothing was stored.")


class AboveCardLimit(Conflict):
    """Cards cannot carry that much."""

    code = "above_card_limit"

    def __init__(self, amount: Money) -> None:
        super().__init__(f"{amount} is more than one card payment can carry. Pay the deposit by bank wire.")


class DepositCovered(Conflict):
    """There is nothing left to pay."""

    code = "deposit_covered"

    def __init__(self) -> None:
        super().__init__("The deposit is held in full already.")


@dataclass(frozen=True, slots=True)
class CardPaymentStarted:
    """What the buyer's page needs to let Stripe take the card; the secret is never stored."""

    payment: CardPayment
    client_secret: str


def client_of(settings: Settings) -> stripe.StripeClient:
    """Return the client of this installation's account; raise `StripeOff`."""
    if settings.stripe_api_key is None:
        raise StripeOff
    return stripe.StripeClient(settings.stripe_api_key)


def start_card_payment(
    session: Session, *, registration_id: uuid.UUID, client: stripe.StripeClient, actor: Actor, at: datetime
) -> CardPaymentStarted:
    """Ask Stripe for the PaymentIntent of a registration's deposit; asked again, it is the same intent.

    Raises `NotFound` for another's registration, `DepositCovered`, `AboveCardLimit`, `StripeFailed`.
    """
    registration = auctions.require_registration(session, registration_id)
    if registration.organisation_id != actor.organisation_id:
        raise NotFound("registration", registration_id)
    amount = Money(registration.deposit_minor, registration.currency)
    if registration.covered_at is not None or not amount:
        raise DepositCovered
    if amount.minor > MAX_MINOR:
        raise AboveCardLimit(amount)
    known = session.scalars(select(CardPayment).where(CardPayment.registration_id == registration_id)).one_or_none()
    if known is not None:
        return CardPaymentStarted(
            known, _asked(lambda: client.v1.payment_intents.retrieve(known.intent_id)).client_secret
        )
    intent = _asked(lambda: _create_intent(client, registration_id, registration.reference, amount))
    row = CardPayment(
        id=db.new_id(),
        registration_id=registration_id,
        organisation_id=actor.organisation_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        intent_id=intent.id,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="start", after={"amount": str(amount)})
    return CardPaymentStarted(row, intent.client_secret)


def _create_intent(client: stripe.StripeClient, registration_id: uuid.UUID, reference: str, amount: Money) -> Any:
    return client.v1.payment_intents.create(
        {
            "amount": amount.minor,
            "currency": amount.currency.lower(),
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"deposit_reference": reference, "registration_id": str(registration_id)},
        },
        {"idempotency_key": f"deposit:{registration_id}"},
    )


def _asked(call: Callable[[], Any]) -> Any:
    """Call Stripe; whatever its client raises becomes `StripeFailed`."""
    try:
        return call()
    except stripe.StripeError as error:
        raise StripeFailed from error


def receive_event(session: Session, *, body: bytes, signature: str, secret: str | None, at: datetime) -> WebhookEvent:
    """Take in an event of Stripe, once for each event id; the same again gives the first row, unchanged.

    Raises `StripeOff` without a secret, `SignatureWrong`.
    """
    event = _verified(body, signature, secret)
    session.execute(
        insert(WebhookEvent)
        .values(
            id=db.new_id(),
            event_id=event["id"],
            kind=event["type"],
            body=body,
            received_at=at,
            outcome="",
        )
        .on_conflict_do_nothing()
    )
    row = session.scalars(
        select(WebhookEvent)
        .where(WebhookEvent.event_id == event["id"])
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if not row.outcome:
        row.outcome = _process(session, row, event, at=at)
        session.flush()
    return row


def _verified(body: bytes, signature: str, secret: str | None) -> dict[str, Any]:
    if secret is None:
        raise StripeOff
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, TOLERANCE_SECONDS)
        event = json.loads(body)
    except (stripe.SignatureVerificationError, ValueError, RecursionError):
        raise SignatureWrong from None
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in ("id", "type")):
        raise SignatureWrong
    return event


def _process(session: Session, row: WebhookEvent, event: dict[str, Any], *, at: datetime) -> str:
    """Do what an event asks for and return the outcome in a word; kinds that change nothing here are ignored."""
    if event["type"] != "payment_intent.succeeded":
        return "ignored"
    intent = event["data"]["object"]
    currency = str(intent["currency"]).upper()
    if currency not in EXPONENTS or int(intent["amount_received"]) <= 0:
        return "unknown_currency" if currency not in EXPONENTS else "ignored"
    received = Money(int(intent["amount_received"]), currency)
    ledger.post(
        session,
        source_kind="stripe.payment",
        source_id=uuid.uuid5(_INTENTS, str(intent["id"])),
        description=f"Card payment {intent['id']}",
        lines=books.transfer(debit=books.STRIPE, credit=books.unapplied(row.id), amount_minor=received.minor),
        currency=currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )
    if ledger.credit(session, books.unapplied(row.id), currency=currency) == 0:
        return "known_payment"
    return _match(session, row, intent, received, at=at)


def _match(session: Session, row: WebhookEvent, intent: dict[str, Any], received: Money, *, at: datetime) -> str:
    metadata = intent.get("metadata") or {}
    for reference in find_references(str(metadata.get("deposit_reference", ""))):
        if auctions.registration_by_reference(session, reference) is None:
            continue
        match = Match(
            webhook_event_id=row.id,
            payer_name="Stripe",
            payer_account=str(intent["id"]),
            rail=Rail.STRIPE,
            automatic=True,
        )
        finding = matches.match_receipt(
            session, match=match, received=received, reference=reference, receipt=row, actor=SYSTEM, at=at
        )
        return finding.value
    return "unknown_reference"
