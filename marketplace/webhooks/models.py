"""Rows of webhooks: where to, what, and every attempt. A message is one row per endpoint and event."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.db import Base, enum_column, key
from marketplace.webhooks.domain import EndpointState


class WebhookEndpoint(Base):
    """An address of an organisation and what is sent to it; no `kinds` means everything. The secret is sealed."""

    __tablename__ = "webhook_endpoints"
    id: Mapped[uuid.UUID] = key()
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisations.id"))
    url: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[EndpointState] = mapped_column(enum_column(EndpointState))
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("failures >= 0", "failures_counted"),
        UniqueConstraint("organisation_id", "url"),
    )


class WebhookMessage(Base):
    """A message to one endpoint. `event_key` names the event: twice announced is once sent. Its id is the receiver's.

    `body` is the exact text that is signed. Neither delivered nor given up: it is due at `next_attempt_at`; while it is
    being sent, that is when the sender's claim on it runs out. `attempts` counts the one that is being made.
    """

    __tablename__ = "webhook_messages"
    id: Mapped[uuid.UUID] = key()
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    kind: Mapped[str]
    event_key: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("attempts >= 0", "attempts_counted"),
        CheckConstraint("delivered_at IS NULL OR given_up_at IS NULL", "one_end"),
        UniqueConstraint("endpoint_id", "event_key"),
        Index(
            "ix_webhook_messages_due",
            "next_attempt_at",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
        Index("ix_webhook_messages_endpoint_id", "endpoint_id", "id"),
    )


class WebhookAttempt(Base):
    """One attempt to deliver a message: the status that came back, or what went wrong. Only ever added."""

    __tablename__ = "webhook_attempts"
    id: Mapped[uuid.UUID] = key()
    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_messages.id"))
    at: Mapped[datetime]
    status: Mapped[int | None]
    error: Mapped[str] = mapped_column(default="")
    milliseconds: Mapped[int]

    __table_args__ = (
        CheckConstraint("milliseconds >= 0", "duration_not_negative"),
        Index("ix_webhook_attempts_message_id", "message_id", "id"),
    )
