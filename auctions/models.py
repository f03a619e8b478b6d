"""Rows of auctions. The log is only ever added to; PostgreSQL itself checks its numbers, its order and whose it is."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from auctions.domain.format_terms import FormatName
from auctions.domain.lifecycles import AuctionOutcome, EntryKind, ListingState, RegistrationState
from auctions.domain.presets import PLAIN
from auctions.domain.terms import AssetKind
from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money


class Listing(Base):
    """The announcement of a package for sale with its terms. In draft any term may be missing.

    `planned_lot`: the lot of the plan's first listing that this one sells by itself.
    """

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
    increment: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    deposit_minor: Mapped[int | None]
    registration_closes_at: Mapped[datetime | None]
    opens_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    soft_close_window_seconds: Mapped[int] = mapped_column(default=300)
    soft_close_extension_seconds: Mapped[int] = mapped_column(default=300)
    hard_end_at: Mapped[datetime | None]
    minimum_bidders: Mapped[int] = mapped_column(default=1)
    format: Mapped[FormatName] = mapped_column(enum_column(FormatName), default=FormatName.ENGLISH)
    format_terms: Mapped[dict[str, Any]] = mapped_column(default=dict)
    preset: Mapped[str] = mapped_column(default=PLAIN)
    zone: Mapped[str] = mapped_column(default="Asia/Shanghai")
    asset_kind: Mapped[AssetKind] = mapped_column(enum_column(AssetKind), default=AssetKind.RIGHTS)
    attempt: Mapped[int] = mapped_column(default=1)
    previous_listing_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("listings.id"))
    relisting_plan: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    plan_step: Mapped[int] = mapped_column(default=0)
    planned_lot: Mapped[str | None]
    rest_not_for_sale: Mapped[bool] = mapped_column(default=False)
    attempt_interval_seconds: Mapped[int] = mapped_column(default=1)
    confirm_above_percent: Mapped[int | None] = mapped_column(default=100)
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("start_price_minor > 0", "start_price_positive"),
        CheckConstraint("reserve_minor >= 0", "reserve_not_negative"),
        CheckConstraint("deposit_minor >= 0", "deposit_not_negative"),
        CheckConstraint("soft_close_window_seconds >= 0 AND soft_close_extension_seconds >= 0", "soft_close_positive"),
        CheckConstraint(
            "state NOT IN ('published', 'closed') OR (deposit_minor IS NOT NULL AND registration_closes_at IS NOT NULL"
            " AND opens_at < ends_at AND ends_at IS NOT NULL AND title_zh IS NOT NULL AND published_at IS NOT NULL"
            " AND (start_price_minor IS NOT NULL OR format = 'package')"
            " AND (increment IS NOT NULL OR format NOT IN ('english', 'proxy', 'two_phase', 'gong')))",
            "published_complete",
        ),
        CheckConstraint("attempt = 1 OR (attempt > 1 AND previous_listing_id IS NOT NULL)", "later_attempt_of_another"),
        CheckConstraint("plan_step >= 0 AND plan_step < attempt", "plan_step_within_attempts"),
        CheckConstraint("planned_lot IS NULL OR plan_step > 0", "planned_lot_of_plan"),
        CheckConstraint("attempt_interval_seconds BETWEEN 0 AND 60", "attempt_interval_bounded"),
        CheckConstraint("confirm_above_percent > 0", "confirm_above_positive"),
        UniqueConstraint("id", "package_id", name="uq_listings_of_package"),
        Index(
            "uq_listings_planned_successor",
            "previous_listing_id",
            "package_id",
            unique=True,
            postgresql_where=text("plan_step > 0"),
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
    no_resale_required: Mapped[bool] = mapped_column(default=False)
    no_resale_at: Mapped[datetime | None]
    out_of_province: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        CheckConstraint("deposit_minor >= 0", "deposit_not_negative"),
        CheckConstraint("reference ~ '^DP-[0-9A-HJKMNP-TV-Z]{8}$'", "reference_form"),
        UniqueConstraint("id", "listing_id", name="uq_registrations_of_listing"),
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
    """The bidding on a published listing: frozen rules, and where it stands after the last entry of its log.

    `number` and `head` name that entry and its place in the hash chain, `sequence` counts the accepted attempts, `play`
    is the engine's own account of the standing. All of it can be computed from the log again, and is when it closes.
    """

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
    attempt_interval_seconds: Mapped[int] = mapped_column(default=1, server_default="1")
    confirm_above_percent: Mapped[int | None] = mapped_column(default=100, server_default="100")
    opens_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    suspended_at: Mapped[datetime | None]
    price_minor: Mapped[int | None]
    leader_registration_id: Mapped[uuid.UUID | None]
    number: Mapped[int] = mapped_column(default=0, server_default="0")
    sequence: Mapped[int] = mapped_column(default=0)
    extensions: Mapped[int] = mapped_column(default=0)
    last_event_at: Mapped[datetime | None]
    head: Mapped[bytes | None] = mapped_column(LargeBinary)
    play: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None]
    outcome: Mapped[AuctionOutcome | None] = mapped_column(enum_column(AuctionOutcome))
    log_hash: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("opens_at <= ends_at", "times_in_order"),
        CheckConstraint("sequence >= 0 AND number >= 0", "numbers_not_negative"),
        CheckConstraint("(number = 0) = (head IS NULL)", "head_with_first_entry"),
        CheckConstraint("sequence > 0 OR price_minor IS NULL", "price_needs_attempt"),
        CheckConstraint("leader_registration_id IS NULL OR price_minor IS NOT NULL", "leader_has_price"),
        CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", "outcome_when_closed"),
        CheckConstraint("attempt_interval_seconds BETWEEN 0 AND 60", "attempt_interval_bounded"),
        CheckConstraint("confirm_above_percent > 0", "confirm_above_positive"),
        UniqueConstraint("id", "listing_id", name="uq_auctions_of_listing"),
        ForeignKeyConstraint(
            ["leader_registration_id", "listing_id"],
            ["registrations.id", "registrations.listing_id"],
            name="fk_auctions_leader_of_listing",
        ),
        Index("uq_auctions_listing", "listing_id", unique=True),
        Index("uq_auctions_live_package", "package_id", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_auctions_due", "ends_at", postgresql_where=text("closed_at IS NULL")),
    )


class AuctionEvent(Base):
    """One entry of an auction's log: an accepted attempt, or an act of the operator, with the standing after it.

    `number` counts all entries, `sequence` the accepted attempts (None for an act of the operator), `accepted` is how
    many there are up to here; all three without gaps. `hash` chains the entry to the one before it. The key of an
    attempt is kept as a digest. `receipt` is the canonical text that `signature` proves, None for entries of before
    receipts were signed; `inclusion` its place in the batch that was signed, None for the only one (`domain.merkle`).
    Neither updated nor deleted (trigger `auction_events_append_only`), in order (trigger `auction_events_in_order`).
    """

    __tablename__ = "auction_events"
    auction_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[uuid.UUID]
    kind: Mapped[EntryKind] = mapped_column(enum_column(EntryKind))
    sequence: Mapped[int | None]
    accepted: Mapped[int]
    registration_id: Mapped[uuid.UUID | None]
    amount_minor: Mapped[int | None]
    lots: Mapped[list[Any] | None]
    reason: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]
    price_minor: Mapped[int | None]
    leader: Mapped[str | None]
    ends_at: Mapped[datetime]
    extensions: Mapped[int]
    idempotency_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    actor_user_id: Mapped[uuid.UUID | None]
    actor_api_key_id: Mapped[uuid.UUID | None]
    receipt: Mapped[str | None] = mapped_column(Text)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    inclusion: Mapped[bytes | None] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        ForeignKeyConstraint(
            ["auction_id", "listing_id"], ["auctions.id", "auctions.listing_id"], name="fk_auction_events_auction"
        ),
        ForeignKeyConstraint(
            ["registration_id", "listing_id"],
            ["registrations.id", "registrations.listing_id"],
            name="fk_auction_events_registration",
        ),
        CheckConstraint("number > 0 AND accepted BETWEEN 0 AND number", "numbers_positive"),
        CheckConstraint("(sequence IS NOT NULL) = (kind NOT IN ('suspend', 'resume', 'void'))", "sequence_of_attempt"),
        CheckConstraint("sequence = accepted", "sequence_counts"),
        CheckConstraint(
            "(idempotency_digest IS NOT NULL) = (kind NOT IN ('suspend', 'resume', 'void'))", "key_of_attempt"
        ),
        CheckConstraint("(registration_id IS NULL) = (kind IN ('suspend', 'resume'))", "whose"),
        CheckConstraint("amount_minor > 0", "amount_positive"),
        CheckConstraint(
            "amount_minor IS NOT NULL OR kind NOT IN ('bid', 'maximum', 'accept') OR starts_with(receipt, 'veiled:')",
            "amount_of_attempt",
        ),
        CheckConstraint("amount_minor IS NULL OR kind IN ('bid', 'maximum', 'accept')", "amount_only_of_attempt"),
        CheckConstraint("octet_length(hash) = 32", "hash_length"),
        CheckConstraint("(receipt IS NULL) = (signature IS NULL)", "receipt_signed"),
        CheckConstraint(
            "inclusion IS NULL OR (signature IS NOT NULL AND octet_length(inclusion) % 32 = 4)", "inclusion_form"
        ),
        Index("uq_auction_events_sequence", "auction_id", "sequence", unique=True),
        Index("uq_auction_events_idempotency", "registration_id", "idempotency_digest", unique=True),
        Index("ix_auction_events_voided", "auction_id", "registration_id", postgresql_where=text("kind = 'void'")),
        Index("ix_auction_events_maxima", "registration_id", "amount_minor", postgresql_where=text("kind = 'maximum'")),
    )
