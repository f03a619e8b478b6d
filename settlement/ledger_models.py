"""Rows beside the books: closed days and their hash chain, balance snapshots, client-money checks, corrections.

All but `corrections` are only ever added; a closed day is never opened again.
"""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.corrections import CorrectionState
from settlement.domain.exchange import ExchangeState


class ClosedDay(Base):
    """A posting day into which nothing is posted any more, and its link of the hash chain.

    Days follow each other without a gap from the first day with an entry (trigger `closed_days_follow`); `hash` is
    `settlement.domain.chain` version `version` over the day's entries and `previous_hash`.
    """

    __tablename__ = "closed_days"
    id: Mapped[uuid.UUID] = key()
    number: Mapped[int]
    day: Mapped[date]
    version: Mapped[int]
    entry_count: Mapped[int]
    line_count: Mapped[int]
    previous_hash: Mapped[str] = mapped_column(CHAR(64))
    hash: Mapped[str] = mapped_column(CHAR(64))
    closed_at: Mapped[datetime]
    closed_by: Mapped[str]

    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("day"),
        CheckConstraint("number > 0 AND entry_count >= 0 AND line_count >= 2 * entry_count", "counts"),
        CheckConstraint("day < CAST(timezone('Asia/Shanghai', closed_at) AS date)", "day_is_over"),
    )


class BalanceSnapshot(Base):
    """What an account held at the end of a closed day, written when it had postings since the snapshot before."""

    __tablename__ = "balance_snapshots"
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(ForeignKey("closed_days.day"), primary_key=True)
    balance_minor: Mapped[int]


class ClientMoneyCheck(Base):
    """Of one currency at one instant: what is in the bank less what we owe. `parts` holds each figure, minor units."""

    __tablename__ = "client_money_checks"
    id: Mapped[uuid.UUID] = key()
    day: Mapped[date]
    currency: Mapped[str] = currency()
    held_minor: Mapped[int]
    owed_minor: Mapped[int]
    own_minor: Mapped[int]
    unexplained_minor: Mapped[int]
    difference_minor: Mapped[int]
    passed: Mapped[bool]
    parts: Mapped[dict[str, Any]]
    checked_at: Mapped[datetime]
    checked_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("difference_minor = held_minor - owed_minor - own_minor", "difference_adds_up"),
        CheckConstraint("passed = (difference_minor = 0 AND unexplained_minor = 0)", "passed_when_nothing_is_missing"),
        Index("ix_client_money_checks_currency_id", "currency", "id"),
    )

    @property
    def held(self) -> Money:
        """What is on our accounts, as the bank and Stripe say."""
        return Money(self.held_minor, self.currency)

    @property
    def owed(self) -> Money:
        """What belongs to others."""
        return Money(self.owed_minor, self.currency)

    @property
    def own(self) -> Money:
        """What is ours or the tax office's."""
        return Money(self.own_minor, self.currency)

    @property
    def unexplained(self) -> Money:
        """What left without an order that we know."""
        return Money(self.unexplained_minor, self.currency)

    @property
    def difference(self) -> Money:
        """What is missing (below zero) or nobody's (above)."""
        return Money(self.difference_minor, self.currency)


class Correction(Base):
    """What a person wants posted: an entry taken back (`reverses_id`), or lines of its own.

    Above the limit another person says yes before it is posted. `lines`: [[account, minor units as text], …].
    """

    __tablename__ = "corrections"
    id: Mapped[uuid.UUID] = key()
    reverses_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))
    lines: Mapped[list[Any]]
    state: Mapped[CorrectionState] = mapped_column(enum_column(CorrectionState))
    reason: Mapped[str]
    value_on: Mapped[date]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    four_eyes: Mapped[bool]
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    entry_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))

    __table_args__ = (
        CheckConstraint("amount_minor > 0 AND reason <> ''", "says_what_and_why"),
        CheckConstraint("(state = 'posted') = (entry_id IS NOT NULL)", "posted_has_entry"),
        CheckConstraint(
            "NOT four_eyes OR state <> 'posted' OR (decided_by_id IS NOT NULL AND decided_by_id <> proposed_by_id)",
            "four_eyes",
        ),
        Index("uq_corrections_reverses_id", "reverses_id", unique=True, postgresql_where=text("state <> 'rejected'")),
    )

    @property
    def amount(self) -> Money:
        """Sum of the debits."""
        return Money(self.amount_minor, self.currency)


class CorrectionLimit(Base):
    """Up to how much one person alone corrects the books, in a currency; the newest counts, none means nothing."""

    __tablename__ = "correction_limits"
    id: Mapped[uuid.UUID] = key()
    currency: Mapped[str] = currency()
    limit_minor: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("limit_minor >= 0", "not_negative"),
        Index("ix_correction_limits_currency_id", "currency", "id"),
    )

    @property
    def limit(self) -> Money:
        """The limit, inclusive."""
        return Money(self.limit_minor, self.currency)


class CurrencyChange(Base):
    """Money changed, as two bank lines show it: one took `sold`, the other brought `bought`. Two persons decide."""

    __tablename__ = "currency_changes"
    id: Mapped[uuid.UUID] = key()
    state: Mapped[ExchangeState] = mapped_column(enum_column(ExchangeState))
    sold_line_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("statement_lines.id"))
    bought_line_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("statement_lines.id"))
    sold_minor: Mapped[int]
    sold_currency: Mapped[str] = currency()
    bought_minor: Mapped[int]
    bought_currency: Mapped[str] = currency()
    reason: Mapped[str]
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("sold_minor > 0 AND bought_minor > 0 AND sold_currency <> bought_currency", "is_a_change"),
        CheckConstraint("state <> 'posted' OR decided_by_id <> proposed_by_id", "four_eyes"),
        CheckConstraint("(state = 'proposed') = (decided_by_id IS NULL)", "decided_by_somebody"),
    )

    @property
    def sold(self) -> Money:
        """What was given up."""
        return Money(self.sold_minor, self.sold_currency)

    @property
    def bought(self) -> Money:
        """What was received."""
        return Money(self.bought_minor, self.bought_currency)


class Revaluation(Base):
    """The position of money changed, valued in a home currency for a day. `rates`: home for one, as decimal text.

    `gain_minor`: what moved to the result, a loss below zero; none before it is posted.
    """

    __tablename__ = "revaluations"
    id: Mapped[uuid.UUID] = key()
    state: Mapped[ExchangeState] = mapped_column(enum_column(ExchangeState))
    home: Mapped[str] = currency()
    rates: Mapped[dict[str, Any]]
    value_on: Mapped[date]
    reason: Mapped[str]
    gain_minor: Mapped[int | None]
    entry_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state <> 'posted' OR decided_by_id <> proposed_by_id", "four_eyes"),
        CheckConstraint("(state = 'proposed') = (decided_by_id IS NULL)", "decided_by_somebody"),
        CheckConstraint("(state = 'posted') = (gain_minor IS NOT NULL)", "posted_has_a_result"),
        Index("uq_revaluations_posted", "home", "value_on", unique=True, postgresql_where=text("state = 'posted'")),
    )

    @property
    def gain(self) -> Money | None:
        """Gain (above zero) or loss, once posted."""
        return None if self.gain_minor is None else Money(self.gain_minor, self.home)
