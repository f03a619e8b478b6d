"""The parts in which cases receive a deal's proceeds: one with the closing or each instalment, others released later.

Shared by the deficit rule (`settlement.domain.instalments`) in proportion to the proceeds of the cases, so that nobody
gives a cent back and the last part completes every case exactly.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from collection import service as collection
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from settlement import closings, deals, ledger, payments
from settlement.closing_models import Adjustment, AdjustmentCover, CaseClosing, DealPart, PartShare
from settlement.deal_models import Allocation, Deal
from settlement.domain import ledger as books
from settlement.domain.adjustments import AdjustmentEmpty, DecidedByPerson, check_persons
from settlement.domain.deal import DISTRIBUTED, ZONE, NotDistributed
from settlement.domain.decisions import PART, HoldbackTooSmall, PartNotFound, PartState
from settlement.domain.instalments import next_part
from settlement.domain.orders import PaymentPurpose
from settlement.instalment_models import DealInstalment

SOURCE: Final = "deal_part"
"""Kind of source under which case receipts and the payout name their part."""

BLOCK: Final = 10_000
"""Shares read at a time."""


def open_first(
    session: Session,
    *,
    deal: Deal,
    shares: Sequence[tuple[uuid.UUID, int]] | None,
    amount_minor: int,
    actor: Actor,
    at: datetime,
) -> DealPart:
    """Write the part of the closing; with `shares` where a case does not receive its whole allocation at once."""
    return _open(session, deal=deal, number=1, shares=shares, amount_minor=amount_minor, actor=actor, at=at)


def open_next(
    session: Session,
    *,
    deal: Deal,
    shares: Sequence[tuple[uuid.UUID, int]],
    amount_minor: int,
    actor: Actor,
    at: datetime,
) -> DealPart:
    """Write the part of an instalment, which no second person decides on: the terms have."""
    number = _last(session, deal.id) + 1
    return _open(session, deal=deal, number=number, shares=shares, amount_minor=amount_minor, actor=actor, at=at)


def _last(session: Session, deal_id: uuid.UUID) -> int:
    return session.scalar(select(func.max(DealPart.number)).where(DealPart.deal_id == deal_id)) or 0


def _open(
    session: Session,
    *,
    deal: Deal,
    number: int,
    shares: Sequence[tuple[uuid.UUID, int]] | None,
    amount_minor: int,
    actor: Actor,
    at: datetime,
) -> DealPart:
    part = DealPart(
        id=db.new_id(),
        deal_id=deal.id,
        number=number,
        amount_minor=amount_minor,
        currency=deal.currency,
        state=PartState.SHARED_OUT,
        reason="",
        proposed_by=actor.name,
        proposed_at=at,
        decided_by=actor.name,
        decided_at=at,
    )
    session.add(part)
    session.flush()
    if shares is not None:
        _store(session, part, shares)
    return part


def _store(session: Session, part: DealPart, shares: Sequence[tuple[uuid.UUID, int]]) -> None:
    db.copy_rows(
        session,
        "part_shares",
        ("part_id", "case_id", "amount_minor"),
        ({"part_id": part.id, "case_id": case_id, "amount_minor": minor} for case_id, minor in shares),
    )


def first_shares(session: Session, *, deal_id: uuid.UUID) -> Iterator[tuple[uuid.UUID, int]]:
    """Return what each case of a distributed deal received at once: its share of part 1, else its allocation.

    Read block by block: memory stays bounded however many cases there are.
    """
    part_id = select(DealPart.id).where(DealPart.deal_id == deal_id, DealPart.number == 1).scalar_subquery()
    shares = select(PartShare.case_id, PartShare.amount_minor).where(PartShare.part_id == part_id)
    whole = select(Allocation.case_id, Allocation.amount_minor).where(Allocation.deal_id == deal_id)
    query = whole if session.execute(shares.limit(1)).first() is None else shares
    return ((case_id, minor) for case_id, minor in session.execute(query.execution_options(yield_per=BLOCK)))


def releasable(session: Session, deal: Deal) -> Money:
    """Return what is kept back of a deal and not promised by a release that waits for its second person."""
    held = ledger.credit(session, books.holdback(deal.id), currency=deal.currency)
    waiting = session.scalar(
        select(func.coalesce(func.sum(DealPart.amount_minor), 0)).where(
            DealPart.deal_id == deal.id, DealPart.state == PartState.PROPOSED
        )
    )
    return Money(held - int(waiting or 0), deal.currency)


@dataclass(frozen=True, slots=True)
class Holdback:
    """What was kept back of a deal's proceeds and became of it; `kept` = `released` + `paid` + `held`.

    `released` went to the seller in parts, `paid` to the buyer for adjustments.
    """

    kept: Money
    released: Money
    paid: Money
    held: Money


def holdback_of(session: Session, deal: Deal) -> Holdback:
    """Return what was kept back of a deal and where it is; all zero when nothing was. No visibility check."""
    later = select(func.coalesce(func.sum(DealPart.amount_minor), 0)).where(
        DealPart.deal_id == deal.id,
        DealPart.state == PartState.SHARED_OUT,
        DealPart.number > 1,
        DealPart.id.not_in(select(DealInstalment.id).where(DealInstalment.deal_id == deal.id)),
    )
    covers = (
        select(func.coalesce(func.sum(AdjustmentCover.amount_minor), 0))
        .join(Adjustment, Adjustment.id == AdjustmentCover.adjustment_id)
        .where(
            Adjustment.deal_id == deal.id,
            AdjustmentCover.statement_line_id.is_(None),
            AdjustmentCover.against_balance.is_(False),
        )
    )
    released, paid = (Money(int(session.scalars(query).one()), deal.currency) for query in (later, covers))
    held = Money(ledger.credit(session, books.holdback(deal.id), currency=deal.currency), deal.currency)
    return Holdback(kept=released + paid + held, released=released, paid=paid, held=held)


def propose_release(
    session: Session, *, deal_id: uuid.UUID, amount: Money | None, reason: str, actor: Actor, at: datetime
) -> DealPart:
    """Ask to give the seller `amount` of the holdback, all of it unless given; another person approves.

    Raises `DealNotFound`, `NotDistributed`, `HoldbackTooSmall`, `AdjustmentEmpty` for nothing, `DecidedByPerson`,
    `CurrencyMismatch`.
    """
    if actor.user_id is None:
        raise DecidedByPerson
    deal = deals.lock_deal(session, deal_id)
    if deal.state not in DISTRIBUTED:
        raise NotDistributed(deal.state)
    allowed = releasable(session, deal)
    wanted = allowed if amount is None else amount
    if wanted > allowed:
        raise HoldbackTooSmall(str(allowed))
    if not wanted:
        raise AdjustmentEmpty("an amount above zero")
    part = DealPart(
        id=db.new_id(),
        deal_id=deal.id,
        number=_last(session, deal.id) + 1,
        amount_minor=wanted.minor,
        currency=deal.currency,
        state=PART.initial,
        reason=reason,
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(part)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=part, verb="propose", after={"amount": str(part.amount)})
    return part


def decide_release(
    session: Session, *, part_id: uuid.UUID, approve: bool, reason: str, actor: Actor, at: datetime
) -> DealPart:
    """Approve a release as another person: posted, shared among the cases, paid to the seller; or reject it.

    Raises `PartNotFound`, `SamePersonDecides`, `DecidedByPerson`, `IllegalMove`.
    """
    found = session.get(DealPart, part_id)
    if found is None:
        raise PartNotFound(part_id)
    deal = deals.lock_deal(session, found.deal_id)
    part = session.get_one(DealPart, part_id, with_for_update=True, populate_existing=True)
    if approve and part.proposed_by_id is not None:
        check_persons(proposed_by_id=part.proposed_by_id, decided_by_id=actor.user_id)
    audit.transition(
        session, part, "approve" if approve else "reject", lifecycle=PART, actor=actor, at=at, reason=reason
    )
    part.decided_by_id, part.decided_by, part.decided_at = actor.user_id, actor.name, at
    session.flush()
    if approve:
        _pay(session, deal, part, actor=actor, at=at)
    return part


def _pay(session: Session, deal: Deal, part: DealPart, *, actor: Actor, at: datetime) -> None:
    closings.freeze_cases(session, deal_id=deal.id, actor=actor, at=at)
    ledger.post(
        session,
        source_kind="holdback.released",
        source_id=part.id,
        description=f"{deal.reference} holdback released, part {part.number}",
        lines=books.transfer(
            debit=books.holdback(deal.id),
            credit=books.payable(deal.seller_organisation_id),
            amount_minor=part.amount_minor,
        ),
        currency=part.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )
    shares = _next_shares(session, deal, part)
    _store(session, part, shares)
    collection.record_proceeds(
        session,
        package_id=deal.package_id,
        source_kind=SOURCE,
        source_id=part.id,
        amounts=shares,
        currency=part.currency,
        actor=actor,
        at=at,
    )
    payments.propose_order(
        session,
        payee_organisation_id=deal.seller_organisation_id,
        purpose=PaymentPurpose.PAYOUT,
        amount=part.amount_minor,
        currency=part.currency,
        reference=deal.reference,
        source_kind=SOURCE,
        source_id=part.id,
        actor=actor,
        at=at,
    )


def _next_shares(session: Session, deal: Deal, part: DealPart) -> list[tuple[uuid.UUID, int]]:
    given = (
        select(PartShare.case_id, func.sum(PartShare.amount_minor).label("minor"))
        .join(DealPart, DealPart.id == PartShare.part_id)
        .where(DealPart.deal_id == deal.id)
        .group_by(PartShare.case_id)
        .subquery()
    )
    rows = session.execute(
        select(CaseClosing.case_id, CaseClosing.case_key, CaseClosing.proceeds_minor, func.coalesce(given.c.minor, 0))
        .outerjoin(given, given.c.case_id == CaseClosing.case_id)
        .where(CaseClosing.deal_id == deal.id)
    ).all()
    parts = next_part(
        part.amount_minor,
        [int(had) for *_, had in rows],
        [proceeds for _, _, proceeds, _ in rows],
        [key for _, key, _, _ in rows],
    )
    return [(row[0], minor) for row, minor in zip(rows, parts, strict=True)]


def list_parts(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> Sequence[DealPart]:
    """Return the parts of a deal in order; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    return session.scalars(select(DealPart).where(DealPart.deal_id == deal_id).order_by(DealPart.number)).all()
