"""Disputes: a payment that its payer contests covers nothing while the contest is open, and is gone when it is lost.

What is contested is taken out of the deposit, then out of what lies unapplied; what we have passed on already (applied,
refunded, paid out) is our own loss. Won, every part is put back where it was. Whatever order events come in, the
dispute is read from Stripe and the books are led to what it says.
"""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, outbox
from marketplace.actor import SYSTEM
from marketplace.clock import format_instant
from settlement import card_client, card_payments, card_returns, deposits, ledger, payments
from settlement.card_client import DisputeSeen
from settlement.card_models import CardDispute, CardPayment
from settlement.card_payments import Look
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.cards import CARD_DISPUTE, CardDisputeState, DisputeParts
from settlement.events import CardDisputeChanged
from settlement.models import Match


def fetch_dispute(look: Look) -> DisputeSeen:
    """Return a dispute and its payment as they stand at Stripe."""
    return card_client.fetch_dispute(look.client, look.object_id)


def record_dispute(session: Session, look: Look, *, outcome: DisputeSeen, at: datetime) -> None:
    """Lead a dispute, its deposit and its registration to what Stripe says now."""
    del look
    payment = card_payments.take(session, outcome.intent, at=at)
    if payment is None:
        return
    row = _row_of(session, payment, outcome, at=at)
    row.status, row.reason, row.evidence_due_at = outcome.status, outcome.reason, outcome.evidence_due_at
    target = cards.standing(outcome.status)
    for verb in cards.way(row.state, target):
        audit.transition(session, row, verb, lifecycle=CARD_DISPUTE, actor=SYSTEM, at=at, reason=outcome.status)
        row.closed_at = None if row.state is CardDisputeState.OPEN else at
        _post_step(session, row, payment, at=at)
        _announce(session, row, payment, at=at)
    session.flush()


def _row_of(session: Session, payment: CardPayment, seen: DisputeSeen, *, at: datetime) -> CardDispute:
    """Return the row of a dispute, made and its money blocked when it is new; the payment is locked."""
    found = session.scalars(select(CardDispute).where(CardDispute.dispute_id == seen.dispute_id)).one_or_none()
    if found is not None:
        return found
    row = CardDispute(
        id=db.new_id(),
        dispute_id=seen.dispute_id,
        card_payment_id=payment.id,
        state=CARD_DISPUTE.initial,
        status=seen.status,
        reason=seen.reason,
        amount_minor=seen.amount_minor,
        currency=seen.currency,
        deposit_minor=0,
        unapplied_minor=0,
        loss_minor=0,
        opened_at=seen.opened_at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=SYSTEM, at=at, subject=row, verb="open", after={"amount": str(row.amount)})
    _block(session, row, payment, at=at)
    _announce(session, row, payment, at=at)
    return row


def _announce(session: Session, row: CardDispute, payment: CardPayment, *, at: datetime) -> None:
    event = CardDisputeChanged(row.id, payment.registration_id, row.state.value, format_instant(at))
    outbox.publish(session, event, at=at)


def _post_step(session: Session, row: CardDispute, payment: CardPayment, *, at: datetime) -> None:
    if row.state is CardDisputeState.WON:
        _put_back(session, row, payment, at=at)
    elif row.state is CardDisputeState.LOST:
        _give_up(session, row, at=at)
    elif row.lost_entry_id is not None:
        _reverse(session, row.lost_entry_id, row, at=at)
        row.lost_entry_id = None
    else:
        _block(session, row, payment, at=at)


def _block(session: Session, row: CardDispute, payment: CardPayment, *, at: datetime) -> None:
    """Move what is contested to `disputed`; refunds that were not sent yet are given up first."""
    for order in payments.unsent_orders_to(session, payee_account=payment.intent_id or ""):
        payments.cancel_order(session, order_id=order.id, reason="the payment is disputed", actor=SYSTEM, at=at)
    deposit, unapplied = books.deposits(payment.registration_id), books.unapplied(payment.id)
    for account in (deposit, unapplied):
        ledger.lock(session, account, currency=row.currency, at=at)
    applied = session.scalar(
        select(func.coalesce(func.sum(Match.amount_minor), 0)).where(Match.card_payment_id == payment.id)
    )
    parts = cards.dispute_parts(
        row.amount_minor,
        deposit_minor=min(int(applied or 0), ledger.credit(session, deposit, currency=row.currency)),
        unapplied_minor=ledger.credit(session, unapplied, currency=row.currency),
    )
    taken = ((deposit, parts.deposit), (unapplied, parts.unapplied), (books.CHARGEBACKS, parts.loss))
    entry = ledger.post(
        session,
        source_kind="card_dispute.blocked",
        source_id=db.new_id(),
        description=f"Dispute {row.dispute_id}: {row.reason}",
        lines=[
            *(books.Line(account, minor) for account, minor in taken if minor),
            books.Line(books.disputed(row.id), -row.amount_minor),
        ],
        currency=row.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )
    _set_parts(row, parts)
    row.hold_entry_id = entry.id
    _uncover(session, payment, at=at)


def _set_parts(row: CardDispute, parts: DisputeParts) -> None:
    row.deposit_minor, row.unapplied_minor, row.loss_minor = parts.deposit, parts.unapplied, parts.loss


def _uncover(session: Session, payment: CardPayment, *, at: datetime) -> None:
    registration = auctions.require_registration(session, payment.registration_id)
    held = deposits.held(session, registration_id=registration.id, currency=registration.currency)
    if held < registration.deposit_minor:
        auctions.uncover_registration(session, registration_id=registration.id, actor=SYSTEM, at=at, even_leading=True)


def _put_back(session: Session, row: CardDispute, payment: CardPayment, *, at: datetime) -> None:
    assert row.hold_entry_id is not None, "an open dispute blocks its money"
    _reverse(session, row.hold_entry_id, row, at=at)
    row.hold_entry_id = None
    _set_parts(row, DisputeParts(0, 0, 0))
    session.flush()
    payments.cover_again(session, registration_id=payment.registration_id, actor=SYSTEM, at=at)


def send_back(session: Session, *, dispute_id: uuid.UUID, at: datetime) -> None:
    """Send back to its card what no deposit took of a payment whose dispute was won."""
    row = session.get_one(CardDispute, dispute_id)
    payment = session.get_one(CardPayment, row.card_payment_id, with_for_update=True)
    card_returns.send_back(session, payment=payment, reason=card_returns.REGAINED, at=at)


def _give_up(session: Session, row: CardDispute, *, at: datetime) -> None:
    """The payer has its money back: Stripe took it out of our balance when the dispute began."""
    entry = ledger.post(
        session,
        source_kind="card_dispute.lost",
        source_id=db.new_id(),
        description=f"Dispute {row.dispute_id} lost",
        lines=books.transfer(
            debit=books.disputed(row.id),
            credit=books.card_clearing(cards.clearing_id(row.dispute_id)),
            amount_minor=row.amount_minor,
        ),
        currency=row.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )
    row.lost_entry_id = entry.id


def _reverse(session: Session, entry_id: uuid.UUID, row: CardDispute, *, at: datetime) -> None:
    reason = f"dispute {row.dispute_id} is {row.status}"
    ledger.reverse(session, entry_id=entry_id, reason=reason, value_on=at.date(), actor=SYSTEM, at=at)


def list_disputes(session: Session, *, cursor: str | None, limit: int) -> db.Page[CardDispute]:
    """Return a page of disputes, newest first."""
    return db.page(session, select(CardDispute), key_column=CardDispute.id, cursor=cursor, limit=limit)
