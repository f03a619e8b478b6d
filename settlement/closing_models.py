"""Rows of a closing and of what follows it: terms, third parties, parts of the money, adjustments.

What a case receives or gives back is a row for each case, held by triggers (migration 0024) to the total beside it.
"""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.adjustments import AdjustmentKind, AdjustmentState
from settlement.domain.assignment import DeliveryChannel, NoticeKind, NoticeState
from settlement.domain.decisions import PartState, TermsState, ThirdPartyKind

FOUR_EYES: Final = "decided_by_id IS NULL OR decided_by_id <> proposed_by_id OR state = 'rejected'"
DECIDED: Final = "(state = 'proposed') = (decided_at IS NULL)"


class ClosingTerms(Base):
    """What the closing of one deal says beyond the fee schedule, a version; form: `docs/algorithms/settlement.md`."""

    __tablename__ = "closing_terms"
    id: Mapped[uuid.UUID] = key()
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"), index=True)
    terms: Mapped[dict[str, Any]]
    state: Mapped[TermsState] = mapped_column(enum_column(TermsState))
    reason: Mapped[str]
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(FOUR_EYES, "four_eyes"),
        CheckConstraint(DECIDED, "decided_at_a_time"),
        Index("uq_closing_terms_undecided", "deal_id", unique=True, postgresql_where=text("state = 'proposed'")),
    )


class ThirdPartyClaim(Base):
    """What somebody other than the seller takes out of a deal, by which right, and what it was paid. Append-only."""

    __tablename__ = "third_party_claims"
    id: Mapped[uuid.UUID] = key()
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"), index=True)
    case_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[ThirdPartyKind] = mapped_column(enum_column(ThirdPartyKind))
    name: Mapped[str]
    payee: Mapped[str]
    account: Mapped[str]
    rank: Mapped[int]
    claim_minor: Mapped[int]
    paid_minor: Mapped[int]
    currency: Mapped[str] = currency()

    __table_args__ = (
        CheckConstraint("paid_minor BETWEEN 0 AND claim_minor", "paid_at_most_claim"),
        CheckConstraint("(kind = 'lien') = (case_id IS NOT NULL)", "lien_is_on_a_case"),
    )

    @property
    def claim(self) -> Money:
        """What it asks for."""
        return Money(self.claim_minor, self.currency)

    @property
    def paid(self) -> Money:
        """What it takes."""
        return Money(self.paid_minor, self.currency)


class DealPart(Base):
    """A part of a deal's proceeds: with the closing, with an instalment, or released from the holdback by two persons.

    An instalment's part has the id of its `DealInstalment`; number 1 comes by the closing or the first instalment.
    """

    __tablename__ = "deal_parts"
    id: Mapped[uuid.UUID] = key()
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"))
    number: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    state: Mapped[PartState] = mapped_column(enum_column(PartState))
    reason: Mapped[str]
    proposed_by_id: Mapped[uuid.UUID | None]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("deal_id", "number"),
        CheckConstraint("amount_minor >= 0 AND number > 0", "amount_not_negative"),
        CheckConstraint(DECIDED, "decided_at_a_time"),
        CheckConstraint(f"number = 1 OR ({FOUR_EYES})", "four_eyes"),
    )

    @property
    def amount(self) -> Money:
        """What all cases together receive of this part."""
        return Money(self.amount_minor, self.currency)


class PartShare(Base):
    """What one case receives of a part, in the part's currency. Append-only; they add up to the part."""

    __tablename__ = "part_shares"
    part_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deal_parts.id"), primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    amount_minor: Mapped[int]

    __table_args__ = (CheckConstraint("amount_minor >= 0", "amount_not_negative"),)


class CaseClosing(Base):
    """A case at the closing of its deal, in the deal's currency: its price beside its net, and what its proceeds pay.

    Frozen: append-only; prices add up to the deal's price and nets to its net. `proceeds` = net less liens on the case
    = costs + interest + principal + excess, in the order of the deal's terms.
    To look a case up needs no index of its own, as with `allocations`.
    """

    __tablename__ = "case_closings"
    deal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_key: Mapped[str]
    price_minor: Mapped[int]
    net_minor: Mapped[int]
    proceeds_minor: Mapped[int]
    costs_minor: Mapped[int]
    interest_minor: Mapped[int]
    principal_minor: Mapped[int]
    excess_minor: Mapped[int]

    __table_args__ = (
        CheckConstraint("least(price_minor, proceeds_minor) >= 0 AND proceeds_minor <= net_minor", "within_net"),
        CheckConstraint(
            "least(costs_minor, interest_minor, principal_minor, excess_minor) >= 0"
            " AND costs_minor + interest_minor + principal_minor + excess_minor = proceeds_minor",
            "parts_add_up",
        ),
    )


class Adjustment(Base):
    """Money between buyer and seller after the closing: above zero the seller owes the buyer. Approved by two persons.

    `covered` is how much of it has been paid, of the same sign. `reference` is what a wire that pays it names.
    """

    __tablename__ = "adjustments"
    id: Mapped[uuid.UUID] = key()
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"), index=True)
    kind: Mapped[AdjustmentKind] = mapped_column(enum_column(AdjustmentKind))
    state: Mapped[AdjustmentState] = mapped_column(enum_column(AdjustmentState))
    amount_minor: Mapped[int]
    covered_minor: Mapped[int]
    currency: Mapped[str] = currency()
    value_on: Mapped[date]
    reference: Mapped[str | None] = mapped_column(unique=True)
    reason: Mapped[str]
    proposed_by_id: Mapped[uuid.UUID]
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("amount_minor <> 0 AND reason <> ''", "says_what_and_why"),
        CheckConstraint(
            "covered_minor BETWEEN least(amount_minor, 0) AND greatest(amount_minor, 0)", "covered_at_most_amount"
        ),
        CheckConstraint("(state = 'settled') = (covered_minor = amount_minor)", "settled_is_covered"),
        CheckConstraint(FOUR_EYES, "four_eyes"),
        CheckConstraint(DECIDED, "decided_at_a_time"),
    )

    @property
    def amount(self) -> Money:
        """What the seller owes the buyer; below zero the other way."""
        return Money(self.amount_minor, self.currency)

    @property
    def covered(self) -> Money:
        """How much of it is paid."""
        return Money(self.covered_minor, self.currency)

    @property
    def open(self) -> Money:
        """How much of it is not."""
        return self.amount - self.covered


class AdjustmentCase(Base):
    """The part of one case in an adjustment, in its currency and with its sign. Append-only; they add up to it.

    `collected`: what the buyer collected on a case that goes back, else 0.
    """

    __tablename__ = "adjustment_cases"
    adjustment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("adjustments.id"), primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    amount_minor: Mapped[int]
    collected_minor: Mapped[int] = mapped_column(default=0)

    __table_args__ = (CheckConstraint("collected_minor >= 0", "collected_not_negative"),)


class AdjustmentCover(Base):
    """Money that paid part of an adjustment: out of the holdback, with a bank line, or off a balance. Append-only.

    `against_balance`: collections that reduced what the buyer still had to pay.
    """

    __tablename__ = "adjustment_covers"
    id: Mapped[uuid.UUID] = key()
    adjustment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("adjustments.id"), index=True)
    statement_line_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("statement_lines.id"), index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    entry_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("entries.id"))
    covered_at: Mapped[datetime]
    against_balance: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        CheckConstraint("amount_minor > 0", "amount_positive"),
        CheckConstraint("NOT against_balance OR statement_line_id IS NULL", "one_way"),
    )

    @property
    def amount(self) -> Money:
        """What was paid, above zero whichever way."""
        return Money(self.amount_minor, self.currency)


class AssignmentNotice(Base):
    """A notice to the borrower of one case of a deal: the paper as it was written, and the proof of its delivery.

    One of each kind at most: of the assignment, and of the way back when the case went back.
    """

    __tablename__ = "assignment_notices"
    id: Mapped[uuid.UUID] = key()
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"))
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), index=True)
    case_key: Mapped[str]
    kind: Mapped[NoticeKind] = mapped_column(enum_column(NoticeKind), default=NoticeKind.ASSIGNMENT)
    state: Mapped[NoticeState] = mapped_column(enum_column(NoticeState))
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("stored_files.id"))
    written_at: Mapped[datetime]
    channel: Mapped[DeliveryChannel | None] = mapped_column(enum_column(DeliveryChannel))
    sent_on: Mapped[date | None]
    delivered_on: Mapped[date | None]
    proof: Mapped[str] = mapped_column(default="")
    proof_file_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("stored_files.id"))

    __table_args__ = (
        UniqueConstraint("deal_id", "case_id", "kind"),
        CheckConstraint("proof_file_id IS NULL OR state <> 'written'", "proof_of_a_sent_one"),
        CheckConstraint("state = 'written' OR (channel IS NOT NULL AND sent_on IS NOT NULL)", "sent_some_way"),
        CheckConstraint("state <> 'delivered' OR (delivered_on >= sent_on AND proof <> '')", "delivered_with_proof"),
    )
