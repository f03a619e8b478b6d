"""Rows of the parties. Secrets are kept only as hashes; roles and scopes as arrays checked by PostgreSQL."""

import enum
import uuid
from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.actor import OrganisationKind, Role, Scope
from marketplace.db import Base, enum_column, key
from marketplace.parties.domain import LicenceKind, LicenceState, OrganisationState, UserState
from marketplace.parties.domain.affiliates import AffiliateKind


def _some_of(column: str, kind: type[enum.StrEnum]) -> str:
    values = ", ".join(f"'{member.value}'" for member in kind)
    return f"{column} <@ ARRAY[{values}]::text[] AND cardinality({column}) > 0"


def values(members: Iterable[enum.StrEnum]) -> list[str]:
    """Return enum members as an array column keeps them: their values, sorted."""
    return sorted(member.value for member in members)


class Organisation(Base):
    """A participant of the market. There is one operator."""

    __tablename__ = "organisations"
    id: Mapped[uuid.UUID] = key()
    name: Mapped[str]
    kind: Mapped[OrganisationKind] = mapped_column(enum_column(OrganisationKind))
    state: Mapped[OrganisationState] = mapped_column(enum_column(OrganisationState))
    country: Mapped[str] = mapped_column(CHAR(2))
    uscc: Mapped[str | None]
    lei: Mapped[str | None]
    province: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("country <> 'CN' OR kind = 'operator' OR uscc IS NOT NULL", "uscc_of_chinese"),
        CheckConstraint("uscc ~ '^[0-9A-Z]{18}$'", "uscc_form"),
        CheckConstraint("lei ~ '^[0-9A-Z]{20}$'", "lei_form"),
        CheckConstraint("province IS NULL OR (province ~ '^[0-9]{2}$' AND country = 'CN')", "province_of_china"),
        Index("uq_organisations_uscc", "uscc", unique=True),
        Index("uq_organisations_lei", "lei", unique=True),
        Index("uq_organisations_operator", "kind", unique=True, postgresql_where=text("kind = 'operator'")),
    )


class Licence(Base):
    """What a supervisor allows an organisation to be; holds on days `valid_from_on <= day < valid_until_on`."""

    __tablename__ = "licences"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    kind: Mapped[LicenceKind] = mapped_column(enum_column(LicenceKind))
    state: Mapped[LicenceState] = mapped_column(enum_column(LicenceState))
    number: Mapped[str]
    issuer: Mapped[str]
    valid_from_on: Mapped[date]
    valid_until_on: Mapped[date | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("valid_until_on > valid_from_on", "days_in_order"),
        Index(
            "uq_licences_live",
            "organisation_id",
            "kind",
            "number",
            unique=True,
            postgresql_where=text("state IN ('submitted', 'approved')"),
        ),
    )


class User(Base):
    """A person of an organisation."""

    __tablename__ = "users"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    login: Mapped[str]
    name: Mapped[str]
    state: Mapped[UserState] = mapped_column(enum_column(UserState))
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    password_hash: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("login = lower(login)", "login_small"),
        CheckConstraint(_some_of("roles", Role), "roles_known"),
        Index("uq_users_login", "login", unique=True),
    )


class UserSession(Base):
    """One signing in; good until it expires or is ended."""

    __tablename__ = "user_sessions"
    id: Mapped[uuid.UUID] = key()
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", "token_hash_length"),
        CheckConstraint("expires_at > created_at", "expires_later"),
        Index("uq_user_sessions_token_hash", "token_hash", unique=True),
    )


class ApiKey(Base):
    """A key by which a program acts for an organisation, with some of its roles and scopes."""

    __tablename__ = "api_keys"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by_user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("octet_length(secret_hash) = 32", "secret_hash_length"),
        CheckConstraint("expires_at > created_at", "expires_later"),
        CheckConstraint(_some_of("roles", Role), "roles_known"),
        CheckConstraint(_some_of("scopes", Scope), "scopes_known"),
        Index("uq_api_keys_secret_hash", "secret_hash", unique=True),
    )


class Affiliate(Base):
    """Somebody who stands behind an organisation. The identity number is sealed; fingerprints match it elsewhere."""

    __tablename__ = "affiliates"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    kind: Mapped[AffiliateKind] = mapped_column(enum_column(AffiliateKind))
    name: Mapped[str]
    name_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    identity_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(identity_sealed IS NULL) = (fingerprint IS NULL)", "fingerprint_with_identity"),
        CheckConstraint("kind = 'staff' OR fingerprint IS NOT NULL", "identity_of_owners"),
        CheckConstraint("octet_length(fingerprint) = 32", "fingerprint_length"),
        CheckConstraint("octet_length(name_fingerprint) = 32", "name_fingerprint_length"),
        Index(
            "uq_affiliates_live",
            "organisation_id",
            "kind",
            "fingerprint",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
    )


class SignInFailure(Base):
    """A password that was wrong. The login is kept as a hash only: people type passwords into the wrong field."""

    __tablename__ = "sign_in_failures"
    id: Mapped[uuid.UUID] = key()
    at: Mapped[datetime]
    login_hash: Mapped[bytes] = mapped_column(LargeBinary)
    address: Mapped[str]

    __table_args__ = (
        Index("ix_sign_in_failures_login_hash", "login_hash", "at"),
        Index("ix_sign_in_failures_address", "address", "at"),
        Index("ix_sign_in_failures_at", "at"),
    )
