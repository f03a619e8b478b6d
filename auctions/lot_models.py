"""Rows of lots: which cases of a package are sold together, and which lots an award in force holds.

A case is in at most one lot of a listing (the key of `lot_cases`), and a lot in at most one award in force (the key of
`award_lots`, which a trigger on `awards` keeps): no case is awarded twice.
"""

import uuid
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency
from marketplace.money import Money


class Lot(Base):
    """A named set of the cases of a listing's package. Its cases are fixed with the publication of the listing.

    `chosen` says how the seller chose them; `cases_hash` fixes them in the announcement.
    """

    __tablename__ = "lots"
    listing_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    package_id: Mapped[uuid.UUID]
    position: Mapped[int]
    chosen: Mapped[dict[str, Any]]
    currency: Mapped[str] = currency()
    loans: Mapped[int]
    borrowers: Mapped[int]
    persons: Mapped[int]
    principal_minor: Mapped[int]
    interest_minor: Mapped[int]
    other_minor: Mapped[int]
    cases_hash: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(
            ["listing_id", "package_id"], ["listings.id", "listings.package_id"], name="fk_lots_of_listing"
        ),
        CheckConstraint(
            "least(loans, borrowers, persons, principal_minor, interest_minor, other_minor) >= 0",
            "figures_not_negative",
        ),
        CheckConstraint("position > 0 AND persons <= borrowers AND borrowers <= loans", "figures_fit"),
        UniqueConstraint("listing_id", "name", "package_id", name="uq_lots_of_package"),
    )

    @property
    def principal(self) -> Money:
        """Unpaid principal of its cases at the cut-off."""
        return Money(self.principal_minor, self.currency)

    @property
    def interest(self) -> Money:
        """Unpaid interest of its cases at the cut-off."""
        return Money(self.interest_minor, self.currency)

    @property
    def other(self) -> Money:
        """Other fees of its cases at the cut-off."""
        return Money(self.other_minor, self.currency)


class LotCase(Base):
    """A case of a lot. Written while the listing is a draft, never changed afterwards (trigger `lot_cases_fixed`)."""

    __tablename__ = "lot_cases"
    listing_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    lot: Mapped[str]
    package_id: Mapped[uuid.UUID]

    __table_args__ = (
        ForeignKeyConstraint(
            ["listing_id", "lot", "package_id"],
            ["lots.listing_id", "lots.name", "lots.package_id"],
            name="fk_lot_cases_lot",
        ),
        ForeignKeyConstraint(
            ["package_id", "case_id"],
            ["package_cases.package_id", "package_cases.case_id"],
            name="fk_lot_cases_case_of_package",
        ),
        Index("ix_lot_cases_listing_id_lot", "listing_id", "lot"),
    )


class AwardLot(Base):
    """A lot that an award in force holds. Written by the trigger `award_lots_follow` alone."""

    __tablename__ = "award_lots"
    auction_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    lot: Mapped[str] = mapped_column(primary_key=True)
    listing_id: Mapped[uuid.UUID]
    award_id: Mapped[uuid.UUID]

    __table_args__ = (
        ForeignKeyConstraint(["listing_id", "lot"], ["lots.listing_id", "lots.name"], name="fk_award_lots_lot"),
        ForeignKeyConstraint(["award_id"], ["awards.id"]),
        Index("ix_award_lots_award_id", "award_id"),
    )
