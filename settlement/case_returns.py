"""Cases that go back after a closing: open again with the seller, and what the buyer collected goes on their books."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from collection import service as collection
from marketplace.actor import Actor
from marketplace.money import Money
from marketplace.packages import service as packages
from settlement import closings
from settlement.closing_models import Adjustment, AdjustmentCase
from settlement.deal_models import Deal

SOURCE = "adjustment"
"""Kind of source under which collection keeps what the buyer collected."""


def take_back(session: Session, *, deal: Deal, row: Adjustment, actor: Actor, at: datetime) -> None:
    """Give the cases of an approved removal or repurchase back to the seller; under the deal's lock.

    What the buyer collected pays costs, interest and principal in the order of the deal's terms.
    Raises `IllegalMove` unless each of them is sold: the deal is settled a moment after it is distributed.
    """
    query = select(AdjustmentCase).where(AdjustmentCase.adjustment_id == row.id).order_by(AdjustmentCase.case_id)
    amounts = {one.case_id: Money(one.collected_minor, row.currency) for one in session.scalars(query)}
    packages.return_cases(
        session, deal.package_id, case_ids=list(amounts), reason=f"{row.kind.value}: {row.reason}", actor=actor, at=at
    )
    collection.record_meanwhile(
        session,
        amounts=amounts,
        order=closings.read_in_force(session, deal).order,
        source_kind=SOURCE,
        source_id=row.id,
        note=deal.reference,
        actor=actor,
        at=at,
    )
