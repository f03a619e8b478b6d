"""Rows of valuation: appraisals and who signed them, sets of assumptions, figures of the model."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from valuation.domain.appraisals import AppraisalState, ValueKind

_SUBMITTED = "('submitted', 'accepted', 'rejected')"


class Appraisal(Base):
    """A valuer's opinion of a package, from the request to its acceptance."""

    __tablename__ = "appraisals"
    id: Mapped[uuid.UUID] = key()
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"), index=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    valuer_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    state: Mapped[AppraisalState] = mapped_column(enum_column(AppraisalState), default=AppraisalState.REQUESTED)
    purpose: Mapped[str]
    requested_at: Mapped[datetime]
    independence_statement: Mapped[str | None]
    independence_user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    engaged_at: Mapped[datetime | None]
    report_file_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("stored_files.id"))
    kind: Mapped[ValueKind | None] = mapped_column(enum_column(ValueKind))
    methods: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    methods_justification: Mapped[str] = mapped_column(default="")
    inspection_statement: Mapped[str] = mapped_column(default="")
    scope: Mapped[str] = mapped_column(default="")
    currency: Mapped[str] = currency()
    value_minor: Mapped[int | None]
    valued_on: Mapped[date | None]
    valid_until_on: Mapped[date | None]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("valuer_organisation_id <> organisation_id", "valuer_is_not_seller"),
        CheckConstraint(
            "state IN ('requested', 'declined') OR (independence_statement IS NOT NULL AND engaged_at IS NOT NULL)",
            "independence_declared",
        ),
        CheckConstraint(
            f"state NOT IN {_SUBMITTED} OR (report_file_id IS NOT NULL AND kind IS NOT NULL AND value_minor >= 0 "
            "AND valued_on IS NOT NULL AND valid_until_on >= valued_on AND submitted_at IS NOT NULL)",
            "submission_complete",
        ),
        CheckConstraint("valid_until_on <= valued_on + interval '1 year'", "valid_at_most_a_year"),
        Index("ix_appraisals_organisation_id", "organisation_id", "id"),
        Index("ix_appraisals_valuer_organisation_id", "valuer_organisation_id", "id"),
    )

    @property
    def value(self) -> Money | None:
        """The value, None before the submission."""
        return None if self.value_minor is None else Money(self.value_minor, self.currency)


class AppraisalSigner(Base):
    """An appraiser who signed a submission."""

    __tablename__ = "appraisal_signers"
    id: Mapped[uuid.UUID] = key()
    appraisal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("appraisals.id"))
    name: Mapped[str]
    certificate_number: Mapped[str]

    __table_args__ = (UniqueConstraint("appraisal_id", "certificate_number"),)


class AssumptionSet(Base):
    """A version of what the model assumes; never changed. Those of the operator are for every seller."""

    __tablename__ = "assumption_sets"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    version: Mapped[str]
    shared: Mapped[bool]
    assumptions: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("organisation_id", "version"),)


class Valuation(Base):
    """A figure of the model with everything needed to compute it again. Never changed."""

    __tablename__ = "valuations"
    id: Mapped[uuid.UUID] = key()
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    method_version: Mapped[str]
    assumption_set_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("assumption_sets.id"))
    assumptions_version: Mapped[str]
    assumptions: Mapped[dict[str, Any]]
    tape_sha256: Mapped[str]
    currency: Mapped[str] = currency()
    exposure_minor: Mapped[int]
    value_minor: Mapped[int]
    strata: Mapped[list[Any]]
    computed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("value_minor >= 0 AND exposure_minor >= 0", "amounts_not_negative"),
        Index("ix_valuations_package_id", "package_id", "id"),
    )

    @property
    def value(self) -> Money:
        """Sum of the values of the cases."""
        return Money(self.value_minor, self.currency)

    @property
    def exposure(self) -> Money:
        """Principal and interest of all cases."""
        return Money(self.exposure_minor, self.currency)
