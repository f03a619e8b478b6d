"""Payments that the bank returned: their money is back where it came from, and they can be proposed again."""

import uuid
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from marketplace import audit, outbox
from marketplace.actor import Actor
from settlement import bank_accounts, ledger, payments
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.orders import PAYMENT_ORDER, NotReturned, Payer, PaymentOrderState
from settlement.events import PaymentOrderReturned
from settlement.models import PaymentOrder, StatementLine


def return_order(session: Session, *, order: PaymentOrder, line: StatementLine, actor: Actor, at: datetime) -> None:
    """Put the money of a paid order, locked by the caller, back where it came from: the bank returned all of it.

    It lies on `unapplied:<line>` before. What the payment was for is owed again, and can be proposed again, to another
    account.
    """
    audit.transition(session, order, "return", lifecycle=PAYMENT_ORDER, actor=actor, at=at)
    order.returned_at, order.returned_by_line_id = at, line.id
    ledger.post(
        session,
        source_kind="payment_order.returned",
        source_id=order.id,
        description=f"{order.reference} came back",
        lines=books.transfer(
            debit=books.unapplied(line.id), credit=order.source_account, amount_minor=order.amount_minor
        ),
        currency=order.currency,
        value_on=line.value_on,
        actor=actor,
        at=at,
    )
    returned = PaymentOrderReturned(
        payment_order_id=order.id,
        purpose=order.purpose.value,
        source_kind=order.source_kind,
        source_id=order.source_id,
        amount_minor=order.amount_minor,
        currency=order.currency,
    )
    outbox.publish(session, returned, at=at)


def repeat_order(session: Session, *, order_id: uuid.UUID, actor: Actor, at: datetime) -> PaymentOrder:
    """Propose a payment anew that the bank returned, now to the newest bank account of its payee where it has one.

    The same source again gives the order that was proposed already. Raises `NotFound`, `NotReturned`, and
    `AccountOverdrawn` when the money was used otherwise meanwhile.
    """
    old = payments.require_order(session, order_id, actor=actor, for_update=True)
    if old.state is not PaymentOrderState.RETURNED:
        raise NotReturned
    payee = bank_accounts.payee_of(session, old.payee_organisation_id, currency=old.currency)
    order = payments.propose_order(
        session,
        payee_organisation_id=old.payee_organisation_id,
        purpose=old.purpose,
        amount=old.amount_minor,
        currency=old.currency,
        reference=old.remittance,
        source_kind=old.source_kind,
        source_id=old.source_id,
        account=old.source_account,
        payer=payee if payee.account else Payer(old.payee_name, old.payee_account, old.rail),
        registration_id=old.registration_id,
        actor=actor,
        at=at,
    )
    session.execute(update(Deal).where(Deal.payment_order_id == old.id).values(payment_order_id=order.id))
    return order
