"""Who is paid out of a price before the seller: costs and taxes of the terms, senior claims, liens on single cases.

Each has a row, an account of its own in the books, and a payment order that waits for its second person.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.actor import Actor
from settlement import deals, fees, payments
from settlement.closing_models import ThirdPartyClaim
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.closing import Closing, Paid
from settlement.domain.decisions import ThirdPartyKind
from settlement.domain.funds_flow import FundsFlow
from settlement.domain.orders import Payer, PaymentPurpose

SOURCE = "third_party"


def keep(
    session: Session, deal: Deal, *, flow: FundsFlow, closed: Closing | None, ids: Mapping[str, uuid.UUID]
) -> list[ThirdPartyClaim]:
    """Write down every third party of a deal with what it asks for and takes of the whole price.

    `ids`: the cases of the deal by their keys, of which liens are looked up. Nobody when the schedule names none.
    """
    senior = closed.senior if closed is not None else ()
    liens = closed.liens if closed is not None else ()
    deductions = flow.deductions[: len(flow.deductions) - len(senior)]
    rows = [
        ThirdPartyClaim(
            id=db.new_id(),
            deal_id=deal.id,
            kind=ThirdPartyKind.DEDUCTION,
            name=one.name,
            payee=one.payee,
            account="",
            rank=0,
            claim_minor=one.amount.minor,
            paid_minor=one.amount.minor,
            currency=deal.currency,
        )
        for one in deductions
        if one.payee not in fees.PAYEE_ACCOUNTS
    ]
    rows += [_claim(deal, ThirdPartyKind.SENIOR, one, None) for one in senior]
    rows += [_claim(deal, ThirdPartyKind.LIEN, one, ids[one.claim.case or ""]) for one in liens]
    session.add_all(rows)
    session.flush()
    return rows


def _claim(deal: Deal, kind: ThirdPartyKind, one: Paid, case_id: uuid.UUID | None) -> ThirdPartyClaim:
    return ThirdPartyClaim(
        id=db.new_id(),
        deal_id=deal.id,
        case_id=case_id,
        kind=kind,
        name=one.claim.name,
        payee=one.claim.payee,
        account=one.claim.account,
        rank=one.claim.rank,
        claim_minor=one.claim.amount.minor,
        paid_minor=one.minor,
        currency=deal.currency,
    )


def account_of(row: ThirdPartyClaim) -> str:
    """Return the account of the books that owes a third party its money."""
    return books.lien(row.id) if row.kind is ThirdPartyKind.LIEN else books.third_party(row.id)


def propose_payments(
    session: Session, deal: Deal, *, claims: Sequence[ThirdPartyClaim], actor: Actor, at: datetime
) -> None:
    """Set aside what each third party takes; without an account in the terms the order waits for one."""
    for row in claims:
        if row.paid_minor:
            propose_payment(
                session, deal, claim=row, amount_minor=row.paid_minor, source=(SOURCE, row.id), actor=actor, at=at
            )


def propose_payment(
    session: Session,
    deal: Deal,
    *,
    claim: ThirdPartyClaim,
    amount_minor: int,
    source: tuple[str, uuid.UUID],
    actor: Actor,
    at: datetime,
) -> None:
    """Set aside `amount_minor` (above zero) of what a third party takes; once for each `source`."""
    payments.propose_order(
        session,
        payee_organisation_id=None,
        purpose=PaymentPurpose.OTHER,
        amount=amount_minor,
        currency=claim.currency,
        reference=f"{deal.reference} {claim.name}"[:120],
        source_kind=source[0],
        source_id=source[1],
        account=account_of(claim),
        payer=Payer(name=claim.payee, account=claim.account),
        actor=actor,
        at=at,
    )


def list_claims(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> Sequence[ThirdPartyClaim]:
    """Return who is paid out of a deal before the seller, in order; raise `DealNotFound`."""
    deals.get_deal(session, deal_id, actor=actor)
    query = select(ThirdPartyClaim).where(ThirdPartyClaim.deal_id == deal_id).order_by(ThirdPartyClaim.id)
    return session.scalars(query).all()
