"""Payouts of Stripe: proven by their lines, on their way, and found again on our bank's statement.

A payout that arrives is an incoming line of the bank. Alone of its amount and currency, near its day and with Stripe's
name on it, it is matched by the clockwork; anything else is a person's decision.
"""

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict, NotFound
from settlement import card_balance, card_client, ledger, matches
from settlement.card_client import PayoutSeen
from settlement.card_models import CardPayout
from settlement.card_payments import Look
from settlement.domain import cards
from settlement.domain import ledger as books
from settlement.domain.matching import OPEN, Finding
from settlement.domain.orders import Rail
from settlement.models import Entry, Match, StatementLine

DAYS_EARLY: Final = 1
DAYS_LATE: Final = 7
"""Days around its arrival date within which our bank shows a payout."""

FINAL: Final = frozenset({"paid", "failed", "canceled"})


class PayoutDoesNotMatch(Conflict):
    """The bank's line is not that payout."""

    code = "payout_does_not_match"

    def __init__(self, payout: CardPayout) -> None:
        super().__init__(
            f"The payout is {payout.amount}; the line has another amount or currency, or one of them is matched."
        )


def fetch_payout(look: Look) -> PayoutSeen:
    """Return a payout as it stands at Stripe."""
    return card_client.fetch_payout(look.client, look.object_id)


def record_payout(session: Session, look: Look, *, outcome: PayoutSeen, at: datetime) -> None:
    """Write down how a payout stands and, once Stripe says so, what it consists of."""
    del look
    row = session.scalars(select(CardPayout).where(CardPayout.payout_id == outcome.payout_id)).one_or_none()
    if row is None:
        row = CardPayout(id=db.new_id(), payout_id=outcome.payout_id, created_at=at, automatic=outcome.automatic)
        session.add(row)
    row.status, row.arrival_on = outcome.status, outcome.arrival_on
    row.amount_minor, row.currency = outcome.amount_minor, outcome.currency
    if outcome.lines is not None:
        card_balance.take_lines(session, outcome.lines, at=at)
        row.line_count, row.lines_minor = len(outcome.lines), sum(line.net_minor for line in outcome.lines)
    session.flush()


def match_waiting(session: Session, *, at: datetime) -> int:
    """Match every payout that one bank line alone can be, and that alone can be that line; return how many."""
    waiting = session.scalars(
        select(CardPayout).where(CardPayout.status == "paid", CardPayout.settled_by_line_id.is_(None))
    ).all()
    candidates = {payout.id: _candidates(session, payout) for payout in waiting}
    wanted = [line_id for found in candidates.values() for line_id in found]
    count = 0
    for payout in waiting:
        found = candidates[payout.id]
        if len(found) == 1 and wanted.count(found[0]) == 1:
            line = matches.lock_line(session, found[0])
            _match(session, payout, line, automatic=True, actor=SYSTEM, at=at)
            count += 1
    return count


def _candidates(session: Session, payout: CardPayout) -> Sequence[uuid.UUID]:
    named = (StatementLine.remittance, StatementLine.counterparty_name, StatementLine.end_to_end_id)
    found = session.scalars(
        select(StatementLine)
        .where(
            StatementLine.currency == payout.currency,
            StatementLine.amount_minor == payout.amount_minor,
            StatementLine.booked_on.between(*_window(payout.arrival_on)),
            StatementLine.finding.in_(OPEN),
            or_(*(func.upper(column).contains("STRIPE") for column in named)),
        )
        .order_by(StatementLine.id)
    ).all()
    amounts = matches.open_amounts(session, found)
    return [line.id for line in found if amounts[line.id] == payout.amount_minor]


def _window(arrival_on: date) -> tuple[date, date]:
    return arrival_on - timedelta(days=DAYS_EARLY), arrival_on + timedelta(days=DAYS_LATE)


def match_line(session: Session, *, payout_id: uuid.UUID, line_id: uuid.UUID, actor: Actor, at: datetime) -> CardPayout:
    """Say which line of our bank shows a payout; raise `NotFound`, `PayoutDoesNotMatch`."""
    payout = session.get(CardPayout, payout_id, with_for_update=True)
    if payout is None:
        raise NotFound("payout", payout_id)
    line = matches.lock_line(session, line_id)
    same = (line.amount_minor, line.currency) == (payout.amount_minor, payout.currency)
    if not same or payout.settled_by_line_id or matches.open_amounts(session, [line])[line.id] != line.amount_minor:
        raise PayoutDoesNotMatch(payout)
    _match(session, payout, line, automatic=False, actor=actor, at=at)
    return payout


def _match(
    session: Session, payout: CardPayout, line: StatementLine, *, automatic: bool, actor: Actor, at: datetime
) -> None:
    match = Match(
        id=db.new_id(),
        line_id=line.id,
        card_payout_id=payout.id,
        reference=payout.payout_id,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        automatic=automatic,
        matched_by=actor.name,
        matched_at=at,
        payer_name=line.counterparty_name,
        payer_account=line.counterparty_account,
        rail=Rail.WIRE,
    )
    session.add(match)
    payout.settled_by_line_id, line.finding = line.id, Finding.CARD_PAYOUT
    session.flush()
    ledger.post(
        session,
        source_kind="match.payout",
        source_id=match.id,
        description=f"Payout {payout.payout_id} arrived",
        lines=books.transfer(
            debit=books.unapplied(line.id),
            credit=books.in_transit(cards.clearing_id(payout.payout_id)),
            amount_minor=payout.amount_minor,
        ),
        currency=payout.currency,
        value_on=line.value_on,
        actor=actor,
        at=at,
    )


def take_back(session: Session, *, match: Match, reason: str, on: date, actor: Actor, at: datetime) -> Entry:
    """Undo the match of a payout with a bank line, locked by the caller: the payout is on its way again."""
    payout = session.get_one(CardPayout, match.card_payout_id, with_for_update=True)
    payout.settled_by_line_id = None
    entry = select(Entry.id).where(Entry.source_kind == "match.payout", Entry.source_id == match.id)
    entry_id = session.execute(entry).scalar_one()
    return ledger.reverse(session, entry_id=entry_id, reason=reason, value_on=on, actor=actor, at=at)


def list_payouts(session: Session, *, cursor: str | None, limit: int) -> db.Page[CardPayout]:
    """Return a page of payouts, newest first."""
    return db.page(session, select(CardPayout), key_column=CardPayout.id, cursor=cursor, limit=limit)
