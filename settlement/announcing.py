"""What happens to the money, told by webhook to each party: of a deal, of a payment, of a deposit.

Seller, buyer and operator hear of their deal; of a payment its payee, of a card its holder, each with the operator.
A late release is the operator's to mend: `deposit.release_overdue` goes to nobody else.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace.money import Money
from marketplace.outbox import Subscription
from marketplace.parties import service as parties
from marketplace.webhooks import service as webhooks
from settlement import events
from settlement.deal_models import Deal
from settlement.models import PaymentOrder

_OF_DEALS: Final = (
    events.DealOpened.name,
    events.DealPaymentReceived.name,
    events.DealPaymentTakenBack.name,
    events.DealPaid.name,
    events.PartySigned.name,
    events.ContractSigned.name,
    events.DealReady.name,
    events.DealDistributed.name,
    events.DealSettled.name,
    events.DealCancelled.name,
)
_OF_ORDERS: Final = (
    events.PaymentOrderSettled.name,
    events.PaymentOrderFailed.name,
    events.PaymentOrderReturned.name,
)
_OF_CARDS: Final = (events.CardPaymentReceived.name, events.CardDisputeChanged.name)

UNTOLD: Final = frozenset({events.ProceedsRecorded.name, events.DistributionDue.name})
"""Steps inside the house: what follows from them is told."""


def _tell_deal(session: Session, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    deal = session.get_one(Deal, uuid.UUID(payload["deal_id"]))
    data = _plain(payload) | {
        "deal_id": str(deal.id),
        "listing_id": str(deal.listing_id),
        "award_id": str(deal.award_id),
        "reference": deal.reference,
    }
    key = f"{kind}:{deal.id}:{payload.get('payment_id', payload.get('party', ''))}"
    concerned = (deal.seller_organisation_id, deal.buyer_organisation_id)
    _tell(session, kind, key=key, data=data, concerned=concerned, at=at)


def _tell_order(session: Session, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    order = session.get_one(PaymentOrder, uuid.UUID(payload["payment_order_id"]))
    data = {
        "payment_order_id": str(order.id),
        "reference": order.reference,
        "purpose": order.purpose.value,
        "amount": _money(order.amount_minor, order.currency),
    }
    payees = () if order.payee_organisation_id is None else (order.payee_organisation_id,)
    _tell(session, kind, key=f"{kind}:{order.id}", data=data, concerned=payees, at=at)


def _tell_card(session: Session, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    registration = auctions.require_registration(session, uuid.UUID(payload["registration_id"]))
    subject = payload.get("card_dispute_id") or payload["card_payment_id"]
    data = _plain(payload) | {"listing_id": str(registration.listing_id), "bidder": registration.bidder_code}
    key = f"{kind}:{subject}:{payload.get('state', '')}:{payload.get('since', '')}"
    _tell(session, kind, key=key, data=data, concerned=(registration.organisation_id,), at=at)


def _tell_late_release(session: Session, kind: str, payload: Mapping[str, Any], at: datetime) -> None:
    key = f"{kind}:{payload['registration_id']}"
    _tell(session, kind, key=key, data=_plain(payload), concerned=(), at=at)


def _tell(
    session: Session, kind: str, *, key: str, data: Mapping[str, Any], concerned: tuple[uuid.UUID, ...], at: datetime
) -> None:
    bodies = dict.fromkeys((*concerned, *parties.operator_organisations(session)), data)
    webhooks.tell(session, kind=kind, event_key=key, bodies=bodies, at=at)


def _plain(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload as its receivers read it: an amount in the shape of the API."""
    data = {name: value for name, value in payload.items() if name not in _MINOR and name != "currency"}
    for name in _MINOR:
        if name in payload:
            data["amount"] = _money(payload[name], payload["currency"])
    return data


_MINOR: Final = ("amount_minor", "received_minor")


def _money(minor: int, currency: str) -> dict[str, str]:
    return {"amount": Money(minor, currency).text, "currency": currency}


def _subscription(kind: str, tell: Callable[[Session, str, Mapping[str, Any], datetime], None]) -> Subscription:
    """Return a subscription whose handler has a name of its own, by which its deliveries are kept."""

    def handler(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
        tell(session, kind, payload, at)

    handler.__name__ = f"tell_{kind.replace('.', '_')}"
    return Subscription(kind, handler)


SUBSCRIPTIONS: Final = (
    *(_subscription(kind, _tell_deal) for kind in _OF_DEALS),
    *(_subscription(kind, _tell_order) for kind in _OF_ORDERS),
    *(_subscription(kind, _tell_card) for kind in _OF_CARDS),
    _subscription(events.DepositReleaseOverdue.name, _tell_late_release),
)
