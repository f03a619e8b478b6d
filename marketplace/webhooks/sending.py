"""Sending: what is due goes out in parallel, each call bounded; every outcome is written down.

In three steps (`marketplace.module.PeriodicCall`): claimed for `LEASE` and committed, called with nothing locked,
written down. A worker that dies after its claim leaves the message due when the lease ends: it goes out again under
the same `webhook-id`, by which a receiver tells repetitions.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace import audit
from marketplace.actor import SYSTEM
from marketplace.crypto import Vault
from marketplace.webhooks import domain
from marketplace.webhooks.domain import ENDPOINT, EndpointState
from marketplace.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from marketplace.webhooks.service import secret_context

BATCH: Final = 32
"""So many messages go out in one run, beside each other."""

PER_ENDPOINT: Final = 4
"""So many of them to one endpoint: a slow receiver does not hold up the others."""

TIMEOUT_SECONDS: Final = 5
"""A call that has no answer after this is cut off, however slowly the answer drips."""


LEASE: Final = timedelta(seconds=60)
"""So long a claimed message is nobody else's: far longer than its call can take."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make; `attempt` is its number among the message's attempts, from 1."""

    message_id: uuid.UUID
    attempt: int
    url: str
    secret: str
    body: bytes
    at: datetime
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: the status, or None and what went wrong."""

    status: int | None
    error: str
    milliseconds: int

    @property
    def heard(self) -> bool:
        """Whether the receiver took the message: any 2xx."""
        return self.status is not None and http.HTTPStatus.OK <= self.status < http.HTTPStatus.MULTIPLE_CHOICES


class ForbiddenAddress(Exception):
    """The name resolves to an address that must not be called."""


def claim_due(session: Session, *, vault: Vault, allow_private: bool, at: datetime) -> list[Call]:
    """Take what is due, oldest first, so that nobody else sends it before `LEASE` has passed; return the calls to make.

    The attempt counts from here on: a message that kills whoever sends it is given up in the end as well.
    """
    rows = _claim(session, at=at)
    ids = {row.endpoint_id for row in rows}
    endpoints = {row.id: row for row in session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id.in_(ids)))}
    calls = []
    for row in rows:
        if row.attempts >= domain.MAX_ATTEMPTS:
            row.given_up_at = at
            continue
        row.attempts, row.next_attempt_at = row.attempts + 1, at + LEASE
        endpoint = endpoints[row.endpoint_id]
        secret = vault.open(endpoint.secret_sealed, context=secret_context(endpoint.id))
        calls.append(
            Call(
                message_id=row.id,
                attempt=row.attempts,
                url=endpoint.url,
                secret=secret,
                body=row.body.encode(),
                at=at,
                allow_private=allow_private,
            )
        )
    session.flush()
    return calls


def make_calls(calls: Sequence[Call]) -> list[Outcome]:
    """Make the calls beside each other, without any transaction; return what came of each, in the same order."""
    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return list(pool.map(call, calls))


def record_outcomes(session: Session, *, claimed: Sequence[Call], outcome: Sequence[Outcome], at: datetime) -> int:
    """Write down what came of the calls; return how many there were.

    What the receiver took is delivered, whoever sent it. A failure moves the message only while the claim is still
    this one: after `LEASE` another attempt may be under way.
    """
    query = select(WebhookMessage).where(WebhookMessage.id.in_([one.message_id for one in claimed]))
    locked = query.order_by(WebhookMessage.id).with_for_update().execution_options(populate_existing=True)
    rows = {row.id: row for row in session.scalars(locked)}
    for one, found in zip(claimed, outcome, strict=True):
        _write_down(session, rows[one.message_id], one, found, at=at)
    session.flush()
    _count(session, [rows[one.message_id].endpoint_id for one in claimed], outcome, at=at)
    return len(claimed)


def _claim(session: Session, *, at: datetime) -> Sequence[WebhookMessage]:
    """Lock the oldest due messages of enabled endpoints that nobody else sends now, a few of each endpoint."""
    turn = func.row_number().over(partition_by=WebhookMessage.endpoint_id, order_by=WebhookMessage.next_attempt_at)
    due = (
        select(WebhookMessage.id, turn.label("turn"))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookMessage.endpoint_id)
        .where(
            WebhookMessage.delivered_at.is_(None),
            WebhookMessage.given_up_at.is_(None),
            WebhookMessage.next_attempt_at <= at,
            WebhookEndpoint.state == EndpointState.ENABLED,
        )
        .subquery()
    )
    claimed = (
        select(WebhookMessage)
        .where(
            WebhookMessage.id.in_(select(due.c.id).where(due.c.turn <= PER_ENDPOINT)),
            # looked at again under the lock: another worker may just have sent it
            WebhookMessage.delivered_at.is_(None),
            WebhookMessage.given_up_at.is_(None),
            WebhookMessage.next_attempt_at <= at,
        )
        .order_by(WebhookMessage.next_attempt_at, WebhookMessage.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(claimed).all()


def _write_down(session: Session, row: WebhookMessage, one: Call, outcome: Outcome, *, at: datetime) -> None:
    session.add(
        WebhookAttempt(
            message_id=row.id,
            at=one.at,
            status=outcome.status,
            error=outcome.error[:500],
            milliseconds=outcome.milliseconds,
        )
    )
    if outcome.heard:
        row.delivered_at, row.given_up_at = row.delivered_at or at, None
    elif row.attempts != one.attempt or row.delivered_at is not None:
        return
    elif row.attempts >= domain.MAX_ATTEMPTS or outcome.status == http.HTTPStatus.GONE:
        row.given_up_at = at
    else:
        row.next_attempt_at = at + domain.pause(row.attempts)


def _count(session: Session, endpoint_ids: Sequence[uuid.UUID], outcomes: Sequence[Outcome], *, at: datetime) -> None:
    """Count failures in a row for each endpoint, in order of id, and disable one that never answers."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id.in_(set(endpoint_ids)))
    locked = query.order_by(WebhookEndpoint.id).with_for_update().execution_options(populate_existing=True)
    for endpoint in session.scalars(locked).all():
        own = [outcome for one, outcome in zip(endpoint_ids, outcomes, strict=True) if one == endpoint.id]
        heard = any(outcome.heard for outcome in own)
        endpoint.failures = 0 if heard else endpoint.failures + len(own)
        gone = any(outcome.status == http.HTTPStatus.GONE for outcome in own)
        if endpoint.state is EndpointState.ENABLED and (gone or endpoint.failures >= domain.MAX_FAILURES):
            reason = "the receiver is gone" if gone else f"{endpoint.failures} failed attempts in a row"
            audit.transition(session, endpoint, "disable", lifecycle=ENDPOINT, actor=SYSTEM, at=at, reason=reason)
    session.flush()


def call(one: Call) -> Outcome:
    """Make one call: POST, signed, to a resolved address that was checked; no redirect is followed."""
    began = time.monotonic()
    try:
        status, error = _post(one), ""
    except (OSError, http.client.HTTPException, ForbiddenAddress, ValueError) as failed:
        status, error = None, f"{type(failed).__name__}: {failed}"
    return Outcome(status, error, int((time.monotonic() - began) * 1000))


def _post(one: Call) -> int:
    parts = urlsplit(one.url)
    connection = _connection(parts, _resolve(parts, allow_private=one.allow_private))
    guard = threading.Timer(TIMEOUT_SECONDS, _cut_off, (connection,))
    guard.daemon = True
    guard.start()
    try:
        connection.request("POST", _target(parts), body=one.body, headers=_headers(one, parts))
        return connection.getresponse().status
    finally:
        guard.cancel()
        connection.close()


def _resolve(parts: SplitResult, *, allow_private: bool) -> tuple[str, int]:
    """Return the address to connect to, so that what was checked is what is called; raise `ForbiddenAddress`."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        plain = parts.scheme != "https"
        numeric = ipaddress.ip_address(address.partition("%")[0])
        if not domain.may_call(numeric, allow_private=allow_private) or (plain and not numeric.is_loopback):
            raise ForbiddenAddress(f"{parts.hostname} is a private, local or reserved address")
    return addresses[0], port


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked, not to whatever the name says a moment later."""

    def __init__(self, host: str, *, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        super().__init__(host, timeout=TIMEOUT_SECONDS)
        self.address = address
        self.tls = tls

    def connect(self) -> None:
        """Connect to the checked address; with TLS the certificate must be that of the name."""
        self.sock = socket.create_connection(self.address, timeout=TIMEOUT_SECONDS)
        if self.tls is not None:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.host)


def _connection(parts: SplitResult, address: tuple[str, int]) -> _Pinned:
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return _Pinned(parts.hostname or "", address=address, tls=tls)


def _cut_off(connection: _Pinned) -> None:
    """End a call that takes too long, wherever it waits."""
    if connection.sock is not None:
        connection.sock.settimeout(0)
        connection.sock.shutdown(socket.SHUT_RDWR)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(one: Call, parts: SplitResult) -> dict[str, str]:
    return {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "npl-marketplace-webhooks/1",
        "webhook-id": str(one.message_id),
        "webhook-timestamp": str(int(one.at.timestamp())),
        "webhook-signature": domain.signature(one.secret, message_id=str(one.message_id), at=one.at, body=one.body),
    }
