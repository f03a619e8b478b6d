"""Distribution of a deal: funds flow, entries, the proposed payout, an allocation for every case; then title passes.

Three steps, each idempotent and in its own transaction: `distribute_deal`, `record_proceeds`, `settle_deal`.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from collection import service as collection
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.money import Money
from marketplace.packages import service as packages
from settlement import allocation, closings, deals, fees, instalments, ledger, parts, payments, sold, third_parties
from settlement.allocation import Claims
from settlement.closing_models import ThirdPartyClaim
from settlement.deal_models import Allocation, Deal, DealDeduction
from settlement.domain import deal as rules
from settlement.domain import funds_flow
from settlement.domain import ledger as books
from settlement.domain.allocation import Integers
from settlement.domain.closing import Closing, Terms
from settlement.domain.deal import DEAL, DISTRIBUTED, DealState, NotDistributed
from settlement.domain.decisions import TermsUndecided
from settlement.domain.funds_flow import FundsFlow
from settlement.domain.ledger import Line
from settlement.domain.orders import PaymentPurpose
from settlement.events import DealDistributed, DealSettled, ProceedsRecorded

SOURCE: Final = "deal"
"""Kind of source under which case receipts and the payout name their deal."""


def distribute_deal(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> Deal:
    """Distribute a paid and signed deal: deductions, net to the seller, a part for every case. Twice is once.

    Everything is posted, allocated and proposed in this one transaction; the payout waits for a second person's
    approval. Where the terms say per instalment, each was posted and proposed when it came, the last one now.
    Raises `IllegalMove` before the deal is ready, `LotsWithoutCases`, `TermsUndecided`, and what `closing.close`
    raises.
    """
    instalments.distribute_received(session, deal_id=deal_id, actor=actor, at=at)
    deal = deals.lock_deal(session, deal_id)
    if deal.state in DISTRIBUTED:
        return deal
    DEAL.move(deal.state, "distribute")
    if closings.are_undecided(session, deal_id):
        raise TermsUndecided
    flow, claims = preview(session, deal), claims_of(session, deal)
    shared = _share(session, deal, flow, claims)
    deal.net_minor, deal.case_count = flow.net.minor, len(claims.keys)
    session.flush()
    _keep_deductions(session, deal, flow)
    allocation.store(session, deal_id=deal.id, claims=claims, amounts=shared.amounts)
    if not deal.distributed_minor:
        _distribute_whole(session, deal, flow, claims, shared, actor=actor, at=at)
    audit.transition(session, deal, "distribute", lifecycle=DEAL, actor=actor, at=at)
    deal.distributed_at = at
    session.flush()
    outbox.publish(session, DealDistributed(deal_id=deal.id), at=at)
    return deal


@dataclass(frozen=True, slots=True)
class _Shared:
    """How the cases share the net: `amounts` by case, `first` of it to the seller at once, `held` back.

    `first_shares` by case where they are not the amounts: a deal with terms, `closed` by them.
    """

    amounts: Integers
    first: Money
    held: Money
    closed: Closing | None = None
    first_shares: list[tuple[uuid.UUID, int]] | None = None


def _distribute_whole(
    session: Session, deal: Deal, flow: FundsFlow, claims: Claims, shared: _Shared, *, actor: Actor, at: datetime
) -> None:
    """Post the whole price and propose what is paid of it; the cases receive their first part."""
    parts.open_first(
        session, deal=deal, shares=shared.first_shares, amount_minor=shared.first.minor, actor=actor, at=at
    )
    ids = {} if shared.closed is None else dict(zip(claims.keys, claims.case_ids, strict=True))
    third = third_parties.keep(session, deal, flow=flow, closed=shared.closed, ids=ids)
    _post(session, deal, flow, third, held=shared.held, first=shared.first, actor=actor, at=at)
    third_parties.propose_payments(session, deal, claims=third, actor=actor, at=at)
    _propose_payout(session, deal, shared.first - deal.netted, actor=actor, at=at)
    deal.distributed_minor = deal.price_minor
    session.flush()


def _share(session: Session, deal: Deal, flow: FundsFlow, claims: Claims) -> _Shared:
    terms = closings.read_in_force(session, deal)
    if terms == Terms():
        amounts = funds_flow.allocation(flow.net, claims.weights, claims.keys)
        return _Shared(amounts, flow.net, Money.zero(deal.currency))
    closed = closings.close(session, deal, terms=terms, cases=sold.cases(session, deal))
    return _Shared(
        amounts=np.array(closed.net, dtype=np.int64),
        first=Money(sum(closed.first), deal.currency),
        held=closed.holdback,
        closed=closed,
        first_shares=list(zip(claims.case_ids, closed.first, strict=True)),
    )


def preview(session: Session, deal: Deal) -> FundsFlow:
    """Return the funds flow of a deal by its pinned fee schedule and its terms; the same before and after posting."""
    return closings.flow_of(session, deal)


def claims_of(session: Session, deal: Deal) -> Claims:
    """Return the cases of a deal: of its package, or of its lots; a weight is principal + interest at the cut-off.

    In minor units. Raises `LotsWithoutCases`.
    """
    columns = sold.columns(session, deal)
    return Claims(columns.case_ids, columns.keys, columns.claims)


def _keep_deductions(session: Session, deal: Deal, flow: FundsFlow) -> None:
    session.add_all(
        DealDeduction(
            deal_id=deal.id,
            position=position,
            name=taken.name,
            payee=taken.payee,
            amount_minor=taken.amount.minor,
            currency=deal.currency,
        )
        for position, taken in enumerate(flow.deductions)
    )
    session.flush()


def _post(
    session: Session,
    deal: Deal,
    flow: FundsFlow,
    third: Sequence[ThirdPartyClaim],
    *,
    held: Money,
    first: Money,
    actor: Actor,
    at: datetime,
) -> None:
    ours = [(fees.PAYEE_ACCOUNTS.get(taken.payee), taken.amount) for taken in flow.deductions]
    owed = [(account, amount) for account, amount in ours if account is not None]
    owed += [(third_parties.account_of(row), row.paid) for row in third]
    owed += [
        (books.holdback(deal.id), held),
        (books.netted(deal.id), deal.netted),
        (books.payable(deal.seller_organisation_id), first - deal.netted),
    ]
    ledger.post(
        session,
        source_kind="deal.distributed",
        source_id=deal.id,
        description=f"{deal.reference} price distributed",
        lines=[
            Line(books.proceeds(deal.id), deal.price_minor),
            *(Line(account, -amount.minor) for account, amount in owed if amount),
        ],
        currency=deal.currency,
        value_on=local_date(at, rules.ZONE),
        actor=actor,
        at=at,
    )


def _propose_payout(session: Session, deal: Deal, net: Money, *, actor: Actor, at: datetime) -> None:
    if not net:
        return
    order = payments.propose_order(
        session,
        payee_organisation_id=deal.seller_organisation_id,
        purpose=PaymentPurpose.PAYOUT,
        amount=net.minor,
        currency=deal.currency,
        reference=deal.reference,
        source_kind=SOURCE,
        source_id=deal.id,
        actor=actor,
        at=at,
    )
    deal.payment_order_id = order.id


def record_proceeds(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Tell collection what every case of a deal received; twice changes nothing. Raises `NotDistributed`.

    Of a deal in instalments it knows already.
    """
    deal = deals.lock_deal(session, deal_id)
    _require_distributed(deal)
    if not instalments.of_deal(session, deal_id):
        collection.record_proceeds(
            session,
            package_id=deal.package_id,
            source_kind=SOURCE,
            source_id=deal.id,
            amounts=parts.first_shares(session, deal_id=deal_id),
            currency=deal.currency,
            actor=actor,
            at=at,
        )
    outbox.publish(session, ProceedsRecorded(deal_id=deal.id), at=at)


def settle_deal(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> Deal:
    """Pass the cases to the buyer and end the deal; twice is once. Raises `IllegalMove` before its distribution."""
    deal = deals.lock_deal(session, deal_id)
    if deal.state is DealState.SETTLED:
        return deal
    audit.transition(session, deal, "settle", lifecycle=DEAL, actor=actor, at=at)
    own = sold.of_lots(session, deal)
    packages.sell_package(session, deal.package_id, case_ids=None if own is None else sorted(own), actor=actor, at=at)
    deal.settled_at = at
    session.flush()
    settled = DealSettled(deal_id=deal.id, package_id=deal.package_id, buyer_organisation_id=deal.buyer_organisation_id)
    outbox.publish(session, settled, at=at)
    return deal


def _require_distributed(deal: Deal) -> None:
    if deal.state not in DISTRIBUTED:
        raise NotDistributed(deal.state)


def deductions_of(session: Session, *, deal_id: uuid.UUID) -> list[DealDeduction]:
    """Return what was deducted from the price of a deal, in order; empty before the distribution."""
    query = select(DealDeduction).where(DealDeduction.deal_id == deal_id).order_by(DealDeduction.position)
    return list(session.scalars(query))


def allocations_of(session: Session, *, deal_id: uuid.UUID) -> list[Allocation]:
    """Return every allocation of a deal in order of the case key (by code point)."""
    query = select(Allocation).where(Allocation.deal_id == deal_id).order_by(Allocation.case_key.collate("C"))
    return list(session.scalars(query))


@dataclass(frozen=True, slots=True)
class CaseShare:
    """The part of a deal's net proceeds that belongs to one case."""

    case_id: uuid.UUID
    case_key: str
    weight: Money
    amount: Money


def list_allocations(
    session: Session, *, deal_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[CaseShare]:
    """Return a page of the allocations of a deal by descending case id, empty before; raise `DealNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    query = select(Allocation).where(Allocation.deal_id == deal_id)
    rows: Page[Allocation] = db.page(session, query, key_column=Allocation.case_id, cursor=cursor, limit=limit)
    shares = [
        CaseShare(row.case_id, row.case_key, Money(row.weight, deal.currency), Money(row.amount_minor, deal.currency))
        for row in rows.items
    ]
    return Page(shares, rows.next)


def show_flow(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> FundsFlow:
    """Return the funds flow of a deal: what will be deducted, or was; raise `DealNotFound`."""
    return preview(session, deals.get_deal(session, deal_id, actor=actor))


def funds_flow_document(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> bytes:
    """Return the document by which anyone recomputes a deal with `python -m settlement split`; raise `DealNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    claims = claims_of(session, deal)
    document: dict[str, Any] = {
        "currency": deal.currency,
        "price": deal.price.text,
        "deposit": deal.deposit.text,
        "deductions": _as_split(session, deal),
        "cases": [
            {"case": key, "weight": Money(weight, deal.currency).text}
            for key, weight in zip(claims.keys, claims.weights.tolist(), strict=True)
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _as_split(session: Session, deal: Deal) -> list[Any]:
    """Return the deductions in the words of the funds flow document, which knows no terms and nothing inside."""
    rows = fees.require_schedule(session, deal.fee_schedule_id).deductions
    if not closings.terms_in_force(session, deal.id) and all(row["kind"] != "percent_inside" for row in rows):
        return rows
    return [
        {"name": taken.name, "payee": taken.payee, "kind": "amount", "amount": taken.amount.text}
        for taken in preview(session, deal).deductions
    ]
