"""Reading the books: entries with their lines, the statement of an account with its running balance."""

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import false, func, select, tuple_
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.errors import Invalid
from marketplace.money import Money
from settlement.domain.ledger import Line, account_type
from settlement.models import Account, Entry, Posting


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with its lines."""

    entry: Entry
    lines: Sequence[Line]


def list_entries(session: Session, *, account: str | None, cursor: str | None, limit: int) -> db.Page[EntryView]:
    """Return a page of entries, newest first, with all their lines; `account` leaves those that touch its key."""
    query = select(Entry)
    if account is not None:
        touched = select(Posting.entry_id).join(Account, Account.id == Posting.account_id).where(Account.key == account)
        query = query.where(Entry.id.in_(touched))
    page: db.Page[Entry] = db.page(session, query, key_column=Entry.id, cursor=cursor, limit=limit)
    rows = session.execute(
        select(Posting.entry_id, Account.key, Posting.amount_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id.in_([entry.id for entry in page.items]))
        .order_by(Posting.entry_id, Posting.line)
    )
    lines: dict[uuid.UUID, list[Line]] = {entry.id: [] for entry in page.items}
    for entry_id, key, amount_minor in rows:
        lines[entry_id].append(Line(key, amount_minor))
    return db.Page([EntryView(entry, lines[entry.id]) for entry in page.items], page.next)


class DateKind(enum.StrEnum):
    """By which of its two dates an entry is taken."""

    VALUE = "value"
    POSTING = "posting"


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A line of a statement of account: the entry, what it moved, and what stood there after it."""

    entry: Entry
    amount: Money
    balance: Money


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """Lines of one account in one currency between two days, both inclusive, in order of the date and the entry.

    `opening` is what stood there before the first line shown, `closing` after the last; debit +, credit −.
    """

    key: str
    currency: str
    opening: Money
    rows: Sequence[StatementRow]
    closing: Money
    next: str | None


class UnknownPosition(Invalid):
    """The cursor was not given out by this statement."""

    code = "unknown_cursor"

    def __init__(self) -> None:
        super().__init__("The cursor is not one that this statement gave out; start again without it.")


def account_statement(
    session: Session,
    *,
    key: str,
    currency: str,
    by: DateKind = DateKind.POSTING,
    from_on: date | None = None,
    to_on: date | None = None,
    cursor: str | None = None,
    limit: int = 1000,
) -> AccountStatement:
    """Return what moved on an account with the running balance; raise `UnknownAccount`, `UnknownPosition`.

    An account that was never posted to has an empty statement. Costs what is shown plus one sum of what is before.
    """
    account_type(key)
    session.flush()
    on = Entry.value_on if by is DateKind.VALUE else Entry.posted_on
    place = tuple_(on, Entry.id, Posting.line)
    mine = (
        select(Posting.amount_minor)
        .join(Entry, Entry.id == Posting.entry_id)
        .join(Account, Account.id == Posting.account_id)
        .where(Account.key == key, Account.currency == currency)
    )
    shown, before = mine, mine.where(false())
    if cursor is not None:
        after = tuple_(*_position(cursor))
        shown, before = mine.where(place > after), mine.where(place <= after)
    elif from_on is not None:
        shown, before = mine.where(on >= from_on), mine.where(on < from_on)
    if to_on is not None:
        shown = shown.where(on <= to_on)
    opening = session.scalar(select(func.coalesce(func.sum(before.subquery().c.amount_minor), 0)))
    found = session.execute(
        shown.with_only_columns(Entry, Posting.amount_minor, Posting.line)
        .order_by(on, Entry.id, Posting.line)
        .limit(limit + 1)
    ).all()
    balance, rows = int(opening or 0), []
    for entry, minor, _ in found[:limit]:
        balance += minor
        rows.append(StatementRow(entry, Money(minor, currency), Money(balance, currency)))
    more = None
    if len(found) > limit:
        entry, _, line = found[limit - 1]
        more = f"{entry.value_on if by is DateKind.VALUE else entry.posted_on}/{entry.id}/{line}"
    return AccountStatement(key, currency, Money(int(opening or 0), currency), rows, Money(balance, currency), more)


def _position(cursor: str) -> tuple[date, uuid.UUID, int]:
    try:
        day, entry_id, line = cursor.split("/")
        return date.fromisoformat(day), uuid.UUID(entry_id), int(line)
    except ValueError:
        raise UnknownPosition from None
