"""The exception queue: lines of which something is not matched, with finding, owner and age, on screen and as files."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.cases.domain import sheet
from marketplace.clock import local_date
from marketplace.errors import Invalid
from marketplace.parties import service as parties
from settlement import matches
from settlement.bank_models import LineAssignment
from settlement.domain.ledger import BOOKS_ZONE
from settlement.domain.matching import Finding
from settlement.models import Account, Posting, StatementLine

MAX_ROWS: Final = 10_000
"""Lines of one file of the queue, oldest first."""

HEADINGS: Final = (
    "booked_on", "age_days", "account", "amount", "open", "currency", "finding", "payer", "payer_account",
    "remittance", "bank_reference", "owner", "line_id",
)  # fmt: skip


class OwnerUnknown(Invalid):
    """The owner of a line is a person of the operator."""

    code = "owner_unknown"

    def __init__(self) -> None:
        super().__init__("The owner of a line is an active person of the operator.")


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines: of a statement or account, with a finding, of an owner, of some age, open ones only."""

    statement_id: uuid.UUID | None = None
    only_open: bool = False
    finding: Finding | None = None
    account: str | None = None
    owner_id: uuid.UUID | None = None
    booked_until: date | None = None


def list_lines(session: Session, *, wanted: LineFilter, cursor: str | None, limit: int) -> db.Page[matches.LineView]:
    """Return a page of statement lines, newest first."""
    page: db.Page[StatementLine] = db.page(
        session, _query(wanted), key_column=StatementLine.id, cursor=cursor, limit=limit
    )
    return db.Page(matches.views(session, lines=page.items), page.next)


def booked_before(at: datetime, *, days: int) -> date:
    """The last day on which a line was booked that is `days` old or older at an instant, in the zone of the books."""
    return local_date(at, BOOKS_ZONE) - timedelta(days=days)


def _query(wanted: LineFilter) -> Select[StatementLine]:
    query = select(StatementLine)
    if wanted.statement_id is not None:
        query = query.where(StatementLine.statement_id == wanted.statement_id)
    if wanted.finding is not None:
        query = query.where(StatementLine.finding == wanted.finding)
    if wanted.account is not None:
        query = query.where(StatementLine.account_number == wanted.account)
    if wanted.booked_until is not None:
        query = query.where(StatementLine.booked_on <= wanted.booked_until)
    if wanted.owner_id is not None:
        owner = (
            select(LineAssignment.owner_id)
            .where(LineAssignment.line_id == StatementLine.id)
            .order_by(LineAssignment.id.desc())
            .limit(1)
            .correlate(StatementLine)
            .scalar_subquery()
        )
        query = query.where(owner == wanted.owner_id)
    return query.where(_open_part() != 0) if wanted.only_open else query


def _open_part() -> ColumnElement[int]:
    """What of a line still stands on its own account of the books."""
    line_id = cast(StatementLine.id, Text)
    for_line = Account.key.in_([literal("unapplied:") + line_id, literal("unexplained:") + line_id])
    return (
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(Account, Account.id == Posting.account_id)
        .where(for_line)
        .correlate(StatementLine)
        .scalar_subquery()
    )


def assign_line(
    session: Session, *, line_id: uuid.UUID, owner_id: uuid.UUID | None, note: str, actor: Actor, at: datetime
) -> matches.LineView:
    """Say who looks after a line from now on: a person of the operator, the actor unless named.

    Raises `NotFound`, `OwnerUnknown`.
    """
    line = matches.lock_line(session, line_id)
    owner = actor.name
    if owner_id is None:
        owner_id = actor.user_id
    else:
        found = parties.find_user(session, owner_id, organisation_id=actor.organisation_id)
        if found is None:
            raise OwnerUnknown
        owner = found.name
    row = LineAssignment(
        id=db.new_id(),
        line_id=line.id,
        owner_id=owner_id,
        owner=owner,
        note=note,
        assigned_by=actor.name,
        assigned_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=line, verb="assign", after={"owner": owner}, reason=note)
    return matches.views(session, lines=[line])[0]


def table(session: Session, *, at: datetime) -> list[list[Any]]:
    """Return the open lines as rows under `HEADINGS`, oldest first, at most 10,000."""
    today = local_date(at, BOOKS_ZONE)
    query = _query(LineFilter(only_open=True)).order_by(StatementLine.booked_on, StatementLine.id).limit(MAX_ROWS)
    rows: list[list[Any]] = [list(HEADINGS)]
    for view in matches.views(session, lines=session.scalars(query).all()):
        line = view.line
        rows.append(
            [
                line.booked_on.isoformat(),
                (today - line.booked_on).days,
                line.account_number,
                line.amount.to_decimal(),
                view.open.to_decimal(),
                line.currency,
                line.finding.value,
                line.counterparty_name,
                line.counterparty_account,
                line.remittance,
                line.bank_reference,
                view.owner.owner if view.owner is not None else "",
                str(line.id),
            ]
        )
    return rows


def queue_csv(session: Session, *, at: datetime) -> bytes:
    """Return the queue as CSV in UTF-8 with a mark; formula cells are defused."""
    head, *rows = table(session, at=at)
    return sheet.to_csv(head, rows)


def queue_xlsx(session: Session, *, at: datetime) -> bytes:
    """Return the queue as a workbook; text never becomes a formula."""
    head, *rows = table(session, at=at)
    return sheet.to_xlsx(head, rows, name="queue")
