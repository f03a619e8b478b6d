"""Unapplied cash: money that came and belongs to nothing yet is a liability with an age, per receipt and in buckets.

What is open is read from the books (`unapplied:<receipt>`), so the report adds up to the account of the chart; the age
counts from the day the bank booked the money (a card payment: the day it came), in the zone of the books.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.orm import Session

from marketplace.clock import local_date
from marketplace.money import Money
from settlement.domain.ledger import BOOKS_ZONE
from settlement.domain.matching import Finding
from settlement.models import Account, Posting, StatementLine

BUCKETS: Final = (7, 30, 90)
"""Ages in days up to which (inclusive) a bucket reaches; the last one has no end."""

_PREFIX: Final = "unapplied:"


@dataclass(frozen=True, slots=True)
class UnappliedItem:
    """A receipt of which something is open. A card payment has no line of the bank and no finding."""

    receipt_id: uuid.UUID
    since: date
    age_days: int
    open: Money
    finding: Finding | None
    payer_name: str
    payer_account: str
    remittance: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """Receipts of one currency of `from_days` to `to_days` (None: older) of age."""

    currency: str
    from_days: int
    to_days: int | None
    count: int
    total: Money


@dataclass(frozen=True, slots=True)
class UnappliedReport:
    """Everything unapplied as of a day, oldest first; each currency's buckets add up to its total in the books."""

    on: date
    buckets: Sequence[Bucket]
    totals: Sequence[Money]
    items: Sequence[UnappliedItem]


def report(session: Session, *, at: datetime) -> UnappliedReport:
    """Return what is unapplied now, with its age."""
    on = local_date(at, BOOKS_ZONE)
    items = sorted(_items(session, on), key=lambda one: (one.since, one.receipt_id))
    currencies = sorted({one.open.currency for one in items})
    buckets = [bucket for currency in currencies for bucket in _buckets(items, currency)]
    return UnappliedReport(on, buckets, [_total(items, currency) for currency in currencies], items)


def _items(session: Session, on: date) -> list[UnappliedItem]:
    session.flush()
    open_ones = (
        select(
            Account.key,
            Account.currency,
            (-func.sum(Posting.amount_minor)).label("minor"),
            func.min(Posting.posted_on).label("since"),
        )
        .join(Posting, Posting.account_id == Account.id)
        .where(Account.key.startswith(_PREFIX, autoescape=True))
        .group_by(Account.key, Account.currency)
        .having(func.sum(Posting.amount_minor) != 0)
        .subquery()
    )
    rows = session.execute(
        select(open_ones.c.key, open_ones.c.currency, open_ones.c.minor, open_ones.c.since, StatementLine).outerjoin(
            StatementLine, literal(_PREFIX) + cast(StatementLine.id, Text) == open_ones.c.key
        )
    )
    items = []
    for key, currency, minor, posted_on, line in rows:
        since = posted_on if line is None else line.booked_on
        items.append(
            UnappliedItem(
                receipt_id=uuid.UUID(key.removeprefix(_PREFIX)),
                since=since,
                age_days=max((on - since).days, 0),
                open=Money(int(minor), currency),
                finding=None if line is None else line.finding,
                payer_name="" if line is None else line.counterparty_name,
                payer_account="" if line is None else line.counterparty_account,
                remittance="" if line is None else line.remittance,
            )
        )
    return items


def _buckets(items: Sequence[UnappliedItem], currency: str) -> list[Bucket]:
    starts = (0, *(end + 1 for end in BUCKETS))
    found = []
    for start, end in zip(starts, (*BUCKETS, None), strict=True):
        mine = [
            one
            for one in items
            if one.open.currency == currency and start <= one.age_days and (end is None or one.age_days <= end)
        ]
        found.append(Bucket(currency, start, end, len(mine), _total(mine, currency)))
    return found


def _total(items: Sequence[UnappliedItem], currency: str) -> Money:
    return Money(sum(one.open.minor for one in items if one.open.currency == currency), currency)
