"""The close of a day for one of our accounts: what the bank says, what the books say, what is on its way.

bank = ledger ± in transit. The books follow the bank line by line, so the two differ only by what the account stood at
before its first statement, or by a line that is not in the books; each difference is listed with its reason, and a day
is closed with an explanation or without a difference. The client-money check over all accounts is the ledger's own.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marketplace import audit, db
from marketplace.actor import Actor
from marketplace.clock import local_date
from marketplace.errors import Conflict
from marketplace.money import Money
from settlement import own_accounts
from settlement.bank_models import DayClose, OwnAccount
from settlement.domain import ledger as books
from settlement.domain.ledger import BOOKS_ZONE
from settlement.domain.orders import PaymentOrderState, Rail
from settlement.models import Account, Entry, PaymentOrder, Posting, StatementLine


class DayNotOver(Conflict):
    """A day is closed once it is over."""

    code = "day_not_over"

    def __init__(self, on: date) -> None:
        super().__init__(f"{on.isoformat()} is not over yet in the calendar of the books.")


class DifferenceUnexplained(Conflict):
    """Bank and books differ and nobody says why."""

    code = "difference_unexplained"

    def __init__(self, difference: Money) -> None:
        super().__init__(f"Bank and books differ by {difference}; say why to close the day.")


class DayClosed(Conflict):
    """The day of this account is closed already."""

    code = "day_closed"

    def __init__(self) -> None:
        super().__init__("This day is closed for this account already.")


db.violation("uq_day_closes_own_account_id_closed_on", DayClosed)


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of the difference and its reason: `opening_balance` or `line_not_in_books`."""

    reason: str
    amount: Money
    line_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class DayView:
    """Bank against books at the end of a day; `difference` = bank − ledger, `expected` = bank − in transit."""

    account: OwnAccount
    on: date
    bank: Money
    ledger: Money
    in_transit: Money
    difference: Money
    differences: Sequence[Difference]
    close: DayClose | None

    @property
    def expected(self) -> Money:
        """What the bank will say once it has paid what it was told to."""
        return self.bank - self.in_transit

    @property
    def is_explained(self) -> bool:
        """Whether the listed differences are all of it."""
        return sum(one.amount.minor for one in self.differences) == self.difference.minor


def view_day(session: Session, *, account_id: uuid.UUID, on: date) -> DayView:
    """Return bank against books of an account at the end of a day; raise `NotFound`."""
    account = own_accounts.require_account(session, account_id)
    mine = (
        StatementLine.account_number == account.number,
        StatementLine.currency == account.currency,
        StatementLine.booked_on <= on,
    )
    moved = session.scalar(select(func.coalesce(func.sum(StatementLine.amount_minor), 0)).where(*mine))
    posted = session.scalar(
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(Account, Account.id == Posting.account_id)
        .join(Entry, Entry.id == Posting.entry_id)
        .join(StatementLine, StatementLine.id == Entry.source_id)
        .where(*mine, Entry.source_kind == "statement_line", Account.key == books.BANK)
    )
    bank, ledger = (
        Money(account.opening_minor + int(moved or 0), account.currency),
        Money(int(posted or 0), account.currency),
    )
    return DayView(
        account=account,
        on=on,
        bank=bank,
        ledger=ledger,
        in_transit=_in_transit(session, account.currency, on),
        difference=bank - ledger,
        differences=_differences(session, account, on) if bank != ledger else [],
        close=_close_of(session, account_id, on),
    )


def _close_of(session: Session, account_id: uuid.UUID, on: date) -> DayClose | None:
    query = select(DayClose).where(DayClose.own_account_id == account_id, DayClose.closed_on == on)
    return session.scalars(query).one_or_none()


def _differences(session: Session, account: OwnAccount, on: date) -> list[Difference]:
    found = [Difference("opening_balance", account.opening)] if account.opening_minor else []
    posted = select(Entry.source_id).where(Entry.source_kind == "statement_line")
    lines = session.scalars(
        select(StatementLine)
        .where(
            StatementLine.account_number == account.number,
            StatementLine.currency == account.currency,
            StatementLine.booked_on <= on,
            StatementLine.amount_minor != 0,
            StatementLine.id.not_in(posted),
        )
        .order_by(StatementLine.booked_on, StatementLine.id)
    )
    return found + [Difference("line_not_in_books", line.amount, line.id) for line in lines]


def _in_transit(session: Session, currency: str, on: date) -> Money:
    """What the bank was told to pay in a currency by the end of a day and had not booked by then."""
    total = session.scalar(
        select(func.coalesce(func.sum(PaymentOrder.amount_minor), 0))
        .outerjoin(StatementLine, StatementLine.id == PaymentOrder.settled_by_line_id)
        .where(
            PaymentOrder.currency == currency,
            PaymentOrder.rail == Rail.WIRE,
            PaymentOrder.state.in_([PaymentOrderState.SENT, PaymentOrderState.SETTLED]),
            func.date(func.timezone(BOOKS_ZONE, PaymentOrder.sent_at)) <= on,
            or_(StatementLine.id.is_(None), StatementLine.booked_on > on),
        )
    )
    return Money(int(total or 0), currency)


def close_day(
    session: Session, *, account_id: uuid.UUID, on: date, explanation: str, actor: Actor, at: datetime
) -> DayView:
    """Write down the close of a day; raise `NotFound`, `DayNotOver`, `DayClosed`, `DifferenceUnexplained`.

    What differs for a listed reason explains itself; anything else needs words.
    """
    if on >= local_date(at, BOOKS_ZONE):
        raise DayNotOver(on)
    view = view_day(session, account_id=account_id, on=on)
    if view.close is not None:
        raise DayClosed
    if view.difference and not explanation:
        if not view.is_explained or any(one.line_id for one in view.differences):
            raise DifferenceUnexplained(view.difference)
        explanation = f"Balance before the first statement: {view.account.opening}"
    row = DayClose(
        id=db.new_id(),
        own_account_id=account_id,
        closed_on=on,
        currency=view.account.currency,
        bank_minor=view.bank.minor,
        ledger_minor=view.ledger.minor,
        in_transit_minor=view.in_transit.minor,
        difference_minor=view.difference.minor,
        explanation=explanation,
        closed_by=actor.name,
        closed_at=at,
    )
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="close", after={"bank": str(view.bank)})
    return view_day(session, account_id=account_id, on=on)
