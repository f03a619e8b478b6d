"""An award that failed: its deal is cancelled, its deposit lost or given back; what a lost deposit is used for.

Decided by rows under locks, so that the events may come in any order and more than once: a deposit that is lost is on
`forfeited:<id>` and no release finds it on `deposits:<registration>` any more.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from settlement import deals, deciding, default_policies, deposits, ledger, matches, netting, notice_views, releases
from settlement.deal_models import Deal
from settlement.default_models import DefaultPolicy, Forfeiture
from settlement.domain import ledger as books
from settlement.domain.deal import DEAL, DISTRIBUTED, ZONE, DealState
from settlement.domain.defaults import DealNotOverdue, DealSettledAlready
from settlement.events import DealCancelled
from settlement.models import Account, Entry, Match, Posting


def handle_failed_award(session: Session, *, award_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Cancel the deal of a failed award, then take or give back its deposit by the policy of its regime. Twice is once.

    Raises `DealSettledAlready`, and `PolicyMissing` (nothing moves until there is a policy).
    """
    award = auctions.lock_award(session, award_id)
    policy = default_policies.policy_of(session, award)
    deal = session.scalars(select(Deal).where(Deal.award_id == award_id)).one_or_none()
    applied = 0
    if deal is not None:
        deal = deals.lock_deal(session, deal.id)
        applied = deal.deposit_minor
        _cancel(session, deal, reason=f"the award failed: {award.failure_cause}", actor=actor, at=at)
    if award.failure_cause in default_policies.rules_of(policy).causes:
        _forfeit(session, award, policy, deal, applied=applied, actor=actor, at=at)
    releases.release_bidder(
        session,
        listing_id=award.listing_id,
        registration_id=award.registration_id,
        reason="award failed",
        actor=actor,
        at=at,
    )


def _cancel(session: Session, deal: Deal, *, reason: str, actor: Actor, at: datetime) -> None:
    """Take every entry of a deal back: receipts are open on their bank lines again, the deposit is held again."""
    if deal.state is DealState.CANCELLED:
        return
    if deal.state in DISTRIBUTED or deal.distributed_minor:
        raise DealSettledAlready
    for entry in _entries_of(session, deal):
        reversal = ledger.reverse(
            session, entry_id=entry.id, reason=reason, value_on=local_date(at, ZONE), actor=actor, at=at
        )
        match = session.get(Match, entry.source_id)
        if match is not None and match.line_id is not None:
            line = matches.lock_line(session, match.line_id)
            deciding.record_reversal(session, match=match, line=line, entry=reversal, reason=reason, actor=actor, at=at)
    netting.undo(session, deal_id=deal.id, reason=reason, actor=actor, at=at)
    audit.transition(session, deal, "cancel", lifecycle=DEAL, actor=actor, at=at, reason=reason)
    deal.deposit_minor = deal.received_minor = deal.waived_minor = deal.netted_minor = 0
    deal.cancelled_at = at
    session.flush()
    outbox.publish(session, DealCancelled(deal_id=deal.id), at=at)


def _entries_of(session: Session, deal: Deal) -> Sequence[Entry]:
    """Return what stands on the receivable of a deal, the newest first: price, deposit applied, receipts."""
    reversed_ids = select(Entry.reverses_id).where(Entry.reverses_id.is_not(None))
    return session.scalars(
        select(Entry)
        .join(Posting, Posting.entry_id == Entry.id)
        .join(Account, Account.id == Posting.account_id)
        .where(Account.key == books.receivable(deal.id), Entry.reverses_id.is_(None), Entry.id.not_in(reversed_ids))
        .order_by(Entry.id.desc())
    ).all()


def _forfeit(
    session: Session,
    award: auctions.Award,
    policy: DefaultPolicy,
    deal: Deal | None,
    *,
    applied: int,
    actor: Actor,
    at: datetime,
) -> None:
    """Move the deposit out of reach of every release; only what this deal had of it while another award needs it.

    A cent tail above the deposit is not lost: it goes back.
    """
    if session.scalars(select(Forfeiture.id).where(Forfeiture.award_id == award.id)).first() is not None:
        return
    registration = auctions.require_registration(session, award.registration_id)
    ledger.lock(session, books.deposits(registration.id), currency=award.currency, at=at)
    held = deposits.held(session, registration_id=registration.id, currency=award.currency)
    shared = releases.is_needed(session, listing_id=award.listing_id, registration_id=registration.id)
    row = Forfeiture(
        id=db.new_id(),
        award_id=award.id,
        deal_id=None if deal is None else deal.id,
        registration_id=registration.id,
        organisation_id=registration.organisation_id,
        seller_organisation_id=award.seller_organisation_id,
        policy_id=policy.id,
        cause=str(award.failure_cause),
        price_minor=award.price_minor,
        amount_minor=min(applied if shared else registration.deposit_minor, held),
        currency=award.currency,
        forfeited_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="forfeit", after={"amount": str(row.amount)})
    if row.amount_minor:
        _book_forfeited(session, row, registration.reference, actor=actor, at=at)


def _book_forfeited(session: Session, row: Forfeiture, reference: str, *, actor: Actor, at: datetime) -> None:
    ledger.post(
        session,
        source_kind="deposit.forfeited",
        source_id=row.id,
        description=f"Deposit {reference} is lost",
        lines=books.transfer(
            debit=books.deposits(row.registration_id), credit=books.forfeited(row.id), amount_minor=row.amount_minor
        ),
        currency=row.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )
    auctions.uncover_registration(session, registration_id=row.registration_id, actor=actor, at=at)


def fail_overdue_deal(session: Session, *, deal_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> Deal:
    """Let the award of a deal fail because its balance is late: the buyer defaulted; the rest follows by events.

    Raises `DealNotFound`, `DealNotOverdue`, `DealSettledAlready` once an instalment is distributed, and `IllegalMove`
    once the contract is signed (it is not undone here).
    """
    deal = deals.get_deal(session, deal_id, actor=actor)
    auctions.lock_award(session, deal.award_id)
    deal = deals.lock_deal(session, deal_id)
    if not notice_views.is_overdue(session, deal, on=local_date(at, ZONE)):
        raise DealNotOverdue(deal.due_on)
    if deal.distributed_minor:
        raise DealSettledAlready
    auctions.fail_award(session, award_id=deal.award_id, reason=reason, actor=actor, at=at)
    return deal


@dataclass(frozen=True, slots=True)
class DefaultPreview:
    """What would happen if the buyer of a deal defaulted now; nothing is written.

    `forfeited` is lost, `returned` goes back to the bank lines that paid the balance; `next_price` is that of the
    next in line, None when nobody waits.
    """

    policy: DefaultPolicy
    price: Money
    forfeited: Money
    returned: Money
    next_registration_id: uuid.UUID | None
    next_price: Money | None


def preview_default(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> DefaultPreview:
    """Preview a default of a deal's buyer. Raises `DealNotFound`, `DealSettledAlready`, `PolicyMissing`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    if deal.state in DISTRIBUTED or deal.state is DealState.CANCELLED or deal.distributed_minor:
        raise DealSettledAlready
    award = auctions.require_award(session, deal.award_id)
    held = deposits.held(session, registration_id=deal.registration_id, currency=deal.currency)
    shared = releases.is_needed(session, listing_id=deal.listing_id, registration_id=deal.registration_id, but=award.id)
    waiting = releases.next_in_line(session, award)
    required = auctions.require_registration(session, deal.registration_id).deposit
    return DefaultPreview(
        policy=default_policies.policy_of(session, award),
        price=deal.price,
        forfeited=deal.deposit if shared else min(deal.deposit + Money(held, deal.currency), required),
        returned=deal.received,
        next_registration_id=None if waiting is None else waiting.registration_id,
        next_price=None if waiting is None else waiting.price,
    )
