"""Fee schedules: what is deducted from a price, as versioned data in the form of the funds flow document.

A deal is pinned to the version in force on the day of its award, so a later version changes no deal under way.
"""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.documents import Node
from marketplace.errors import Invalid
from settlement.deal_models import FeeSchedule
from settlement.domain import deal as rules
from settlement.domain import ledger as books
from settlement.domain.funds_flow import Deduction
from settlement.domain.split import read_deductions

PAYEE_ACCOUNTS: Final = {"operator": books.COMMISSION, "tax": books.VAT}
"""Account of the books that a payee of a fee schedule is credited on."""


class UnknownPayee(Invalid):
    """The schedule pays somebody whom the books have no account for."""

    code = "unknown_payee"

    def __init__(self, payee: str) -> None:
        super().__init__(f"{payee[:60]!r} cannot be a payee of a fee schedule.", allowed=sorted(PAYEE_ACCOUNTS))


class StartsInThePast(Invalid):
    """A schedule would change what was already charged."""

    code = "starts_in_the_past"

    def __init__(self, on: date) -> None:
        super().__init__(f"A fee schedule is in force from a day after today, not from {on.isoformat()}.")


def schedule_in_force(session: Session, *, currency: str, on: date) -> FeeSchedule:
    """Return the schedule of a currency on a day; raise `FeeScheduleMissing`."""
    found = session.scalars(
        select(FeeSchedule)
        .where(FeeSchedule.currency == currency, FeeSchedule.valid_from_on <= on)
        .order_by(FeeSchedule.valid_from_on.desc(), FeeSchedule.version.desc())
        .limit(1)
    ).first()
    if found is None:
        raise rules.FeeScheduleMissing(currency, on)
    return found


def require_schedule(session: Session, schedule_id: uuid.UUID) -> FeeSchedule:
    """Return the schedule that a deal is pinned to."""
    return session.get_one(FeeSchedule, schedule_id)


def deductions_of(schedule: FeeSchedule) -> list[Deduction]:
    """Return the rules of a schedule."""
    return read_deductions(Node(schedule.deductions, "/deductions"), schedule.currency, inside=True)


def add_schedule(
    session: Session, *, currency: str, valid_from_on: date, deductions: list[Any], actor: Actor, at: datetime
) -> FeeSchedule:
    """Add the next version for a currency; raise `BadDocument`, `UnknownPayee`, `StartsInThePast`."""
    rows = read_deductions(Node(deductions, "/deductions"), currency, inside=True)
    for row in rows:
        if row.payee not in PAYEE_ACCOUNTS:
            raise UnknownPayee(row.payee)
    if valid_from_on <= local_date(at, rules.ZONE):
        raise StartsInThePast(valid_from_on)
    last = session.scalar(select(func.max(FeeSchedule.version)).where(FeeSchedule.currency == currency))
    schedule = FeeSchedule(
        id=db.new_id(),
        currency=currency,
        version=(last or 0) + 1,
        valid_from_on=valid_from_on,
        deductions=deductions,
        created_at=at,
    )
    session.add(schedule)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=schedule, verb="add", after={"version": schedule.version})
    return schedule


def list_schedules(session: Session, *, cursor: str | None, limit: int) -> db.Page[FeeSchedule]:
    """Return a page of fee schedules, newest first; everybody may know what is charged."""
    return db.page(session, select(FeeSchedule), key_column=FeeSchedule.id, cursor=cursor, limit=limit)
