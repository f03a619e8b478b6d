"""Deals: opened when an auction is awarded, paid, signed. Each function is one step: idempotent, under the deal's lock.

The step after is started by an event of the one before, in a transaction of its own, so that a worker may die between
any two. Distribution and title are in `settlement.payouts`, deposits that go back in `settlement.releases`, awards that
fail in `settlement.defaults`.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, outbox
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from marketplace.parties import service as parties
from settlement import deposits, fees, ledger, tolerances
from settlement.deal_models import Deal
from settlement.domain import deal as rules
from settlement.domain import ledger as books
from settlement.domain.deal import (
    DEAL,
    OPEN_FOR_PAYMENT,
    DealNotFound,
    DealState,
    InstalmentStands,
    NotAParty,
    Party,
    PaymentStands,
)
from settlement.domain.notices import NoticePurpose
from settlement.domain.references import ReferenceKind, new_reference
from settlement.events import (
    ContractSigned,
    DealOpened,
    DealPaid,
    DealPaymentReceived,
    DealPaymentTakenBack,
    DealReady,
    DistributionDue,
    PartySigned,
)
from settlement.instalment_models import DealInstalment
from settlement.models import Entry

PAYMENT_RECEIVED: Final = "deal.payment_received"
"""Source of the entry by which a bank line pays a balance; once for each deal and line."""


@dataclass(frozen=True, slots=True)
class DealView:
    """A deal with the names of its parties. `overdue`: its balance is late, as of the day that was asked."""

    deal: Deal
    seller_name: str
    buyer_name: str
    overdue: bool = False


def open_deal(session: Session, *, award_id: uuid.UUID, actor: Actor, at: datetime) -> Deal | None:
    """Make the deal of an award: price owed, the winner's deposit applied, the balance invoiced. Twice is once.

    Entries: receivable to proceeds by the price; deposit to receivable by the deposit held, at most the price.
    None when the award has failed meanwhile; it cannot fail before this transaction ends. Raises `FeeScheduleMissing`.
    """
    award = auctions.lock_award(session, award_id)
    existing = session.scalars(select(Deal).where(Deal.award_id == award_id)).one_or_none()
    if existing is not None:
        return existing
    if award.state is auctions.AwardState.FAILED:
        return None
    winner = auctions.require_registration(session, award.registration_id)
    schedule = fees.schedule_in_force(session, currency=award.currency, on=local_date(at, rules.ZONE))
    deal = Deal(
        id=db.new_id(),
        award_id=award_id,
        package_id=award.package_id,
        listing_id=award.listing_id,
        seller_organisation_id=award.seller_organisation_id,
        buyer_organisation_id=winner.organisation_id,
        registration_id=award.registration_id,
        runner_up_registration_id=award.runner_up_registration_id,
        fee_schedule_id=schedule.id,
        reference=new_reference(ReferenceKind.DEAL),
        state=DEAL.initial,
        currency=award.currency,
        price_minor=award.price_minor,
        deposit_minor=0,
        received_minor=0,
        due_on=rules.due_on(at),
        opened_at=at,
    )
    session.add(deal)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=deal, verb="open", after={"price": str(deal.price)})
    _owe_price(session, deal, actor=actor, at=at)
    _apply_deposit(session, deal, actor=actor, at=at)
    outbox.publish(session, DealOpened(deal_id=deal.id), at=at)
    if not deal.due:
        _pay(session, deal, actor=actor, at=at)
    return deal


def _owe_price(session: Session, deal: Deal, *, actor: Actor, at: datetime) -> None:
    ledger.post(
        session,
        source_kind="deal.opened",
        source_id=deal.id,
        description=f"{deal.reference} price",
        lines=books.transfer(
            debit=books.receivable(deal.id), credit=books.proceeds(deal.id), amount_minor=deal.price_minor
        ),
        currency=deal.currency,
        value_on=local_date(at, rules.ZONE),
        actor=actor,
        at=at,
    )


def _apply_deposit(session: Session, deal: Deal, *, actor: Actor, at: datetime) -> None:
    held = deposits.held(session, registration_id=deal.registration_id, currency=deal.currency)
    amount, _ = rules.applied(due=deal.price, received=Money(held, deal.currency))
    if amount:
        deposits.apply(
            session,
            registration_id=deal.registration_id,
            deal_id=deal.id,
            amount_minor=amount.minor,
            actor=actor,
            at=at,
        )
        deal.deposit_minor = amount.minor
        session.flush()


def confirm_contract(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Tell auctions that the contract of its award is signed; nothing once the award has failed."""
    deal = require_deal(session, deal_id)
    if deal.state is DealState.CANCELLED:
        return
    auctions.confirm_contract(session, award_id=deal.award_id, actor=actor, at=at)


def receive_payment(
    session: Session,
    *,
    reference: str,
    statement_line_id: uuid.UUID,
    amount_minor: int,
    currency: str,
    value_on: date,
    actor: Actor,
    at: datetime,
    match_id: uuid.UUID | None = None,
) -> bool:
    """Count a bank line toward the balance of the deal with this reference; False when no deal takes any of it.

    The line stands on `unapplied:<line>` in the books; what the deal still owes is moved to its receivable, the rest
    stays unapplied. Payments add up; the last one pays the deal. The same line twice counts once, and so does the same
    match where there is one (a line may be matched again after its match was taken back).
    """
    deal = session.scalars(
        select(Deal).where(Deal.reference == reference).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if deal is None or deal.currency != currency or deal.state is DealState.CANCELLED:
        return False
    source_id = match_id or uuid.uuid5(deal.id, str(statement_line_id))
    if _is_counted(session, source_id):
        return True
    pays, _ = rules.applied(due=deal.due, received=Money(amount_minor, currency))
    if not pays:
        return False
    ledger.post(
        session,
        source_kind=PAYMENT_RECEIVED,
        source_id=source_id,
        description=f"{deal.reference} balance received",
        lines=books.transfer(
            debit=books.unapplied(statement_line_id), credit=books.receivable(deal.id), amount_minor=pays.minor
        ),
        currency=currency,
        value_on=value_on,
        actor=actor,
        at=at,
    )
    deal.received_minor += pays.minor
    session.flush()
    audit.record(session, actor=actor, at=at, subject=deal, verb="receive", after={"received": str(pays)})
    outbox.publish(session, DealPaymentReceived(deal.id, source_id, pays.minor, currency), at=at)
    _let_go(session, deal, value_on=value_on, actor=actor, at=at)
    if not deal.due:
        _pay(session, deal, actor=actor, at=at)
    elif deal.state is DealState.SIGNED:
        outbox.publish(session, DistributionDue(deal_id=deal.id), at=at)
    return True


def _let_go(session: Session, deal: Deal, *, value_on: date, actor: Actor, at: datetime) -> None:
    """Pay what is still missing ourselves when it is within the tolerance of the balance on the day that money came."""
    tolerance = tolerances.in_force(session, purpose=NoticePurpose.BALANCE, currency=deal.currency, on=value_on)
    missing = deal.due
    if not missing or missing > tolerance.under:
        return
    ledger.post(
        session,
        source_kind="deal.shortfall_let_go",
        source_id=deal.id,
        description=f"{deal.reference} shortfall within the tolerance",
        lines=books.transfer(debit=books.BANK_CHARGES, credit=books.receivable(deal.id), amount_minor=missing.minor),
        currency=deal.currency,
        value_on=value_on,
        actor=actor,
        at=at,
    )
    deal.waived_minor = missing.minor
    session.flush()
    audit.record(session, actor=actor, at=at, subject=deal, verb="let_go", after={"waived": str(missing)})


def net_collections(session: Session, deal: Deal, *, amount: Money, actor: Actor, at: datetime) -> None:
    """Count collections of the seller toward a balance, whose entry `settlement.netting` posted; the last cent pays."""
    deal.netted_minor += amount.minor
    session.flush()
    audit.record(session, actor=actor, at=at, subject=deal, verb="net", after={"netted": str(amount)})
    if not deal.due:
        _pay(session, deal, actor=actor, at=at)


def take_payment_back(
    session: Session, *, reference: str, match_id: uuid.UUID, reason: str, on: date, actor: Actor, at: datetime
) -> Entry:
    """Reverse what a match counted toward a balance.

    Raises `PaymentStands` once the deal is paid, `InstalmentStands` once the receipt is distributed.
    """
    deal = session.scalars(
        select(Deal).where(Deal.reference == reference).with_for_update().execution_options(populate_existing=True)
    ).one()
    if deal.state not in OPEN_FOR_PAYMENT:
        raise PaymentStands
    entry = session.scalars(
        select(Entry).where(Entry.source_kind == PAYMENT_RECEIVED, Entry.source_id == match_id)
    ).one()
    if session.scalars(select(DealInstalment.id).where(DealInstalment.receipt_entry_id == entry.id)).first():
        raise InstalmentStands
    paid = ledger.balance(session, books.receivable(deal.id), currency=deal.currency)
    reversal = ledger.reverse(session, entry_id=entry.id, reason=reason, value_on=on, actor=actor, at=at)
    back = ledger.balance(session, books.receivable(deal.id), currency=deal.currency) - paid
    deal.received_minor -= back
    session.flush()
    audit.record(session, actor=actor, at=at, subject=deal, verb="take_back", reason=reason)
    outbox.publish(session, DealPaymentTakenBack(deal.id, match_id, back, deal.currency), at=at)
    return reversal


def _is_counted(session: Session, source_id: uuid.UUID) -> bool:
    query = select(Entry.id).where(Entry.source_kind == PAYMENT_RECEIVED, Entry.source_id == source_id)
    return session.scalars(query).first() is not None


def _pay(session: Session, deal: Deal, *, actor: Actor, at: datetime) -> None:
    audit.transition(session, deal, "pay", lifecycle=DEAL, actor=actor, at=at)
    deal.paid_at = at
    session.flush()
    outbox.publish(session, DealPaid(deal_id=deal.id), at=at)
    _announce_ready(session, deal, at=at)


def _announce_ready(session: Session, deal: Deal, *, at: datetime) -> None:
    if deal.state is DealState.READY:
        outbox.publish(session, DealReady(deal_id=deal.id), at=at)


def sign_contract(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> Deal:
    """Sign for the actor's side; when both have signed the contract stands. Signing again changes nothing.

    Raises `DealNotFound` for a stranger, `NotAParty` for an operator, and what `auctions.check_contract` raises when
    the award takes no signature yet or any more.
    """
    get_deal(session, deal_id, actor=actor)
    deal = lock_deal(session, deal_id)
    party = _party(deal, actor)
    if _signed_at(deal, party) is not None:
        return deal
    auctions.check_contract(session, award_id=deal.award_id, at=at)
    if party is Party.SELLER:
        deal.seller_signed_at = at
    else:
        deal.buyer_signed_at = at
    audit.record(session, actor=actor, at=at, subject=deal, verb="sign", after={"party": party.value})
    outbox.publish(session, PartySigned(deal.id, party.value), at=at)
    if deal.seller_signed_at is not None and deal.buyer_signed_at is not None:
        audit.transition(session, deal, "sign-contract", lifecycle=DEAL, actor=actor, at=at)
        outbox.publish(session, ContractSigned(deal_id=deal.id), at=at)
        session.flush()
        _announce_ready(session, deal, at=at)
    session.flush()
    return deal


def _party(deal: Deal, actor: Actor) -> Party:
    if actor.organisation_id == deal.seller_organisation_id:
        return Party.SELLER
    if actor.organisation_id == deal.buyer_organisation_id:
        return Party.BUYER
    raise NotAParty


def _signed_at(deal: Deal, party: Party) -> datetime | None:
    return deal.seller_signed_at if party is Party.SELLER else deal.buyer_signed_at


def require_deal(session: Session, deal_id: uuid.UUID) -> Deal:
    """Return a deal without asking who wants it; raise `DealNotFound`."""
    deal = session.get(Deal, deal_id)
    if deal is None:
        raise DealNotFound(deal_id)
    return deal


def lock_deal(session: Session, deal_id: uuid.UUID) -> Deal:
    """Return a deal and hold its row until the end of the transaction; raise `DealNotFound`."""
    deal = session.scalars(
        select(Deal).where(Deal.id == deal_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if deal is None:
        raise DealNotFound(deal_id)
    return deal


def get_deal(session: Session, deal_id: uuid.UUID, *, actor: Actor) -> Deal:
    """Return a deal that the actor may see: its seller, its buyer, operator, auditor; raise `DealNotFound`."""
    deal = require_deal(session, deal_id)
    if not (
        actor.sees_everything or actor.organisation_id in {deal.seller_organisation_id, deal.buyer_organisation_id}
    ):
        raise DealNotFound(deal_id)
    return deal


def list_deals(
    session: Session, *, state: DealState | None, cursor: str | None, limit: int, actor: Actor
) -> db.Page[DealView]:
    """Return a page of the deals that the actor may see, newest first."""
    query = select(Deal)
    if not actor.sees_everything:
        mine = actor.organisation_id
        query = query.where(or_(Deal.seller_organisation_id == mine, Deal.buyer_organisation_id == mine))
    if state is not None:
        query = query.where(Deal.state == state)
    rows: db.Page[Deal] = db.page(session, query, key_column=Deal.id, cursor=cursor, limit=limit)
    return db.Page(with_names(session, list(rows.items)), rows.next)


def with_names(session: Session, deals: list[Deal]) -> list[DealView]:
    """Return deals with the names of their parties, in the order given."""
    ids = {one for deal in deals for one in (deal.seller_organisation_id, deal.buyer_organisation_id)}
    names = parties.organisation_names(session, ids)
    return [DealView(deal, names[deal.seller_organisation_id], names[deal.buyer_organisation_id]) for deal in deals]
