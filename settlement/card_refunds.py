"""Refunds to cards: an approved payment order on the rail `stripe` is carried out by a worker, in full or in part.

The order is sent when the worker takes it up, settled when Stripe says that the refund succeeded, and its money lies
again where it came from when Stripe refuses the refund or it fails, even after it had succeeded.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import stripe
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db, runtime
from marketplace.actor import SYSTEM
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import card_client, ledger, payments
from settlement.card_client import RefundSeen, StripeRefused
from settlement.card_models import CardPayment, CardRefund
from settlement.card_payments import Look
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.orders import PaymentOrderState
from settlement.models import PaymentOrder

_SENT: Final = frozenset({PaymentOrderState.SENT, PaymentOrderState.SETTLED})


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """Which refund is to be made; `again`: it may have been made before."""

    client: stripe.StripeClient
    order_id: uuid.UUID
    intent_id: str
    reference: str
    amount: Money
    again: bool


def prepare_refund(session: Session, subject: str, *, again: bool, at: datetime) -> RefundPlan | None:
    """Send an approved order and say what is to be refunded; None when it was cancelled or is settled.

    Raises `StripeOff`, `ClientMoneyMissing`, `NotFound` for an order to no card payment that we know.
    """
    client = card_client.client_of(runtime.current().settings)
    order = payments.require_order(session, uuid.UUID(subject), actor=SYSTEM, for_update=True)
    if order.state is PaymentOrderState.APPROVED:
        payments.mark_sent(session, order=order, actor=SYSTEM, at=at)
        session.add(
            CardRefund(
                id=db.new_id(),
                order_id=order.id,
                card_payment_id=_payment_of(session, order).id,
                amount_minor=order.amount_minor,
                currency=order.currency,
                status="",
                note="",
                created_at=at,
            )
        )
    elif order.state is not PaymentOrderState.SENT:
        return None
    return RefundPlan(client, order.id, order.payee_account, order.reference, order.amount, again)


def _payment_of(session: Session, order: PaymentOrder) -> CardPayment:
    payment = session.scalars(select(CardPayment).where(CardPayment.intent_id == order.payee_account)).one_or_none()
    if payment is None:
        raise NotFound("card payment", order.payee_account)
    return payment


def make_refund(plan: RefundPlan) -> RefundSeen | StripeRefused:
    """Return the refund of an order, making it when it is not there; a refusal is an answer."""
    order_id = str(plan.order_id)
    try:
        found = None
        if plan.again:
            found = card_client.find_refund(plan.client, intent_id=plan.intent_id, order_id=order_id)
        return found or card_client.make_refund(
            plan.client,
            key=f"refund:{order_id}",
            intent_id=plan.intent_id,
            order_id=order_id,
            reference=plan.reference,
            amount_minor=plan.amount.minor,
        )
    except StripeRefused as refused:
        return refused


def record_refund(session: Session, plan: RefundPlan, *, outcome: RefundSeen | StripeRefused, at: datetime) -> None:
    """Write down what came of a refund."""
    order, refund = _locked(session, plan.order_id)
    if isinstance(outcome, RefundSeen):
        _take(session, order, refund, outcome, at=at)
        return
    refund.status, refund.note = "refused", f"{outcome.word}: {outcome.reason}"[:500]
    if order.state is PaymentOrderState.SENT:
        payments.fail_order(session, order=order, reason=refund.note, actor=SYSTEM, at=at)


def fetch_refund(look: Look) -> RefundSeen:
    """Return a refund as it stands at Stripe."""
    return card_client.fetch_refund(look.client, look.object_id)


def record_fetched(session: Session, look: Look, *, outcome: RefundSeen, at: datetime) -> None:
    """Write down how a refund stands now; one that we did not make is money that left unexplained."""
    del look
    if not outcome.order_id:
        _take_foreign(session, outcome, at=at)
        return
    order, refund = _locked(session, uuid.UUID(outcome.order_id))
    _take(session, order, refund, outcome, at=at)


def _locked(session: Session, order_id: uuid.UUID) -> tuple[PaymentOrder, CardRefund]:
    order = payments.require_order(session, order_id, actor=SYSTEM, for_update=True)
    return order, session.scalars(select(CardRefund).where(CardRefund.order_id == order_id)).one()


def _take(session: Session, order: PaymentOrder, refund: CardRefund, seen: RefundSeen, *, at: datetime) -> None:
    before = refund.status
    refund.refund_id = seen.refund_id
    refund.status = cards.later_status(before, seen.status)
    refund.note = seen.error[:500] or refund.note
    if refund.status != before:
        audit.record(session, actor=SYSTEM, at=at, subject=refund, verb="see", after={"status": refund.status})
    if refund.status == "succeeded" and order.state is PaymentOrderState.SENT:
        clearing = books.card_clearing(cards.clearing_id(seen.refund_id))
        payments.settle_order(session, order=order, paid_from=clearing, value_on=at.date(), actor=SYSTEM, at=at)
    elif refund.status in cards.FAILED and order.state in _SENT:
        reason = refund.note or f"the refund is {refund.status}"
        payments.fail_order(session, order=order, reason=reason, actor=SYSTEM, at=at)
    session.flush()


def _take_foreign(session: Session, seen: RefundSeen, *, at: datetime) -> None:
    """A refund made by hand in Stripe's own pages: nobody asked us, so the client-money check fails until explained."""
    if seen.status != "succeeded":
        return
    clearing = cards.clearing_id(seen.refund_id)
    ledger.post(
        session,
        source_kind="card_refund.foreign",
        source_id=clearing,
        description=f"Refund {seen.refund_id} of {seen.intent_id}, not asked for by us",
        lines=books.transfer(
            debit=books.unexplained(clearing), credit=books.card_clearing(clearing), amount_minor=seen.amount_minor
        ),
        currency=seen.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )


def list_refunds(session: Session, *, cursor: str | None, limit: int) -> db.Page[CardRefund]:
    """Return a page of refunds, newest first."""
    return db.page(session, select(CardRefund), key_column=CardRefund.id, cursor=cursor, limit=limit)
