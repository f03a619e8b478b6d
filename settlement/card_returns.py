"""Card money that no deposit takes: the open payment is given up, and what was captured all the same goes back.

A refund can reach nobody but the card that it came from, so nobody has to decide about it: it is approved by the
clockwork with its reason, up to the limit above which two persons approve (docs/adr/0028). Where the card takes no
refund any more, the money waits for finance, and goes to the bank account of whoever paid.
"""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import arrays, db, errands
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, NotFound
from marketplace.parties import service as parties
from settlement import bank_accounts, ledger, payments
from settlement.card_models import CardPayment, CardRefund
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.matching import Finding
from settlement.domain.orders import Payer, PaymentPurpose, Rail
from settlement.models import PaymentOrder

REASONS: Final = {
    Finding.OVERPAYMENT: "More came than the deposit needs; the excess goes back to the card.",
    Finding.DUPLICATE_PAYMENT: "The deposit was full already; the payment goes back to the card.",
    Finding.REGISTRATION_CLOSED: "Nothing is taken for this deposit any more; the payment goes back to the card.",
}
"""Why card money goes back, by what was found when it came."""

REGAINED: Final = "A dispute was won, and no deposit takes the money any more; it goes back to the card."


class NothingUnapplied(Conflict):
    """Everything that came with the payment has found its place."""

    code = "nothing_unapplied"

    def __init__(self) -> None:
        super().__init__("Everything that came with this payment is applied or on its way back.")


def give_up(session: Session, *, registration_ids: Collection[uuid.UUID], at: datetime) -> None:
    """Ask that the open card payments of registrations be given up; Stripe decides whether one was paid first.

    One that has no intent yet is given up when it has (`card_payments.take`).
    """
    found = session.connection().exec_driver_sql(_OPEN, (arrays.uuids(registration_ids),))
    for payment_id in found.scalars().all():
        errands.ask(session, kind=cards.CANCEL_INTENT, subject=str(payment_id), at=at)


_OPEN: Final = "SELECT id FROM card_payments WHERE registration_id = ANY (%s::uuid[]) AND state = 'open' ORDER BY id"


def send_back(session: Session, *, payment: CardPayment, reason: str, at: datetime) -> PaymentOrder | None:
    """Send back to its card what lies unapplied of a payment; None when nothing does, or its card takes no refund.

    The caller holds the payment's row.
    """
    account = books.unapplied(payment.id)
    ledger.lock(session, account, currency=payment.currency, at=at)
    minor = ledger.credit(session, account, currency=payment.currency)
    if minor <= 0 or _takes_no_refund(session, payment):
        return None
    order = _propose(session, payment, minor, cards.RETURN, reason=reason, actor=SYSTEM, at=at)
    payments.approve_return(session, order=order, reason=reason, at=at)
    return order


def refund_unapplied(
    session: Session, *, payment_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> PaymentOrder:
    """Propose to send back what no deposit took; raise `NotFound`, `NothingUnapplied`.

    It goes to the card, or to the payer's bank account where the card took no refund.
    """
    row = session.get(CardPayment, payment_id)
    if row is None:
        raise NotFound("card payment", payment_id)
    account = books.unapplied(row.id)
    ledger.lock(session, account, currency=row.currency, at=at)
    minor = ledger.credit(session, account, currency=row.currency)
    if minor <= 0:
        raise NothingUnapplied
    return _propose(session, row, minor, "card_payment.refunded", reason=reason, actor=actor, at=at)


def _propose(
    session: Session,
    row: CardPayment,
    minor: int,
    source_kind: str,
    *,
    reason: str,
    actor: Actor,
    at: datetime,
) -> PaymentOrder:
    return payments.propose_order(
        session,
        payee_organisation_id=row.organisation_id,
        purpose=PaymentPurpose.UNAPPLIED_REFUND,
        amount=minor,
        currency=row.currency,
        reference=reason,
        source_kind=source_kind,
        source_id=db.new_id(),
        account=books.unapplied(row.id),
        payer=_payee(session, row),
        actor=actor,
        at=at,
    )


def _payee(session: Session, row: CardPayment) -> Payer:
    if _takes_no_refund(session, row):
        return bank_accounts.payee_of(session, row.organisation_id, currency=row.currency)
    assert row.intent_id is not None, "money comes by an intent"
    return Payer(parties.require_organisation(session, row.organisation_id).name, row.intent_id, Rail.STRIPE)


def _takes_no_refund(session: Session, row: CardPayment) -> bool:
    failed = select(CardRefund.id).where(CardRefund.card_payment_id == row.id, CardRefund.status.in_(cards.FAILED))
    return session.scalars(failed.limit(1)).first() is not None
