"""The closing of a deal: terms proposed by one person and approved by another, preview, proof, and each case frozen.

The figures are `settlement.domain.closing`; the distribution (`settlement.payouts`) posts them. What is shown before,
posted, frozen and proven is computed by the same function from the same inputs.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from collection.domain.balances import by_sets
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.documents import Node
from marketplace.money import Money
from marketplace.packages.service import FrozenCase
from settlement import deals, fees, sold
from settlement.closing_models import CaseClosing, ClosingTerms
from settlement.deal_models import Deal
from settlement.domain import closing
from settlement.domain.adjustments import DecidedByPerson, check_persons
from settlement.domain.closing import Closing, Distribution, Terms
from settlement.domain.closing_document import close_document, prove, read_terms
from settlement.domain.deal import DISTRIBUTED, DealState, NotDistributed
from settlement.domain.decisions import TERMS, TermsNotFound, TermsState, TermsTooLate, TermsUndecided
from settlement.domain.funds_flow import FundsFlow
from settlement.events import DealReady, DistributionDue
from settlement.instalment_models import DealInstalment

db.violation("uq_closing_terms_undecided", TermsUndecided)


@dataclass(frozen=True, slots=True)
class CaseShown:
    """A case at its closing as amounts; see `CaseClosing`. All but its price is the seller's, and None for a buyer."""

    case_id: uuid.UUID
    case_key: str
    price: Money
    net: Money | None = None
    proceeds: Money | None = None
    costs: Money | None = None
    interest: Money | None = None
    principal: Money | None = None
    excess: Money | None = None


COLUMNS = (
    "deal_id", "case_id", "case_key", "price_minor", "net_minor", "proceeds_minor", "costs_minor", "interest_minor",
    "principal_minor", "excess_minor",
)  # fmt: skip


def propose_terms(
    session: Session, *, deal_id: uuid.UUID, terms: Mapping[str, Any], reason: str, actor: Actor, at: datetime
) -> ClosingTerms:
    """Propose what the closing of a deal says beyond the fee schedule; it holds once another person approved it.

    Raises `DealNotFound`, `TermsTooLate`, `TermsUndecided`, `DecidedByPerson`; `BadDocument` for terms that this deal
    cannot be closed by, at pointers under `/terms`.
    """
    if actor.user_id is None:
        raise DecidedByPerson
    deal = _lock_open(session, deal_id)
    close_document(Node(inputs_of(session, deal, terms=terms)))
    row = ClosingTerms(
        id=db.new_id(),
        deal_id=deal.id,
        terms=dict(terms),
        state=TERMS.initial,
        reason=reason,
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="propose", reason=reason)
    return row


def decide_terms(
    session: Session, *, terms_id: uuid.UUID, approve: bool, reason: str, actor: Actor, at: datetime
) -> ClosingTerms:
    """Approve terms as another person, or reject them; a deal that waited for it is distributed by itself.

    Raises `TermsNotFound`, `TermsTooLate`, `SamePersonDecides`, `DecidedByPerson`, `IllegalMove`.
    """
    found = session.get(ClosingTerms, terms_id)
    if found is None:
        raise TermsNotFound(terms_id)
    deal = _lock_open(session, found.deal_id)
    row = session.get_one(ClosingTerms, terms_id, with_for_update=True, populate_existing=True)
    if approve:
        check_persons(proposed_by_id=row.proposed_by_id, decided_by_id=actor.user_id)
    row.decided_by_id, row.decided_by, row.decided_at = actor.user_id, actor.name, at
    verb = "approve" if approve else "reject"
    audit.transition(session, row, verb, lifecycle=TERMS, actor=actor, at=at, reason=reason)
    session.flush()
    if deal.state is DealState.READY:
        outbox.publish(session, DealReady(deal_id=deal.id), at=at)
    elif deal.state is DealState.SIGNED:
        outbox.publish(session, DistributionDue(deal_id=deal.id), at=at)
    return row


def _lock_open(session: Session, deal_id: uuid.UUID) -> Deal:
    deal = deals.lock_deal(session, deal_id)
    if deal.state in DISTRIBUTED or deal.state is DealState.CANCELLED:
        raise TermsTooLate(deal.state.value)
    if deal.distributed_minor:
        raise TermsTooLate("distributed in part")
    if deal.netted_minor:
        raise TermsTooLate("paid in part with collections")
    return deal


def list_terms(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> Sequence[ClosingTerms]:
    """Return every version of a deal's terms, newest first; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    query = select(ClosingTerms).where(ClosingTerms.deal_id == deal_id).order_by(ClosingTerms.id.desc())
    return session.scalars(query).all()


def are_undecided(session: Session, deal_id: uuid.UUID) -> bool:
    """Say whether terms of a deal wait for a second person."""
    query = select(ClosingTerms.id).where(ClosingTerms.deal_id == deal_id, ClosingTerms.state == TermsState.PROPOSED)
    return session.scalars(query).first() is not None


def terms_in_force(session: Session, deal_id: uuid.UUID) -> dict[str, Any]:
    """Return the newest approved terms of a deal as they were written; empty when there are none."""
    query = select(ClosingTerms.terms).where(ClosingTerms.deal_id == deal_id, ClosingTerms.state == TermsState.APPROVED)
    return session.scalars(query.order_by(ClosingTerms.id.desc()).limit(1)).first() or {}


def read_in_force(session: Session, deal: Deal) -> Terms:
    """Return the terms in force of a deal."""
    return read_terms(Node(terms_in_force(session, deal.id), "/terms"), deal.currency)


def flow_of(session: Session, deal: Deal) -> FundsFlow:
    """Return what leaves the price of a deal by its fee schedule and terms; the same before and after it is posted."""
    flow, _ = closing.price_flow(
        price=deal.price,
        deposit=deal.deposit,
        deductions=fees.deductions_of(fees.require_schedule(session, deal.fee_schedule_id)),
        terms=read_in_force(session, deal),
    )
    return flow


def close(session: Session, deal: Deal, *, terms: Terms, cases: Sequence[FrozenCase]) -> Closing:
    """Close a deal by its schedule and `terms`, with the cases that it is about; raise what `closing.close` raises."""
    return closing.close(
        price=deal.price,
        deposit=deal.deposit,
        deductions=fees.deductions_of(fees.require_schedule(session, deal.fee_schedule_id)),
        terms=terms,
        cases=closing.Cases(
            keys=[one.case_key for one in cases],
            weights=[one.principal + one.interest for one in cases],
            caps=[one.other + one.interest + one.principal if terms.capped else None for one in cases],
        ),
    )


def owed_of(case: FrozenCase) -> dict[str, int]:
    """Return what is owed on a case at the cut-off, by what it is for, minor units."""
    return {"costs": case.other, "interest": case.interest, "principal": case.principal}


def inputs_of(session: Session, deal: Deal, *, terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the closing document of a deal under `terms`: what anyone recomputes it from, offline."""

    def text(minor: int) -> str:
        return Money(minor, deal.currency).text

    instalments: list[str] = []
    if terms.get("distribution") == Distribution.PER_INSTALMENT:
        query = select(DealInstalment.received_minor).where(DealInstalment.deal_id == deal.id)
        instalments = [text(minor) for minor in session.scalars(query.order_by(DealInstalment.number))]
    return {
        "currency": deal.currency,
        "price": deal.price.text,
        "deposit": deal.deposit.text,
        "deductions": fees.require_schedule(session, deal.fee_schedule_id).deductions,
        "terms": dict(terms),
        **({"instalments": instalments} if instalments else {}),
        "cases": [
            {
                "case": one.case_key,
                "weight": text(one.principal + one.interest),
                "owed": {bucket: text(minor) for bucket, minor in owed_of(one).items()},
            }
            for one in sold.cases(session, deal)
        ],
    }


def preview(session: Session, *, deal_id: uuid.UUID, terms: Mapping[str, Any] | None, actor: Actor) -> dict[str, Any]:
    """Return the closing of a deal under `terms`, else under those in force: what would be posted, or was.

    Raises `DealNotFound`, `BadDocument`.
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    given = terms_in_force(session, deal.id) if terms is None else terms
    return close_document(Node(inputs_of(session, deal, terms=given)))


def proof(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> bytes:
    """Return the proof package of a deal's closing, as `python -m settlement verify` writes it again, byte by byte.

    Raises `DealNotFound`, `BadDocument`.
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    package = prove(inputs_of(session, deal, terms=terms_in_force(session, deal.id)))
    return (json.dumps(package, ensure_ascii=False, indent=1) + "\n").encode()


def freeze_cases(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> int:
    """Write down price, net, proceeds and their use for every case of a distributed deal; twice is once.

    Returns how many cases were written. Raises `DealNotFound`, `NotDistributed`.
    """
    deal = deals.lock_deal(session, deal_id)
    if deal.state not in DISTRIBUTED:
        raise NotDistributed(deal.state)
    if session.scalars(select(CaseClosing.case_id).where(CaseClosing.deal_id == deal_id).limit(1)).first():
        return 0
    terms = read_in_force(session, deal)
    cases = sold.cases(session, deal)
    closed = close(session, deal, terms=terms, cases=cases)
    db.copy_rows(session, "case_closings", COLUMNS, (
        _frozen(deal, case, closed, place, terms) for place, case in enumerate(cases)
    ))  # fmt: skip
    audit.record(session, actor=actor, at=at, subject=deal, verb="freeze_cases", after={"cases": len(cases)})
    return len(cases)


def _frozen(deal: Deal, case: FrozenCase, closed: Closing, place: int, terms: Terms) -> dict[str, Any]:
    parts = by_sets(closed.proceeds[place], owed_of(case), terms.order)
    return {
        "deal_id": deal.id,
        "case_id": case.case_id,
        "case_key": case.case_key,
        "price_minor": closed.price[place],
        "net_minor": closed.net[place],
        "proceeds_minor": closed.proceeds[place],
        **{f"{bucket}_minor": minor for bucket, minor in parts.items()},
    }


def list_case_closings(
    session: Session, *, deal_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> db.Page[CaseShown]:
    """Return a page of a deal's cases, price and net side by side, by descending case id; raise `DealNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    query = select(CaseClosing).where(CaseClosing.deal_id == deal_id)
    page: db.Page[CaseClosing] = db.page(session, query, key_column=CaseClosing.case_id, cursor=cursor, limit=limit)
    whole = actor.sees_everything or actor.organisation_id == deal.seller_organisation_id
    return db.Page([_shown(row, deal.currency, whole=whole) for row in page.items], page.next)


def _shown(row: CaseClosing, currency: str, *, whole: bool) -> CaseShown:
    price = Money(row.price_minor, currency)
    if not whole:
        return CaseShown(row.case_id, row.case_key, price)
    return CaseShown(
        case_id=row.case_id,
        case_key=row.case_key,
        price=price,
        net=Money(row.net_minor, currency),
        proceeds=Money(row.proceeds_minor, currency),
        costs=Money(row.costs_minor, currency),
        interest=Money(row.interest_minor, currency),
        principal=Money(row.principal_minor, currency),
        excess=Money(row.excess_minor, currency),
    )


def prices_of(session: Session, *, deal_id: uuid.UUID) -> dict[uuid.UUID, Money]:
    """Return what was paid for each case of a deal by its id; empty before they are frozen."""
    deal = deals.require_deal(session, deal_id)
    query = select(CaseClosing.case_id, CaseClosing.price_minor).where(CaseClosing.deal_id == deal_id)
    return {row.case_id: Money(row.price_minor, deal.currency) for row in session.execute(query)}
