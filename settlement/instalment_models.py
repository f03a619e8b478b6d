"""Rows of a price that is distributed as it comes: each instalment, whom it paid before the cases, what each case has.

All append-only. What the cases of an instalment have is held to it by a trigger (migration 0033); what of that is paid
to the seller at once are the shares of the part with the same id.
"""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, key
from marketplace.money import Money


class DealInstalment(Base):
    """A receipt of a deal run through the waterfall: received = deducted + net; net = liens + held + at once.

    Its id is that of the part (`deal_parts`) by which the cases receive what is paid at once, and of its entry.
    `receipt_entry_id` is the entry by which the money came: once distributed, it is not taken back any more.
    """

    __tablename__ = "deal_instalments"
    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deal_parts.id"), primary_key=True)
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"))
    number: Mapped[int]
    receipt_entry_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("entries.id"), unique=True)
    received_minor: Mapped[int]
    deducted_minor: Mapped[int]
    net_minor: Mapped[int]
    liens_minor: Mapped[int]
    held_minor: Mapped[int]
    case_count: Mapped[int]
    currency: Mapped[str] = currency()
    distributed_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("deal_id", "number"),
        CheckConstraint("received_minor > 0 AND received_minor = deducted_minor + net_minor", "adds_up"),
        CheckConstraint("least(deducted_minor, net_minor, liens_minor, held_minor) >= 0", "amounts_not_negative"),
        CheckConstraint("liens_minor + held_minor <= net_minor", "within_net"),
    )

    @property
    def received(self) -> Money:
        """What came in."""
        return Money(self.received_minor, self.currency)

    @property
    def deducted(self) -> Money:
        """What deductions and senior claims took of it."""
        return Money(self.deducted_minor, self.currency)

    @property
    def net(self) -> Money:
        """What the cases share of it."""
        return Money(self.net_minor, self.currency)

    @property
    def liens(self) -> Money:
        """What liens on single cases took of the net."""
        return Money(self.liens_minor, self.currency)

    @property
    def held(self) -> Money:
        """What is kept back of the net."""
        return Money(self.held_minor, self.currency)

    @property
    def at_once(self) -> Money:
        """What the seller is paid of it now."""
        return self.net - self.liens - self.held


class InstalmentPayment(Base):
    """What a deduction, a senior claim or a lien took of an instalment; `position` as in the closing. Append-only.

    `claim_id` names the third party; none for what is the operator's or the tax office's.
    """

    __tablename__ = "instalment_payments"
    id: Mapped[uuid.UUID] = key()
    instalment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deal_instalments.id"))
    position: Mapped[int]
    is_lien: Mapped[bool]
    name: Mapped[str]
    payee: Mapped[str]
    claim_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("third_party_claims.id"))
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()

    __table_args__ = (
        UniqueConstraint("instalment_id", "position"),
        CheckConstraint("amount_minor > 0", "amount_positive"),
        CheckConstraint("NOT is_lien OR claim_id IS NOT NULL", "lien_is_a_claim"),
    )

    @property
    def amount(self) -> Money:
        """What it took."""
        return Money(self.amount_minor, self.currency)


class InstalmentShare(Base):
    """What one case has of an instalment: `net`, and what liens on it take of that. Append-only; add up to it."""

    __tablename__ = "instalment_shares"
    instalment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deal_instalments.id"), primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, index=True)
    case_key: Mapped[str]
    weight: Mapped[int]
    net_minor: Mapped[int]
    lien_minor: Mapped[int]

    __table_args__ = (
        CheckConstraint("weight >= 0", "weight_not_negative"),
        CheckConstraint("lien_minor BETWEEN 0 AND net_minor", "lien_within_net"),
    )
