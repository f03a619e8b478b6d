"""The customer that stands for an organisation at Stripe: one, made by a worker when its first payment needs it."""

import uuid
from dataclasses import dataclass
from datetime import datetime

import stripe
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import db, errands, runtime
from marketplace.parties import service as parties
from settlement import card_client
from settlement.card_models import CardCustomer, CardPayment
from settlement.domain import cards
from settlement.domain.cards import CardPaymentState


def customer_of(session: Session, organisation_id: uuid.UUID, *, at: datetime) -> CardCustomer:
    """Return the customer of an organisation, its row made when there is none; the organisation's row is locked."""
    parties.require_organisation(session, organisation_id, for_update=True)
    query = select(CardCustomer).where(CardCustomer.organisation_id == organisation_id)
    found = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if found is None:
        name = parties.require_organisation(session, organisation_id).name
        found = CardCustomer(id=db.new_id(), organisation_id=organisation_id, name=name, created_at=at)
        session.add(found)
        session.flush()
    return found


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """Which customer is to be made; `again`: it may have been made before."""

    client: stripe.StripeClient
    id: uuid.UUID
    organisation_id: uuid.UUID
    name: str
    again: bool


def prepare_customer(session: Session, subject: str, *, again: bool, at: datetime) -> CustomerPlan | None:
    """Say which customer is to be made, None when it is there."""
    del at
    row = session.get_one(CardCustomer, uuid.UUID(subject))
    if row.customer_id is not None:
        return None
    client = card_client.client_of(runtime.current().settings)
    return CustomerPlan(client, row.id, row.organisation_id, row.name, again)


def make_customer(plan: CustomerPlan) -> str:
    """Return the customer's id at Stripe, making it when it is not there."""
    organisation_id = str(plan.organisation_id)
    found = card_client.find_customer(plan.client, organisation_id=organisation_id) if plan.again else None
    key = f"customer:{plan.id}"
    return found or card_client.make_customer(plan.client, key=key, organisation_id=organisation_id, name=plan.name)


def record_customer(session: Session, plan: CustomerPlan, *, outcome: str, at: datetime) -> None:
    """Keep the customer's id and ask for the intents that waited for it."""
    row = session.get_one(CardCustomer, plan.id, with_for_update=True)
    row.customer_id = outcome
    waiting = select(CardPayment.id).where(
        CardPayment.organisation_id == row.organisation_id, CardPayment.state == CardPaymentState.REQUESTED
    )
    for payment_id in session.scalars(waiting.order_by(CardPayment.id)):
        errands.ask(session, kind=cards.MAKE_INTENT, subject=str(payment_id), at=at)
