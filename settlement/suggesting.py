"""What an open line may be for: the whole ladder over everything that waits for money. Reads, never chooses."""

import dataclasses
import uuid
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace.money import Money
from settlement import matches, receipt_keys, targets
from settlement.domain.ladder import Movement, OpenItems, Suggestion, suggest
from settlement.domain.matching import OPEN, NothingToMatch
from settlement.domain.names import plain_account
from settlement.domain.references import find_references
from settlement.models import StatementLine

MAX_OTHERS: Final = 200
"""Other open lines of the same payer that are looked at for one item paid by several lines."""


def suggestions(session: Session, *, line_id: uuid.UUID) -> list[Suggestion]:
    """Return what the open part of a line may be for, best first; raise `NotFound`, `NothingToMatch`.

    Everything open in the line's currency and direction is looked at, so that a solution called the only one is.
    """
    line = matches.require_line(session, line_id)
    open_minor = matches.open_amounts(session, [line])[line.id]
    if not open_minor:
        raise NothingToMatch
    movement = _movement(line, open_minor)
    notices = receipt_keys.named_by(session, movement.references)
    named = tuple(dict.fromkeys(notices[one].subject if one in notices else one for one in movement.references))
    movement = dataclasses.replace(movement, references=named)
    waiting = targets.load_open(session)
    keys = receipt_keys.keys_for(
        session,
        amounts={(line.currency, movement.amount_minor)} if movement.incoming else (),
        sub_accounts={line.sub_account} if line.sub_account else (),
    )
    items = OpenItems(targets.open_items(waiting.values(), keys))
    return suggest(movement, items, _others(session, line))


def shown(session: Session, *, line_id: uuid.UUID) -> dict[str, Any]:
    """Return `suggestions` with amounts in the line's currency."""
    currency = matches.require_line(session, line_id).currency
    return {
        "items": [
            {
                "rung": one.rung,
                "score": one.score,
                "reasons": one.reasons,
                "parts": [
                    {"line_id": part.line, "reference": part.reference, "amount": Money(part.amount_minor, currency)}
                    for part in one.parts
                ],
            }
            for one in suggestions(session, line_id=line_id)
        ]
    }


def _movement(line: StatementLine, open_minor: int) -> Movement:
    return Movement(
        line=str(line.id),
        amount_minor=abs(open_minor),
        currency=line.currency,
        incoming=line.amount_minor > 0,
        booked_on=line.booked_on,
        references=tuple(find_references(f"{line.remittance} {line.end_to_end_id}")),
        sub_account=line.sub_account,
        payer_name=line.counterparty_name,
        payer_account=line.counterparty_account,
        account=plain_account(line.account_number),
    )


def _others(session: Session, line: StatementLine) -> list[Movement]:
    """Further open lines that bear the same payer's account or, spelled alike, name."""
    if not line.counterparty_account and not line.counterparty_name:
        return []
    same = [StatementLine.counterparty_account == line.counterparty_account] if line.counterparty_account else []
    if line.counterparty_name:
        same.append(StatementLine.counterparty_name == line.counterparty_name)
    query = (
        select(StatementLine)
        .where(
            StatementLine.finding.in_(OPEN),
            StatementLine.currency == line.currency,
            StatementLine.id != line.id,
            or_(*same),
        )
        .order_by(StatementLine.booked_on, StatementLine.id)
        .limit(MAX_OTHERS)
    )
    lines = session.scalars(query).all()
    amounts = matches.open_amounts(session, lines)
    return [
        _movement(other, amounts[other.id])
        for other in lines
        if amounts[other.id] and (other.amount_minor > 0) == (line.amount_minor > 0)
    ]
