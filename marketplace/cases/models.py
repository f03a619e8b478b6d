"""Rows of the cases: mappings, tapes and their errors, cases, who owes and what secures them.

A case is unique by (seller, case key); a file counts once per seller and mapping unless it was refused.
"""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.cases.domain.case import (
    CaseState,
    CustomerType,
    Grade,
    IdentityKind,
    Litigation,
    ObligorRole,
    OnError,
    Security,
    Sex,
    TapeState,
)
from marketplace.db import Base, currency, enum_column, key


class TapeMapping(Base):
    """How one seller's files are read; never changed, so that an import can be repeated."""

    __tablename__ = "tape_mappings"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]
    rules: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("organisation_id", "name"),)


class Tape(Base):
    """One file that a seller delivered, and what became of it."""

    __tablename__ = "tapes"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    mapping_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tape_mappings.id"))
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("stored_files.id"))
    file_name: Mapped[str]
    sha256: Mapped[str]
    currency: Mapped[str] = currency()
    as_of_on: Mapped[date]
    on_error: Mapped[OnError] = mapped_column(enum_column(OnError))
    state: Mapped[TapeState] = mapped_column(enum_column(TapeState), default=TapeState.RECEIVED)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id"))
    rows: Mapped[int] = mapped_column(default=0)
    bad_rows: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    problem: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("bad_rows >= 0 AND bad_rows <= rows", "bad_rows_within_rows"),
        CheckConstraint("added + updated + unchanged <= rows", "outcomes_within_rows"),
        Index(
            "uq_tapes_content",
            "organisation_id",
            "sha256",
            "mapping_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("state <> 'refused'"),
        ),
        UniqueConstraint("organisation_id", "id"),
    )


class TapeError(Base):
    """One cell that cannot be right. Personal values are not repeated here."""

    __tablename__ = "tape_errors"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tape_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tapes.id"))
    row_number: Mapped[int]
    column_header: Mapped[str]
    found: Mapped[str]
    allowed: Mapped[str]
    code: Mapped[str]

    __table_args__ = (Index("ix_tape_errors_tape_id", "tape_id", "row_number"),)


class Case(Base):
    """One claim of a seller; amounts as of `as_of_on`, in minor units."""

    __tablename__ = "cases"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID]
    tape_id: Mapped[uuid.UUID]
    row_number: Mapped[int]
    case_key: Mapped[str]
    product: Mapped[str | None]
    customer_type: Mapped[CustomerType] = mapped_column(enum_column(CustomerType))
    currency: Mapped[str] = currency()
    principal_minor: Mapped[int]
    interest_minor: Mapped[int]
    other_minor: Mapped[int]
    days_past_due: Mapped[int]
    as_of_on: Mapped[date]
    default_on: Mapped[date | None]
    originated_on: Mapped[date | None]
    grade: Mapped[Grade | None] = mapped_column(enum_column(Grade))
    litigation: Mapped[Litigation] = mapped_column(enum_column(Litigation))
    written_off: Mapped[bool]
    security: Mapped[Security] = mapped_column(enum_column(Security))
    credit_limit_minor: Mapped[int | None]
    province: Mapped[str | None]
    city: Mapped[str | None]
    borrower_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[CaseState] = mapped_column(enum_column(CaseState), default=CaseState.OPEN)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("organisation_id", "case_key"),
        ForeignKeyConstraint(["organisation_id", "tape_id"], ["tapes.organisation_id", "tapes.id"]),
        CheckConstraint("principal_minor >= 0 AND interest_minor >= 0 AND other_minor >= 0", "balances_not_negative"),
        CheckConstraint("credit_limit_minor >= 0", "credit_limit_not_negative"),
        CheckConstraint("days_past_due >= 0", "days_past_due_not_negative"),
        CheckConstraint("octet_length(borrower_fingerprint) = 32", "borrower_fingerprint_length"),
        Index("ix_cases_organisation_id_state", "organisation_id", "state", "id"),
    )


class Obligor(Base):
    """Who owes. Name, identity number and phone are sealed; the fingerprint matches the same person elsewhere.

    `name_fingerprint` matches namesakes too; None until `naming` has filled it in for tapes of before it was kept.
    """

    __tablename__ = "obligors"
    id: Mapped[uuid.UUID] = key()
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    role: Mapped[ObligorRole] = mapped_column(enum_column(ObligorRole))
    masked_name: Mapped[str]
    name_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    identity_kind: Mapped[IdentityKind] = mapped_column(enum_column(IdentityKind))
    identity_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    content_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    name_fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    birth_year: Mapped[int | None]
    sex: Mapped[Sex | None] = mapped_column(enum_column(Sex))
    province: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("case_id", "role"),
        CheckConstraint("(identity_kind = 'none') = (identity_sealed IS NULL)", "identity_sealed_when_given"),
        CheckConstraint("(identity_sealed IS NULL) = (fingerprint IS NULL)", "fingerprint_with_identity"),
        Index("ix_obligors_fingerprint", "fingerprint"),
        Index("ix_obligors_without_name_fingerprint", "id", postgresql_where=text("name_fingerprint IS NULL")),
    )


class Collateral(Base):
    """What secures a case; amounts in minor units."""

    __tablename__ = "collaterals"
    id: Mapped[uuid.UUID] = key()
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    currency: Mapped[str] = currency()
    kind: Mapped[str | None]
    description: Mapped[str | None]
    value_minor: Mapped[int | None]
    prior_liens_minor: Mapped[int | None]
    registered_cap_minor: Mapped[int | None]
    city: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("case_id"),
        CheckConstraint(
            "value_minor >= 0 AND prior_liens_minor >= 0 AND registered_cap_minor >= 0", "amounts_not_negative"
        ),
    )
