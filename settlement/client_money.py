"""The client-money check: what is on our accounts = what we owe, per currency. While it fails, nothing is paid out.

What is held comes from the lines of the bank and of Stripe's balance, what is owed from the books, in one snapshot.
Each result is a row; the newest of a currency decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from marketplace import clock, db
from marketplace.actor import SYSTEM, Actor
from marketplace.errors import Conflict
from marketplace.money import Money
from settlement.domain.ledger import BOOKS_ZONE, CHART, AccountKind
from settlement.ledger_models import ClientMoneyCheck

OWED_TO_IT: Final = frozenset({"receivable", "netted"})
"""What a buyer still pays for a price that is owed already, and what a seller has of it in collections."""

OWN: Final = frozenset({"vat"})
"""Liabilities that are no client's."""

BANK_LINES: Final = "bank_lines"
STRIPE_LINES: Final = "stripe_lines"
"""Names of the figures that are added up from the lines of others; all the rest are names of the chart."""

LINES_OF: Final = frozenset({BANK_LINES, STRIPE_LINES, "bank", "stripe"})
UNDER_WAY: Final = ("card_clearing", "in_transit")
"""Between a card and our balance at Stripe, and between Stripe and our bank."""

_FIGURES: Final = text(
    "SELECT currency, 'bank_lines', sum(amount_minor) FROM statement_lines GROUP BY currency"
    " UNION ALL SELECT currency, 'stripe_lines', sum(net_minor) FROM stripe_lines GROUP BY currency"
    " UNION ALL SELECT a.currency, split_part(a.key, ':', 1), sum(p.amount_minor)"
    " FROM postings p JOIN accounts a ON a.id = p.account_id GROUP BY a.currency, split_part(a.key, ':', 1)"
)
"""One statement, so one snapshot: a statement imported meanwhile is on both sides or on none."""


class ClientMoneyMissing(Conflict):
    """The newest check of the currency failed."""

    code = "client_money_check_failed"

    def __init__(self, check: ClientMoneyCheck) -> None:
        super().__init__(
            f"The client-money check of {check.checked_at:%Y-%m-%d %H:%M} failed in {check.currency}: difference "
            f"{check.difference.text}, unexplained {check.unexplained.text}. Nothing is paid out until it passes.",
            difference=check.difference.text,
            unexplained=check.unexplained.text,
            currency=check.currency,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What is held, owed to clients, our own, and gone without an order, in minor units of one currency."""

    held: int
    owed: int
    own: int
    unexplained: int

    @property
    def difference(self) -> int:
        """What is nobody's (above zero) or missing (below)."""
        return self.held - self.owed - self.own


def add_up(parts: Mapping[str, int]) -> Figures:
    """Add up the figures of one currency from balances (debit +) by name of the chart and the bank's lines.

    Held is what bank and Stripe have and what is under way between them; owed every liability but tax, less what the
    parties still have to pay for it; own is income and tax less expenses, and our position in money changed.
    """
    owed = own = 0
    for name, minor in parts.items():
        if name in LINES_OF or name in UNDER_WAY or name == "unexplained":
            continue
        if name in OWED_TO_IT or (CHART[name].kind is AccountKind.LIABILITY and name not in OWN):
            owed -= minor
        else:
            own -= minor
    return Figures(
        held=sum(parts.get(name, 0) for name in (BANK_LINES, STRIPE_LINES, *UNDER_WAY)),
        owed=owed,
        own=own,
        unexplained=parts.get("unexplained", 0),
    )


def check(session: Session, *, actor: Actor, at: datetime) -> list[ClientMoneyCheck]:
    """Check every currency that money was ever in, and keep the results, in order of the currency."""
    session.flush()
    by_currency: dict[str, dict[str, int]] = {}
    for currency, name, minor in session.execute(_FIGURES):
        by_currency.setdefault(currency, {})[name] = int(minor)
    rows = []
    for currency, parts in sorted(by_currency.items()):
        figures = add_up(parts)
        row = ClientMoneyCheck(
            id=db.new_id(),
            day=clock.local_date(at, BOOKS_ZONE),
            currency=currency,
            held_minor=figures.held,
            owed_minor=figures.owed,
            own_minor=figures.own,
            unexplained_minor=figures.unexplained,
            difference_minor=figures.difference,
            passed=figures.difference == 0 and figures.unexplained == 0,
            parts={name: str(minor) for name, minor in sorted(parts.items())},
            checked_at=at,
            checked_by=actor.name,
        )
        session.add(row)
        rows.append(row)
    session.flush()
    return rows


def check_due(session: Session, at: datetime) -> list[ClientMoneyCheck]:
    """Check once a day, and again each time while it fails: the work of the clock."""
    newest = latest(session)
    today = clock.local_date(at, BOOKS_ZONE)
    if newest and all(row.day == today and row.passed for row in newest):
        return []
    return check(session, actor=SYSTEM, at=at)


def latest(session: Session) -> list[ClientMoneyCheck]:
    """Return the newest result of each currency, in order of the currency."""
    query = select(ClientMoneyCheck).ext(distinct_on(ClientMoneyCheck.currency))
    return list(session.scalars(query.order_by(ClientMoneyCheck.currency, ClientMoneyCheck.id.desc())))


def require_passed(session: Session, *, currency: str) -> None:
    """Refuse to pay out in a currency whose newest check failed (`ClientMoneyMissing`)."""
    newest = session.scalars(
        select(ClientMoneyCheck)
        .where(ClientMoneyCheck.currency == currency)
        .order_by(ClientMoneyCheck.id.desc())
        .limit(1)
    ).first()
    if newest is not None and not newest.passed:
        raise ClientMoneyMissing(newest)


def list_checks(session: Session, *, currency: str | None, cursor: str | None, limit: int) -> db.Page[ClientMoneyCheck]:
    """Return a page of results, newest first."""
    query = select(ClientMoneyCheck)
    if currency is not None:
        query = query.where(ClientMoneyCheck.currency == currency)
    return db.page(session, query, key_column=ClientMoneyCheck.id, cursor=cursor, limit=limit)


def parts_of(row: ClientMoneyCheck) -> list[tuple[str, Money]]:
    """Return the figures behind a result: the name of the chart (or `bank_lines`) and its balance, debit +."""
    return [(name, Money(int(minor), row.currency)) for name, minor in row.parts.items()]
