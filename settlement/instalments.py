"""A price that is distributed as it comes, where the terms of the deal say so: one instalment for each receipt.

The rule is `settlement.domain.distribution`. Nothing is distributed before both have signed: the award is contracted
first, so that it cannot come to nothing any more. Title passes with the last instalment (`settlement.payouts`).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from collection import service as collection
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.money import Money
from marketplace.packages.service import FrozenCase
from settlement import closings, deals, fees, ledger, parts, payments, sold, third_parties
from settlement.closing_models import DealPart, PartShare, ThirdPartyClaim
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.closing import Closing, Distribution
from settlement.domain.deal import ZONE, DealState, InstalmentNotFound
from settlement.domain.distribution import Stage, advance, nothing_yet, part_between
from settlement.domain.ledger import Line
from settlement.domain.orders import PaymentPurpose
from settlement.instalment_models import DealInstalment, InstalmentPayment, InstalmentShare
from settlement.models import Account, Entry, Posting

DISTRIBUTED: Final = "deal.instalment_distributed"
"""Source of the entry of an instalment."""

PAYMENT: Final = "instalment_payment"
"""Kind of source under which what a third party takes of an instalment is paid."""

RECEIPTS: Final = ("deposit.applied", deals.PAYMENT_RECEIVED, "deal.shortfall_let_go")
"""Sources of the entries by which a price is paid."""

OPEN: Final = frozenset({DealState.SIGNED, DealState.READY})
"""States in which what came in is distributed: signed, and not distributed as a whole."""


@dataclass(frozen=True, slots=True)
class CaseInstalment:
    """What one case has of an instalment; `at_once` is what its seller receives now."""

    case_id: uuid.UUID
    case_key: str
    net: Money
    lien: Money
    at_once: Money


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all instalments of a deal stand on: its closing, its cases, and its third parties by their names."""

    deal: Deal
    closed: Closing
    cases: Sequence[FrozenCase]
    keys: Sequence[str]
    claims: dict[str, ThirdPartyClaim]


def distribute_received(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> int:
    """Distribute every receipt of a signed deal that is not distributed yet; return how many. Twice is once.

    Nothing unless the terms say `per_instalment`, or while terms are undecided. Raises `DealNotFound`, what
    `auctions.confirm_contract` raises, and what `closing.close` raises.
    """
    if not _is_due(session, deals.require_deal(session, deal_id)):
        return 0
    auctions.confirm_contract(session, award_id=deals.require_deal(session, deal_id).award_id, actor=actor, at=at)
    deal = deals.lock_deal(session, deal_id)
    receipts = _receipts(session, deal) if _is_due(session, deal) else []
    if not receipts:
        return 0
    ground = _ground(session, deal)
    stage = _reached(session, ground)
    for entry_id, minor in receipts:
        after = advance(ground.closed, ground.keys, stage, minor)
        _distribute(session, ground, part_between(stage, after), entry_id=entry_id, actor=actor, at=at)
        stage = after
    return len(receipts)


def _is_due(session: Session, deal: Deal) -> bool:
    return (
        deal.state in OPEN
        and not closings.are_undecided(session, deal.id)
        and closings.read_in_force(session, deal).distribution is Distribution.PER_INSTALMENT
    )


def _receipts(session: Session, deal: Deal) -> list[tuple[uuid.UUID, int]]:
    """Return the receipts that stand and are not distributed, oldest first: their entries and minor units."""
    reversed_ids = select(Entry.reverses_id).where(Entry.reverses_id.is_not(None))
    rows = session.execute(
        select(Entry.id, -Posting.amount_minor)
        .join(Posting, Posting.entry_id == Entry.id)
        .join(Account, Account.id == Posting.account_id)
        .where(
            Account.key == books.receivable(deal.id),
            Entry.source_kind.in_(RECEIPTS),
            Entry.id.not_in(reversed_ids),
            Entry.id.not_in(select(DealInstalment.receipt_entry_id).where(DealInstalment.deal_id == deal.id)),
        )
        .order_by(Entry.id)
    )
    return [(entry_id, int(minor)) for entry_id, minor in rows]


def _ground(session: Session, deal: Deal) -> _Ground:
    cases = sold.cases(session, deal)
    closed = closings.close(session, deal, terms=closings.read_in_force(session, deal), cases=cases)
    rows = session.scalars(select(ThirdPartyClaim).where(ThirdPartyClaim.deal_id == deal.id)).all()
    if not deal.distributed_minor:
        ids = {one.case_key: one.case_id for one in cases}
        rows = third_parties.keep(session, deal, flow=closed.flow, closed=closed, ids=ids)
    return _Ground(deal, closed, cases, [one.case_key for one in cases], {row.name: row for row in rows})


def _reached(session: Session, ground: _Ground) -> Stage:
    """Return what everybody has received of the instalments before, from their rows."""
    deal, start = ground.deal, nothing_yet(ground.closed)
    if not deal.distributed_minor:
        return start
    of_deal = select(DealInstalment.id).where(DealInstalment.deal_id == deal.id)
    taken = {position: int(minor) for position, minor in session.execute(
        select(InstalmentPayment.position, func.sum(InstalmentPayment.amount_minor))
        .where(InstalmentPayment.instalment_id.in_(of_deal))
        .group_by(InstalmentPayment.position)
    )}  # fmt: skip
    net = _by_case(session, select(InstalmentShare.case_id, func.sum(InstalmentShare.net_minor))
        .where(InstalmentShare.instalment_id.in_(of_deal)).group_by(InstalmentShare.case_id))  # fmt: skip
    first = _by_case(session, select(PartShare.case_id, func.sum(PartShare.amount_minor))
        .where(PartShare.part_id.in_(of_deal)).group_by(PartShare.case_id))  # fmt: skip
    deductions = len(start.taken)
    return Stage(
        received=deal.distributed_minor,
        taken=[taken.get(place, 0) for place in range(deductions)],
        net=[net[one.case_id] for one in ground.cases],
        liens=[taken.get(deductions + place, 0) for place in range(len(start.liens))],
        first=[first[one.case_id] for one in ground.cases],
    )


def _by_case(session: Session, query: Select[uuid.UUID, int]) -> dict[uuid.UUID, int]:
    return {case_id: int(minor) for case_id, minor in session.execute(query)}


def _distribute(
    session: Session, ground: _Ground, part: Stage, *, entry_id: uuid.UUID, actor: Actor, at: datetime
) -> None:
    deal, shares = ground.deal, [one.case_id for one in ground.cases]
    row = parts.open_next(
        session,
        deal=deal,
        shares=list(zip(shares, part.first, strict=True)),
        amount_minor=sum(part.first),
        actor=actor,
        at=at,
    )
    instalment = _keep(session, ground, part, row, entry_id=entry_id, at=at)
    paid = _keep_payments(session, ground, part, instalment)
    _keep_shares(session, ground, part, instalment)
    _post(session, deal, instalment, paid, actor=actor, at=at)
    deal.distributed_minor += instalment.received_minor
    session.flush()
    after = {"received": str(instalment.received), "number": instalment.number}
    audit.record(session, actor=actor, at=at, subject=deal, verb="distribute_instalment", after=after)
    _pay(session, ground, row, paid, actor=actor, at=at)
    collection.record_proceeds(
        session,
        package_id=deal.package_id,
        source_kind=parts.SOURCE,
        source_id=row.id,
        amounts=list(zip(shares, part.first, strict=True)),
        currency=deal.currency,
        actor=actor,
        at=at,
    )


def _keep(
    session: Session, ground: _Ground, part: Stage, row: DealPart, *, entry_id: uuid.UUID, at: datetime
) -> DealInstalment:
    instalment = DealInstalment(
        id=row.id,
        deal_id=ground.deal.id,
        number=row.number,
        receipt_entry_id=entry_id,
        received_minor=part.received,
        deducted_minor=sum(part.taken),
        net_minor=sum(part.net),
        liens_minor=sum(part.liens),
        held_minor=part.held,
        case_count=len(ground.cases),
        currency=ground.deal.currency,
        distributed_at=at,
    )
    session.add(instalment)
    session.flush()
    return instalment


def _keep_payments(
    session: Session, ground: _Ground, part: Stage, instalment: DealInstalment
) -> list[InstalmentPayment]:
    """Write down what deductions, senior claims and liens took of an instalment; nothing for who took nothing."""
    taken = [(one.name, one.payee, False) for one in ground.closed.flow.deductions]
    taken += [(one.claim.name, one.claim.payee, True) for one in ground.closed.liens]
    rows = [
        InstalmentPayment(
            id=db.new_id(),
            instalment_id=instalment.id,
            position=position,
            is_lien=is_lien,
            name=name,
            payee=payee,
            claim_id=ground.claims[name].id if name in ground.claims else None,
            amount_minor=minor,
            currency=instalment.currency,
        )
        for position, ((name, payee, is_lien), minor) in enumerate(zip(taken, [*part.taken, *part.liens], strict=True))
        if minor
    ]
    session.add_all(rows)
    session.flush()
    return rows


def _keep_shares(session: Session, ground: _Ground, part: Stage, instalment: DealInstalment) -> None:
    liens = dict.fromkeys(ground.keys, 0)
    for one, minor in zip(ground.closed.liens, part.liens, strict=True):
        liens[one.claim.case or ""] += minor
    db.copy_rows(
        session,
        "instalment_shares",
        ("instalment_id", "case_id", "case_key", "weight", "net_minor", "lien_minor"),
        (
            {
                "instalment_id": instalment.id,
                "case_id": case.case_id,
                "case_key": case.case_key,
                "weight": case.principal + case.interest,
                "net_minor": net,
                "lien_minor": liens[case.case_key],
            }
            for case, net in zip(ground.cases, part.net, strict=True)
        ),
    )


def _account(session: Session, row: InstalmentPayment) -> str:
    if row.claim_id is None:
        return fees.PAYEE_ACCOUNTS[row.payee]
    return third_parties.account_of(session.get_one(ThirdPartyClaim, row.claim_id))


def _post(
    session: Session,
    deal: Deal,
    instalment: DealInstalment,
    paid: Sequence[InstalmentPayment],
    *,
    actor: Actor,
    at: datetime,
) -> None:
    owed = [(_account(session, row), row.amount_minor) for row in paid]
    owed += [
        (books.holdback(deal.id), instalment.held_minor),
        (books.payable(deal.seller_organisation_id), instalment.at_once.minor),
    ]
    ledger.post(
        session,
        source_kind=DISTRIBUTED,
        source_id=instalment.id,
        description=f"{deal.reference} instalment {instalment.number} distributed",
        lines=[
            Line(books.proceeds(deal.id), instalment.received_minor),
            *(Line(account, -minor) for account, minor in owed if minor),
        ],
        currency=deal.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )


def _pay(
    session: Session, ground: _Ground, part: DealPart, paid: Sequence[InstalmentPayment], *, actor: Actor, at: datetime
) -> None:
    """Propose what third parties and the seller are paid of an instalment; each waits for its second person."""
    deal = ground.deal
    for row in paid:
        if row.claim_id is not None:
            third_parties.propose_payment(
                session,
                deal,
                claim=ground.claims[row.name],
                amount_minor=row.amount_minor,
                source=(PAYMENT, row.id),
                actor=actor,
                at=at,
            )
    if part.amount_minor:
        payments.propose_order(
            session,
            payee_organisation_id=deal.seller_organisation_id,
            purpose=PaymentPurpose.PAYOUT,
            amount=part.amount_minor,
            currency=deal.currency,
            reference=deal.reference,
            source_kind=parts.SOURCE,
            source_id=part.id,
            actor=actor,
            at=at,
        )


def list_instalments(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> Sequence[DealInstalment]:
    """Return the instalments of a deal that are distributed, in order; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    return of_deal(session, deal_id)


def of_deal(session: Session, deal_id: uuid.UUID) -> Sequence[DealInstalment]:
    """Return the instalments of a deal that are distributed, in order; no visibility check."""
    query = select(DealInstalment).where(DealInstalment.deal_id == deal_id).order_by(DealInstalment.number)
    return session.scalars(query).all()


def payments_of(session: Session, *, instalment_id: uuid.UUID) -> Sequence[InstalmentPayment]:
    """Return who was paid out of an instalment before the cases, in order; no visibility check."""
    query = select(InstalmentPayment).where(InstalmentPayment.instalment_id == instalment_id)
    return session.scalars(query.order_by(InstalmentPayment.position)).all()


def list_cases(
    session: Session, *, instalment_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[CaseInstalment]:
    """Return a page of what each case has of an instalment, by descending case id; raise `InstalmentNotFound`."""
    row = session.get(DealInstalment, instalment_id)
    if row is None:
        raise InstalmentNotFound(instalment_id)
    deals.get_deal(session, row.deal_id, actor=actor)
    query = select(InstalmentShare).where(InstalmentShare.instalment_id == instalment_id)
    page: Page[InstalmentShare] = db.page(
        session, query, key_column=InstalmentShare.case_id, cursor=cursor, limit=limit
    )
    ids = [one.case_id for one in page.items]
    at_once = _by_case(session, select(PartShare.case_id, PartShare.amount_minor)
        .where(PartShare.part_id == instalment_id, PartShare.case_id.in_(ids)))  # fmt: skip
    return Page(
        [
            CaseInstalment(
                case_id=one.case_id,
                case_key=one.case_key,
                net=Money(one.net_minor, row.currency),
                lien=Money(one.lien_minor, row.currency),
                at_once=Money(at_once[one.case_id], row.currency),
            )
            for one in page.items
        ],
        page.next,
    )
