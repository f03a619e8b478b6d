"""Rows around bank statements: our own accounts, proposals, undone matches, owners, closed days.

Every one is only ever added (triggers `…_append_only`): a decision is a row beside the proposal, the undoing of a
match a row beside the match, and the newest assignment of a line is its owner.
"""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.ladder import Rung


class OwnAccount(Base):
    """One of our accounts at a bank, in one currency. Statements of any other account are refused.

    `opening_minor`: what it stood at before the first statement, which the chain of statements begins with.
    `numbered`: the bank counts its statements without gaps. `four_eyes_above_minor`: a person's match of more than
    this is a proposal for a second person.
    """

    __tablename__ = "own_accounts"
    id: Mapped[uuid.UUID] = key()
    bank_name: Mapped[str]
    holder: Mapped[str]
    number: Mapped[str]
    number_key: Mapped[str]
    currency: Mapped[str] = currency()
    opening_minor: Mapped[int]
    numbered: Mapped[bool]
    csv_profile: Mapped[str]
    four_eyes_above_minor: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        UniqueConstraint("number_key", "currency"),
        CheckConstraint("number_key <> ''", "number_said"),
        CheckConstraint("four_eyes_above_minor >= 0", "limit_not_negative"),
    )

    @property
    def opening(self) -> Money:
        """What the account stood at before its first statement."""
        return Money(self.opening_minor, self.currency)

    @property
    def four_eyes_above(self) -> Money:
        """A person's match of more than this needs a second person."""
        return Money(self.four_eyes_above_minor, self.currency)


class MatchReversal(Base):
    """A match taken back, with the entry that reversed its entry."""

    __tablename__ = "match_reversals"
    id: Mapped[uuid.UUID] = key()
    match_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("matches.id"))
    entry_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("entries.id"))
    reason: Mapped[str]
    reversed_by_id: Mapped[uuid.UUID | None]
    reversed_by: Mapped[str]
    reversed_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("match_id"), UniqueConstraint("entry_id"))


class MatchProposal(Base):
    """A person's match that needs a second person; its parts are `[{"line_id", "reference", "amount_minor"}]`.

    `third_party`: somebody else than the registered buyer paid; then a document and a reason say why it counts.
    """

    __tablename__ = "match_proposals"
    id: Mapped[uuid.UUID] = key()
    line_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("statement_lines.id"), index=True)
    parts: Mapped[list[Any]]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    rung: Mapped[Rung | None] = mapped_column(enum_column(Rung))
    third_party: Mapped[bool] = mapped_column(default=False)
    document_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("stored_files.id"))
    reason: Mapped[str] = mapped_column(default="")
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
        CheckConstraint("NOT third_party OR (document_id IS NOT NULL AND reason <> '')", "third_party_documented"),
        UniqueConstraint("id", "proposed_by_id"),
    )

    @property
    def amount(self) -> Money:
        """What the parts add up to."""
        return Money(self.amount_minor, self.currency)


class MatchDecision(Base):
    """A second person's yes or no to a proposal; PostgreSQL itself refuses the proposer's own."""

    __tablename__ = "match_decisions"
    id: Mapped[uuid.UUID] = key()
    proposal_id: Mapped[uuid.UUID]
    proposed_by_id: Mapped[uuid.UUID]
    approved: Mapped[bool]
    reason: Mapped[str]
    decided_by_id: Mapped[uuid.UUID]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["proposal_id", "proposed_by_id"],
            ["match_proposals.id", "match_proposals.proposed_by_id"],
            name="fk_match_decisions_proposal",
        ),
        UniqueConstraint("proposal_id"),
        CheckConstraint("decided_by_id <> proposed_by_id", "four_eyes"),
    )


class LineAssignment(Base):
    """Who looks after a line of the exception queue from then on; the newest counts."""

    __tablename__ = "line_assignments"
    id: Mapped[uuid.UUID] = key()
    line_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("statement_lines.id"))
    owner_id: Mapped[uuid.UUID | None]
    owner: Mapped[str]
    note: Mapped[str]
    assigned_by: Mapped[str]
    assigned_at: Mapped[datetime]

    __table_args__ = (Index("ix_line_assignments_line_id", "line_id", "id"),)


class DayClose(Base):
    """Bank against books of one account at the end of a day, written down with the explanation of what differs."""

    __tablename__ = "day_closes"
    id: Mapped[uuid.UUID] = key()
    own_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("own_accounts.id"))
    closed_on: Mapped[date]
    currency: Mapped[str] = currency()
    bank_minor: Mapped[int]
    ledger_minor: Mapped[int]
    in_transit_minor: Mapped[int]
    difference_minor: Mapped[int]
    explanation: Mapped[str]
    closed_by: Mapped[str]
    closed_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("own_account_id", "closed_on"),
        CheckConstraint("difference_minor = bank_minor - ledger_minor", "difference_adds_up"),
        CheckConstraint("difference_minor = 0 OR explanation <> ''", "difference_explained"),
    )


class ReleaseAlert(Base):
    """A deposit that was not back with its payer by the deadline of its market; raised once."""

    __tablename__ = "release_alerts"
    id: Mapped[uuid.UUID] = key()
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    due_at: Mapped[datetime]
    raised_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("registration_id"),
        CheckConstraint("amount_minor > 0 AND raised_at >= due_at", "raised_when_late"),
    )

    @property
    def amount(self) -> Money:
        """What was late."""
        return Money(self.amount_minor, self.currency)
