"""Announcing upward: an event is a row written in the same transaction as the deed, delivered at least once.

`publish` adds the event and one delivery row per subscribed handler. The relay claims deliveries with SKIP LOCKED and
runs each handler in its own transaction, in which the delivery is marked: an effect in our database happens exactly
once, however often a worker dies. Handlers do not rely on the order of events.
"""

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import orjson
import structlog
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from marketplace import arrays, db
from marketplace.clock import Clock
from marketplace.db import Base, key

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 20
"""After so many failures a delivery waits for a person (`operator_admin` sees it under /outbox-deliveries)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of the facts that packages announce: past tense, frozen, ids and amounts only (UUID, str, int, None)."""

    name: ClassVar[str]


class OutboxEvent(Base):
    """A fact, announced."""

    __tablename__ = "outbox_events"
    id: Mapped[uuid.UUID] = key()
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class OutboxDelivery(Base):
    """What one handler still owes, or has done, for one event."""

    __tablename__ = "outbox_deliveries"
    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("outbox_events.id"))
    handler: Mapped[str]
    delivered_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    last_error: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        Index("uq_outbox_deliveries_event_id_handler", "event_id", "handler", unique=True),
        Index("ix_outbox_deliveries_due", "next_attempt_at", postgresql_where=text("delivered_at IS NULL")),
    )


Handler = Callable[[Session, Mapping[str, Any], datetime], None]
"""A subscription: (session, payload of the event, at). It may run again after a crash before its commit."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """`handler` wants every event called `event`; its qualified name identifies it for good."""

    event: str
    handler: Handler

    @property
    def name(self) -> str:
        """Stable name under which deliveries are kept."""
        return f"{self.handler.__module__}.{self.handler.__name__}"


_SUBSCRIPTIONS: Final = "outbox_subscriptions"


def bind(sessions: sessionmaker[Session], subscriptions: tuple[Subscription, ...]) -> None:
    """Tell a session factory who wants which event; done once by the doors."""
    sessions.configure(info={_SUBSCRIPTIONS: subscriptions})


def publish(session: Session, event: Event, *, at: datetime) -> None:
    """Announce a fact in this transaction."""
    publish_all(session, [event], at=at)


def publish_all(session: Session, announced: Sequence[Event], *, at: datetime) -> None:
    """Announce facts in this transaction, in one statement, however many they are."""
    session.flush()
    if not announced:
        return
    wanting: dict[str, list[str]] = {}
    for subscription in session.info[_SUBSCRIPTIONS]:
        wanting.setdefault(subscription.event, []).append(subscription.name)
    ids = db.new_ids(len(announced))
    deliveries = [
        (one, handler) for one, event in zip(ids, announced, strict=True) for handler in wanting.get(event.name, ())
    ]
    values = {
        "at": at,
        "ids": arrays.uuids(ids),
        "names": arrays.texts(event.name for event in announced),
        "payloads": arrays.texts(orjson.dumps(_payload(event)).decode() for event in announced),
        "of": arrays.uuids(one for one, _ in deliveries),
        "handlers": arrays.texts(handler for _, handler in deliveries),
    }
    session.connection().exec_driver_sql(_PUBLISH, values)
    if deliveries:
        wake(session)


_PUBLISH: Final = """
WITH facts AS (
    INSERT INTO outbox_events (id, name, payload, at)
    SELECT f.id, f.name, f.payload::jsonb, %(at)s
    FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(payloads)s::text[]) AS f (id, name, payload))
INSERT INTO outbox_deliveries (event_id, handler, attempts, next_attempt_at, last_error)
SELECT d.event_id, d.handler, 0, %(at)s, ''
FROM unnest(%(of)s::uuid[], %(handlers)s::text[]) WITH ORDINALITY AS d (event_id, handler, place) ORDER BY d.place
"""
"""Facts, and who is to hear of them, in the order in which they were announced."""


def _payload(event: Event) -> dict[str, Any]:
    return {field: _plain(value) for field, value in dataclasses.asdict(event).items()}


def wake(session: Session) -> None:
    """Ask the edge to wake a worker after the commit."""
    session.info["wake"] = True


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def deliver_one(sessions: sessionmaker[Session], subscriptions: tuple[Subscription, ...], *, clock: Clock) -> bool:
    """Deliver the oldest due delivery that nobody else holds; return False when there is none."""
    at = clock.now()
    handlers = {subscription.name: subscription.handler for subscription in subscriptions}
    with sessions.begin() as session:
        delivery = session.scalars(
            select(OutboxDelivery)
            .where(
                OutboxDelivery.delivered_at.is_(None),
                OutboxDelivery.next_attempt_at <= at,
                OutboxDelivery.attempts < MAX_ATTEMPTS,
                OutboxDelivery.handler.in_(handlers),
            )
            .order_by(OutboxDelivery.sequence)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if delivery is None:
            return False
        db.allow_long(session)
        event = session.get_one(OutboxEvent, delivery.event_id)
        try:
            with session.begin_nested():
                handlers[delivery.handler](session, event.payload, at)
                session.flush()
            delivery.delivered_at = at
        except Exception as error:
            log.exception("delivery failed", handler=delivery.handler, event_id=str(event.id))
            delivery.attempts += 1
            delivery.last_error = repr(error)[:500]
            delivery.next_attempt_at = at + timedelta(seconds=min(2**delivery.attempts, 300))
    return True


def deliver_due(sessions: sessionmaker[Session], subscriptions: tuple[Subscription, ...], *, clock: Clock) -> int:
    """Deliver until nothing is due (bounded); return how many were tried."""
    for count in range(10_000):
        if not deliver_one(sessions, subscriptions, clock=clock):
            return count
    return 10_000
