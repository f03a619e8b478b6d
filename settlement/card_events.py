"""Stripe's events: kept as they came, once each, and answered by looking at the object that they are about.

Nothing in an event is believed but that something happened to an object: the object is fetched from Stripe, so events
may come twice, late, in any order or not at all. For those that never come there is the sweep.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import stripe
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from marketplace import db, errands, runtime
from marketplace.errors import Invalid
from settlement import card_client, card_payouts
from settlement.card_client import StripeOff
from settlement.card_models import CardDispute, CardPayment, CardPayout, CardRefund, WebhookEvent
from settlement.domain import cards
from settlement.domain.cards import CardDisputeState, CardPaymentState

TOLERANCE_SECONDS: Final = 300
DISPUTES_SINCE: Final = timedelta(days=30)
"""So far back disputes are listed: one that took no money yet (an inquiry) is seen by no line of the balance."""

MAX_ID: Final = 255
"""Longest id of an object (Stripe, "Object IDs")."""

ASKED: Final = "asked"
IGNORED: Final = "ignored"


class SignatureWrong(Invalid):
    """The event was not signed by Stripe with our secret, or long ago."""

    status = 400
    code = "signature_wrong"

    def __init__(self) -> None:
        super().__init__("The signature of the event does not fit; nothing was stored.")


def receive_event(session: Session, *, body: bytes, signature: str, secret: str | None, at: datetime) -> WebhookEvent:
    """Take in an event of Stripe, once for each event id, and ask for its object; kinds that we do not follow are kept.

    The same again gives the first row, unchanged. Raises `StripeOff` without a secret, `SignatureWrong`.
    """
    event = _verified(body, signature, secret)
    known = select(WebhookEvent).where(WebhookEvent.event_id == event["id"])
    row = session.scalars(known).one_or_none()
    if row is not None:
        return row
    object_id = _object_id(event)
    kind = cards.fetched_by(object_id)
    new = insert(WebhookEvent).values(
        id=db.new_id(),
        event_id=event["id"],
        kind=event["type"],
        body=body,
        received_at=at,
        outcome=ASKED if kind else IGNORED,
        object_id=object_id,
        errand_kind=kind or "",
        turn=errands.ask(session, kind=kind, subject=object_id, at=at) if kind else None,
    )
    session.execute(new.on_conflict_do_nothing(index_elements=["event_id"]))
    return session.scalars(known).one()


def _object_id(event: dict[str, Any]) -> str:
    """Return the id of the object that an event is about; empty when it has none that looks like one."""
    data = event.get("data")
    found = data.get("object") if isinstance(data, dict) else None
    object_id = found.get("id") if isinstance(found, dict) else None
    return object_id if isinstance(object_id, str) and len(object_id) <= MAX_ID else ""


def _verified(body: bytes, signature: str, secret: str | None) -> dict[str, Any]:
    if secret is None:
        raise StripeOff
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, TOLERANCE_SECONDS)
        event = json.loads(body)
    except (stripe.SignatureVerificationError, ValueError, RecursionError):
        raise SignatureWrong from None
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in ("id", "type")):
        raise SignatureWrong
    return event


def sweep(session: Session, at: datetime) -> None:
    """Ask for all whose event may never have come, and match payouts that have arrived: the work of the clock."""
    if runtime.current().settings.stripe_api_key is None:
        return
    for kind, subject in (*_unfinished(session), (cards.LIST_BALANCE, ""), (cards.LIST_DISPUTES, "")):
        errands.ask(session, kind=kind, subject=subject, at=at)
    card_payouts.match_waiting(session, at=at)


def _unfinished(session: Session) -> list[tuple[str, str]]:
    """Every object of Stripe that may still change, with the errand that fetches it, in one order."""
    queries = (
        (cards.FETCH_PAYMENT, select(CardPayment.intent_id).where(CardPayment.state == CardPaymentState.OPEN)),
        (cards.FETCH_REFUND, select(CardRefund.refund_id).where(CardRefund.status.in_(("pending", "requires_action")))),
        (cards.FETCH_DISPUTE, select(CardDispute.dispute_id).where(CardDispute.state == CardDisputeState.OPEN)),
        (cards.FETCH_PAYOUT, select(CardPayout.payout_id).where(CardPayout.status.not_in(card_payouts.FINAL))),
        (
            cards.FETCH_PAYOUT,
            select(CardPayout.payout_id).where(CardPayout.automatic, CardPayout.lines_minor.is_(None)),
        ),
    )
    return sorted({(kind, subject) for kind, query in queries for subject in session.scalars(query) if subject})


@dataclass(frozen=True, slots=True)
class DisputesLook:
    """Since when disputes are listed."""

    client: stripe.StripeClient
    since: datetime


def prepare_disputes(session: Session, subject: str, *, again: bool, at: datetime) -> DisputesLook:
    """Say since when disputes are listed."""
    del session, subject, again
    return DisputesLook(card_client.client_of(runtime.current().settings), at - DISPUTES_SINCE)


def list_disputes(look: DisputesLook) -> list[str]:
    """Return the ids of the disputes of the last weeks."""
    return card_client.list_disputes(look.client, since=look.since)


def record_disputes(session: Session, look: DisputesLook, *, outcome: list[str], at: datetime) -> None:
    """Ask for the disputes that we know nothing of."""
    del look
    known = set(session.scalars(select(CardDispute.dispute_id).where(CardDispute.dispute_id.in_(outcome))))
    for dispute_id in sorted(set(outcome) - known):
        errands.ask(session, kind=cards.FETCH_DISPUTE, subject=dispute_id, at=at)


def list_events(session: Session, *, cursor: str | None, limit: int) -> db.Page[WebhookEvent]:
    """Return a page of Stripe's events, newest first."""
    return db.page(session, select(WebhookEvent), key_column=WebhookEvent.id, cursor=cursor, limit=limit)
