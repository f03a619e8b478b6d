"""Rows of collection, only ever added: level rules and levels, contacts and their outcomes, receipts."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from collection.domain.contact import Channel, ContactRule, PolicyPreset, Relation
from collection.domain.receipts import ReceiptKind
from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money


class LevelRuleVersion(Base):
    """One version of a seller's rule of levels; the latest holds."""

    __tablename__ = "level_rules"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    version: Mapped[str]
    rules: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("organisation_id", "version"),)


class CaseLevel(Base):
    """The level of a case, with the facts and scores it came from; the latest holds."""

    __tablename__ = "case_levels"
    id: Mapped[uuid.UUID] = key()
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    level: Mapped[str]
    rule_version: Mapped[str]
    facts: Mapped[dict[str, Any]]
    scores: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (Index("ix_case_levels_case_id", "case_id", "id"),)


class ApplicationOrder(Base):
    """In which order money pays costs, interest, principal of a case, or of a seller's cases; the latest holds."""

    __tablename__ = "application_orders"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    case_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("cases.id"))
    sets: Mapped[list[Any]]
    reason: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("reason <> ''", "says_why"),
        Index("ix_application_orders_organisation_id", "organisation_id", "case_id", "id"),
        Index("ix_application_orders_case_id", "case_id"),
    )


class ContactRecord(Base):
    """One question to the gate, and what it answered; allowed ones were made. The number is hashed and masked."""

    __tablename__ = "contact_records"
    id: Mapped[uuid.UUID] = key()
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    at: Mapped[datetime]
    user_id: Mapped[uuid.UUID | None]
    user_name: Mapped[str]
    policy: Mapped[PolicyPreset] = mapped_column(enum_column(PolicyPreset))
    relation: Mapped[Relation] = mapped_column(enum_column(Relation))
    channel: Mapped[Channel] = mapped_column(enum_column(Channel))
    number_fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    number_masked: Mapped[str | None]
    zone: Mapped[str]
    reachable: Mapped[bool]
    consent: Mapped[bool]
    allowed: Mapped[bool]
    rule: Mapped[ContactRule | None] = mapped_column(enum_column(ContactRule))
    reason: Mapped[str]

    __table_args__ = (
        CheckConstraint("allowed = (rule IS NULL)", "rule_when_refused"),
        Index("ix_contact_records_case_id", "case_id", "id"),
    )


class ContactOutcome(Base):
    """What came of a contact that was made."""

    __tablename__ = "contact_outcomes"
    contact_record_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("contact_records.id"), primary_key=True)
    answered: Mapped[bool]
    note: Mapped[str]
    at: Mapped[datetime]


class CaseReceipt(Base):
    """Money on a case; the four parts add up to the amount. A reversal is a row of its own with the opposite signs."""

    __tablename__ = "case_receipts"
    id: Mapped[uuid.UUID] = key()
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    package_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("packages.id"))
    kind: Mapped[ReceiptKind] = mapped_column(enum_column(ReceiptKind))
    source_kind: Mapped[str]
    source_id: Mapped[uuid.UUID]
    currency: Mapped[str] = currency()
    amount_minor: Mapped[int]
    other_minor: Mapped[int] = mapped_column(default=0)
    interest_minor: Mapped[int] = mapped_column(default=0)
    principal_minor: Mapped[int] = mapped_column(default=0)
    excess_minor: Mapped[int] = mapped_column(default=0)
    received_on: Mapped[date]
    note: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("source_kind", "source_id", "case_id", name="uq_case_receipts_source"),
        CheckConstraint(
            "(kind = 'reversal' AND amount_minor < 0) OR (kind <> 'reversal' AND amount_minor >= 0)", "sign"
        ),
        CheckConstraint(
            "kind = 'proceeds' OR other_minor + interest_minor + principal_minor + excess_minor = amount_minor",
            "parts_add_up",
        ),
        Index("ix_case_receipts_case_id", "case_id", "id"),
    )

    @property
    def amount(self) -> Money:
        """The amount with its sign."""
        return Money(self.amount_minor, self.currency)

    @property
    def applied(self) -> dict[str, Money]:
        """The parts by what they paid."""
        parts = {
            "other": self.other_minor,
            "interest": self.interest_minor,
            "principal": self.principal_minor,
            "excess": self.excess_minor,
        }
        return {name: Money(minor, self.currency) for name, minor in parts.items()}
