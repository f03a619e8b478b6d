"""Rows of the packages: the bundle, its cases with frozen balances, the versions of its tape, its strata.

A case is in at most one live package: the partial unique index `uq_package_cases_live`.
"""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.packages.domain.package import Dimension, PackageState


class Package(Base):
    """A bundle of one seller's cases in one currency. `origin_id`: the package that its cases were first frozen in.

    `job_id`: the last job that was asked to freeze it, None when that was done at once.
    """

    __tablename__ = "packages"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]
    currency: Mapped[str] = currency()
    criteria: Mapped[dict[str, Any]]
    remark: Mapped[str] = mapped_column(default="")
    origin_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("packages.id"))
    state: Mapped[PackageState] = mapped_column(enum_column(PackageState), default=PackageState.DRAFT)
    cut_off_on: Mapped[date | None]
    frozen_at: Mapped[datetime | None]
    header: Mapped[dict[str, Any]] = mapped_column(default=dict)
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'cancelled') OR (cut_off_on IS NOT NULL AND frozen_at IS NOT NULL)", "frozen_at_cut_off"
        ),
        CheckConstraint("origin_id <> id", "origin_is_another"),
        Index("ix_packages_organisation_id", "organisation_id", "id"),
    )


class TapeVersion(Base):
    """One issue of a package's tape: its hash fixes every figure in it. Never changed."""

    __tablename__ = "tape_versions"
    id: Mapped[uuid.UUID] = key()
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    number: Mapped[int]
    cut_off_on: Mapped[date]
    sha256: Mapped[str]
    rows: Mapped[int]
    size: Mapped[int]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("package_id", "number"), CheckConstraint("number >= 1", "number_from_one"))


class PackageCase(Base):
    """A case in a package, with its figures as of the freeze; `live` while it is in there."""

    __tablename__ = "package_cases"
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    live: Mapped[bool] = mapped_column(default=True)
    case_key: Mapped[str]
    product: Mapped[str | None]
    customer_type: Mapped[str]
    currency: Mapped[str] = currency()
    principal_minor: Mapped[int]
    interest_minor: Mapped[int]
    other_minor: Mapped[int]
    days_past_due: Mapped[int]
    as_of_on: Mapped[date]
    default_on: Mapped[date | None]
    originated_on: Mapped[date | None]
    grade: Mapped[str | None]
    litigation: Mapped[str]
    written_off: Mapped[bool]
    security: Mapped[str]
    credit_limit_minor: Mapped[int | None]
    province: Mapped[str | None]
    city: Mapped[str | None]
    borrower_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    borrower_masked_name: Mapped[str]
    borrower_birth_year: Mapped[int | None]
    borrower_sex: Mapped[str | None]
    borrower_province: Mapped[str | None]
    guaranteed: Mapped[bool]
    collateral_kind: Mapped[str | None]
    collateral_value_minor: Mapped[int | None]
    prior_liens_minor: Mapped[int | None]
    registered_cap_minor: Mapped[int | None]
    collateral_city: Mapped[str | None]

    __table_args__ = (
        Index("uq_package_cases_live", "case_id", unique=True, postgresql_where=text("live")),
        CheckConstraint("principal_minor >= 0 AND interest_minor >= 0 AND other_minor >= 0", "balances_not_negative"),
    )


class Stratum(Base):
    """One cell of a package along one dimension; the cells of a dimension add up to the header."""

    __tablename__ = "strata"
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    dimension: Mapped[Dimension] = mapped_column(enum_column(Dimension), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]
    currency: Mapped[str] = currency()
    loans: Mapped[int]
    principal_minor: Mapped[int]
    interest_minor: Mapped[int]
    other_minor: Mapped[int]

    __table_args__ = (UniqueConstraint("package_id", "dimension", "value"),)
