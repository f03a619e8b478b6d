"""Rows of money: the books, bank statements and their lines, matches, deposits, payment orders.

Accounts, entries, postings, statements and matches are only ever added (triggers `…_append_only`). Rows of deals are
in `settlement.deal_models`, of what is asked for in `settlement.notice_models`, of card payments in
`settlement.card_models`.
"""

import uuid
from datetime import date, datetime

from sqlalchemy import (
    CHAR,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.ledger import AccountKind
from settlement.domain.matching import Finding
from settlement.domain.orders import PaymentOrderState, PaymentPurpose, Rail
from settlement.domain.statements import StatementFormat


class Account(Base):
    """An account of the books, in one currency. `limited`: its credit balance never falls below zero."""

    __tablename__ = "accounts"
    id: Mapped[uuid.UUID] = key()
    key: Mapped[str]
    currency: Mapped[str] = currency()
    kind: Mapped[AccountKind] = mapped_column(enum_column(AccountKind))
    limited: Mapped[bool]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("key", "currency"), UniqueConstraint("id", "currency"))


class Entry(Base):
    """Something that happened to money, once: `source_kind` and `source_id` say what, and are unique."""

    __tablename__ = "entries"
    id: Mapped[uuid.UUID] = key()
    source_kind: Mapped[str]
    source_id: Mapped[uuid.UUID]
    description: Mapped[str]
    currency: Mapped[str] = currency()
    value_on: Mapped[date]
    posted_on: Mapped[date]
    posted_at: Mapped[datetime]
    posted_by: Mapped[str]
    reverses_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))

    __table_args__ = (
        UniqueConstraint("source_kind", "source_id"),
        Index("uq_entries_reverses_id", "reverses_id", unique=True, postgresql_where=text("reverses_id IS NOT NULL")),
        CheckConstraint("posted_on = CAST(timezone('Asia/Shanghai', posted_at) AS date)", "posted_on_is_its_day"),
        Index("ix_entries_posted_on_id", "posted_on", "id"),
    )


class Posting(Base):
    """A line of an entry: debit +, credit −. PostgreSQL checks that those of an entry add up to zero.

    `posted_on` is the entry's own, so that the tail after a snapshot is one range of an index. Both keys are declared
    and checked by the statement trigger `postings_add_up`, once for each distinct one, without locks of the rows.
    """

    __tablename__ = "postings"
    entry_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID]
    currency: Mapped[str] = currency()
    amount_minor: Mapped[int]
    posted_on: Mapped[date]

    __table_args__ = (
        ForeignKeyConstraint(["account_id", "currency"], ["accounts.id", "accounts.currency"]),
        ForeignKeyConstraint(["entry_id"], ["entries.id"]),
        CheckConstraint("amount_minor <> 0", "amount_not_zero"),
        Index(
            "ix_postings_account_id_posted_on",
            "account_id",
            "posted_on",
            postgresql_include=["amount_minor", "entry_id"],
        ),
    )

    @property
    def amount(self) -> Money:
        """The amount, debit +, credit −."""
        return Money(self.amount_minor, self.currency)


class BankStatement(Base):
    """A statement as the bank gave it. `proven`: opening + lines = closing was checked, not only believed.

    `head_minor`: what our account stood at after its new lines, where the next statement has to begin.
    """

    __tablename__ = "bank_statements"
    id: Mapped[uuid.UUID] = key()
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("stored_files.id"))
    sha256: Mapped[str] = mapped_column(CHAR(64))
    position: Mapped[int]
    format: Mapped[StatementFormat] = mapped_column(enum_column(StatementFormat))
    account_number: Mapped[str]
    currency: Mapped[str] = currency()
    reference: Mapped[str]
    from_on: Mapped[date | None]
    to_on: Mapped[date | None]
    opening_minor: Mapped[int | None]
    closing_minor: Mapped[int | None]
    proven: Mapped[bool]
    line_count: Mapped[int]
    new_line_count: Mapped[int]
    pending_count: Mapped[int]
    imported_at: Mapped[datetime]
    imported_by: Mapped[str]
    own_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("own_accounts.id"))
    number: Mapped[int | None]
    page: Mapped[int | None]
    head_minor: Mapped[int]

    __table_args__ = (
        UniqueConstraint("sha256", "account_number", "currency", "position"),
        Index("ix_bank_statements_own_account_id", "own_account_id", "id"),
    )

    @property
    def opening(self) -> Money | None:
        """Balance before the first line."""
        return None if self.opening_minor is None else Money(self.opening_minor, self.currency)

    @property
    def closing(self) -> Money | None:
        """Balance after the last line."""
        return None if self.closing_minor is None else Money(self.closing_minor, self.currency)


class StatementLine(Base):
    """One movement on our bank account: credit +, debit −. Its identity is content and occurrence, never the file."""

    __tablename__ = "statement_lines"
    id: Mapped[uuid.UUID] = key()
    statement_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bank_statements.id"), index=True)
    position: Mapped[int]
    account_number: Mapped[str]
    currency: Mapped[str] = currency()
    amount_minor: Mapped[int]
    booked_on: Mapped[date]
    value_on: Mapped[date]
    remittance: Mapped[str]
    end_to_end_id: Mapped[str]
    counterparty_name: Mapped[str]
    counterparty_account: Mapped[str]
    bank_reference: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(CHAR(64))
    occurrence: Mapped[int]
    finding: Mapped[Finding] = mapped_column(enum_column(Finding))
    sub_account: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        Index("ix_statement_lines_finding", "finding", "booked_on"),
        UniqueConstraint("account_number", "currency", "fingerprint", "occurrence", name="uq_statement_lines_identity"),
        CheckConstraint("occurrence >= 1", "occurrence_counts_from_one"),
    )

    @property
    def amount(self) -> Money:
        """The movement, credit +, debit −."""
        return Money(self.amount_minor, self.currency)


class Deposit(Base):
    """The deposit of one registration, from its first cent on; how much is held stands in the books, not here."""

    __tablename__ = "deposits"
    id: Mapped[uuid.UUID] = key()
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    reference: Mapped[str]
    required_minor: Mapped[int]
    currency: Mapped[str] = currency()
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("registration_id"),
        CheckConstraint("required_minor >= 0", "required_not_negative"),
    )

    @property
    def required(self) -> Money:
        """What must be held for the registration to be covered."""
        return Money(self.required_minor, self.currency)


class PaymentOrder(Base):
    """Money that we ask the bank to pay. It is set aside in the books from the proposal on (`in_payment:<id>`)."""

    __tablename__ = "payment_orders"
    id: Mapped[uuid.UUID] = key()
    reference: Mapped[str]
    state: Mapped[PaymentOrderState] = mapped_column(enum_column(PaymentOrderState))
    purpose: Mapped[PaymentPurpose] = mapped_column(enum_column(PaymentPurpose))
    rail: Mapped[Rail] = mapped_column(enum_column(Rail))
    payee_organisation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organisations.id"))
    payee_name: Mapped[str]
    payee_account: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    remittance: Mapped[str]
    source_kind: Mapped[str]
    source_id: Mapped[uuid.UUID]
    source_account: Mapped[str]
    registration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("registrations.id"), index=True)
    proposed_by_id: Mapped[uuid.UUID | None]
    proposed_by: Mapped[str]
    approved_by_id: Mapped[uuid.UUID | None]
    approved_by: Mapped[str | None]
    created_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    settled_by_line_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("statement_lines.id"))
    first_approved_by_id: Mapped[uuid.UUID | None]
    first_approved_by: Mapped[str | None]
    returned_at: Mapped[datetime | None]
    returned_by_line_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("statement_lines.id"))

    __table_args__ = (
        UniqueConstraint("reference"),
        UniqueConstraint("settled_by_line_id"),
        UniqueConstraint("returned_by_line_id"),
        CheckConstraint("approved_by_id <> first_approved_by_id", "two_approvers"),
        CheckConstraint("first_approved_by_id <> proposed_by_id", "first_approver_is_another"),
        CheckConstraint("(state = 'returned') = (returned_by_line_id IS NOT NULL)", "returned_by_a_line"),
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
        CheckConstraint("approved_by_id <> proposed_by_id", "four_eyes"),
        CheckConstraint(
            "state IN ('proposed', 'cancelled') OR approved_by_id IS NOT NULL OR source_kind = 'card_payment.returned'",
            "approver_known",
        ),
        Index(
            "uq_payment_orders_source",
            "source_kind",
            "source_id",
            unique=True,
            postgresql_where=text("state NOT IN ('cancelled', 'returned')"),
        ),
        Index("ix_payment_orders_payee_organisation_id", "payee_organisation_id"),
    )

    @property
    def amount(self) -> Money:
        """What is to be paid."""
        return Money(self.amount_minor, self.currency)


class PaymentLimit(Base):
    """Above what amount two persons besides the proposer's side approve a payment; the newest of a currency counts."""

    __tablename__ = "payment_limits"
    id: Mapped[uuid.UUID] = key()
    currency: Mapped[str] = currency()
    two_approvals_above_minor: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("two_approvals_above_minor >= 0", "limit_not_negative"),
        Index("ix_payment_limits_currency", "currency", "id"),
    )

    @property
    def limit(self) -> Money:
        """Up to this amount one approval is enough."""
        return Money(self.two_approvals_above_minor, self.currency)


class BankAccount(Base):
    """Where an organisation wants to be paid; the newest counts, older ones stay."""

    __tablename__ = "bank_accounts"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    holder: Mapped[str]
    number: Mapped[str]
    bank_name: Mapped[str]
    bank_code: Mapped[str]
    currency: Mapped[str] = currency()
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class Match(Base):
    """What a receipt (a statement line, or a card payment) was found to be for, and the entry that says so."""

    __tablename__ = "matches"
    id: Mapped[uuid.UUID] = key()
    line_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("statement_lines.id"), index=True)
    card_payment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("card_payments.id"))
    reference: Mapped[str]
    deposit_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deposits.id"), index=True)
    payment_order_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payment_orders.id"))
    card_payout_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("card_payouts.id"))
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    automatic: Mapped[bool]
    matched_by: Mapped[str]
    matched_at: Mapped[datetime]
    payer_name: Mapped[str]
    payer_account: Mapped[str]
    rail: Mapped[Rail] = mapped_column(enum_column(Rail))

    __table_args__ = (
        CheckConstraint("(line_id IS NULL) <> (card_payment_id IS NULL)", "one_receipt"),
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
        UniqueConstraint("card_payment_id"),
    )

    @property
    def amount(self) -> Money:
        """How much of the receipt was for this."""
        return Money(self.amount_minor, self.currency)
