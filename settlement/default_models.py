"""Rows of defaults: the policies of the regimes as versions, and deposits that were forfeited."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, key
from marketplace.money import Money

_PARTS = ("sale_costs_minor", "resale_price_minor", "costs_taken_minor", "gap_taken_minor", "seller_minor",
          "returned_minor", "claim_minor")  # fmt: skip
_ALL_OR_NONE = " AND ".join(f"({part} IS NULL) = (settled_at IS NULL)" for part in _PARTS)


class DefaultPolicy(Base):
    """What a default costs under a regime: a version, in force from its day until the next. Append-only."""

    __tablename__ = "default_policies"
    id: Mapped[uuid.UUID] = key()
    regime: Mapped[str]
    version: Mapped[int]
    valid_from_on: Mapped[date]
    rules: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("regime", "version"), CheckConstraint("version > 0", "version_positive"))


class Forfeiture(Base):
    """The deposit that a failed award cost its bidder, in the books on `forfeited:<id>` until it is used, once.

    `amount` = costs taken + gap taken + to the seller + returned to the buyer. All in minor units of `currency`.
    """

    __tablename__ = "forfeitures"
    id: Mapped[uuid.UUID] = key()
    award_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("awards.id"), unique=True)
    deal_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deals.id"), index=True)
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"), index=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    seller_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    policy_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("default_policies.id"))
    cause: Mapped[str]
    price_minor: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    forfeited_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    sale_costs_minor: Mapped[int | None]
    resale_price_minor: Mapped[int | None]
    costs_taken_minor: Mapped[int | None]
    gap_taken_minor: Mapped[int | None]
    seller_minor: Mapped[int | None]
    returned_minor: Mapped[int | None]
    claim_minor: Mapped[int | None]

    __table_args__ = (
        CheckConstraint("amount_minor >= 0 AND price_minor > 0", "amounts_not_negative"),
        CheckConstraint(_ALL_OR_NONE, "settled_whole"),
        CheckConstraint(
            "costs_taken_minor + gap_taken_minor + seller_minor + returned_minor = amount_minor", "uses_add_up"
        ),
        CheckConstraint(
            "least(sale_costs_minor, resale_price_minor, costs_taken_minor, gap_taken_minor, seller_minor,"
            " returned_minor, claim_minor) >= 0",
            "uses_not_negative",
        ),
    )

    @property
    def amount(self) -> Money:
        """What was lost."""
        return Money(self.amount_minor, self.currency)

    @property
    def price(self) -> Money:
        """The price that the defaulter had promised."""
        return Money(self.price_minor, self.currency)
