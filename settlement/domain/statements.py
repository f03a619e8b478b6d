"""Bank statements as values: what was read, whether it proves itself, which lines are the same line seen again. Pure.

Readers are in `camt` (ISO 20022 XML), `mt940` (SWIFT), `bai2`, `ofx` and `bank_csv`; `reading` chooses among them. A
statement that does not prove itself is refused whole, with the first place that is wrong; pending entries never count.
"""

import enum
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from marketplace.errors import Invalid
from marketplace.money import EXACT, Money, UnknownCurrency, exponent

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_LINES: Final = 200_000
MAX_TEXT: Final = 2_000

_PLAIN_AMOUNT: Final = re.compile(r"(-?[0-9]{1,15})\.?([0-9]*)", re.ASCII)
"""How nearly every bank writes an amount; whatever else is one is read as a decimal."""

_NO_REFERENCE: Final = {"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "N/A", "-", "0"}


class StatementFormat(enum.StrEnum):
    """The formats that are read."""

    CAMT = "camt"
    CSV = "csv"
    MT940 = "mt940"
    BAI2 = "bai2"
    OFX = "ofx"


class StatementUnreadable(Invalid):
    """The file is no bank statement that we read; the sentence names the place."""

    code = "statement_unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The statement cannot be read: {reason}", errors=[{"detail": reason}])


class StatementUnproven(Invalid):
    """The statement contradicts itself: nothing of it is stored."""

    code = "statement_unproven"

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        place = {} if line is None else {"line": line}
        super().__init__(
            f"The statement does not add up: {reason} Nothing was stored.", errors=[{"detail": reason, **place}]
        )


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """One booked movement. `amount`: credit (money in) +, debit −. Texts are empty when the bank gave none."""

    amount: Money
    booked_on: date
    value_on: date
    remittance: str = ""
    end_to_end_id: str = ""
    counterparty_name: str = ""
    counterparty_account: str = ""
    bank_reference: str = ""
    balance: Money | None = None
    sub_account: str = ""


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement of one account in one currency. `kind` is the bank's word: statement, report, notification.

    `number` and `page` count the bank's statements of an account where it does; `fault` says why what was read is no
    statement at all (lines outside any message, an account without lines or balances).
    """

    format: StatementFormat
    kind: str
    account: str
    currency: str
    reference: str
    from_on: date | None
    to_on: date | None
    opening: Money | None
    closing: Money | None
    lines: tuple[ParsedLine, ...]
    pending: int = 0
    number: int | None = None
    page: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LineIdentity:
    """Which line it is, whatever file it comes in: a hash of its content and how often that content came before."""

    fingerprint: str
    occurrence: int


def prove(statement: ParsedStatement) -> bool:
    """Check opening + lines = closing and every running balance; return False when the bank gave nothing to check.

    Raises `StatementUnproven` naming the first place that is wrong: a line in another currency than the account, a
    balance in another currency, a running balance or a closing balance that differs.
    """
    currency = statement.currency
    for number, line in enumerate(statement.lines, start=1):
        if line.amount.currency != currency:
            reason = f"line {number} is in {line.amount.currency}, the account in {currency}."
            raise StatementUnproven(reason, line=number)
    for name, balance in (("opening", statement.opening), ("closing", statement.closing)):
        if balance is not None and balance.currency != currency:
            raise StatementUnproven(f"the {name} balance is in {balance.currency}, the account in {currency}.")
    running = _prove_running(statement)
    if statement.opening is None or statement.closing is None:
        return running
    reached = statement.opening.minor + sum(line.amount.minor for line in statement.lines)
    if reached != statement.closing.minor:
        come_to = Money(reached, currency).text
        raise StatementUnproven(
            f"opening {statement.opening.text} and {len(statement.lines)} lines come to {come_to}, "
            f"the closing balance is {statement.closing.text}."
        )
    return True


def admit(statement: ParsedStatement) -> bool:
    """Refuse what is no booked statement of an account, then `prove` it; return whether there was anything to prove.

    Raises `StatementUnreadable` (a report or notification, lines outside a statement, no account), `StatementUnproven`.
    """
    if statement.kind != "statement":
        raise StatementUnreadable(f"a {statement.kind} is no booked statement; take the statement of the day.")
    if statement.fault:
        raise StatementUnreadable(statement.fault)
    if not statement.account:
        raise StatementUnreadable("nothing says which account it is of.")
    return prove(statement)


def _prove_running(statement: ParsedStatement) -> bool:
    """Follow the running balances where there are any; they need the balance before the first line."""
    balance = statement.opening
    checked = False
    for number, line in enumerate(statement.lines, start=1):
        reached = None if balance is None else balance + line.amount
        if line.balance is not None and reached is not None:
            checked = True
            if line.balance != reached:
                reason = f"after line {number} the balance is {reached}, the bank says {line.balance}."
                raise StatementUnproven(reason, line=number)
        balance = line.balance if line.balance is not None else reached
    return checked


def identify(account: str, lines: Sequence[ParsedLine]) -> list[LineIdentity]:
    """Return the identity of each line: the bank's own reference with the amount and day, else the whole content.

    Equal lines of one file are told apart by their occurrence, so two real equal wires stay two, and the same file or
    an overlapping one gives the same identities again.
    """
    seen: Counter[str] = Counter()
    identities = []
    for line in lines:
        fingerprint = _fingerprint(account, line)
        seen[fingerprint] += 1
        identities.append(LineIdentity(fingerprint, seen[fingerprint]))
    return identities


def has_bank_id(line: ParsedLine) -> bool:
    """Say whether the bank gave the line an id of its own; `NONREF` and its like are none."""
    return line.bank_reference.upper() not in _NO_REFERENCE


def _fingerprint(account: str, line: ParsedLine) -> str:
    if has_bank_id(line):
        content = ["reference", line.bank_reference, line.end_to_end_id]
    else:
        content = [
            "content",
            line.value_on.isoformat(),
            line.remittance,
            line.end_to_end_id,
            line.counterparty_name,
            line.counterparty_account,
        ]
    parts = [account, str(line.amount), line.booked_on.isoformat(), *content]
    return hashlib.sha256("\x1f".join(" ".join(part.split()) for part in parts).encode()).hexdigest()


def exact_amount(text: str, currency: str, *, place: str) -> Money:
    """Read a bank's decimal (`1815.00`, `18.150`): zeros beyond the currency's decimals are cut, others refused."""
    try:
        decimals = exponent(currency)
    except UnknownCurrency:
        raise StatementUnreadable(f"{place}: {currency[:8]!r} is not a currency that is read here.") from None
    plain = _PLAIN_AMOUNT.fullmatch(text)
    if plain is not None and len(plain[2]) <= decimals:
        return Money(int(plain[1] + plain[2].ljust(decimals, "0")), currency)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise StatementUnreadable(f"{place}: {text[:40]!r} is not an amount.") from None
    if not value.is_finite() or abs(value.adjusted()) > 15:  # noqa: PLR2004 - 10¹⁵ major units are beyond any account
        raise StatementUnreadable(f"{place}: {text[:40]!r} is not an amount.")
    minor = EXACT.scaleb(value, decimals)
    if minor != minor.to_integral_value():
        raise StatementUnreadable(f"{place}: {text[:40]} has more decimals than {currency}.")
    return Money(int(minor), currency)


def cut(text: str) -> str:
    """Collapse blanks, drop control characters and bound a bank's text."""
    clean = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(clean.split())[:MAX_TEXT]


def decode(content: bytes) -> str:
    """Read the text of a bank's file: UTF-8, else GB18030, else Latin-1; refuse what is no text at all.

    GB18030 is taken only when it brings Chinese characters, since nearly every Western file is valid in it too.
    """
    if b"\0" in content:
        raise StatementUnreadable("it is no text.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return content.decode("latin-1")
    chinese = sum("\u4e00" <= char <= "\u9fff" for char in text)
    return text if chinese >= 4 else content.decode("latin-1")  # noqa: PLR2004 - a word or two; chance gives fewer
