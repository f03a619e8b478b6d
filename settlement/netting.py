"""Collections set off against the balance: what the seller collected after the cut-off, before the buyer has paid.

Where the terms say `net_against_balance`, approved collections reduce what the buyer still pays, and the seller, which
has that money already, is paid so much less of the price. The price itself, its deductions and the shares of the cases
stay as they are. The register holds it as any other collections (`settlement.adjustments`), paid in full at once.
"""

import uuid
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from settlement import closings, deals, ledger, notice_views, notices, sold
from settlement.closing_models import Adjustment, AdjustmentCover
from settlement.deal_models import Deal
from settlement.domain import ledger as books
from settlement.domain.adjustments import ADJUSTMENT, AdjustmentKind, AdjustmentState, NetsTooMuch, Stand
from settlement.domain.closing import CollectionsRule
from settlement.domain.deal import OPEN_FOR_PAYMENT, ZONE
from settlement.domain.decisions import TermsUndecided
from settlement.domain.notices import NoticePurpose
from settlement.notice_models import PaymentNotice

SOURCE: Final = "collections.netted"
"""Source of the entry by which collections pay some of a balance."""


def is_open(session: Session, deal: Deal) -> bool:
    """Say whether collections are set off against what the buyer of a deal still owes."""
    terms = closings.read_in_force(session, deal)
    return deal.state in OPEN_FOR_PAYMENT and terms.collections is CollectionsRule.NET_AGAINST_BALANCE


def stands_of(session: Session, deal: Deal) -> dict[str, Stand]:
    """Return the cases of a deal that is not closed yet, by key; none has a price that goes back."""
    return {one.case_key: Stand(one.case_key, 0) for one in sold.cases(session, deal)}


def check(session: Session, deal: Deal, *, minor: int) -> None:
    """Refuse to set off nothing, more than is due, or more than the seller is paid at once (`NetsTooMuch`).

    While terms wait for a second person nothing is set off: it fixes the terms (`TermsUndecided`).
    """
    if closings.are_undecided(session, deal.id):
        raise TermsUndecided
    closed = closings.close(session, deal, terms=closings.read_in_force(session, deal), cases=sold.cases(session, deal))
    allowed = min(deal.due.minor, sum(closed.first) - deal.netted_minor)
    if not 0 < minor <= allowed:
        raise NetsTooMuch(Money(max(allowed, 0), deal.currency))


def set_off(session: Session, *, deal: Deal, row: Adjustment, actor: Actor, at: datetime) -> None:
    """Let approved collections pay some of the balance; under the deal's lock. Raises as `check`.

    The notice of the balance that stands is replaced by one of what is due now, to the same account and day.
    """
    check(session, deal, minor=row.amount_minor)
    cover_id = db.new_id()
    entry = ledger.post(
        session,
        source_kind=SOURCE,
        source_id=cover_id,
        description=f"{deal.reference} collections set off against the balance",
        lines=books.transfer(
            debit=books.netted(deal.id), credit=books.receivable(deal.id), amount_minor=row.amount_minor
        ),
        currency=row.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )
    session.add(
        AdjustmentCover(
            id=cover_id,
            adjustment_id=row.id,
            against_balance=True,
            amount_minor=row.amount_minor,
            currency=row.currency,
            entry_id=entry.id,
            covered_at=at,
        )
    )
    row.covered_minor = row.amount_minor
    audit.transition(session, row, "settle", lifecycle=ADJUSTMENT, actor=actor, at=at)
    deals.net_collections(session, deal, amount=row.amount, actor=actor, at=at)
    _ask_anew(session, deal, actor=actor, at=at)


def _ask_anew(session: Session, deal: Deal, *, actor: Actor, at: datetime) -> None:
    """Replace the notice of the whole balance by one on the same terms; instalments that were agreed stay."""
    standing = notice_views.standing(session, deal.reference)
    if any(one.purpose is not NoticePurpose.BALANCE for one in standing):
        return
    for one in standing:
        notices.cancel(session, notice_id=one.id, reason="collections are set off", actor=actor, at=at)
    if standing and deal.due:
        terms = _terms_again(standing[-1], today=local_date(at, ZONE))
        notices.issue_for_deal(session, deal_id=deal.id, parts=(), terms=terms, actor=actor, at=at)


def _terms_again(row: PaymentNotice, *, today: date) -> notices.Terms:
    """Where, with or without a cent tail, and until when a notice is paid; a day that has passed is said anew."""
    later = row.due_on >= today
    return notices.Terms(
        cent_tail=row.tail_minor > 0,
        own_account_id=row.own_account_id,
        due_on=row.due_on if later else None,
        expires_on=row.expires_on if later else None,
    )


def undo(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime, reason: str) -> None:
    """Take collections of a cancelled deal out of its register: its cases, and what they bring, stay the seller's."""
    query = select(Adjustment).where(
        Adjustment.deal_id == deal_id,
        Adjustment.kind == AdjustmentKind.COLLECTIONS,
        Adjustment.state.in_((AdjustmentState.PROPOSED, AdjustmentState.SETTLED)),
    )
    for row in session.scalars(query).all():
        row.covered_minor = 0
        row.decided_at = row.decided_at or at
        audit.transition(session, row, "cancel", lifecycle=ADJUSTMENT, actor=actor, at=at, reason=reason)
    session.flush()
