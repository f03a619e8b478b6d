"""What a forfeited deposit is used for: previewed, then posted once when the next price is known."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.money import Money
from settlement import default_policies, deposits, fees, ledger, payments, releases
from settlement.deal_models import Deal
from settlement.default_models import DefaultPolicy, Forfeiture
from settlement.domain import ledger as books
from settlement.domain.deal import ZONE, DealState
from settlement.domain.defaults import (
    ForfeitureNotFound,
    ForfeitureSettled,
    ResalePriceUnknown,
    Waterfall,
    waterfall,
)
from settlement.domain.ledger import Line
from settlement.domain.orders import PaymentPurpose


@dataclass(frozen=True, slots=True)
class ForfeiturePreview:
    """A forfeited deposit with what it is (or was) used for, by its policy. `resale_price`: of the next sale."""

    row: Forfeiture
    policy: DefaultPolicy
    sale_costs: Money
    resale_price: Money
    uses: Waterfall


def list_forfeitures(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> db.Page[Forfeiture]:
    """Return a page of forfeited deposits that the actor may see, newest first."""
    query = select(Forfeiture)
    if not actor.sees_everything:
        mine = actor.organisation_id
        query = query.where(or_(Forfeiture.organisation_id == mine, Forfeiture.seller_organisation_id == mine))
    return db.page(session, query, key_column=Forfeiture.id, cursor=cursor, limit=limit)


def preview(
    session: Session,
    *,
    forfeiture_id: uuid.UUID,
    sale_costs: Money | None = None,
    resale_price: Money | None = None,
    actor: Actor,
) -> ForfeiturePreview:
    """Return what a forfeited deposit will be used for; once it was used, what it was used for, whatever is asked.

    Without a `resale_price` that of the deal of the next in line counts. Raises `ForfeitureNotFound`,
    `ResalePriceUnknown`, `CurrencyMismatch`.
    """
    row = session.get(Forfeiture, forfeiture_id)
    if row is None or not (
        actor.sees_everything or actor.organisation_id in {row.organisation_id, row.seller_organisation_id}
    ):
        raise ForfeitureNotFound(forfeiture_id)
    return _preview(session, row, sale_costs, resale_price)


def _preview(
    session: Session, row: Forfeiture, sale_costs: Money | None, resale_price: Money | None
) -> ForfeiturePreview:
    if row.settled_at is not None:
        assert row.sale_costs_minor is not None
        assert row.resale_price_minor is not None
        sale_costs = Money(row.sale_costs_minor, row.currency)
        resale_price = Money(row.resale_price_minor, row.currency)
    policy = session.get_one(DefaultPolicy, row.policy_id)
    sale_costs = sale_costs or Money.zero(row.currency)
    resale_price = resale_price or _resale_price(session, row)
    uses = waterfall(
        default_policies.rules_of(policy),
        deposit=row.amount,
        sale_costs=sale_costs,
        price=row.price,
        resale_price=resale_price,
    )
    return ForfeiturePreview(row, policy, sale_costs, resale_price, uses)


def _resale_price(session: Session, row: Forfeiture) -> Money:
    """Return the price of the deal that took the failed one's place."""
    failed = auctions.require_award(session, row.award_id)
    same_slot = [
        one.id
        for one in auctions.awards_of_listing(session, failed.listing_id)
        if (one.auction_id, one.slot) == (failed.auction_id, failed.slot)
    ]
    deal = session.scalars(
        select(Deal).where(Deal.award_id.in_(same_slot), Deal.state != DealState.CANCELLED)
    ).one_or_none()
    if deal is None:
        raise ResalePriceUnknown
    return deal.price


def settle(
    session: Session,
    *,
    forfeiture_id: uuid.UUID,
    sale_costs: Money,
    resale_price: Money | None,
    reason: str,
    actor: Actor,
    at: datetime,
) -> ForfeiturePreview:
    """Post what a forfeited deposit is used for, once, and propose the payments that follow.

    Entry: `forfeited` to commission (sale costs), to the seller's payable (gap, and the rest where the regime gives it
    to the seller), back to the deposit where the rest is the buyer's. Raises as `preview`, and `ForfeitureSettled`.
    """
    row = session.scalars(
        select(Forfeiture)
        .where(Forfeiture.id == forfeiture_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise ForfeitureNotFound(forfeiture_id)
    if row.settled_at is not None:
        raise ForfeitureSettled
    found = _preview(session, row, sale_costs, resale_price)
    uses = found.uses
    row.settled_at = at
    row.sale_costs_minor, row.resale_price_minor = found.sale_costs.minor, found.resale_price.minor
    row.costs_taken_minor, row.gap_taken_minor = uses.sale_costs.minor, uses.price_gap.minor
    row.seller_minor, row.returned_minor, row.claim_minor = uses.seller.minor, uses.buyer.minor, uses.claim.minor
    session.flush()
    audit.record(
        session, actor=actor, at=at, subject=row, verb="settle", after={"claim": str(uses.claim)}, reason=reason
    )
    if row.amount_minor:
        _post(session, row, uses, actor=actor, at=at)
    _propose_payments(session, row, uses, reason=reason, actor=actor, at=at)
    return found


def entry_of(row: Forfeiture, uses: Waterfall) -> Sequence[Line]:
    """Return the lines by which a forfeited deposit is used; those without an amount are left out."""
    owed = (
        (fees.PAYEE_ACCOUNTS["operator"], uses.sale_costs),
        (books.payable(row.seller_organisation_id), uses.price_gap + uses.seller),
        (books.deposits(row.registration_id), uses.buyer),
    )
    return (
        Line(books.forfeited(row.id), row.amount_minor),
        *(Line(account, -amount.minor) for account, amount in owed if amount),
    )


def _post(session: Session, row: Forfeiture, uses: Waterfall, *, actor: Actor, at: datetime) -> None:
    ledger.post(
        session,
        source_kind="forfeiture.settled",
        source_id=row.id,
        description="A forfeited deposit is used",
        lines=entry_of(row, uses),
        currency=row.currency,
        value_on=local_date(at, ZONE),
        actor=actor,
        at=at,
    )


def _propose_payments(
    session: Session, row: Forfeiture, uses: Waterfall, *, reason: str, actor: Actor, at: datetime
) -> None:
    due = uses.price_gap + uses.seller
    if due:
        payments.propose_order(
            session,
            payee_organisation_id=row.seller_organisation_id,
            purpose=PaymentPurpose.PAYOUT,
            amount=due.minor,
            currency=row.currency,
            reference=f"forfeited deposit: {reason}"[:120],
            source_kind="forfeiture",
            source_id=row.id,
            actor=actor,
            at=at,
        )
    listing_id = auctions.require_award(session, row.award_id).listing_id
    if uses.buyer and not releases.is_needed(session, listing_id=listing_id, registration_id=row.registration_id):
        deposits.release(session, registration_id=row.registration_id, reason=reason, actor=actor, at=at)
