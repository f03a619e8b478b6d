"""Endpoints and messages: registering an address, putting a message on its way, looking at it, sending it again."""

import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import format_instant
from marketplace.crypto import Vault
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.webhooks import domain
from marketplace.webhooks.domain import ENDPOINT, EndpointState
from marketplace.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage

db.violation("uq_webhook_endpoints_organisation_id_url", domain.EndpointKnown)


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint with its secret, which is shown this once."""

    endpoint: WebhookEndpoint
    secret: str


@dataclass(frozen=True, slots=True)
class MessageFile:
    """A message with every attempt, oldest first."""

    row: WebhookMessage
    attempts: Sequence[WebhookAttempt]


def create_endpoint(
    session: Session,
    *,
    url: str,
    kinds: Collection[str],
    allow_private: bool,
    vault: Vault,
    actor: Actor,
    at: datetime,
) -> NewEndpoint:
    """Register an address of the actor's organisation; without `kinds` it is told everything.

    Raises `UnfitUrl`, `TooManyEndpoints`, `EndpointKnown`.
    """
    domain.check_url(url, allow_private=allow_private)
    own = select(func.count()).where(WebhookEndpoint.organisation_id == actor.organisation_id)
    if (session.scalar(own) or 0) >= domain.MAX_ENDPOINTS:
        raise domain.TooManyEndpoints
    endpoint_id, secret = db.new_id(), domain.new_secret(secrets.token_bytes(domain.SECRET_BYTES))
    row = WebhookEndpoint(
        id=endpoint_id,
        organisation_id=actor.organisation_id,
        url=url,
        kinds=sorted(set(kinds)),
        secret_sealed=vault.seal(secret, context=secret_context(endpoint_id)),
        state=ENDPOINT.initial,
        created_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="create", after={"url": url, "kinds": row.kinds})
    return NewEndpoint(row, secret)


def secret_context(endpoint_id: uuid.UUID) -> str:
    """What a sealed secret belongs to; needed again to open it."""
    return f"webhook_endpoints/{endpoint_id}"


def move_endpoint(
    session: Session, *, endpoint_id: uuid.UUID, verb: str, reason: str, actor: Actor, at: datetime
) -> WebhookEndpoint:
    """Disable or enable an endpoint; raise `NotFound`, `IllegalMove`. Enabled, it starts without counted failures."""
    row = session.get(WebhookEndpoint, endpoint_id, with_for_update=True, populate_existing=True)
    if row is None or not _sees(row, actor):
        raise NotFound("webhook endpoint", endpoint_id)
    audit.transition(session, row, verb, lifecycle=ENDPOINT, actor=actor, at=at, reason=reason)
    if row.state is EndpointState.ENABLED:
        row.failures = 0
    session.flush()
    return row


def _sees(row: WebhookEndpoint, actor: Actor) -> bool:
    return actor.sees_everything or row.organisation_id == actor.organisation_id


def list_endpoints(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> Page[WebhookEndpoint]:
    """Return the endpoints of the actor's organisation, newest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=WebhookEndpoint.id, cursor=cursor, limit=limit)


def listeners(session: Session, *, kind: str) -> set[uuid.UUID]:
    """Return the organisations that have an enabled endpoint for a kind of event."""
    query = select(WebhookEndpoint.organisation_id).where(_wants(kind)).distinct()
    return set(session.scalars(query))


def _wants(kind: str) -> ColumnElement[bool]:
    everything = func.cardinality(WebhookEndpoint.kinds) == 0
    return (WebhookEndpoint.state == EndpointState.ENABLED) & or_(everything, WebhookEndpoint.kinds.contains([kind]))


def tell(
    session: Session,
    *,
    kind: str,
    event_key: str,
    bodies: Mapping[uuid.UUID, Mapping[str, Any]],
    at: datetime,
) -> int:
    """Put a message on its way to every enabled endpoint of these organisations that wants it; return how many are new.

    `bodies`: what each organisation may know, plain JSON. The same `event_key` again adds nothing.
    """
    query = select(WebhookEndpoint.id, WebhookEndpoint.organisation_id)
    endpoints = session.execute(query.where(_wants(kind), WebhookEndpoint.organisation_id.in_(bodies))).all()
    rows = [
        {
            "id": db.new_id(),
            "endpoint_id": row.id,
            "kind": kind,
            "event_key": event_key,
            "body": _body(kind, bodies[row.organisation_id], at=at),
            "created_at": at,
            "attempts": 0,
            "next_attempt_at": at,
        }
        for row in endpoints
    ]
    if not rows:
        return 0
    added = insert(WebhookMessage).values(rows).on_conflict_do_nothing().returning(WebhookMessage.id)
    return len(session.execute(added).all())


def _body(kind: str, data: Mapping[str, Any], *, at: datetime) -> str:
    return orjson.dumps({"type": kind, "timestamp": format_instant(at), "data": dict(data)}).decode()


def list_messages(
    session: Session, *, endpoint_id: uuid.UUID, cursor: str | None, limit: int, actor: Actor
) -> Page[WebhookMessage]:
    """Return the messages of an endpoint, newest first; raise `NotFound`."""
    row = session.get(WebhookEndpoint, endpoint_id)
    if row is None or not _sees(row, actor):
        raise NotFound("webhook endpoint", endpoint_id)
    query = select(WebhookMessage).where(WebhookMessage.endpoint_id == endpoint_id)
    return db.page(session, query, key_column=WebhookMessage.id, cursor=cursor, limit=limit)


def get_message(session: Session, message_id: uuid.UUID, *, actor: Actor, for_update: bool = False) -> MessageFile:
    """Return a message with its attempts; raise `NotFound`."""
    row = session.get(WebhookMessage, message_id, with_for_update=for_update or None)
    if row is None or not _sees(session.get_one(WebhookEndpoint, row.endpoint_id), actor):
        raise NotFound("webhook message", message_id)
    query = select(WebhookAttempt).where(WebhookAttempt.message_id == message_id).order_by(WebhookAttempt.id)
    return MessageFile(row, session.scalars(query).all())


def send_again(session: Session, *, message_id: uuid.UUID, actor: Actor, at: datetime) -> MessageFile:
    """Put a message on its way once more, under the same id, delivered before or given up; raise `NotFound`."""
    file = get_message(session, message_id, actor=actor, for_update=True)
    row = file.row
    row.delivered_at, row.given_up_at, row.attempts, row.next_attempt_at = None, None, 0, at
    audit.record(session, actor=actor, at=at, subject=row, verb="send_again")
    session.flush()
    return file
