"""Paying what moves between buyer and seller after a closing: out of the holdback, or with a line of the bank.

A debt is a figure of its adjustment until money moves; then one entry moves it to whom it is owed, and the payment is
proposed. No account ever owes what has not come in.
"""

import uuid
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.errors import Conflict
from settlement import ledger, parts, payments
from settlement.closing_models import Adjustment, AdjustmentCover
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.adjustments import ADJUSTMENT
from settlement.domain.deal import ZONE
from settlement.domain.orders import PaymentPurpose

SOURCE: Final = "adjustment_cover"
"""Kind of source under which the payment of a cover is proposed."""


class LineHoldsNothing(Conflict):
    """The bank line has nothing left that belongs to nobody."""

    code = "line_holds_nothing"

    def __init__(self, line_id: uuid.UUID) -> None:
        super().__init__(f"Of the bank line {line_id} nothing is unapplied in the currency of the deal.")


def from_holdback(session: Session, *, deal: Deal, row: Adjustment, actor: Actor, at: datetime) -> None:
    """Pay the buyer as much of an adjustment as is kept back and promised to nobody; under the deal's lock."""
    minor = min(row.open.minor, parts.releasable(session, deal).minor)
    if minor > 0:
        _cover(session, deal, row, minor=minor, debit=books.holdback(deal.id), line_id=None, actor=actor, at=at)


def from_line(
    session: Session,
    *,
    deal: Deal,
    row: Adjustment,
    line_id: uuid.UUID,
    most: int | None = None,
    actor: Actor,
    at: datetime,
) -> None:
    """Pay as much of an adjustment as a bank line holds unapplied, at most `most` minor units of it.

    Raises `LineHoldsNothing`.
    """
    account = books.unapplied(line_id)
    ledger.lock(session, account, currency=row.currency, at=at)
    minor = min(abs(row.open.minor), ledger.credit(session, account, currency=row.currency))
    if most is not None:
        minor = min(minor, most)
    if minor <= 0:
        raise LineHoldsNothing(line_id)
    _cover(session, deal, row, minor=minor, debit=account, line_id=line_id, actor=actor, at=at)


def _cover(
    session: Session,
    deal: Deal,
    row: Adjustment,
    *,
    minor: int,
    debit: str,
    line_id: uuid.UUID | None,
    actor: Actor,
    at: datetime,
) -> None:
    to_buyer = row.amount_minor > 0
    payee = deal.buyer_organisation_id if to_buyer else deal.seller_organisation_id
    cover_id = db.new_id()
    entry = ledger.post(
        session,
        source_kind="adjustment.covered",
        source_id=cover_id,
        description=f"{deal.reference} {row.kind.value} paid",
        lines=books.transfer(debit=debit, credit=books.payable(payee), amount_minor=minor),
        currency=row.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )
    session.add(
        AdjustmentCover(
            id=cover_id,
            adjustment_id=row.id,
            statement_line_id=line_id,
            amount_minor=minor,
            currency=row.currency,
            entry_id=entry.id,
            covered_at=at,
        )
    )
    row.covered_minor += minor if to_buyer else -minor
    if row.covered_minor == row.amount_minor:
        audit.transition(session, row, "settle", lifecycle=ADJUSTMENT, actor=actor, at=at)
    session.flush()
    payments.propose_order(
        session,
        payee_organisation_id=payee,
        purpose=PaymentPurpose.PAYOUT,
        amount=minor,
        currency=row.currency,
        reference=f"{deal.reference} {row.kind.value}",
        source_kind=SOURCE,
        source_id=cover_id,
        actor=actor,
        at=at,
    )
