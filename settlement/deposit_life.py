"""Deposits that should be back with their payers: by when, and an alert for each that is late.

The rules are `settlement.domain.deposit_life`; who still needs a deposit is decided by `settlement.releases`.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace import audit, db, outbox
from marketplace.actor import SYSTEM
from marketplace.money import Money
from marketplace.parties import service as parties
from settlement import deposit_figures, releases
from settlement.bank_models import ReleaseAlert
from settlement.deal_models import Deal
from settlement.domain.deal import DealState
from settlement.domain.deposit_life import release_due
from settlement.events import DepositReleaseOverdue
from settlement.models import Deposit


@dataclass(frozen=True, slots=True)
class ReleaseDue:
    """A deposit that is to go back: `amount` is held or on its way, `due_at` the deadline of its market."""

    registration_id: uuid.UUID
    organisation_id: uuid.UUID
    listing_id: uuid.UUID
    reference: str
    amount: Money
    is_proposed: bool
    due_at: datetime
    is_overdue: bool


def releases_due(session: Session, *, at: datetime) -> list[ReleaseDue]:
    """Return the deposits that are to go back and are not back yet, the earliest deadline first."""
    rows = {row.registration_id: row for row in session.scalars(select(Deposit))}
    open_ones = {
        one: found for one, found in deposit_figures.figures(session, rows).items() if found.held or found.refunding
    }
    by_listing: dict[uuid.UUID, list[uuid.UUID]] = {}
    for registration_id in open_ones:
        listing_id = auctions.require_registration(session, registration_id).listing_id
        by_listing.setdefault(listing_id, []).append(registration_id)
    due = []
    for listing_id, registration_ids in by_listing.items():
        deadlines = _deadlines(session, listing_id, registration_ids)
        for registration_id, due_at in deadlines.items():
            row, found = rows[registration_id], open_ones[registration_id]
            due.append(
                ReleaseDue(
                    registration_id=registration_id,
                    organisation_id=row.organisation_id,
                    listing_id=listing_id,
                    reference=row.reference,
                    amount=Money(found.held + found.refunding, row.currency),
                    is_proposed=not found.held,
                    due_at=due_at,
                    is_overdue=at > due_at,
                )
            )
    return sorted(due, key=lambda one: (one.due_at, one.registration_id))


def _deadlines(
    session: Session, listing_id: uuid.UUID, registration_ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, datetime]:
    """By when the deposits of a listing are back; those that are needed still, or whose sale is not over, have none."""
    auction = auctions.auction_of_listing(session, listing_id)
    if auction is None or auction.closed_at is None:
        return {}
    awards = auctions.awards_of_listing(session, listing_id)
    regime = (
        str(awards[0].terms["regime"]) if awards else auctions.get_listing(session, listing_id, actor=SYSTEM).preset
    )
    deals = session.scalars(select(Deal).where(Deal.listing_id == listing_id, Deal.state != DealState.CANCELLED)).all()
    kept = releases.kept_of_listing(session, listing_id)
    found = {}
    for registration_id in registration_ids:
        if registration_id in kept:
            continue
        ended = [one.ended_at for one in awards if one.registration_id == registration_id and one.ended_at is not None]
        signed = [
            max(deal.seller_signed_at, deal.buyer_signed_at)
            for deal in deals
            if deal.runner_up_registration_id == registration_id
            and deal.seller_signed_at is not None
            and deal.buyer_signed_at is not None
        ]
        due_at = release_due(regime=regime, from_=[auction.closed_at, *ended, *signed])
        assert due_at is not None
        found[registration_id] = due_at
    return found


def watch(session: Session, at: datetime) -> list[ReleaseAlert]:
    """Raise an alert for each release that is overdue, once: the work of the clock."""
    known = set(session.scalars(select(ReleaseAlert.registration_id)))
    raised = []
    for late in releases_due(session, at=at):
        if not late.is_overdue or late.registration_id in known:
            continue
        row = ReleaseAlert(
            id=db.new_id(),
            registration_id=late.registration_id,
            amount_minor=late.amount.minor,
            currency=late.amount.currency,
            due_at=late.due_at,
            raised_at=at,
        )
        session.add(row)
        session.flush()
        audit.record(session, actor=SYSTEM, at=at, subject=row, verb="raise", after={"amount": str(row.amount)})
        event = DepositReleaseOverdue(late.registration_id, late.amount.minor, late.amount.currency)
        outbox.publish(session, event, at=at)
        raised.append(row)
    return raised


def list_alerts(session: Session, *, cursor: str | None, limit: int) -> db.Page[ReleaseAlert]:
    """Return a page of the alerts that were raised, newest first."""
    return db.page(session, select(ReleaseAlert), key_column=ReleaseAlert.id, cursor=cursor, limit=limit)


HEADINGS: Final = ("reference", "buyer", "amount", "currency", "due_at", "overdue", "payment_order")


def table(session: Session, *, at: datetime) -> list[list[Any]]:
    """Return the deposits that are to go back as rows under `HEADINGS`, the earliest deadline first."""
    due = releases_due(session, at=at)
    names = parties.organisation_names(session, {one.organisation_id for one in due})
    return [
        [
            one.reference,
            names.get(one.organisation_id, ""),
            one.amount.text,
            one.amount.currency,
            one.due_at.isoformat(),
            "yes" if one.is_overdue else "no",
            "proposed" if one.is_proposed else "missing",
        ]
        for one in due
    ]
