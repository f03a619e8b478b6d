"""Rows of what is asked for: payment notices, their cancellations, sub-accounts, tolerances. All only ever added to."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.notices import NoticePurpose


class PaymentNotice(Base):
    """A payment that somebody is asked for: an amount (with its cent tail) until a day, under a reference of its own.

    `subject` is the reference of the deposit or deal that it is for; `before_minor` what that had received when the
    notice was issued; `position` the place of an instalment in its plan; `replaces_id` the notice that this one is
    instead of.
    """

    __tablename__ = "payment_notices"
    id: Mapped[uuid.UUID] = key()
    reference: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    purpose: Mapped[NoticePurpose] = mapped_column(enum_column(NoticePurpose))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    registration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("registrations.id"))
    deal_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deals.id"), index=True)
    own_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("own_accounts.id"))
    position: Mapped[int]
    currency: Mapped[str] = currency()
    asked_minor: Mapped[int]
    tail_minor: Mapped[int]
    before_minor: Mapped[int]
    due_on: Mapped[date]
    expires_on: Mapped[date]
    replaces_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payment_notices.id"))
    issued_at: Mapped[datetime]
    issued_by: Mapped[str]

    __table_args__ = (
        UniqueConstraint("reference"),
        UniqueConstraint("replaces_id"),
        CheckConstraint("(registration_id IS NULL) <> (deal_id IS NULL)", "one_subject"),
        CheckConstraint("(purpose = 'deposit') = (registration_id IS NOT NULL)", "deposit_of_a_registration"),
        CheckConstraint("asked_minor > 0 AND before_minor >= 0", "asked_above_zero"),
        CheckConstraint("tail_minor BETWEEN 0 AND 99", "tail_is_cents"),
        CheckConstraint("position >= 1", "position_counts_from_one"),
        CheckConstraint("due_on <= expires_on", "due_before_it_expires"),
        Index("ix_payment_notices_own_account_id", "own_account_id", "expires_on"),
    )

    @property
    def asked(self) -> Money:
        """What is owed."""
        return Money(self.asked_minor, self.currency)

    @property
    def tail(self) -> Money:
        """The cents that make the amount unlike every other."""
        return Money(self.tail_minor, self.currency)

    @property
    def amount(self) -> Money:
        """What is to be transferred: asked + tail."""
        return self.asked + self.tail


class NoticeCancellation(Base):
    """A notice that does not stand any more, and why."""

    __tablename__ = "notice_cancellations"
    id: Mapped[uuid.UUID] = key()
    notice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payment_notices.id"))
    reason: Mapped[str]
    cancelled_at: Mapped[datetime]
    cancelled_by: Mapped[str]

    __table_args__ = (UniqueConstraint("notice_id"),)


class SubAccount(Base):
    """A virtual sub-account that was given out for one deposit or deal, for good: whatever comes there is for it."""

    __tablename__ = "sub_accounts"
    id: Mapped[uuid.UUID] = key()
    number: Mapped[str]
    number_key: Mapped[str]
    reference: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("number_key <> ''", "number_said"),
        UniqueConstraint("number_key"),
        UniqueConstraint("reference"),
    )


class PaymentTolerance(Base):
    """How much too little or too much is let go for a purpose in a currency, from a day until the next version."""

    __tablename__ = "payment_tolerances"
    id: Mapped[uuid.UUID] = key()
    purpose: Mapped[NoticePurpose] = mapped_column(enum_column(NoticePurpose))
    currency: Mapped[str] = currency()
    under_minor: Mapped[int]
    over_minor: Mapped[int]
    valid_from_on: Mapped[date]
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("under_minor >= 0 AND over_minor >= 0", "not_negative"),
        CheckConstraint("purpose <> 'deposit' OR under_minor + over_minor = 0", "none_for_deposits"),
        Index("ix_payment_tolerances_purpose", "purpose", "currency", "valid_from_on"),
    )

    @property
    def under(self) -> Money:
        """So much may be missing."""
        return Money(self.under_minor, self.currency)

    @property
    def over(self) -> Money:
        """So much may be too much without anybody looking at it."""
        return Money(self.over_minor, self.currency)
