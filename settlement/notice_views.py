"""Where payment notices stand: what has come for each, derived from its subject as of a day, and who may see it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.errors import NotFound
from marketplace.money import Money
from marketplace.parties import service as parties
from settlement import receipt_keys, tolerances
from settlement.bank_models import MatchReversal, OwnAccount
from settlement.deal_models import Deal
from settlement.domain import notices as rules
from settlement.domain.deal import OPEN_FOR_PAYMENT, ZONE, DealState
from settlement.domain.notices import NoticePurpose, NoticeStatus
from settlement.models import Deposit, Match
from settlement.notice_models import NoticeCancellation, PaymentNotice

OPEN_REGISTRATIONS: Final = frozenset({"applied", "approved"})
"""States of a registration whose deposit is awaited."""


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice as of a day: what has come for it, where it stands, where to pay, who is asked."""

    notice: PaymentNotice
    received: Money
    status: NoticeStatus
    account: OwnAccount
    sub_account: str
    payer_name: str
    cancellation: NoticeCancellation | None


def standing(session: Session, subject: str) -> list[PaymentNotice]:
    """Notices of a deposit or deal that were not cancelled, in the order of their plan."""
    query = select(PaymentNotice).where(
        PaymentNotice.subject == subject, PaymentNotice.id.not_in(select(NoticeCancellation.notice_id))
    )
    return list(session.scalars(query.order_by(PaymentNotice.position, PaymentNotice.id)))


def get_notice(session: Session, *, notice_id: uuid.UUID, actor: Actor, at: datetime) -> NoticeView:
    """Return a notice to whoever is asked, operator and auditor; raise `NotFound` to everybody else."""
    row = session.get(PaymentNotice, notice_id)
    if row is None or not (actor.sees_everything or row.organisation_id == actor.organisation_id):
        raise NotFound("payment notice", notice_id)
    return views(session, [row], at=at)[0]


def list_notices(
    session: Session,
    *,
    deal_id: uuid.UUID | None,
    registration_id: uuid.UUID | None,
    cursor: str | None,
    limit: int,
    actor: Actor,
    at: datetime,
) -> db.Page[NoticeView]:
    """Return a page of the notices that the actor may see, newest first."""
    query = select(PaymentNotice)
    if not actor.sees_everything:
        query = query.where(PaymentNotice.organisation_id == actor.organisation_id)
    if deal_id is not None:
        query = query.where(PaymentNotice.deal_id == deal_id)
    if registration_id is not None:
        query = query.where(PaymentNotice.registration_id == registration_id)
    rows: db.Page[PaymentNotice] = db.page(session, query, key_column=PaymentNotice.id, cursor=cursor, limit=limit)
    return db.Page(views(session, rows.items, at=at), rows.next)


def is_overdue(session: Session, deal: Deal, *, on: date) -> bool:
    """Say whether a deal is behind on a day: by the instalments agreed where there are any, else by its own day."""
    if deal.state not in OPEN_FOR_PAYMENT or not deal.due:
        return False
    plan = [one for one in standing(session, deal.reference) if one.purpose is NoticePurpose.INSTALMENT]
    if not plan:
        return deal.overdue(on)
    late = {NoticeStatus.OVERDUE, NoticeStatus.EXPIRED}
    return any(one.status in late for one in _as_of(session, plan, on=on))


def views(session: Session, rows: Sequence[PaymentNotice], *, at: datetime) -> list[NoticeView]:
    """Return notices as of the day of an instant, in the order given; a constant number of queries."""
    return _as_of(session, rows, on=local_date(at, ZONE))


def _as_of(session: Session, rows: Sequence[PaymentNotice], *, on: date) -> list[NoticeView]:
    received, closed = _received(session, rows)
    ids = [row.id for row in rows]
    cancelled = {
        one.notice_id: one
        for one in session.scalars(select(NoticeCancellation).where(NoticeCancellation.notice_id.in_(ids)))
    }
    accounts = {
        one.id: one
        for one in session.scalars(select(OwnAccount).where(OwnAccount.id.in_({row.own_account_id for row in rows})))
    }
    numbers = receipt_keys.sub_accounts_of(session, {row.subject for row in rows})
    names = parties.organisation_names(session, {row.organisation_id for row in rows})
    tolerated = {
        currency: tolerances.in_force(session, purpose=NoticePurpose.INSTALMENT, currency=currency, on=on).under
        for currency in {row.currency for row in rows if row.purpose is NoticePurpose.INSTALMENT}
    }
    return [
        NoticeView(
            notice=row,
            received=Money(received.get(row.id, 0), row.currency),
            status=rules.status(
                asked_minor=row.asked_minor,
                received_minor=received.get(row.id, 0),
                tolerated_minor=tolerated[row.currency].minor if row.purpose is NoticePurpose.INSTALMENT else 0,
                due_on=row.due_on,
                expires_on=row.expires_on,
                cancelled=row.id in cancelled or row.subject in closed,
                on=on,
            ),
            account=accounts[row.own_account_id],
            sub_account=numbers.get(row.subject, ""),
            payer_name=names[row.organisation_id],
            cancellation=cancelled.get(row.id),
        )
        for row in rows
    ]


def _received(session: Session, rows: Sequence[PaymentNotice]) -> tuple[dict[uuid.UUID, int], set[str]]:
    """Return what each standing notice has received, and the subjects that take nothing any more."""
    plans = session.scalars(
        select(PaymentNotice)
        .where(
            PaymentNotice.subject.in_({row.subject for row in rows}),
            PaymentNotice.id.not_in(select(NoticeCancellation.notice_id)),
        )
        .order_by(PaymentNotice.subject, PaymentNotice.position, PaymentNotice.id)
    ).all()
    totals, closed = _subjects(session, rows)
    filled: dict[uuid.UUID, int] = {}
    by_subject: dict[str, list[PaymentNotice]] = {}
    for one in plans:
        by_subject.setdefault(one.subject, []).append(one)
    for subject, plan in by_subject.items():
        parts = rules.fill([one.asked_minor for one in plan], totals.get(subject, 0) - plan[0].before_minor)
        filled |= {one.id: part for one, part in zip(plan, parts, strict=True)}
    return filled, closed


def _subjects(session: Session, rows: Sequence[PaymentNotice]) -> tuple[dict[str, int], set[str]]:
    """What the deposits and deals behind notices have received in all, minor units, and those that are closed."""
    totals: dict[str, int] = {}
    closed: set[str] = set()
    deal_ids = {row.deal_id for row in rows if row.deal_id is not None}
    for deal in session.scalars(select(Deal).where(Deal.id.in_(deal_ids))):
        totals[deal.reference] = deal.received_minor + deal.waived_minor
        if deal.state is DealState.CANCELLED:
            closed.add(deal.reference)
    registration_ids = [row.registration_id for row in rows if row.registration_id is not None]
    received = deposits_received(session, registration_ids)
    for row in rows:
        if row.registration_id is not None:
            totals[row.subject] = received.get(row.registration_id, 0)
            state = auctions.require_registration(session, row.registration_id).state
            if state.value not in OPEN_REGISTRATIONS:
                closed.add(row.subject)
    return totals, closed


def deposits_received(session: Session, registration_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """What ever came in for deposits and was not taken back, minor units."""
    rows = session.execute(
        select(Deposit.registration_id, func.sum(Match.amount_minor))
        .join(Match, Match.deposit_id == Deposit.id)
        .where(Deposit.registration_id.in_(registration_ids), Match.id.not_in(select(MatchReversal.match_id)))
        .group_by(Deposit.registration_id)
    )
    return {registration_id: int(total) for registration_id, total in rows}
