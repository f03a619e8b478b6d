"""Payment notices: issued for a deposit, a balance or its instalments, cancelled, issued anew.

A notice is a row that never changes; its cancellation is a row beside it, and where it stands is derived
(`settlement.notice_views`). The references, tails and sub-accounts that it gives out are read by matching
(`settlement.receipt_keys`).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import Actor, OrganisationKind
from marketplace.clock import local_date
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.money import Money
from settlement import deals, deposits, ledger, notice_views, own_accounts, receipt_keys
from settlement.bank_models import OwnAccount
from settlement.domain import ledger as books
from settlement.domain import notices as rules
from settlement.domain.deal import OPEN_FOR_PAYMENT, ZONE
from settlement.domain.notices import Instalment, NothingDue, NoticeCancelled, NoticePurpose, NoticeStatus
from settlement.domain.references import ReferenceKind, new_reference
from settlement.notice_models import NoticeCancellation, PaymentNotice


class NoticesStand(Conflict):
    """The deal has notices already."""

    code = "notices_stand"

    def __init__(self, references: Sequence[str]) -> None:
        super().__init__(
            "Cancel the notices of this deal that stand before it gets others: " + ", ".join(references),
            references=list(references),
        )


class TermsByFinance(Refused):
    """A buyer asks for a notice; where and until when it is paid is the operator's to say."""

    code = "terms_by_finance"

    def __init__(self) -> None:
        super().__init__("Accounts, sub-accounts and dates of a notice are given by the operator's finance.")


db.violation("uq_notice_cancellations_notice_id", NoticeCancelled)
db.violation("uq_payment_notices_replaces_id", NoticeCancelled)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a notice is to be paid: with a cent tail, to which account (our oldest of the currency) and sub-account.

    `due_on` and `expires_on` (the last day of the bank's booking on which it decides by itself) have defaults.
    """

    cent_tail: bool = False
    own_account_id: uuid.UUID | None = None
    sub_account: str = ""
    due_on: date | None = None
    expires_on: date | None = None


def issue_for_registration(
    session: Session, *, registration_id: uuid.UUID, terms: Terms, actor: Actor, at: datetime
) -> notice_views.NoticeView:
    """Ask for what is missing of a deposit. While a notice of it stands, that one is given again.

    Its own bidder asks for one with or without a cent tail, finance says the rest. Raises `NotFound` for a stranger,
    `TermsByFinance`, `NothingDue`, `NoOwnAccount`, `NoFreeTail`, `SubAccountTaken`, `DatesInvalid`.
    """
    if actor.organisation_kind is not OrganisationKind.OPERATOR and terms != Terms(cent_tail=terms.cent_tail):
        raise TermsByFinance
    registration = auctions.require_registration(session, registration_id)
    if not actor.sees_everything and registration.organisation_id != actor.organisation_id:
        raise NotFound("registration", registration_id)
    ledger.lock(session, books.deposits(registration_id), currency=registration.currency, at=at)
    missing = registration.deposit_minor - deposits.held(
        session, registration_id=registration_id, currency=registration.currency
    )
    spent = deposits.is_spent(session, registration_id=registration_id)
    if missing <= 0 or spent or registration.state.value not in notice_views.OPEN_REGISTRATIONS:
        raise NothingDue
    standing = notice_views.standing(session, registration.reference)
    open_ones = [one for one in notice_views.views(session, standing, at=at) if one.status is not NoticeStatus.EXPIRED]
    for view in open_ones:
        if view.notice.asked_minor - view.received.minor == missing:
            return view
    for view in open_ones:
        _cancel(session, view.notice, reason="another amount is missing", actor=actor, at=at)
    due_on = terms.due_on or local_date(at, ZONE) + timedelta(days=rules.DUE_DAYS)
    row = _issue(
        session,
        _draft(
            purpose=NoticePurpose.DEPOSIT,
            subject=registration.reference,
            organisation_id=registration.organisation_id,
            registration_id=registration.id,
            asked=Money(missing, registration.currency),
            before_minor=notice_views.deposits_received(session, [registration.id]).get(registration.id, 0),
            due_on=due_on,
        ),
        terms,
        actor=actor,
        at=at,
    )
    return notice_views.views(session, [row], at=at)[0]


def issue_for_deal(
    session: Session, *, deal_id: uuid.UUID, parts: Sequence[Instalment], terms: Terms, actor: Actor, at: datetime
) -> list[notice_views.NoticeView]:
    """Ask for the balance that is still due: in one, or in `parts` that add up to it, each with its own notice.

    Without parts it is due when the deal says. Raises `DealNotFound`, `NothingDue`, `NoticesStand`, `PlanInvalid`, and
    what `issue_for_registration` raises.
    """
    deal = deals.lock_deal(session, deal_id)
    if deal.state not in OPEN_FOR_PAYMENT or not deal.due:
        raise NothingDue
    standing = notice_views.standing(session, deal.reference)
    if standing:
        raise NoticesStand([one.reference for one in standing])
    due_on = terms.due_on or max(deal.due_on, local_date(at, ZONE))
    plan = list(parts) or [Instalment(deal.due, due_on)]
    rules.check_plan(plan, due=deal.due)
    rows = [
        _issue(
            session,
            _draft(
                purpose=NoticePurpose.INSTALMENT if len(plan) > 1 else NoticePurpose.BALANCE,
                subject=deal.reference,
                organisation_id=deal.buyer_organisation_id,
                deal_id=deal.id,
                asked=part.amount,
                before_minor=deal.received_minor,
                due_on=part.due_on,
                position=position,
            ),
            terms,
            actor=actor,
            at=at,
        )
        for position, part in enumerate(plan, start=1)
    ]
    return notice_views.views(session, rows, at=at)


def issue_balance(session: Session, *, deal_id: uuid.UUID, actor: Actor, at: datetime) -> None:
    """Ask for the balance of a deal that was just opened; nothing where we have no account, or it is asked for."""
    deal = deals.lock_deal(session, deal_id)
    known = own_accounts.oldest_of(session, currency=deal.currency)
    if (
        known is None
        or deal.state not in OPEN_FOR_PAYMENT
        or not deal.due
        or notice_views.standing(session, deal.reference)
    ):
        return
    issue_for_deal(session, deal_id=deal_id, parts=(), terms=Terms(), actor=actor, at=at)


def reissue(
    session: Session, *, notice_id: uuid.UUID, reason: str, terms: Terms, actor: Actor, at: datetime
) -> notice_views.NoticeView:
    """Put a notice with other terms in the place of one: the same payment, a new reference, both are understood.

    Raises `NotFound`, `NoticeCancelled`, `NothingDue` for a paid one, and what issuing raises.
    """
    old = _lock(session, notice_id)
    view = notice_views.views(session, [old], at=at)[0]
    if view.cancellation is not None:
        raise NoticeCancelled
    if view.status in {NoticeStatus.PAID, NoticeStatus.CANCELLED}:
        raise NothingDue
    _cancel(session, old, reason=reason, actor=actor, at=at)
    draft = _draft(
        purpose=old.purpose,
        subject=old.subject,
        organisation_id=old.organisation_id,
        registration_id=old.registration_id,
        deal_id=old.deal_id,
        asked=old.asked,
        before_minor=old.before_minor,
        due_on=terms.due_on or max(old.due_on, local_date(at, ZONE)),
        position=old.position,
        replaces_id=old.id,
    )
    return notice_views.views(session, [_issue(session, draft, terms, actor=actor, at=at)], at=at)[0]


def cancel(
    session: Session, *, notice_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> notice_views.NoticeView:
    """Take a notice back; what comes under its reference from then on is looked at by a person.

    Raises `NotFound`, `NoticeCancelled`.
    """
    row = _lock(session, notice_id)
    _cancel(session, row, reason=reason, actor=actor, at=at)
    return notice_views.views(session, [row], at=at)[0]


def _draft(
    *,
    purpose: NoticePurpose,
    subject: str,
    organisation_id: uuid.UUID,
    asked: Money,
    before_minor: int,
    due_on: date,
    registration_id: uuid.UUID | None = None,
    deal_id: uuid.UUID | None = None,
    position: int = 1,
    replaces_id: uuid.UUID | None = None,
) -> PaymentNotice:
    return PaymentNotice(
        id=db.new_id(),
        reference=new_reference(ReferenceKind.NOTICE),
        subject=subject,
        purpose=purpose,
        organisation_id=organisation_id,
        registration_id=registration_id,
        deal_id=deal_id,
        position=position,
        currency=asked.currency,
        asked_minor=asked.minor,
        tail_minor=0,
        before_minor=before_minor,
        due_on=due_on,
        replaces_id=replaces_id,
    )


def _issue(session: Session, row: PaymentNotice, terms: Terms, *, actor: Actor, at: datetime) -> PaymentNotice:
    """Say where and until when a drafted notice is paid, with a tail that is free, and keep it."""
    account = _account(session, terms, row.currency)
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"notices:{account.id}"})
    today = local_date(at, ZONE)
    row.own_account_id = account.id
    row.expires_on = terms.expires_on or row.due_on + timedelta(days=rules.GRACE_DAYS)
    rules.check_dates(due_on=row.due_on, expires_on=row.expires_on, today=today)
    if terms.cent_tail:
        row.tail_minor = rules.free_tail(row.asked_minor, _taken(session, account, today=today))
    if terms.sub_account:
        receipt_keys.give_sub_account(session, reference=row.subject, number=terms.sub_account, actor=actor, at=at)
    row.issued_at, row.issued_by = at, actor.name
    session.add(row)
    session.flush()
    after = {"amount": str(row.amount), "for": row.subject}
    audit.record(session, actor=actor, at=at, subject=row, verb="issue", after=after)
    return row


def _account(session: Session, terms: Terms, currency: str) -> OwnAccount:
    if terms.own_account_id is None:
        return own_accounts.require_oldest(session, currency=currency)
    found = own_accounts.require_account(session, terms.own_account_id)
    if found.currency != currency:
        raise own_accounts.NoOwnAccount(currency)
    return found


def _taken(session: Session, account: OwnAccount, *, today: date) -> set[int]:
    """Amounts in minor units that notices of an account ask for, or asked for until lately; cancelled ones too."""
    amounts = select(PaymentNotice.asked_minor + PaymentNotice.tail_minor).where(
        PaymentNotice.own_account_id == account.id,
        PaymentNotice.expires_on >= today - timedelta(days=rules.RESTING_DAYS),
    )
    return set(session.scalars(amounts))


def _cancel(session: Session, row: PaymentNotice, *, reason: str, actor: Actor, at: datetime) -> None:
    session.add(
        NoticeCancellation(id=db.new_id(), notice_id=row.id, reason=reason, cancelled_at=at, cancelled_by=actor.name)
    )
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="cancel", reason=reason)


def _lock(session: Session, notice_id: uuid.UUID) -> PaymentNotice:
    row = session.scalars(select(PaymentNotice).where(PaymentNotice.id == notice_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("payment notice", notice_id)
    return row
