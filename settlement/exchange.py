"""Money changed into another currency, in the books: two entries tied by a position, revalued once a day.

The rules are `settlement.domain.exchange`. No entry ever has two currencies: PostgreSQL refuses it.
"""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.money import Money
from settlement import ledger
from settlement.domain import exchange as rules
from settlement.domain.ledger import FX_POSITION
from settlement.models import Entry


def change(
    session: Session,
    *,
    change_id: uuid.UUID,
    sold: Money,
    bought: Money,
    from_account: str,
    to_account: str,
    value_on: date,
    actor: Actor,
    at: datetime,
) -> tuple[Entry, Entry]:
    """Post what was given up and what was received; the same `change_id` twice is once.

    The accounts are those that the bank's lines stand on: `unexplained:<line>` that took the money,
    `unapplied:<line>` that brought it. Raises `NothingChanged`, `AccountOverdrawn`.
    """
    lines = rules.legs(sold=sold, bought=bought, from_account=from_account, to_account=to_account)
    drafts = [
        ledger.Draft(kind, change_id, f"{sold} changed into {bought}", one, money.currency, value_on)
        for kind, one, money in zip(rules.LEGS, lines, (sold, bought), strict=True)
    ]
    first, second = ledger.post_all(session, drafts, actor=actor, at=at)
    return first, second


def value(session: Session, *, home: str, rates: Mapping[str, Decimal], value_on: date) -> Money:
    """Return gain (above zero) or loss of the position as of the end of a value date, in the home currency.

    `rates`: units of home for one of the currency. Raises `RateMissing`, `RateNotPositive`.
    """
    held = ledger.balances(session, prefix=FX_POSITION, value_on=value_on)
    positions = {row.currency: row.balance for row in held if row.balance}
    missing = sorted(positions.keys() - rates.keys() - {home})
    if missing:
        raise rules.RateMissing(missing)
    return rules.result(
        home=positions.get(home, Money.zero(home)),
        foreign=[(balance, rates[currency]) for currency, balance in positions.items() if currency != home],
    )


def revalue(
    session: Session, *, home: str, rates: Mapping[str, Decimal], value_on: date, actor: Actor, at: datetime
) -> Entry | None:
    """Move gain or loss of the position out of it, as `value` says; once for a value date, nothing for no result."""
    gain = value(session, home=home, rates=rates, value_on=value_on)
    if not gain:
        return None
    return ledger.post(
        session,
        source_kind="fx.revalued",
        source_id=uuid.uuid5(uuid.NAMESPACE_OID, f"fx.revalued/{home}/{value_on.isoformat()}"),
        description=f"Position valued in {home}",
        lines=rules.result_lines(gain),
        currency=home,
        value_on=value_on,
        actor=actor,
        at=at,
    )
