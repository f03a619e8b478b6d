"""The trial balance: debits and credits of every name of the chart, as of both dates; equal in each currency."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from marketplace.money import Money
from settlement.models import Account, Entry, Posting


@dataclass(frozen=True, slots=True)
class TrialRow:
    """What was posted to one name of the chart in one currency; `accounts`: how many accounts bear the name."""

    name: str
    currency: str
    accounts: int
    debit: Money
    credit: Money

    @property
    def balance(self) -> Money:
        """Debit less credit."""
        return self.debit - self.credit


@dataclass(frozen=True, slots=True)
class TrialTotal:
    """All names of one currency together."""

    currency: str
    debit: Money
    credit: Money

    @property
    def balance(self) -> Money:
        """Zero."""
        return self.debit - self.credit


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Rows in order of currency and name, and a total for each currency."""

    value_on: date | None
    posted_on: date | None
    rows: list[TrialRow]

    @property
    def totals(self) -> list[TrialTotal]:
        """Debits and credits of each currency."""
        found = []
        for currency in dict.fromkeys(row.currency for row in self.rows):
            mine = [row for row in self.rows if row.currency == currency]
            debit, credit = sum(row.debit.minor for row in mine), sum(row.credit.minor for row in mine)
            found.append(TrialTotal(currency, Money(debit, currency), Money(credit, currency)))
        return found


def trial_balance(session: Session, *, value_on: date | None = None, posted_on: date | None = None) -> TrialBalance:
    """Add up every posting by name and currency, as of the end of a value and a posting date."""
    session.flush()
    name = func.split_part(Account.key, ":", 1)
    amount = Posting.amount_minor
    query = (
        select(
            name,
            Account.currency,
            func.count(Account.id.distinct()),
            func.coalesce(func.sum(case((amount > 0, amount))), 0),
            func.coalesce(func.sum(case((amount < 0, -amount))), 0),
        )
        .join(Posting, Posting.account_id == Account.id)
        .group_by(name, Account.currency)
        .order_by(Account.currency, name)
    )
    if posted_on is not None:
        query = query.where(Posting.posted_on <= posted_on)
    if value_on is not None:
        query = query.join(Entry, Entry.id == Posting.entry_id).where(Entry.value_on <= value_on)
    rows = [
        TrialRow(key, currency, int(count), Money(int(debit), currency), Money(int(credit), currency))
        for key, currency, count, debit, credit in session.execute(query)
    ]
    return TrialBalance(value_on, posted_on, rows)
