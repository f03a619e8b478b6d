"""Correcting the books by hand: proposed with a reason, approved by another person above a limit, then posted.

The rules are `settlement.domain.corrections`; what hands may not touch is taken back by the deed that made it.
"""

import uuid
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from settlement import ledger
from settlement.domain.corrections import (
    CORRECTION,
    CorrectionByPerson,
    CorrectionNotFound,
    CorrectionState,
    CorrectionUnderWay,
    check_by_hand,
    check_decider,
    debits,
    needs_second_person,
)
from settlement.domain.ledger import AlreadyReversed, EntryNotFound, Line, check_lines
from settlement.ledger_models import Correction, CorrectionLimit
from settlement.models import Entry

db.violation("uq_corrections_reverses_id", CorrectionUnderWay)


def propose_reversal(
    session: Session, *, entry_id: uuid.UUID, reason: str, value_on: date | None, actor: Actor, at: datetime
) -> Correction:
    """Ask to take an entry back by its mirror image, of the entry's own value date unless another is given.

    Posted at once up to the limit. Raises `EntryNotFound`, `AlreadyReversed`, `CorrectionUnderWay`,
    `ControlAccount`, `CorrectionByPerson`.
    """
    entry = session.get(Entry, entry_id)
    if entry is None:
        raise EntryNotFound(entry_id)
    reversed_by = session.scalars(select(Entry.id).where(Entry.reverses_id == entry_id)).first()
    if entry.reverses_id is not None or reversed_by is not None:
        raise AlreadyReversed(entry_id)
    return _propose(
        session,
        lines=ledger.mirror_of(session, entry_id=entry_id),
        currency=entry.currency,
        value_on=value_on or entry.value_on,
        reverses_id=entry_id,
        reason=reason,
        actor=actor,
        at=at,
    )


def propose_entry(
    session: Session,
    *,
    lines: Sequence[Line],
    currency: str,
    value_on: date,
    reason: str,
    actor: Actor,
    at: datetime,
) -> Correction:
    """Ask for an entry of one's own, such as a bank charge; posted at once up to the limit.

    Raises `EntryUnbalanced`, `UnknownAccount`, `ControlAccount`, `CorrectionByPerson`.
    """
    check_lines(lines)
    return _propose(
        session,
        lines=lines,
        currency=currency,
        value_on=value_on,
        reverses_id=None,
        reason=reason,
        actor=actor,
        at=at,
    )


def _propose(
    session: Session,
    *,
    lines: Sequence[Line],
    currency: str,
    value_on: date,
    reverses_id: uuid.UUID | None,
    reason: str,
    actor: Actor,
    at: datetime,
) -> Correction:
    if actor.user_id is None:
        raise CorrectionByPerson
    check_by_hand(lines)
    amount_minor = debits(lines)
    row = Correction(
        id=db.new_id(),
        reverses_id=reverses_id,
        lines=[[line.account, str(line.amount_minor)] for line in lines],
        state=CORRECTION.initial,
        reason=reason,
        value_on=value_on,
        amount_minor=amount_minor,
        currency=currency,
        four_eyes=needs_second_person(amount_minor, limit_minor=limit_of(session, currency=currency)),
        proposed_by_id=actor.user_id,
        proposed_by=actor.name,
        proposed_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="propose", after={"amount": str(row.amount)})
    if not row.four_eyes:
        _post(session, row, actor=actor, at=at)
    return row


def approve_correction(session: Session, *, correction_id: uuid.UUID, actor: Actor, at: datetime) -> Correction:
    """Say yes as another person, and post. Raises `CorrectionNotFound`, `NotByTheProposer`, `IllegalMove`."""
    row = _lock(session, correction_id)
    check_decider(proposed_by_id=row.proposed_by_id, decider_id=actor.user_id)
    CORRECTION.move(row.state, "approve")
    _post(session, row, actor=actor, at=at)
    return row


def reject_correction(
    session: Session, *, correction_id: uuid.UUID, reason: str, actor: Actor, at: datetime
) -> Correction:
    """Say no; the proposer may take it back too. Raises `CorrectionNotFound`, `IllegalMove`."""
    row = _lock(session, correction_id)
    audit.transition(session, row, "reject", lifecycle=CORRECTION, actor=actor, at=at, reason=reason)
    row.decided_by_id, row.decided_by, row.decided_at = actor.user_id, actor.name, at
    session.flush()
    return row


def _post(session: Session, row: Correction, *, actor: Actor, at: datetime) -> None:
    if row.reverses_id is not None:
        entry = ledger.reverse(
            session, entry_id=row.reverses_id, reason=row.reason, value_on=row.value_on, actor=actor, at=at
        )
    else:
        entry = ledger.post(
            session,
            source_kind="correction",
            source_id=row.id,
            description=f"By hand: {row.reason}",
            lines=lines_of(row),
            currency=row.currency,
            value_on=row.value_on,
            actor=actor,
            at=at,
        )
    row.entry_id = entry.id
    row.decided_by_id, row.decided_by, row.decided_at = actor.user_id, actor.name, at
    audit.transition(session, row, "approve", lifecycle=CORRECTION, actor=actor, at=at)
    session.flush()


def lines_of(row: Correction) -> list[Line]:
    """Return the lines that a correction posts."""
    return [Line(account, int(minor)) for account, minor in row.lines]


def _lock(session: Session, correction_id: uuid.UUID) -> Correction:
    row = session.scalars(
        select(Correction)
        .where(Correction.id == correction_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise CorrectionNotFound(correction_id)
    return row


def list_corrections(
    session: Session, *, state: CorrectionState | None, cursor: str | None, limit: int
) -> db.Page[Correction]:
    """Return a page of corrections, newest first."""
    query = select(Correction)
    if state is not None:
        query = query.where(Correction.state == state)
    return db.page(session, query, key_column=Correction.id, cursor=cursor, limit=limit)


def limit_of(session: Session, *, currency: str) -> int:
    """Return up to how many minor units one person alone corrects; nothing where nobody set a limit."""
    newest = select(CorrectionLimit.limit_minor).where(CorrectionLimit.currency == currency)
    return session.scalars(newest.order_by(CorrectionLimit.id.desc()).limit(1)).first() or 0


def set_limit(session: Session, *, limit_minor: int, currency: str, actor: Actor, at: datetime) -> CorrectionLimit:
    """Say up to how much one person alone corrects from now on; zero or more minor units."""
    row = CorrectionLimit(
        id=db.new_id(), currency=currency, limit_minor=limit_minor, created_at=at, created_by=actor.name
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="set", after={"limit": str(row.limit)})
    return row
