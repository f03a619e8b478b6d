"""Card money of versions that did not read Stripe's balance yet (before migration 0025), carried over once.

They posted a payment straight to `stripe`, gross, and neither fees nor payouts. The balance that is read since names
the same money a second time; so the first posting is moved to where the line of the balance meets it.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.actor import SYSTEM
from settlement import ledger
from settlement.card_models import CardPayment
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.models import Account, Entry, Posting

EARLY: Final = "stripe.payment"
"""Kind of source of the entries that the versions before 0025 wrote."""


def carry_over(session: Session, row: CardPayment, *, charge_id: str, at: datetime) -> bool:
    """Move what an early version posted of a payment from `stripe` to its charge; False when none did. Once."""
    early = session.scalar(
        select(func.sum(Posting.amount_minor))
        .join(Entry, Entry.id == Posting.entry_id)
        .join(Account, Account.id == Posting.account_id)
        .where(Entry.source_kind == EARLY, Entry.source_id == row.id, Account.key == books.STRIPE)
    )
    if not early:
        return False
    ledger.post(
        session,
        source_kind="card_payment.carried_over",
        source_id=row.id,
        description=f"Card payment {row.intent_id} of an earlier version",
        lines=books.transfer(
            debit=books.card_clearing(cards.clearing_id(charge_id)), credit=books.STRIPE, amount_minor=int(early)
        ),
        currency=row.currency,
        value_on=at.date(),
        actor=SYSTEM,
        at=at,
    )
    return True
