"""Rows of deals: fee schedules, deals, what was deducted from a price, and what each case received.

`allocations` has no foreign key to `cases` or `deals`: a check of each of a million rows would take longer than all the
rest. Its statement trigger (migration 0009) holds the sum of a deal instead, and nothing can be changed afterwards.
"""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.deal import DEAL, OPEN_FOR_PAYMENT, DealState

RECEIVED: Final = "deposit_minor + received_minor + waived_minor + netted_minor"
"""What counts toward the price of a deal, in the words of its constraints."""


class FeeSchedule(Base):
    """What is deducted from a price: a version of the rules of a currency, in force from a day until the next.

    `deductions` has the form of the funds flow document (formats, section 3). Append-only.
    """

    __tablename__ = "fee_schedules"
    id: Mapped[uuid.UUID] = key()
    currency: Mapped[str] = currency()
    version: Mapped[int]
    valid_from_on: Mapped[date]
    deductions: Mapped[list[Any]]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("currency", "version"), CheckConstraint("version > 0", "version_positive"))


class Deal(Base):
    """One award being settled. price = deposit applied + received + waived + netted + due; the net comes later.

    `waived_minor`: what was missing within the tolerance of the balance, paid by the operator. `netted_minor`:
    collections of the seller set off against the balance. `distributed_minor`: how
    much of the price is distributed; only what was received can be.
    """

    __tablename__ = "deals"
    id: Mapped[uuid.UUID] = key()
    award_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("awards.id"), unique=True)
    package_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("packages.id"), index=True)
    listing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("listings.id"))
    seller_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    buyer_organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"), index=True)
    runner_up_registration_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("registrations.id"))
    fee_schedule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("fee_schedules.id"))
    reference: Mapped[str] = mapped_column(unique=True)
    state: Mapped[DealState] = mapped_column(enum_column(DealState), default=DEAL.initial, index=True)
    currency: Mapped[str] = currency()
    price_minor: Mapped[int]
    deposit_minor: Mapped[int] = mapped_column(default=0)
    received_minor: Mapped[int] = mapped_column(default=0)
    waived_minor: Mapped[int] = mapped_column(default=0)
    netted_minor: Mapped[int] = mapped_column(default=0)
    distributed_minor: Mapped[int] = mapped_column(default=0)
    due_on: Mapped[date]
    opened_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    seller_signed_at: Mapped[datetime | None]
    buyer_signed_at: Mapped[datetime | None]
    distributed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    net_minor: Mapped[int | None]
    case_count: Mapped[int | None]
    payment_order_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("payment_orders.id"))

    __table_args__ = (
        CheckConstraint("price_minor > 0", "price_positive"),
        CheckConstraint(
            "deposit_minor >= 0 AND received_minor >= 0 AND waived_minor >= 0 AND netted_minor >= 0",
            "received_not_negative",
        ),
        CheckConstraint(f"{RECEIVED} <= price_minor", "received_at_most_price"),
        CheckConstraint(f"distributed_minor BETWEEN 0 AND {RECEIVED}", "distributed_is_received"),
        CheckConstraint("net_minor BETWEEN 0 AND price_minor", "net_within_price"),
        CheckConstraint("(net_minor IS NULL) = (case_count IS NULL)", "net_with_cases"),
        CheckConstraint(
            f"state IN ('awaiting_payment', 'signed', 'cancelled') OR {RECEIVED} = price_minor",
            "paid_in_full",
        ),
        CheckConstraint("state NOT IN ('distributed', 'settled') OR net_minor IS NOT NULL", "distributed_has_net"),
        CheckConstraint("(state = 'cancelled') = (cancelled_at IS NOT NULL)", "cancelled_at_a_time"),
        CheckConstraint(f"state <> 'cancelled' OR {RECEIVED} = 0", "cancelled_holds_nothing"),
    )

    @property
    def price(self) -> Money:
        """The hammer price: the gross of the funds flow."""
        return Money(self.price_minor, self.currency)

    @property
    def deposit(self) -> Money:
        """The winner's deposit, applied to the price."""
        return Money(self.deposit_minor, self.currency)

    @property
    def received(self) -> Money:
        """What came in for the balance."""
        return Money(self.received_minor, self.currency)

    @property
    def waived(self) -> Money:
        """What was missing within the tolerance of the balance."""
        return Money(self.waived_minor, self.currency)

    @property
    def netted(self) -> Money:
        """Collections of the seller that were set off against the balance."""
        return Money(self.netted_minor, self.currency)

    @property
    def distributed(self) -> Money:
        """How much of the price is distributed: all of it at once, or each instalment as it came."""
        return Money(self.distributed_minor, self.currency)

    @property
    def balance(self) -> Money:
        """What the invoice asks for: price less deposit."""
        return self.price - self.deposit

    @property
    def due(self) -> Money:
        """What is still to be paid; nothing once the deal is cancelled."""
        if self.state is DealState.CANCELLED:
            return Money.zero(self.currency)
        return self.balance - self.received - self.waived - self.netted

    def overdue(self, on: date) -> bool:
        """Say whether the balance is late on a day: derived, never stored."""
        return self.state in OPEN_FOR_PAYMENT and bool(self.due) and on > self.due_on

    @property
    def net(self) -> Money | None:
        """What the seller receives and the cases share; None before the distribution."""
        return None if self.net_minor is None else Money(self.net_minor, self.currency)


class DealDeduction(Base):
    """What a payee took out of the price of a deal, by the schedule pinned to it. Append-only."""

    __tablename__ = "deal_deductions"
    deal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deals.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    payee: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()

    __table_args__ = (CheckConstraint("amount_minor >= 0", "amount_not_negative"),)

    @property
    def amount(self) -> Money:
        """The amount deducted."""
        return Money(self.amount_minor, self.currency)


class Allocation(Base):
    """The part of the net proceeds of a deal that belongs to one case, in the deal's currency. Append-only.

    The rows of a deal add up to `deals.net_minor` and number `deals.case_count` (trigger `allocations_add_up`). A deal
    with very many cases has a partition of its own, its `segment`; all others share segment 0 (migration 0026).
    """

    __tablename__ = "allocations"
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    deal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_key: Mapped[str]
    weight: Mapped[int]
    amount_minor: Mapped[int]

    __table_args__ = (
        CheckConstraint("weight >= 0", "weight_not_negative"),
        CheckConstraint("amount_minor >= 0", "amount_not_negative"),
        {"postgresql_partition_by": "LIST (segment)"},
    )
