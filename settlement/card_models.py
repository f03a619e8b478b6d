"""Rows of the card rail: customers, payments, refunds, disputes, Stripe's balance and its payouts, Stripe's events.

An `…_id` in a text column is Stripe's own id. Lines of the balance and events are only ever added.
"""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, currency, enum_column, key
from marketplace.money import Money
from settlement.domain.cards import CardDisputeState, CardPaymentState


class CardCustomer(Base):
    """An organisation as Stripe knows it; `customer_id` is None until Stripe has answered."""

    __tablename__ = "card_customers"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]
    customer_id: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("organisation_id"), UniqueConstraint("customer_id"))


class CardPayment(Base):
    """A deposit, or what is missing of it, that a buyer pays by card: one PaymentIntent, captured at once.

    `received_minor` is what Stripe says it charged, whatever was asked; `note` why Stripe refused or the card failed.
    """

    __tablename__ = "card_payments"
    id: Mapped[uuid.UUID] = key()
    registration_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("registrations.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"), index=True)
    state: Mapped[CardPaymentState] = mapped_column(enum_column(CardPaymentState))
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    intent_id: Mapped[str | None]
    charge_id: Mapped[str | None]
    received_minor: Mapped[int | None]
    note: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]
    received_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("intent_id"),
        UniqueConstraint("charge_id"),
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
        CheckConstraint("state IN ('requested', 'refused') OR intent_id IS NOT NULL", "intent_known"),
        CheckConstraint("(state = 'received') = (received_minor IS NOT NULL)", "received_amount_known"),
        Index(
            "uq_card_payments_live",
            "registration_id",
            unique=True,
            postgresql_where=text("state IN ('requested', 'open')"),
        ),
        Index("ix_card_payments_registration_id", "registration_id"),
    )

    @property
    def amount(self) -> Money:
        """What the buyer is asked to pay."""
        return Money(self.amount_minor, self.currency)

    @property
    def received(self) -> Money | None:
        """What Stripe charged."""
        return None if self.received_minor is None else Money(self.received_minor, self.currency)


class CardRefund(Base):
    """The refund that carries out one payment order. `status` is Stripe's own word, empty until it has answered."""

    __tablename__ = "card_refunds"
    id: Mapped[uuid.UUID] = key()
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payment_orders.id"))
    card_payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("card_payments.id"), index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    refund_id: Mapped[str | None]
    status: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("order_id"),
        UniqueConstraint("refund_id"),
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
    )

    @property
    def amount(self) -> Money:
        """What goes back to the card."""
        return Money(self.amount_minor, self.currency)


class CardDispute(Base):
    """A cardholder contests a payment. The `…_minor` parts are what is blocked (or, lost, gone) now; all zero when won.

    `hold_entry_id` is the entry that blocks it, `lost_entry_id` the one that gave it up.
    """

    __tablename__ = "card_disputes"
    id: Mapped[uuid.UUID] = key()
    dispute_id: Mapped[str]
    card_payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("card_payments.id"), index=True)
    state: Mapped[CardDisputeState] = mapped_column(enum_column(CardDisputeState))
    status: Mapped[str]
    reason: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    deposit_minor: Mapped[int]
    unapplied_minor: Mapped[int]
    loss_minor: Mapped[int]
    hold_entry_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))
    lost_entry_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("entries.id"))
    evidence_due_at: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("dispute_id"),
        CheckConstraint("amount_minor > 0", "amount_above_zero"),
        CheckConstraint("least(deposit_minor, unapplied_minor, loss_minor) >= 0", "parts_not_negative"),
        CheckConstraint(
            "deposit_minor + unapplied_minor + loss_minor ="
            " CASE WHEN hold_entry_id IS NULL THEN 0 ELSE amount_minor END",
            "parts_add_up",
        ),
        CheckConstraint("lost_entry_id IS NULL OR hold_entry_id IS NOT NULL", "held_before_lost"),
    )

    @property
    def amount(self) -> Money:
        """What is contested."""
        return Money(self.amount_minor, self.currency)

    @property
    def deposit(self) -> Money:
        """How much of it was taken out of the deposit."""
        return Money(self.deposit_minor, self.currency)

    @property
    def loss(self) -> Money:
        """How much of it we have passed on already and bear ourselves."""
        return Money(self.loss_minor, self.currency)


class StripeLine(Base):
    """One line of our balance at Stripe (a balance transaction): amount − fee = net, in +, out −."""

    __tablename__ = "stripe_lines"
    id: Mapped[uuid.UUID] = key()
    transaction_id: Mapped[str]
    kind: Mapped[str]
    source: Mapped[str]
    amount_minor: Mapped[int]
    fee_minor: Mapped[int]
    net_minor: Mapped[int]
    currency: Mapped[str] = currency()
    description: Mapped[str]
    happened_at: Mapped[datetime] = mapped_column(index=True)
    imported_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("transaction_id"),
        CheckConstraint("net_minor = amount_minor - fee_minor", "net_adds_up"),
    )

    @property
    def amount(self) -> Money:
        """Before the fee."""
        return Money(self.amount_minor, self.currency)

    @property
    def fee(self) -> Money:
        """What Stripe took of it."""
        return Money(self.fee_minor, self.currency)

    @property
    def net(self) -> Money:
        """How the balance moved."""
        return Money(self.net_minor, self.currency)


class CardPayout(Base):
    """Money on its way from Stripe to our bank. `lines_minor`: what its lines come to, once Stripe lists them."""

    __tablename__ = "card_payouts"
    id: Mapped[uuid.UUID] = key()
    payout_id: Mapped[str]
    status: Mapped[str]
    automatic: Mapped[bool]
    amount_minor: Mapped[int]
    currency: Mapped[str] = currency()
    arrival_on: Mapped[date]
    line_count: Mapped[int | None]
    lines_minor: Mapped[int | None]
    settled_by_line_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("statement_lines.id"))
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("payout_id"), UniqueConstraint("settled_by_line_id"))

    @property
    def amount(self) -> Money:
        """What was sent."""
        return Money(self.amount_minor, self.currency)

    @property
    def difference(self) -> Money | None:
        """What was sent less what its lines come to: zero, or somebody must look. None before Stripe lists them."""
        return None if self.lines_minor is None else Money(self.amount_minor - self.lines_minor, self.currency)


class WebhookEvent(Base):
    """An event that Stripe sent, as it came, once. `outcome`: whether its object is asked for, or it is only kept.

    Of the body only the id, the type and the object's id are ever read. The event is answered when the errand
    (`errand_kind`, `object_id`) has reached `turn`.
    """

    __tablename__ = "webhook_events"
    id: Mapped[uuid.UUID] = key()
    event_id: Mapped[str]
    kind: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    outcome: Mapped[str]
    object_id: Mapped[str] = mapped_column(server_default="")
    errand_kind: Mapped[str] = mapped_column(server_default="")
    turn: Mapped[int | None]

    __table_args__ = (UniqueConstraint("event_id"),)
