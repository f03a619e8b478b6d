"""Closing the books day by day: nothing is posted into a closed day, and each closed day seals all days before it.

A closed day is never opened again: what belongs to it is posted today with its own value date. The lock is the trigger
`entries_period_open`; the hash is `settlement.domain.chain`; with the day come snapshots of the balances that moved.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from marketplace import audit, clock, db
from marketplace.actor import SYSTEM, Actor
from settlement.domain import chain
from settlement.domain.chain import DaySeal, SealedEntry
from settlement.domain.ledger import BOOKS_ZONE, DayNotOver
from settlement.ledger_models import ClosedDay
from settlement.models import Entry

MAX_DAYS: Final = 400
"""Days closed in one transaction; what is left is closed by the next."""

GRACE: Final = timedelta(hours=2)
"""How long after midnight the clockwork leaves a day open for work that began in it."""

_SNAPSHOTS: Final = text(
    "INSERT INTO balance_snapshots (account_id, day, balance_minor)"
    " SELECT moved.account_id, :day, moved.minor + coalesce(before.balance_minor, 0)"
    " FROM (SELECT p.account_id, sum(p.amount_minor) AS minor FROM entries e JOIN postings p ON p.entry_id = e.id"
    "       WHERE e.posted_on = :day GROUP BY p.account_id) AS moved"
    " LEFT JOIN LATERAL (SELECT balance_minor FROM balance_snapshots s WHERE s.account_id = moved.account_id"
    "                    ORDER BY s.day DESC LIMIT 1) AS before ON true"
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a recomputation of the chain found. `differs_on`: the first day whose rows are not those sealed."""

    days: int
    entries: int
    head_day: date | None
    head_hash: str
    differs_on: date | None
    reason: str

    @property
    def agrees(self) -> bool:
        """True when every closed day is as it was sealed."""
        return self.differs_on is None


def close_days(session: Session, *, actor: Actor, at: datetime, through: date | None = None) -> list[ClosedDay]:
    """Close every open day through a day (the last that is over), oldest first; what is closed already is left alone.

    Raises `DayNotOver` for today or later. At most `MAX_DAYS` at a time.
    """
    yesterday = clock.local_date(at, BOOKS_ZONE) - timedelta(days=1)
    last_day = yesterday if through is None else through
    if last_day > yesterday:
        raise DayNotOver(last_day)
    session.flush()
    closed: list[ClosedDay] = []
    while len(closed) < MAX_DAYS:
        before = last_closed(session)
        day = _first_day(session) if before is None else before.day + timedelta(days=1)
        if day is None or day > last_day:
            break
        session.execute(
            text("SELECT pg_advisory_xact_lock(20200, CAST(:day AS date) - DATE '2000-01-01')"), {"day": day}
        )
        if last_closed(session) is before:
            closed.append(_close(session, day, before, actor=actor, at=at))
    return closed


def close_due(session: Session, at: datetime) -> list[ClosedDay]:
    """Close what is over since `GRACE`: the work of the clock."""
    through = clock.local_date(at - GRACE, BOOKS_ZONE) - timedelta(days=1)
    return close_days(session, actor=SYSTEM, at=at, through=through)


def _close(session: Session, day: date, before: ClosedDay | None, *, actor: Actor, at: datetime) -> ClosedDay:
    number, previous = (1, chain.FIRST) if before is None else (before.number + 1, before.hash)
    seal = _seal(session, DaySeal(day=day, number=number, previous=previous))
    row = ClosedDay(
        id=db.new_id(),
        number=number,
        day=day,
        version=chain.VERSION,
        entry_count=seal.entries,
        line_count=seal.lines,
        previous_hash=previous,
        hash=seal.hash,
        closed_at=at,
        closed_by=actor.name,
    )
    session.add(row)
    session.flush()
    session.execute(_SNAPSHOTS, {"day": day})
    audit.record(session, actor=actor, at=at, subject=row, verb="close", after={"hash": row.hash})
    return row


def last_closed(session: Session) -> ClosedDay | None:
    """Return the newest closed day, the head of the chain; None before the first."""
    return session.scalars(select(ClosedDay).order_by(ClosedDay.number.desc()).limit(1)).first()


def list_days(session: Session, *, cursor: str | None, limit: int) -> db.Page[ClosedDay]:
    """Return a page of closed days, newest first."""
    return db.page(session, select(ClosedDay), key_column=ClosedDay.id, cursor=cursor, limit=limit)


def verify(session: Session) -> Verification:
    """Recompute the chain from the rows; stop at the first day that is not as it was sealed."""
    days = entries = 0
    head: ClosedDay | None = None
    first = _first_day(session)
    for day in session.scalars(select(ClosedDay).order_by(ClosedDay.number)).all():
        reason = _difference(session, day, head, first)
        if reason:
            return _verified(days, entries, head, day.day, reason)
        head, days, entries = day, days + 1, entries + day.entry_count
    return _verified(days, entries, head, None, "")


def _verified(days: int, entries: int, head: ClosedDay | None, differs_on: date | None, reason: str) -> Verification:
    if head is None:
        return Verification(days, entries, None, chain.FIRST, differs_on, reason)
    return Verification(days, entries, head.day, head.hash, differs_on, reason)


def _difference(session: Session, day: ClosedDay, head: ClosedDay | None, first: date | None) -> str:
    """Say what is wrong with a closed day, nothing when it is as it was sealed."""
    if head is None and first is not None and first < day.day:
        return f"an entry of {first.isoformat()} is older than the first closed day"
    follows = (day.number, day.previous_hash) == ((1, chain.FIRST) if head is None else (head.number + 1, head.hash))
    if not follows or (head is not None and day.day != head.day + timedelta(days=1)):
        return "the day does not follow the one before it"
    seal = _seal(session, DaySeal(day=day.day, number=day.number, previous=day.previous_hash, version=day.version))
    if (seal.entries, seal.lines) != (day.entry_count, day.line_count):
        return f"{seal.entries} entries with {seal.lines} lines, sealed were {day.entry_count} with {day.line_count}"
    if seal.hash != day.hash:
        return "the hash differs: what was written is not what was sealed"
    wrong = session.scalars(_WRONG_SNAPSHOTS, {"day": day.day}).first()
    return f"the snapshot of account {wrong} is not the sum of its postings" if wrong else ""


_WRONG_SNAPSHOTS: Final = text(
    "SELECT a.key FROM (SELECT p.account_id, sum(p.amount_minor) AS minor FROM entries e"
    "  JOIN postings p ON p.entry_id = e.id WHERE e.posted_on = :day GROUP BY p.account_id) AS moved"
    " FULL JOIN (SELECT * FROM balance_snapshots WHERE day = :day) AS taken ON taken.account_id = moved.account_id"
    " LEFT JOIN LATERAL (SELECT s.balance_minor FROM balance_snapshots s WHERE s.day < :day"
    "  AND s.account_id = coalesce(moved.account_id, taken.account_id) ORDER BY s.day DESC LIMIT 1) AS before ON true"
    " JOIN accounts a ON a.id = coalesce(moved.account_id, taken.account_id)"
    " WHERE taken.balance_minor IS DISTINCT FROM moved.minor + coalesce(before.balance_minor, 0) ORDER BY a.key LIMIT 1"
)


_ENTRIES: Final = text(
    "SELECT e.id, e.source_kind, e.source_id, e.description, e.currency, e.value_on, e.posted_on, e.posted_at,"
    " e.posted_by, e.reverses_id, l.numbers, l.account_keys, l.amounts FROM entries e CROSS JOIN LATERAL ("
    "  SELECT array_agg(p.line ORDER BY p.line) AS numbers, array_agg(a.key ORDER BY p.line) AS account_keys,"
    "   array_agg(p.amount_minor ORDER BY p.line) AS amounts"
    "  FROM postings p JOIN accounts a ON a.id = p.account_id WHERE p.entry_id = e.id) AS l"
    " WHERE e.posted_on = :day ORDER BY e.id"
)


def _first_day(session: Session) -> date | None:
    return session.scalars(select(func.min(Entry.posted_on))).one()


def _seal(session: Session, seal: DaySeal) -> DaySeal:
    """Add every entry of the seal's day in order of id; rows are fetched by the thousand, so memory is bounded."""
    rows = session.execute(_ENTRIES, {"day": seal.day}, execution_options={"yield_per": 1000})
    for row in rows:
        seal.add(
            SealedEntry(
                id=row.id,
                source_kind=row.source_kind,
                source_id=row.source_id,
                description=row.description,
                currency=row.currency,
                value_on=row.value_on,
                posted_on=row.posted_on,
                posted_at=row.posted_at,
                posted_by=row.posted_by,
                reverses_id=row.reverses_id,
                lines=list(zip(row.numbers or (), row.account_keys or (), row.amounts or (), strict=True)),
            )
        )
    return seal
