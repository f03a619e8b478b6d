"""Rows of what follows the hammer: awards, their prolongations, defaults; and conflicts of interest.

One award of a slot is in force at a time: the partial unique index `uq_awards_in_force`.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from auctions.domain.awards import FailureCause
from auctions.domain.eligibility import ConflictRule, ConflictState
from auctions.domain.lifecycles import AwardState
from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money

_IN_FORCE = "('pending', 'protocol_confirmed', 'contracted')"


class Award(Base):
    """What closing proposes to a bidder. At most one in force (pending, protocol confirmed, contracted) per slot.

    `slot` tells winning bids of one auction apart: 1, and higher only where several bids win lots. `place` is the
    order in which the bidders of a slot have their turn. `terms` are those of `auctions.domain.awards`, frozen.
    """

    __tablename__ = "awards"
    id: Mapped[uuid.UUID] = key()
    auction_id: Mapped[uuid.UUID]
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"), index=True)
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    seller_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    registration_id: Mapped[uuid.UUID]
    runner_up_registration_id: Mapped[uuid.UUID | None]
    slot: Mapped[int] = mapped_column(default=1)
    place: Mapped[int] = mapped_column(default=1)
    lots: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    state: Mapped[AwardState] = mapped_column(enum_column(AwardState))
    price_minor: Mapped[int]
    currency: Mapped[str] = currency()
    terms: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    in_force_at: Mapped[datetime | None]
    protocol_due_at: Mapped[datetime | None]
    protocol_confirmed_at: Mapped[datetime | None]
    contract_due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    failure_cause: Mapped[FailureCause | None] = mapped_column(enum_column(FailureCause))

    __table_args__ = (
        ForeignKeyConstraint(
            ["auction_id", "listing_id"], ["auctions.id", "auctions.listing_id"], name="fk_awards_auction"
        ),
        ForeignKeyConstraint(
            ["registration_id", "listing_id"],
            ["registrations.id", "registrations.listing_id"],
            name="fk_awards_registration",
        ),
        ForeignKeyConstraint(
            ["runner_up_registration_id", "listing_id"],
            ["registrations.id", "registrations.listing_id"],
            name="fk_awards_runner_up",
        ),
        CheckConstraint("price_minor > 0", "price_positive"),
        CheckConstraint("slot > 0 AND place > 0", "turn_positive"),
        CheckConstraint("slot = 1 OR cardinality(lots) > 0", "slots_of_lots"),
        CheckConstraint("runner_up_registration_id <> registration_id", "runner_up_is_another"),
        CheckConstraint(f"state NOT IN {_IN_FORCE} OR in_force_at IS NOT NULL", "in_force_since"),
        CheckConstraint("state <> 'protocol_confirmed' OR protocol_confirmed_at IS NOT NULL", "protocol_confirmed"),
        CheckConstraint("(state = 'failed') = (failure_cause IS NOT NULL)", "failed_for_a_cause"),
        CheckConstraint("(state IN ('failed', 'released', 'contracted')) = (ended_at IS NOT NULL)", "ended_when_over"),
        Index("uq_awards_registration", "auction_id", "slot", "registration_id", unique=True),
        Index(
            "uq_awards_in_force",
            "auction_id",
            "slot",
            unique=True,
            postgresql_where=text(f"state IN {_IN_FORCE}"),
        ),
        Index(
            "ix_awards_due",
            "protocol_due_at",
            "contract_due_at",
            postgresql_where=text("state IN ('pending', 'protocol_confirmed')"),
        ),
    )

    @property
    def price(self) -> Money:
        """What the awarded bidder is to pay."""
        return Money(self.price_minor, self.currency)


class AwardProlongation(Base):
    """More time for the contract of an award, with the document that grants it. Never changed."""

    __tablename__ = "award_prolongations"
    id: Mapped[uuid.UUID] = key()
    award_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("awards.id"))
    number: Mapped[int]
    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("stored_files.id"))
    file_name: Mapped[str]
    reason: Mapped[str]
    previous_due_at: Mapped[datetime]
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("number BETWEEN 1 AND 2", "at_most_two"),
        CheckConstraint("due_at > previous_due_at", "later"),
        UniqueConstraint("award_id", "number"),
    )


class Default(Base):
    """A bidder was awarded a package and did not keep its word: barred from the next auctions of that package."""

    __tablename__ = "defaults"
    id: Mapped[uuid.UUID] = key()
    award_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("awards.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"))
    regime: Mapped[str]
    reason: Mapped[str]
    price_minor: Mapped[int]
    currency: Mapped[str] = currency()
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("price_minor > 0", "price_positive"),
        UniqueConstraint("award_id"),
        Index("ix_defaults_package_id_organisation_id", "package_id", "organisation_id"),
    )


class InterestConflict(Base):
    """A match between a bidder and somebody it must not be. `certain`: by official number, else a namesake."""

    __tablename__ = "interest_conflicts"
    id: Mapped[uuid.UUID] = key()
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    rule: Mapped[ConflictRule] = mapped_column(enum_column(ConflictRule))
    certain: Mapped[bool]
    state: Mapped[ConflictState] = mapped_column(enum_column(ConflictState))
    found_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        CheckConstraint("NOT certain OR state = 'upheld'", "certain_is_upheld"),
        CheckConstraint("(state = 'flagged') = (decided_at IS NULL)", "decided_when_over"),
        UniqueConstraint("registration_id", "rule", "certain"),
    )
