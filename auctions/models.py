"""Rows of auctions. Accepted bids are only ever added; PostgreSQL itself checks their sequence and amounts."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from auctions.domain.lifecycles import AuctionOutcome, AwardState, ListingState, RegistrationState
from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money


class Listing(Base):
    """The announcement of a package for sale with its terms. In draft any term may be missing."""

    __tablename__ = "listings"
    id: Mapped[uuid.UUID] = key()
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"), index=True)
    seller_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    state: Mapped[ListingState] = mapped_column(enum_column(ListingState))
    version: Mapped[int] = mapped_column(default=1)
    currency: Mapped[str] = currency()
    title_zh: Mapped[str | None]
    title_en: Mapped[str | None]
    description: Mapped[str | None]
    start_price_minor: Mapped[int | None]
    reserve_minor: Mapped[int | None]
    increment: Mapped[dict[str, Any] | None]
    deposit_minor: Mapped[int | None]
    registration_closes_at: Mapped[datetime | None]
    opens_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    soft_close_window_seconds: Mapped[int] = mapped_column(default=300)
    soft_close_extension_seconds: Mapped[int] = mapped_column(default=300)
    hard_end_at: Mapped[datetime | None]
    minimum_bidders: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("start_price_minor > 0", "start_price_positive"),
        CheckConstraint("reserve_minor >= 0", "reserve_not_negative"),
        CheckConstraint("deposit_minor >= 0", "deposit_not_negative"),
        CheckConstraint("soft_close_window_seconds >= 0 AND soft_close_extension_seconds >= 0", "soft_close_positive"),
        CheckConstraint(
            "state NOT IN ('published', 'closed') OR (start_price_minor IS NOT NULL AND increment IS NOT NULL"
            " AND deposit_minor IS NOT NULL AND registration_closes_at IS NOT NULL AND opens_at < ends_at"
            " AND ends_at IS NOT NULL AND title_zh IS NOT NULL AND published_at IS NOT NULL)",
            "published_complete",
        ),
        Index(
            "uq_listings_published_package",
            "package_id",
            unique=True,
            postgresql_where=text("state = 'published'"),
        ),
    )

    @property
    def start_price(self) -> Money | None:
        """Start price."""
        return None if self.start_price_minor is None else Money(self.start_price_minor, self.currency)

    @property
    def reserve_price(self) -> Money | None:
        """Hidden reserve."""
        return None if self.reserve_minor is None else Money(self.reserve_minor, self.currency)

    @property
    def deposit(self) -> Money | None:
        """Deposit that a bidder must have paid in."""
        return None if self.deposit_minor is None else Money(self.deposit_minor, self.currency)


class Registration(Base):
    """A buyer's application to one listing. `covered_at`: since when the ledger holds the full deposit."""

    __tablename__ = "registrations"
    id: Mapped[uuid.UUID] = key()
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    state: Mapped[RegistrationState] = mapped_column(enum_column(RegistrationState))
    bidder_code: Mapped[str]
    reference: Mapped[str]
    deposit_minor: Mapped[int]
    currency: Mapped[str] = currency()
    applied_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    covered_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("deposit_minor >= 0", "deposit_not_negative"),
        CheckConstraint("reference ~ '^DP-[0-9A-HJKMNP-TV-Z]{8}$'", "reference_form"),
        Index("uq_registrations_bidder_code", "listing_id", "bidder_code", unique=True),
        Index("uq_registrations_reference", "reference", unique=True),
        Index(
            "uq_registrations_organisation",
            "listing_id",
            "organisation_id",
            unique=True,
            postgresql_where=text("state <> 'withdrawn'"),
        ),
    )

    @property
    def deposit(self) -> Money:
        """Deposit to be paid in."""
        return Money(self.deposit_minor, self.currency)


class Auction(Base):
    """The bidding on a published listing: frozen rules, and where it stands after its last accepted bid."""

    __tablename__ = "auctions"
    id: Mapped[uuid.UUID] = key()
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    currency: Mapped[str] = currency()
    rules: Mapped[str]
    rules_hash: Mapped[str]
    reserve_minor: Mapped[int | None]
    reserve_salt: Mapped[str]
    reserve_commitment: Mapped[str]
    opens_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    price_minor: Mapped[int | None]
    leader_registration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("registrations.id"))
    sequence: Mapped[int] = mapped_column(default=0)
    extensions: Mapped[int] = mapped_column(default=0)
    last_bid_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[AuctionOutcome | None] = mapped_column(enum_column(AuctionOutcome))
    log_hash: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("opens_at < ends_at", "times_in_order"),
        CheckConstraint("(sequence = 0) = (price_minor IS NULL)", "price_with_first_bid"),
        CheckConstraint("(price_minor IS NULL) = (leader_registration_id IS NULL)", "leader_with_price"),
        CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", "outcome_when_closed"),
        Index("uq_auctions_listing", "listing_id", unique=True),
        Index("uq_auctions_live_package", "package_id", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_auctions_due", "ends_at", postgresql_where=text("closed_at IS NULL")),
    )


class Bid(Base):
    """An accepted bid; `ends_at` is the end after it. Neither updated nor deleted (trigger `bids_append_only`)."""

    __tablename__ = "bids"
    id: Mapped[uuid.UUID] = key()
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("auctions.id"))
    sequence: Mapped[int]
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    amount_minor: Mapped[int]
    at: Mapped[datetime]
    ends_at: Mapped[datetime]
    idempotency_key: Mapped[str]
    actor_user_id: Mapped[uuid.UUID | None]
    actor_api_key_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        CheckConstraint("amount_minor > 0", "amount_positive"),
        CheckConstraint("sequence > 0", "sequence_positive"),
        Index("uq_bids_sequence", "auction_id", "sequence", unique=True),
        Index("uq_bids_idempotency_key", "registration_id", "idempotency_key", unique=True),
    )


class Award(Base):
    """What closing proposes to a bidder. At most one in force (pending, contracted) per auction."""

    __tablename__ = "awards"
    id: Mapped[uuid.UUID] = key()
    auction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("auctions.id"))
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"), index=True)
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    seller_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    runner_up_registration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("registrations.id"))
    state: Mapped[AwardState] = mapped_column(enum_column(AwardState))
    price_minor: Mapped[int]
    currency: Mapped[str] = currency()
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("price_minor > 0", "price_positive"),
        CheckConstraint("runner_up_registration_id <> registration_id", "runner_up_is_another"),
        Index("uq_awards_registration", "auction_id", "registration_id", unique=True),
        Index(
            "uq_awards_in_force",
            "auction_id",
            unique=True,
            postgresql_where=text("state IN ('pending', 'contracted')"),
        ),
    )

    @property
    def price(self) -> Money:
        """What the awarded bidder is to pay."""
        return Money(self.price_minor, self.currency)
