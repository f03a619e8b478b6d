"""Tolerances: what is let go by purpose and currency, as versions with a first day. Rules: `domain.tolerances`."""

from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from settlement.domain.deal import ZONE
from settlement.domain.notices import NoticePurpose
from settlement.domain.tolerances import Tolerance, ToleranceStartsInThePast, check_tolerance
from settlement.notice_models import NoticeCancellation, PaymentNotice, PaymentTolerance


def in_force(session: Session, *, purpose: NoticePurpose, currency: str, on: date) -> Tolerance:
    """Return what is let go on a day; nothing where nobody said otherwise."""
    row = session.scalars(
        select(PaymentTolerance)
        .where(
            PaymentTolerance.purpose == purpose,
            PaymentTolerance.currency == currency,
            PaymentTolerance.valid_from_on <= on,
        )
        .order_by(PaymentTolerance.valid_from_on.desc(), PaymentTolerance.id.desc())
        .limit(1)
    ).first()
    zero = Money.zero(currency)
    return Tolerance(zero, zero) if row is None else Tolerance(row.under, row.over)


def surplus_let_go(session: Session, *, subject: str, currency: str, on: date) -> Money:
    """Return how much too much for a deal needs nobody's decision: the tolerance, or the cent tails that we asked for.

    It stays unapplied either way.
    """
    asked = session.scalar(
        select(func.coalesce(func.sum(PaymentNotice.tail_minor), 0)).where(
            PaymentNotice.subject == subject, PaymentNotice.id.not_in(select(NoticeCancellation.notice_id))
        )
    )
    tolerance = in_force(session, purpose=NoticePurpose.BALANCE, currency=currency, on=on)
    return max(tolerance.over, Money(int(asked or 0), currency))


def add_tolerance(
    session: Session, *, purpose: NoticePurpose, under: Money, over: Money, valid_from_on: date, actor: Actor,
    at: datetime,
) -> PaymentTolerance:  # fmt: skip
    """Add the next version. Raises `DepositTolerated`, `ToleranceStartsInThePast`, `CurrencyMismatch`."""
    check_tolerance(purpose, Tolerance(under, over))
    if valid_from_on <= local_date(at, ZONE):
        raise ToleranceStartsInThePast(valid_from_on)
    row = PaymentTolerance(
        id=db.new_id(),
        purpose=purpose,
        currency=under.currency,
        under_minor=under.minor,
        over_minor=over.minor,
        valid_from_on=valid_from_on,
        created_at=at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    after = {"purpose": purpose.value, "under": str(under), "over": str(over)}
    audit.record(session, actor=actor, at=at, subject=row, verb="add", after=after)
    return row


def list_tolerances(session: Session, *, cursor: str | None, limit: int) -> db.Page[PaymentTolerance]:
    """Return a page of tolerances, newest first; everybody may know what is let go."""
    return db.page(session, select(PaymentTolerance), key_column=PaymentTolerance.id, cursor=cursor, limit=limit)
