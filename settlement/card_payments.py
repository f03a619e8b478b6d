"""Card payments: a deposit, or what is missing of it, taken from a card at once.

The row is written first, a worker then makes the customer and the PaymentIntent, the payer's browser confirms it, and
money is counted only when Stripe, asked by us, says that it came. Whatever is asked or arrives twice is one payment.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe
from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, errands, outbox, runtime
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, NotFound
from marketplace.money import Money
from marketplace.parties import service as parties
from settlement import (
    card_carry,
    card_client,
    card_customers,
    card_returns,
    deposits,
    ledger,
    matches,
    own_accounts,
    releases,
)
from settlement.card_client import IntentSeen, StripeFailed, StripeRefused
from settlement.card_models import CardPayment
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.cards import CARD_PAYMENT, CardPaymentState
from settlement.domain.matching import Finding
from settlement.domain.orders import Rail
from settlement.events import CardPaymentReceived
from settlement.models import Match


class DepositCovered(Conflict):
    """There is nothing left to pay."""

    code = "deposit_covered"

    def __init__(self) -> None:
        super().__init__("The deposit is held in full already.")


class DepositClosed(Conflict):
    """Nothing is taken for this deposit any more."""

    code = "deposit_closed"

    def __init__(self) -> None:
        super().__init__("The registration is closed, or its deposit was used or given back; nothing is taken for it.")


class NotOpen(Conflict):
    """Stripe has no intent to be confirmed or given up for this payment now."""

    code = "card_payment_not_open"

    def __init__(self, state: CardPaymentState) -> None:
        super().__init__(f"The card payment is {state.value}, not open.", state=state.value)


def request_payment(session: Session, *, registration_id: uuid.UUID, actor: Actor, at: datetime) -> CardPayment:
    """Ask to pay by card what is missing of a registration's deposit; asked again while it is open, it is the same.

    Raises `StripeOff`, `NotFound` for another's registration, `DepositCovered`, `DepositClosed`, and what
    `cards.check_currency` and `cards.check_amount` raise. A worker makes the PaymentIntent.
    """
    card_client.client_of(runtime.current().settings)
    registration = auctions.require_registration(session, registration_id)
    if registration.organisation_id != actor.organisation_id:
        raise NotFound("registration", registration_id)
    ledger.lock(session, books.deposits(registration_id), currency=registration.currency, at=at)
    live = select(CardPayment).where(CardPayment.registration_id == registration_id, CardPayment.state.in_(cards.LIVE))
    known = session.scalars(live).one_or_none()
    if known is not None:
        return known
    hindrance = _hindrance(session, registration)
    if hindrance is not None:
        raise hindrance
    settled = runtime.current().settings.stripe_currencies or own_accounts.currencies(session)
    cards.check_currency(registration.currency, allowed=settled)
    held = deposits.held(session, registration_id=registration_id, currency=registration.currency)
    amount = Money(registration.deposit_minor - held, registration.currency)
    cards.check_amount(amount)
    row = CardPayment(
        id=db.new_id(),
        registration_id=registration_id,
        organisation_id=registration.organisation_id,
        state=CARD_PAYMENT.initial,
        amount_minor=amount.minor,
        currency=amount.currency,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="request", after={"amount": str(amount)})
    _ask_for_intent(session, row, at=at)
    return row


def _hindrance(session: Session, registration: auctions.Registration) -> DepositClosed | DepositCovered | None:
    """Return why a deposit takes no card money now, None when it does."""
    if registration.state.value not in matches.OPEN_REGISTRATIONS:
        return DepositClosed()
    if deposits.is_spent(session, registration_id=registration.id) or releases.is_over(session, registration):
        return DepositClosed()
    held = deposits.held(session, registration_id=registration.id, currency=registration.currency)
    return DepositCovered() if held >= registration.deposit_minor else None


def _ask_for_intent(session: Session, row: CardPayment, *, at: datetime) -> None:
    """Ask for the intent of a payment, or first for the customer that it needs."""
    customer = card_customers.customer_of(session, row.organisation_id, at=at)
    if customer.customer_id is None:
        errands.ask(session, kind=cards.MAKE_CUSTOMER, subject=str(customer.id), at=at)
    else:
        errands.ask(session, kind=cards.MAKE_INTENT, subject=str(row.id), at=at)


@dataclass(frozen=True, slots=True)
class IntentPlan:
    """Which PaymentIntent is to be made; `again`: it may have been made before."""

    client: stripe.StripeClient
    payment_id: uuid.UUID
    customer_id: str
    reference: str
    amount: Money
    again: bool


def prepare_intent(session: Session, subject: str, *, again: bool, at: datetime) -> IntentPlan | None:
    """Say which intent is to be made, None when the payment has one or was refused."""
    row = session.get_one(CardPayment, uuid.UUID(subject))
    if row.state is not CardPaymentState.REQUESTED:
        return None
    client = card_client.client_of(runtime.current().settings)
    customer = card_customers.customer_of(session, row.organisation_id, at=at)
    assert customer.customer_id is not None, "the intent is asked for when the customer is there"
    reference = auctions.require_registration(session, row.registration_id).reference
    return IntentPlan(client, row.id, customer.customer_id, reference, row.amount, again)


def make_intent(plan: IntentPlan) -> IntentSeen | StripeRefused:
    """Return the PaymentIntent, making it when it is not there; a refusal is an answer."""
    payment_id = str(plan.payment_id)
    try:
        found = None
        if plan.again:
            found = card_client.find_intent(plan.client, customer_id=plan.customer_id, payment_id=payment_id)
        return found or card_client.make_intent(
            plan.client,
            key=f"payment:{payment_id}",
            customer_id=plan.customer_id,
            payment_id=payment_id,
            reference=plan.reference,
            amount_minor=plan.amount.minor,
            currency=plan.amount.currency,
        )
    except StripeRefused as refused:
        return refused


def record_intent(session: Session, plan: IntentPlan, *, outcome: IntentSeen | StripeRefused, at: datetime) -> None:
    """Write down that the payment is open, or why Stripe refused it."""
    row = session.get_one(CardPayment, plan.payment_id, with_for_update=True)
    if isinstance(outcome, IntentSeen):
        take(session, outcome, at=at)
    elif row.state is CardPaymentState.REQUESTED:
        row.note = f"{outcome.word}: {outcome.reason}"[:500]
        audit.transition(session, row, "refuse", lifecycle=CARD_PAYMENT, actor=SYSTEM, at=at, reason=row.note)


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be looked at."""

    client: stripe.StripeClient
    object_id: str


def prepare_look(session: Session, subject: str, *, again: bool, at: datetime) -> Look:
    """Say what is to be looked at; looking twice does no harm."""
    del session, again, at
    return Look(card_client.client_of(runtime.current().settings), subject)


def fetch_payment(look: Look) -> IntentSeen:
    """Return a PaymentIntent (or a charge's) as it stands at Stripe."""
    return card_client.fetch_intent(look.client, look.object_id)


def record_payment(session: Session, look: Look, *, outcome: IntentSeen, at: datetime) -> None:
    """Write down what a PaymentIntent looks like now."""
    del look
    take(session, outcome, at=at)


def prepare_cancel(session: Session, subject: str, *, again: bool, at: datetime) -> Look | None:
    """Say which intent is to be given up, None when the payment is not open any more."""
    del again, at
    row = session.get_one(CardPayment, uuid.UUID(subject))
    if row.state is not CardPaymentState.OPEN or row.intent_id is None:
        return None
    return Look(card_client.client_of(runtime.current().settings), row.intent_id)


def cancel_intent(look: Look) -> IntentSeen:
    """Give up an intent; one that was paid meanwhile stays paid, and is returned so."""
    return card_client.cancel_intent(look.client, key=f"cancel:{look.object_id}", intent_id=look.object_id)


def record_cancel(session: Session, look: Look, *, outcome: IntentSeen, at: datetime) -> None:
    """Write down what an intent looks like that was to be given up; one that Stripe keeps, the sweep asks for again."""
    del look
    take(session, outcome, at=at, give_up=False)


def take(session: Session, seen: IntentSeen, *, at: datetime, give_up: bool = True) -> CardPayment | None:
    """Bring a payment up to what Stripe says, and count its money once; None when the intent is none of ours.

    `give_up`: an open one that its deposit does not need is to be given up. The row stays locked in the transaction.
    """
    row = _locked(session, seen)
    if row is None:
        _take_foreign(session, seen, at=at)
        return None
    if seen.currency != row.currency:
        raise StripeFailed(f"payment {row.id} is in {row.currency}, Stripe says {seen.currency}")
    if row.state is CardPaymentState.REQUESTED:
        row.intent_id = seen.intent_id
        audit.transition(session, row, "open", lifecycle=CARD_PAYMENT, actor=SYSTEM, at=at)
    if row.state is CardPaymentState.OPEN:
        _follow(session, row, seen, give_up=give_up, at=at)
    elif row.state is CardPaymentState.RECEIVED and row.charge_id is None:
        row.charge_id = seen.charge_id
        card_carry.carry_over(session, row, charge_id=seen.charge_id, at=at)
    session.flush()
    return row


def _follow(session: Session, row: CardPayment, seen: IntentSeen, *, give_up: bool, at: datetime) -> None:
    row.note = seen.error[:500]
    if seen.status == "succeeded":
        _receive(session, row, seen, at=at)
        return
    hindrance = _hindrance(session, auctions.require_registration(session, row.registration_id))
    if hindrance is not None:
        row.note = hindrance.detail[:500]
    if seen.status == "canceled":
        audit.transition(session, row, "cancel", lifecycle=CARD_PAYMENT, actor=SYSTEM, at=at, reason=row.note)
    elif hindrance is not None and give_up:
        errands.ask(session, kind=cards.CANCEL_INTENT, subject=str(row.id), at=at)


def _locked(session: Session, seen: IntentSeen) -> CardPayment | None:
    """The payment of an intent: by the intent's id, or by our own id in it while ours is not written down yet."""
    query = select(CardPayment).with_for_update().execution_options(populate_existing=True)
    found = session.scalars(query.where(CardPayment.intent_id == seen.intent_id)).one_or_none()
    if found is None and seen.payment_id:
        found = session.scalars(query.where(CardPayment.id == uuid.UUID(seen.payment_id))).one_or_none()
    return found


def _receive(session: Session, row: CardPayment, seen: IntentSeen, *, at: datetime) -> None:
    received = Money(seen.received_minor, row.currency)
    row.charge_id, row.received_minor, row.received_at = seen.charge_id, received.minor, at
    audit.transition(session, row, "receive", lifecycle=CARD_PAYMENT, actor=SYSTEM, at=at)
    if not card_carry.carry_over(session, row, charge_id=seen.charge_id, at=at):
        _book(session, row, seen, at=at)
    finding = _match(session, row, seen, at=at)
    event = CardPaymentReceived(row.id, row.registration_id, received.minor, row.currency)
    outbox.publish(session, event, at=at)
    reason = card_returns.REASONS.get(finding)
    if reason is not None:
        row.note = reason
        card_returns.send_back(session, payment=row, reason=reason, at=at)


def _book(session: Session, row: CardPayment, seen: IntentSeen, *, at: datetime) -> None:
    clearing = books.card_clearing(cards.clearing_id(seen.charge_id))
    ledger.post(
        session,
        source_kind="card_payment.received",
        source_id=row.id,
        description=f"Card payment {seen.intent_id}",
        lines=books.transfer(debit=clearing, credit=books.unapplied(row.id), amount_minor=seen.received_minor),
        currency=row.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )


def _match(session: Session, row: CardPayment, seen: IntentSeen, *, at: datetime) -> Finding:
    """Count a payment toward its deposit, unless its sale is over for its bidder; return what was found."""
    registration = auctions.require_registration(session, row.registration_id)
    if releases.is_over(session, registration):
        return Finding.REGISTRATION_CLOSED
    match = Match(
        card_payment_id=row.id,
        payer_name=parties.require_organisation(session, row.organisation_id).name,
        payer_account=seen.intent_id,
        rail=Rail.STRIPE,
        automatic=True,
    )
    received, reference = Money(seen.received_minor, row.currency), registration.reference
    return matches.match_receipt(
        session, match=match, received=received, reference=reference, receipt=row, actor=SYSTEM, at=at
    )


def _take_foreign(session: Session, seen: IntentSeen, *, at: datetime) -> None:
    """Money that came into our balance without us asking: it waits as unapplied, whoever sent it."""
    if not seen.received_minor:
        return
    clearing = cards.clearing_id(seen.charge_id)
    ledger.post(
        session,
        source_kind="card_payment.foreign",
        source_id=clearing,
        description=f"Charge {seen.charge_id}, not asked for by us",
        lines=books.transfer(
            debit=books.card_clearing(clearing), credit=books.unapplied(clearing), amount_minor=seen.received_minor
        ),
        currency=seen.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )


def require_payment(session: Session, payment_id: uuid.UUID, *, actor: Actor) -> CardPayment:
    """Return a card payment to its organisation, operator and auditor; raise `NotFound` to everybody else."""
    row = session.get(CardPayment, payment_id)
    if row is None or not (actor.sees_everything or row.organisation_id == actor.organisation_id):
        raise NotFound("card payment", payment_id)
    return row


def require_open(session: Session, payment_id: uuid.UUID, *, actor: Actor) -> str:
    """Return the id of the PaymentIntent that a payer may confirm; raise `NotFound`, `NotOpen`."""
    row = require_payment(session, payment_id, actor=actor)
    if row.state is not CardPaymentState.OPEN or row.intent_id is None:
        raise NotOpen(row.state)
    return row.intent_id


def ask_to_cancel(session: Session, *, payment_id: uuid.UUID, actor: Actor, at: datetime) -> CardPayment:
    """Ask that an open payment be given up; Stripe decides whether it was paid first. Raises `NotFound`, `NotOpen`."""
    require_open(session, payment_id, actor=actor)
    row = require_payment(session, payment_id, actor=actor)
    errands.ask(session, kind=cards.CANCEL_INTENT, subject=str(payment_id), at=at)
    audit.record(session, actor=actor, at=at, subject=row, verb="ask_to_cancel")
    return row


def refresh(session: Session, *, payment_id: uuid.UUID, actor: Actor, at: datetime) -> CardPayment:
    """Ask Stripe again how a payment stands; raise `NotFound`."""
    row = require_payment(session, payment_id, actor=actor)
    if row.intent_id is not None:
        errands.ask(session, kind=cards.FETCH_PAYMENT, subject=row.intent_id, at=at)
    return row


def payments_of(session: Session, *, registration_id: uuid.UUID, actor: Actor) -> list[CardPayment]:
    """Return the card payments of a registration that the actor may see, newest first."""
    page = list_payments(session, registration_id=registration_id, state=None, cursor=None, limit=10, actor=actor)
    return list(page.items)


def list_payments(
    session: Session,
    *,
    registration_id: uuid.UUID | None,
    state: CardPaymentState | None,
    cursor: str | None,
    limit: int,
    actor: Actor,
) -> db.Page[CardPayment]:
    """Return a page of card payments, newest first: all for operator and auditor, its own for a buyer."""
    query: Any = select(CardPayment)
    if not actor.sees_everything:
        query = query.where(CardPayment.organisation_id == actor.organisation_id)
    if registration_id is not None:
        query = query.where(CardPayment.registration_id == registration_id)
    if state is not None:
        query = query.where(CardPayment.state == state)
    return db.page(session, query, key_column=CardPayment.id, cursor=cursor, limit=limit)
