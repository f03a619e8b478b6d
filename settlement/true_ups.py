"""The true-up of a deal: what moved between buyer and seller after the closing, as each side's statement says it.

Both are read from one register, so they differ in nothing but the sign; every figure links to the rows behind it.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.money import Money
from settlement import adjustments, deals
from settlement.deal_models import Deal
from settlement.domain import adjustments as rules
from settlement.domain.adjustments import AdjustmentKind
from settlement.domain.deal import DealNotFound, Party


@dataclass(frozen=True, slots=True)
class TrueUpLine:
    """One adjustment as a side sees it: above zero is owed to it. amount = paid + open."""

    adjustment_id: uuid.UUID
    kind: AdjustmentKind
    value_on: date
    amount: Money
    paid: Money
    open: Money


@dataclass(frozen=True, slots=True)
class TrueUpView:
    """The statement of one side at an instant; the lines add up to the totals."""

    deal: deals.DealView
    party: Party
    at: datetime
    lines: tuple[TrueUpLine, ...]
    total: Money
    paid: Money
    open: Money


def true_up(session: Session, *, deal_id: uuid.UUID, party: Party | None, actor: Actor, at: datetime) -> TrueUpView:
    """Return the true-up statement of one side: a party's own, whichever `party` for operator and auditor.

    Raises `DealNotFound`, also for the other side's statement.
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    own = _own_party(deal, actor)
    if own is not None and party not in {None, own}:
        raise DealNotFound(deal_id)
    side = own or party or Party.BUYER
    found = rules.true_up(adjustments.register_of(session, deal_id=deal_id), for_buyer=side is Party.BUYER)

    def money(minor: int) -> Money:
        return Money(minor, deal.currency)

    return TrueUpView(
        deal=deals.with_names(session, [deal])[0],
        party=side,
        at=at,
        lines=tuple(
            TrueUpLine(one.id, one.kind, one.on, money(one.amount), money(one.covered), money(one.amount - one.covered))
            for one in found.items
        ),
        total=money(found.total),
        paid=money(found.paid),
        open=money(found.open),
    )


def _own_party(deal: Deal, actor: Actor) -> Party | None:
    if actor.organisation_id == deal.seller_organisation_id:
        return Party.SELLER
    return Party.BUYER if actor.organisation_id == deal.buyer_organisation_id else None
