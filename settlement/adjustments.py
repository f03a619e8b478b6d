"""After the closing: collections handed over, price adjustments, cases that go back; one register for both sides.

Proposed by one person, approved by another. What the seller owes comes out of the holdback first; what is left is paid
with a bank line that finance names. The rules are `settlement.domain.adjustments`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import CurrencyMismatch, Money
from settlement import case_returns, closings, covers, deals, netting, sold
from settlement.closing_models import Adjustment, AdjustmentCase, CaseClosing
from settlement.deal_models import Deal
from settlement.domain import adjustments as rules
from settlement.domain.adjustments import (
    ADJUSTMENT,
    REGISTERED,
    RETURNS,
    AdjustmentKind,
    AdjustmentNotFound,
    AdjustmentState,
    DecidedByPerson,
    Item,
    Stand,
    UnknownCase,
    check_persons,
)
from settlement.domain.deal import DISTRIBUTED, ZONE, NotDistributed
from settlement.domain.references import ReferenceKind, new_reference


@dataclass(frozen=True, slots=True)
class CasePart:
    """The part of one case in an adjustment: above zero the seller owes it to the buyer."""

    case_id: uuid.UUID
    case_key: str
    amount: Money


def propose_adjustment(
    session: Session,
    *,
    deal_id: uuid.UUID,
    kind: AdjustmentKind,
    value_on: date,
    reason: str,
    amount: Money | None,
    cases: Sequence[tuple[str, Money | None]],
    actor: Actor,
    at: datetime,
) -> Adjustment:
    """Propose what moves between buyer and seller; case by case, and it stands once another person approved it.

    `collections`: each case with what the seller collected on it. `price`: `amount`, above zero back to the buyer,
    shared by price. `removal`, `repurchase`: the cases that go back, with what the buyer collected on each meanwhile.
    Before the distribution only collections, where the terms set them off against the balance. Raises `DealNotFound`,
    `NotDistributed`, `NetsTooMuch`, `TermsUndecided`, `DecidedByPerson`, `UnknownCase`, `CaseReturned`,
    `AdjustmentEmpty`, `WarrantyOver`, `CurrencyMismatch`.
    """
    if actor.user_id is None:
        raise DecidedByPerson
    deal = deals.lock_deal(session, deal_id)
    if kind is AdjustmentKind.COLLECTIONS and netting.is_open(session, deal):
        parts = rules.of_collections(netting.stands_of(session, deal), _named(deal, cases))
        netting.check(session, deal, minor=sum(parts.values()))
    else:
        _require_distributed(deal)
        parts = _parts(session, deal, kind, amount=amount, cases=cases, on=value_on, actor=actor, at=at)
    row = Adjustment(
        id=db.new_id(),
        deal_id=deal.id,
        kind=kind,
        state=ADJUSTMENT.initial,
        amount_minor=sum(parts.values()),
        covered_minor=0,
        currency=deal.currency,
        value_on=value_on,
        reference=new_reference(ReferenceKind.NOTICE),
        reason=reason,
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(row)
    session.flush()
    ids = {one.case_key: one.case_id for one in sold.cases(session, deal) if one.case_key in parts}
    collected = _named(deal, cases) if kind in RETURNS else {}
    columns = ("adjustment_id", "case_id", "amount_minor", "collected_minor")
    rows = (
        {"adjustment_id": row.id, "case_id": ids[key], "amount_minor": minor, "collected_minor": collected.get(key, 0)}
        for key, minor in parts.items()
    )
    db.copy_rows(session, "adjustment_cases", columns, rows)
    audit.record(session, actor=actor, at=at, subject=row, verb="propose", after={"amount": str(row.amount)})
    return row


def _lock_distributed(session: Session, deal_id: uuid.UUID) -> Deal:
    deal = deals.lock_deal(session, deal_id)
    _require_distributed(deal)
    return deal


def _require_distributed(deal: Deal) -> None:
    if deal.state not in DISTRIBUTED:
        raise NotDistributed(deal.state)


def _parts(
    session: Session,
    deal: Deal,
    kind: AdjustmentKind,
    *,
    amount: Money | None,
    cases: Sequence[tuple[str, Money | None]],
    on: date,
    actor: Actor,
    at: datetime,
) -> dict[str, int]:
    closings.freeze_cases(session, deal_id=deal.id, actor=actor, at=at)
    stands = stands_of(session, deal)
    named = _named(deal, cases)
    if kind is AdjustmentKind.PRICE:
        return rules.of_price(stands, _minor(deal, amount))
    if kind is AdjustmentKind.COLLECTIONS:
        return rules.of_collections(stands, named)
    if kind is AdjustmentKind.REPURCHASE:
        sold_on = local_date(deal.settled_at, ZONE) if deal.settled_at is not None else None
        days = closings.read_in_force(session, deal).warranty_days
        rules.check_warranty(sold_on=sold_on, days=days, on=on)
    return rules.of_return(stands, [key for key, _ in cases], {key: minor for key, minor in named.items() if minor})


def _named(deal: Deal, cases: Sequence[tuple[str, Money | None]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, money in cases:
        if key in found:
            raise UnknownCase(key)
        found[key] = _minor(deal, money)
    return found


def _minor(deal: Deal, amount: Money | None) -> int:
    if amount is None:
        return 0
    if amount.currency != deal.currency:
        raise CurrencyMismatch(amount.currency, deal.currency)
    return amount.minor


def stands_of(session: Session, deal: Deal) -> dict[str, Stand]:
    """Return where each case of a closed deal stands, by key: its price, what went back, whether it went back itself.

    What gives price back counts before its second person has approved it, what adds to it only then, so that two
    adjustments never give back the same cent.
    """
    live = Adjustment.state != AdjustmentState.REJECTED
    back = func.sum(AdjustmentCase.amount_minor).filter(
        Adjustment.kind != AdjustmentKind.COLLECTIONS,
        or_(AdjustmentCase.amount_minor > 0, Adjustment.state.in_(REGISTERED)),
    )
    moved = (
        select(
            AdjustmentCase.case_id,
            func.coalesce(back, 0).label("back"),
            func.bool_or(Adjustment.kind.in_(RETURNS)).label("gone"),
        )
        .join(Adjustment, Adjustment.id == AdjustmentCase.adjustment_id)
        .where(Adjustment.deal_id == deal.id, live)
        .group_by(AdjustmentCase.case_id)
        .subquery()
    )
    rows = session.execute(
        select(CaseClosing.case_key, CaseClosing.price_minor, moved.c.back, moved.c.gone)
        .outerjoin(moved, moved.c.case_id == CaseClosing.case_id)
        .where(CaseClosing.deal_id == deal.id)
    )
    return {key: Stand(key, price, int(back or 0), bool(gone)) for key, price, back, gone in rows}


def decide_adjustment(
    session: Session, *, adjustment_id: uuid.UUID, approve: bool, reason: str, actor: Actor, at: datetime
) -> Adjustment:
    """Approve an adjustment as another person, or reject it; what the holdback holds pays the buyer at once.

    Cases of a removal or repurchase are the seller's again at once. Collections of a deal whose balance is open pay
    some of it (`settlement.netting`). Raises `AdjustmentNotFound`, `SamePersonDecides`, `DecidedByPerson`,
    `NotDistributed` between payment and distribution, `NetsTooMuch`, `TermsUndecided`, `IllegalMove` (also for a case
    not sold yet).
    """
    found = session.get(Adjustment, adjustment_id)
    if found is None:
        raise AdjustmentNotFound(adjustment_id)
    deal = deals.lock_deal(session, found.deal_id)
    nets = approve and netting.is_open(session, deal)
    if approve and not nets:
        _require_distributed(deal)
    row = session.get_one(Adjustment, adjustment_id, with_for_update=True, populate_existing=True)
    if approve:
        check_persons(proposed_by_id=row.proposed_by_id, decided_by_id=actor.user_id)
    verb = "approve" if approve else "reject"
    audit.transition(session, row, verb, lifecycle=ADJUSTMENT, actor=actor, at=at, reason=reason)
    row.decided_by_id, row.decided_by, row.decided_at = actor.user_id, actor.name, at
    session.flush()
    if approve and row.kind in RETURNS:
        case_returns.take_back(session, deal=deal, row=row, actor=actor, at=at)
    if nets:
        netting.set_off(session, deal=deal, row=row, actor=actor, at=at)
    elif approve and row.amount_minor > 0:
        covers.from_holdback(session, deal=deal, row=row, actor=actor, at=at)
    return row


def cover_adjustment(
    session: Session, *, adjustment_id: uuid.UUID, statement_line_id: uuid.UUID, actor: Actor, at: datetime
) -> Adjustment:
    """Pay an approved adjustment, or some of it, with what a bank line brought and nothing else has taken.

    Raises `AdjustmentNotFound`, `LineHoldsNothing`, `IllegalMove`.
    """
    found = session.get(Adjustment, adjustment_id)
    if found is None:
        raise AdjustmentNotFound(adjustment_id)
    deal = _lock_distributed(session, found.deal_id)
    row = session.get_one(Adjustment, adjustment_id, with_for_update=True, populate_existing=True)
    ADJUSTMENT.move(row.state, "settle")
    covers.from_line(session, deal=deal, row=row, line_id=statement_line_id, actor=actor, at=at)
    return row


def receive(
    session: Session, *, reference: str, line_id: uuid.UUID, amount_minor: int, actor: Actor, at: datetime
) -> int:
    """Pay the approved adjustment of a reference with a bank line, at most `amount_minor`; return how much it took.

    Nothing for one that is not approved, is paid, or stands in another currency.
    """
    found = session.scalars(select(Adjustment).where(Adjustment.reference == reference)).one_or_none()
    if found is None:
        return 0
    deal = deals.lock_deal(session, found.deal_id)
    row = session.get_one(Adjustment, found.id, with_for_update=True, populate_existing=True)
    before = row.covered_minor
    if row.state is not AdjustmentState.APPROVED or deal.state not in DISTRIBUTED:
        return 0
    try:
        covers.from_line(session, deal=deal, row=row, line_id=line_id, most=amount_minor, actor=actor, at=at)
    except covers.LineHoldsNothing:
        return 0
    return abs(row.covered_minor - before)


def list_adjustments(
    session: Session, *, deal_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> db.Page[Adjustment]:
    """Return a page of a deal's adjustments, newest first; parties see what is approved. Raises `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    query = select(Adjustment).where(Adjustment.deal_id == deal_id)
    if not actor.sees_everything:
        query = query.where(Adjustment.state.in_(REGISTERED))
    return db.page(session, query, key_column=Adjustment.id, cursor=cursor, limit=limit)


def get_adjustment(session: Session, *, adjustment_id: uuid.UUID, actor: Actor) -> Adjustment:
    """Return an adjustment that the actor may see; raise `AdjustmentNotFound`, `DealNotFound`."""
    row = session.get(Adjustment, adjustment_id)
    if row is None or not (actor.sees_everything or row.state in REGISTERED):
        raise AdjustmentNotFound(adjustment_id)
    deals.get_deal(session, row.deal_id, actor=actor)
    return row


def list_case_parts(
    session: Session, *, adjustment_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> db.Page[CasePart]:
    """Return a page of the cases of an adjustment by descending case id; raise as `get_adjustment`."""
    row = get_adjustment(session, adjustment_id=adjustment_id, actor=actor)
    query = select(AdjustmentCase).where(AdjustmentCase.adjustment_id == row.id)
    page: db.Page[AdjustmentCase] = db.page(
        session, query, key_column=AdjustmentCase.case_id, cursor=cursor, limit=limit
    )
    keys = _keys(session, deals.require_deal(session, row.deal_id), [one.case_id for one in page.items])
    parts = [CasePart(one.case_id, keys[one.case_id], Money(one.amount_minor, row.currency)) for one in page.items]
    return db.Page(parts, page.next)


def _keys(session: Session, deal: Deal, case_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    if deal.state not in DISTRIBUTED:
        return {one.case_id: one.case_key for one in sold.cases(session, deal)}
    query = select(CaseClosing.case_id, CaseClosing.case_key).where(
        CaseClosing.deal_id == deal.id, CaseClosing.case_id.in_(case_ids)
    )
    return {row.case_id: row.case_key for row in session.execute(query)}


def register_of(session: Session, *, deal_id: uuid.UUID) -> list[Item]:
    """Return the register of a deal that both statements read, oldest first: what is approved, and paid of it."""
    rows = session.scalars(
        select(Adjustment)
        .where(Adjustment.deal_id == deal_id, Adjustment.state.in_(REGISTERED))
        .order_by(Adjustment.id)
    )
    return [Item(row.id, row.kind, row.value_on, row.amount_minor, row.covered_minor) for row in rows]
