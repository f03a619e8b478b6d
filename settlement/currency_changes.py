"""Money changed as the bank shows it, and what the position is worth: proposed by one person, posted by another.

The entries are `settlement.exchange`; a change takes two bank lines, one of which took money in one currency while the
other brought money in another, each with all that is open of it.
"""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import exchange, matches
from settlement.domain import ledger as books
from settlement.domain.exchange import EXCHANGE, ExchangeState, LinesChanged, NothingChanged, RevaluedAlready
from settlement.domain.matching import Finding
from settlement.domain.orders import PersonNeeded, check_approval
from settlement.ledger_models import CurrencyChange, Revaluation
from settlement.models import StatementLine

db.violation("uq_revaluations_posted", RevaluedAlready)
T = TypeVar("T", CurrencyChange, Revaluation)


def propose_change(
    session: Session, *, sold_line_id: uuid.UUID, bought_line_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> CurrencyChange:
    """Say that what one line took was changed into what another brought; nothing is posted yet.

    Raises `NotFound`, `NothingChanged` unless one has money out and the other money in open in another currency,
    `PersonNeeded` for a key.
    """
    if actor.user_id is None:
        raise PersonNeeded
    sold, bought = _open(session, sold_line_id, bought_line_id)
    if sold.minor >= 0 or bought.minor <= 0 or sold.currency == bought.currency:
        raise NothingChanged
    row = CurrencyChange(
        id=db.new_id(),
        state=EXCHANGE.initial,
        sold_line_id=sold_line_id,
        bought_line_id=bought_line_id,
        sold_minor=-sold.minor,
        sold_currency=sold.currency,
        bought_minor=bought.minor,
        bought_currency=bought.currency,
        reason=reason,
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(row)
    session.flush()
    after = {"sold": str(row.sold), "bought": str(row.bought)}
    audit.record(session, actor=actor, at=at, subject=row, verb="propose", after=after, reason=reason)
    return row


def _open(session: Session, *line_ids: uuid.UUID) -> tuple[Money, Money]:
    """Hold two lines, in one order whoever asks, and return what is open of each: money in +, money out −."""
    lines = {line_id: matches.lock_line(session, line_id) for line_id in sorted(set(line_ids))}
    amounts = matches.open_amounts(session, list(lines.values()))
    first, second = (Money(amounts[line_id], lines[line_id].currency) for line_id in line_ids)
    return first, second


def approve_change(session: Session, *, change_id: uuid.UUID, actor: Actor, at: datetime) -> CurrencyChange:
    """Post a change that another person proposed: neither line has anything open afterwards.

    Raises `NotFound`, `IllegalMove`, `SamePerson`, `PersonNeeded`, `LinesChanged`.
    """
    row = _locked(session, CurrencyChange, change_id, "currency change")
    EXCHANGE.move(row.state, "approve")
    check_approval(proposed_by_id=row.proposed_by_id, approver_id=actor.user_id)
    sold, bought = _open(session, row.sold_line_id, row.bought_line_id)
    if (sold, bought) != (-row.sold, row.bought):
        raise LinesChanged
    lines = [session.get_one(StatementLine, line_id) for line_id in (row.sold_line_id, row.bought_line_id)]
    exchange.change(
        session,
        change_id=row.id,
        sold=row.sold,
        bought=row.bought,
        from_account=books.unexplained(row.sold_line_id),
        to_account=books.unapplied(row.bought_line_id),
        value_on=max(line.value_on for line in lines),
        actor=actor,
        at=at,
    )
    for line in lines:
        line.finding = Finding.CHANGED
    _decide(session, row, "approve", "", actor=actor, at=at)
    return row


def reject_change(session: Session, *, change_id: uuid.UUID, reason: str, actor: Actor, at: datetime) -> CurrencyChange:
    """Turn a change down, the proposer may too; nothing is posted. Raises `NotFound`, `IllegalMove`, `PersonNeeded`."""
    row = _locked(session, CurrencyChange, change_id, "currency change")
    _reject(session, row, reason, actor=actor, at=at)
    return row


def _locked(session: Session, model: type[T], key: uuid.UUID, name: str) -> T:
    row = session.get(model, key, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(name, key)
    return row


def _reject(session: Session, row: CurrencyChange | Revaluation, reason: str, *, actor: Actor, at: datetime) -> None:
    if actor.user_id is None:
        raise PersonNeeded
    _decide(session, row, "reject", reason, actor=actor, at=at)


def _decide(
    session: Session, row: CurrencyChange | Revaluation, verb: str, reason: str, *, actor: Actor, at: datetime
) -> None:
    row.decided_by_id, row.decided_by, row.decided_at = actor.user_id, actor.name, at
    audit.transition(session, row, verb, lifecycle=EXCHANGE, actor=actor, at=at, reason=reason)
    session.flush()


def propose_revaluation(
    session: Session, *, home: str, rates: Mapping[str, Decimal], value_on: date, reason: str, actor: Actor,
    at: datetime,
) -> Revaluation:  # fmt: skip
    """Ask to value the position in a home currency at rates (home for one of the other); nothing is posted yet.

    Raises `RateMissing`, `RateNotPositive`, `RevaluedAlready`, `PersonNeeded`.
    """
    if actor.user_id is None:
        raise PersonNeeded
    exchange.value(session, home=home, rates=rates, value_on=value_on)
    _check_first(session, home, value_on)
    row = Revaluation(
        id=db.new_id(),
        state=EXCHANGE.initial,
        home=home,
        rates={currency: str(rate) for currency, rate in sorted(rates.items())},
        value_on=value_on,
        reason=reason,
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="propose", after={"rates": row.rates}, reason=reason)
    return row


def _check_first(session: Session, home: str, value_on: date) -> None:
    posted = select(Revaluation.id).where(
        Revaluation.home == home, Revaluation.value_on == value_on, Revaluation.state == ExchangeState.POSTED
    )
    if session.scalars(posted).first() is not None:
        raise RevaluedAlready


def approve_revaluation(session: Session, *, revaluation_id: uuid.UUID, actor: Actor, at: datetime) -> Revaluation:
    """Post gain or loss as another person. Raises as proposing does, `NotFound`, `IllegalMove`, `SamePerson`."""
    row = _locked(session, Revaluation, revaluation_id, "revaluation")
    EXCHANGE.move(row.state, "approve")
    check_approval(proposed_by_id=row.proposed_by_id, approver_id=actor.user_id)
    _check_first(session, row.home, row.value_on)
    rates = {currency: Decimal(rate) for currency, rate in row.rates.items()}
    gain = exchange.value(session, home=row.home, rates=rates, value_on=row.value_on)
    entry = exchange.revalue(session, home=row.home, rates=rates, value_on=row.value_on, actor=actor, at=at)
    row.gain_minor, row.entry_id = gain.minor, None if entry is None else entry.id
    _decide(session, row, "approve", "", actor=actor, at=at)
    return row


def reject_revaluation(
    session: Session, *, revaluation_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> Revaluation:
    """Turn a valuation down; nothing is posted. Raises `NotFound`, `IllegalMove`, `PersonNeeded`."""
    row = _locked(session, Revaluation, revaluation_id, "revaluation")
    _reject(session, row, reason, actor=actor, at=at)
    return row


def list_changes(session: Session, *, cursor: str | None, limit: int) -> db.Page[CurrencyChange]:
    """Return a page of changes, newest first."""
    return db.page(session, select(CurrencyChange), key_column=CurrencyChange.id, cursor=cursor, limit=limit)


def list_revaluations(session: Session, *, cursor: str | None, limit: int) -> db.Page[Revaluation]:
    """Return a page of valuations, newest first."""
    return db.page(session, select(Revaluation), key_column=Revaluation.id, cursor=cursor, limit=limit)
