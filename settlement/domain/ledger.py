"""The rules of the books: double entry in minor units, one currency an account, entries that add up to zero. Pure.

A line's amount is signed: debit +, credit −. Accounts are named by keys (`bank`, `deposits:<registration>`); the chart
says what each name means and which accounts never owe less than nothing. Rows and locks are in `settlement.ledger`.
"""

import enum
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.money import MAX_MINOR

BOOKS_ZONE: Final = "Asia/Shanghai"
"""The zone whose calendar gives an entry its posting date."""

MAX_LINES: Final = 20_000
"""Lines of one entry: case amounts are a sub-ledger, never a million lines in one entry."""


class AccountKind(enum.StrEnum):
    """What an account holds."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


@dataclass(frozen=True, slots=True)
class AccountType:
    """A name of the chart. `limited`: its credit balance never falls below zero; PostgreSQL refuses it under a lock."""

    kind: AccountKind
    limited: bool
    meaning: str


CHART: Final = {
    "bank": AccountType(
        AccountKind.ASSET, limited=False, meaning="money on our bank accounts, as the bank's lines say"
    ),
    "stripe": AccountType(AccountKind.ASSET, limited=False, meaning="our balance at Stripe, as its lines say"),
    "card_clearing": AccountType(
        AccountKind.ASSET, limited=False, meaning="charged, refunded or disputed, not in Stripe's balance yet"
    ),
    "in_transit": AccountType(AccountKind.ASSET, limited=False, meaning="on its way from Stripe to our bank"),
    "receivable": AccountType(AccountKind.ASSET, limited=False, meaning="what the buyer of a deal still owes"),
    "netted": AccountType(
        AccountKind.ASSET, limited=False, meaning="collections set off against a balance, to be kept from the seller"
    ),
    "unexplained": AccountType(AccountKind.ASSET, limited=False, meaning="money that left without an order we know"),
    "deposits": AccountType(AccountKind.LIABILITY, limited=True, meaning="deposit held for a registration"),
    "unapplied": AccountType(AccountKind.LIABILITY, limited=True, meaning="received, not yet known what for"),
    "in_payment": AccountType(AccountKind.LIABILITY, limited=True, meaning="set aside for a payment order"),
    "payable": AccountType(AccountKind.LIABILITY, limited=True, meaning="what an organisation will be paid"),
    "holdback": AccountType(AccountKind.LIABILITY, limited=True, meaning="kept back from the seller of a deal"),
    "third_party": AccountType(
        AccountKind.LIABILITY, limited=True, meaning="what somebody is paid out of a price before the seller"
    ),
    "lien": AccountType(
        AccountKind.LIABILITY, limited=True, meaning="what a lien on one case is paid out of that case's share"
    ),
    "forfeited": AccountType(
        AccountKind.LIABILITY, limited=True, meaning="deposit that a default cost, until it is used"
    ),
    "disputed": AccountType(
        AccountKind.LIABILITY, limited=True, meaning="card payment that its payer contests, until it is won or lost"
    ),
    "proceeds": AccountType(AccountKind.LIABILITY, limited=False, meaning="price of a deal, to be distributed"),
    "vat": AccountType(AccountKind.LIABILITY, limited=False, meaning="value added tax to be handed over"),
    "commission": AccountType(AccountKind.INCOME, limited=False, meaning="what the operator earns"),
    "bank_charges": AccountType(AccountKind.EXPENSE, limited=False, meaning="what the bank takes for its work"),
    "card_fees": AccountType(AccountKind.EXPENSE, limited=False, meaning="what Stripe takes for its work"),
    "chargebacks": AccountType(
        AccountKind.EXPENSE, limited=False, meaning="contested card money that we had passed on already"
    ),
    "fx_position": AccountType(AccountKind.ASSET, limited=False, meaning="the other side of money changed"),
    "fx_result": AccountType(AccountKind.INCOME, limited=False, meaning="gain and loss of money changed"),
}
"""Chart of accounts by the name before the colon of a key."""

_KEY = re.compile(r"[a-z_]+(:[0-9a-f-]{36})?", re.ASCII)


class UnknownAccount(Invalid):
    """The key names no account of the chart."""

    code = "unknown_account"

    def __init__(self, key: str) -> None:
        super().__init__(f"{key[:60]!r} is no account of the chart.", allowed=sorted(CHART))


class EntryUnbalanced(Invalid):
    """Debits and credits differ, or a line says nothing."""

    code = "entry_unbalanced"

    def __init__(self, difference: int) -> None:
        super().__init__(
            f"An entry has two lines or more, none of them zero, that add up to zero; these differ by {difference}.",
            difference=difference,
        )


class AccountOverdrawn(Conflict):
    """More would leave a deposit, refund or payable than it holds."""

    code = "account_overdrawn"

    def __init__(self) -> None:
        super().__init__("The account does not hold that much any more; nothing was posted.")


class AlreadyReversed(Conflict):
    """An entry is reversed at most once, and a reversal never."""

    code = "already_reversed"

    def __init__(self, entry_id: uuid.UUID) -> None:
        super().__init__(f"Entry {entry_id} is a reversal, or has one.")


class PeriodClosed(Conflict):
    """The posting day is closed; what belongs to it is posted today, with its own value date."""

    code = "period_closed"

    def __init__(self) -> None:
        super().__init__("The books of that day are closed; nothing was posted. Post it today, with its value date.")


class DayNotOver(Conflict):
    """Only what is over can be closed."""

    code = "day_not_over"

    def __init__(self, day: date) -> None:
        super().__init__(f"{day.isoformat()} is not over yet; a day is closed from the next on.")


class EntryNotFound(NotFound):
    """There is no such entry."""

    def __init__(self, entry_id: uuid.UUID) -> None:
        super().__init__("entry", entry_id)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an entry: an account by its key, and minor units, debit + and credit −."""

    account: str
    amount_minor: int


def account_type(key: str) -> AccountType:
    """Return what a key means; raise `UnknownAccount`."""
    found = CHART.get(key.partition(":")[0]) if _KEY.fullmatch(key) else None
    if found is None:
        raise UnknownAccount(key)
    return found


def check_lines(lines: Sequence[Line]) -> None:
    """Refuse what is no entry: fewer than two lines, a zero line, an unknown account, a sum other than zero."""
    for line in lines:
        account_type(line.account)
        if type(line.amount_minor) is not int or abs(line.amount_minor) > MAX_MINOR:
            raise TypeError("amounts are int minor units within BIGINT")
    difference = sum(line.amount_minor for line in lines)
    if not 2 <= len(lines) <= MAX_LINES or difference or any(line.amount_minor == 0 for line in lines):  # noqa: PLR2004 - double entry
        raise EntryUnbalanced(difference)


def transfer(*, debit: str, credit: str, amount_minor: int) -> tuple[Line, Line]:
    """Two lines that move `amount_minor` (above zero) from the account credited to the account debited."""
    return Line(debit, amount_minor), Line(credit, -amount_minor)


def holdback(deal_id: uuid.UUID) -> str:
    """Key of what is kept back from the seller of a deal."""
    return f"holdback:{deal_id}"


def third_party(claim_id: uuid.UUID) -> str:
    """Key of what a third party is paid out of the price of a deal."""
    return f"third_party:{claim_id}"


def lien(claim_id: uuid.UUID) -> str:
    """Key of what a lien on one case is paid out of its share."""
    return f"lien:{claim_id}"


def deposits(registration_id: uuid.UUID) -> str:
    """Key of the deposit held for a registration."""
    return f"deposits:{registration_id}"


def forfeited(forfeiture_id: uuid.UUID) -> str:
    """Key of a deposit that was lost and is not used yet."""
    return f"forfeited:{forfeiture_id}"


def unapplied(source_id: uuid.UUID) -> str:
    """Key of what came with a statement line (or a card payment) and belongs to nothing yet."""
    return f"unapplied:{source_id}"


def unexplained(line_id: uuid.UUID) -> str:
    """Key of what a statement line took out without an order that we know."""
    return f"unexplained:{line_id}"


def card_clearing(clearing_id: uuid.UUID) -> str:
    """Key of what an object of Stripe (`cards.clearing_id`) moved and its balance has not shown yet, or the reverse."""
    return f"card_clearing:{clearing_id}"


def in_transit(clearing_id: uuid.UUID) -> str:
    """Key of a payout of Stripe (by `cards.clearing_id`) that our bank has not shown yet."""
    return f"in_transit:{clearing_id}"


def disputed(dispute_id: uuid.UUID) -> str:
    """Key of what a dispute blocks."""
    return f"disputed:{dispute_id}"


def in_payment(order_id: uuid.UUID) -> str:
    """Key of what is set aside for a payment order."""
    return f"in_payment:{order_id}"


def payable(organisation_id: uuid.UUID) -> str:
    """Key of what an organisation will be paid."""
    return f"payable:{organisation_id}"


def receivable(deal_id: uuid.UUID) -> str:
    """Key of what the buyer of a deal owes."""
    return f"receivable:{deal_id}"


def netted(deal_id: uuid.UUID) -> str:
    """Key of the collections that paid some of a balance, until the seller is paid so much less."""
    return f"netted:{deal_id}"


def proceeds(deal_id: uuid.UUID) -> str:
    """Key of the price of a deal that is to be distributed."""
    return f"proceeds:{deal_id}"


BANK: Final = "bank"
STRIPE: Final = "stripe"
COMMISSION: Final = "commission"
VAT: Final = "vat"
BANK_CHARGES: Final = "bank_charges"
CARD_FEES: Final = "card_fees"
CHARGEBACKS: Final = "chargebacks"
FX_POSITION: Final = "fx_position"
FX_RESULT: Final = "fx_result"
