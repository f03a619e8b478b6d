"""Our balance at Stripe, line by line, and its payouts up to the line of our bank that shows them.

Stripe is read like a bank: every balance transaction is a line, kept once and posted once, so the account `stripe` is
what its lines come to. What moved it (charge, refund, dispute, payout) lies on a clearing account named after that
object until its own record meets it, whichever comes first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import stripe
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from marketplace import db, errands, runtime
from marketplace.actor import SYSTEM
from settlement import card_client, ledger
from settlement.card_client import BalanceLine
from settlement.card_models import StripeLine
from settlement.domain import cards
from settlement.domain import ledger as books

OVERLAP: Final = timedelta(days=1)
"""So far before the newest known line the balance is read again: Stripe may date a line a little back."""

PAYOUT_KINDS: Final = frozenset({"payout", "payout_failure", "payout_cancel"})
FEE_KINDS: Final = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee"})
"""Lines that are nothing but what Stripe takes for its work."""


@dataclass(frozen=True, slots=True)
class BalanceLook:
    """From when on the balance is read."""

    client: stripe.StripeClient
    since: datetime | None


def prepare_balance(session: Session, subject: str, *, again: bool, at: datetime) -> BalanceLook:
    """Say from when on the balance is read: a day before the newest line that we have."""
    del subject, again, at
    newest = session.scalar(select(func.max(StripeLine.happened_at)))
    since = newest - OVERLAP if newest is not None else None
    return BalanceLook(card_client.client_of(runtime.current().settings), since)


def list_balance(look: BalanceLook) -> list[BalanceLine]:
    """Return the lines of the balance, oldest first."""
    return card_client.list_balance(look.client, since=look.since)


def record_balance(session: Session, look: BalanceLook, *, outcome: Sequence[BalanceLine], at: datetime) -> None:
    """Keep and post the lines that are new, and ask for what moved them: an event that never came is made up for."""
    del look
    take_lines(session, outcome, at=at)


def take_lines(session: Session, lines: Iterable[BalanceLine], *, at: datetime) -> None:
    """Keep each line once, post it once and ask for the object behind it."""
    values = [
        {
            "id": db.new_id(),
            "transaction_id": line.transaction_id,
            "kind": line.kind,
            "source": line.source,
            "amount_minor": line.amount_minor,
            "fee_minor": line.fee_minor,
            "net_minor": line.net_minor,
            "currency": line.currency,
            "description": line.description,
            "happened_at": line.happened_at,
            "imported_at": at,
        }
        for line in lines
    ]
    if not values:
        return
    new = insert(StripeLine).values(values).on_conflict_do_nothing(index_elements=["transaction_id"])
    rows = session.scalars(new.returning(StripeLine)).all()
    ledger.post_all(session, [draft for row in rows if (draft := _draft(row))], actor=SYSTEM, at=at)
    for source in sorted({row.source for row in rows}):
        kind = cards.fetched_by(source)
        if kind is not None:
            errands.ask(session, kind=kind, subject=source, at=at)


def _draft(row: StripeLine) -> ledger.Draft | None:
    """The entry of a line: the balance moves by the net, the fee is ours, the amount meets what moved it."""
    moved = {books.STRIPE: row.net_minor}
    for account, minor in ((books.CARD_FEES, row.fee_minor), (_counterpart(row), -row.amount_minor)):
        moved[account] = moved.get(account, 0) + minor
    lines = [books.Line(account, minor) for account, minor in moved.items() if minor]
    if not lines:
        return None
    return ledger.Draft(
        source_kind="stripe_line",
        source_id=row.id,
        description=f"{row.transaction_id} {row.kind} {row.source}".strip(),
        lines=lines,
        currency=row.currency,
        value_on=row.happened_at.date(),
    )


def _counterpart(row: StripeLine) -> str:
    """Where the amount of a line comes from, or goes: what nothing we know moved is treated as at a bank."""
    if row.kind in FEE_KINDS:
        return books.CARD_FEES
    clearing = cards.clearing_id(row.source)
    if row.kind in PAYOUT_KINDS:
        return books.in_transit(clearing)
    if cards.fetched_by(row.source) is not None:
        return books.card_clearing(clearing)
    return books.unapplied(row.id) if row.amount_minor > 0 else books.unexplained(row.id)


def list_lines(session: Session, *, cursor: str | None, limit: int) -> db.Page[StripeLine]:
    """Return a page of the lines of our balance, newest first."""
    return db.page(session, select(StripeLine), key_column=StripeLine.id, cursor=cursor, limit=limit)
