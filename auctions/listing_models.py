"""Rows that belong to an announcement: its frozen versions, holders of priority rights, and links for calendars."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, key


class Announcement(Base):
    """What was announced, as published: version 1, and one more for each rectification. Never changed.

    `document` is canonical JSON, `hash` its fingerprint; in it the hashes of rules, preset, calendar and plan.
    """

    __tablename__ = "announcements"
    id: Mapped[uuid.UUID] = key()
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    version: Mapped[int]
    preset: Mapped[str]
    preset_version: Mapped[int]
    document: Mapped[str]
    hash: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("version > 0 AND preset_version > 0", "versions_positive"),
        UniqueConstraint("listing_id", "version"),
    )


class PriorityHolder(Base):
    """An organisation with a pre-emption right in a listing. Its bidder code is drawn at publication, for the rules."""

    __tablename__ = "priority_holders"
    id: Mapped[uuid.UUID] = key()
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    rank: Mapped[int]
    bidder_code: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("rank > 0", "rank_positive"),
        UniqueConstraint("listing_id", "organisation_id"),
        UniqueConstraint("listing_id", "bidder_code"),
    )


class CalendarFeed(Base):
    """A secret link by which a calendar reads the announced auctions; only the hash of its token is kept."""

    __tablename__ = "calendar_feeds"
    id: Mapped[uuid.UUID] = key()
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("expires_at > created_at", "expires_later"),
        CheckConstraint("octet_length(token_hash) = 32", "token_hash_length"),
        Index("uq_calendar_feeds_token_hash", "token_hash", unique=True),
        Index("ix_calendar_feeds_user_id", "user_id"),
    )
