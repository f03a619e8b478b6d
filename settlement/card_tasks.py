"""What the card rail hands to the module of settlement (`settlement.tasks`): routes, errands to Stripe, the sweep."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from marketplace.actor import SYSTEM
from marketplace.errands import Kind
from marketplace.module import Periodic
from marketplace.outbox import Subscription
from settlement import (
    card_api,
    card_balance,
    card_customers,
    card_disputes,
    card_events,
    card_payments,
    card_payouts,
    card_refunds,
    releases,
)
from settlement.domain import cards
from settlement.domain.cards import CardDisputeState


def release_regained(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`card_dispute.changed`: what is ours again goes back if its bidder has lost meanwhile, or nothing needs it."""
    if payload["state"] == CardDisputeState.WON.value:
        registration_id = uuid.UUID(payload["registration_id"])
        releases.release_late(session, registration_id=registration_id, actor=SYSTEM, at=at)
        card_disputes.send_back(session, dispute_id=uuid.UUID(payload["card_dispute_id"]), at=at)


BLUEPRINTS: Final = (card_api.blueprint,)
SUBSCRIPTIONS: Final = (Subscription("card_dispute.changed", release_regained),)
ERRANDS: Final = {
    cards.MAKE_CUSTOMER: Kind(
        card_customers.prepare_customer, card_customers.make_customer, card_customers.record_customer
    ),
    cards.MAKE_INTENT: Kind(card_payments.prepare_intent, card_payments.make_intent, card_payments.record_intent),
    cards.CANCEL_INTENT: Kind(card_payments.prepare_cancel, card_payments.cancel_intent, card_payments.record_cancel),
    cards.MAKE_REFUND: Kind(card_refunds.prepare_refund, card_refunds.make_refund, card_refunds.record_refund),
    cards.FETCH_PAYMENT: Kind(card_payments.prepare_look, card_payments.fetch_payment, card_payments.record_payment),
    cards.FETCH_REFUND: Kind(card_payments.prepare_look, card_refunds.fetch_refund, card_refunds.record_fetched),
    cards.FETCH_DISPUTE: Kind(card_payments.prepare_look, card_disputes.fetch_dispute, card_disputes.record_dispute),
    cards.FETCH_PAYOUT: Kind(card_payments.prepare_look, card_payouts.fetch_payout, card_payouts.record_payout),
    cards.LIST_BALANCE: Kind(card_balance.prepare_balance, card_balance.list_balance, card_balance.record_balance),
    cards.LIST_DISPUTES: Kind(card_events.prepare_disputes, card_events.list_disputes, card_events.record_disputes),
}
PERIODIC: Final = (Periodic("settlement.sweep_stripe", card_events.sweep, seconds=600),)
