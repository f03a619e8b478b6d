"""CSV exports of banks: a header row somewhere near the top, columns found by their usual Chinese or English names.

UTF-8 (with or without mark) and GB18030. From the account holder's side 贷 (credit) is money in, 借 (debit) money out;
a negative figure in either column is a reversal (红字) and goes the other way. What stands above and below the table
(账号, 币种, opening and closing balance) is read when labelled. Other layouts: a profile names the columns.
"""

import csv
import enum
import functools
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from marketplace.errors import Invalid
from marketplace.money import EXPONENTS, Money
from settlement.domain.statements import (
    MAX_BYTES,
    MAX_LINES,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnreadable,
    cut,
    exact_amount,
    prove,
)


class Column(enum.StrEnum):
    """What a column of a bank's export holds."""

    DATE = "date"
    VALUE_DATE = "value_date"
    CREDIT = "credit"
    DEBIT = "debit"
    AMOUNT = "amount"
    DIRECTION = "direction"
    BALANCE = "balance"
    CURRENCY = "currency"
    REMITTANCE = "remittance"
    NAME = "name"
    ACCOUNT = "account"
    REFERENCE = "reference"
    SUB_ACCOUNT = "sub_account"


class DateOrder(enum.StrEnum):
    """How a date with slashes or points is meant; year first needs no telling."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"


HEADERS: Final[Mapping[Column, tuple[str, ...]]] = {
    Column.DATE: ("交易日期", "交易时间", "记账日期", "入账日期", "日期", "date", "booking date", "transaction date"),
    Column.VALUE_DATE: ("起息日", "起息日期", "value date"),
    Column.CREDIT: ("贷方金额", "贷方发生额", "收入金额", "收入", "贷方", "存入金额", "credit", "credit amount"),
    Column.DEBIT: ("借方金额", "借方发生额", "支出金额", "支出", "借方", "支取金额", "debit", "debit amount"),
    Column.AMOUNT: ("交易金额", "发生额", "金额", "amount", "transaction amount"),
    Column.DIRECTION: ("借贷标志", "借贷方向", "收支方向", "借贷", "d/c", "c/d", "debit/credit", "dr/cr"),
    Column.BALANCE: ("余额", "账户余额", "本次余额", "balance", "running balance"),
    Column.CURRENCY: ("币种", "currency"),
    Column.REMITTANCE: (
        "摘要", "用途", "附言", "备注", "交易附言", "交易摘要", "交易用途", "remittance", "remittance information",
        "description", "label", "details", "detail", "narrative", "memo",
    ),
    Column.NAME: (
        "对方户名", "对方账户名称", "对方名称", "对手户名", "counterparty", "counterparty name", "partner name",
        "payer",
    ),
    Column.ACCOUNT: ("对方账号", "对方账户", "对手账号", "counterparty account", "bank account", "payer account"),
    Column.REFERENCE: (
        "流水号", "交易流水号", "交易流水", "核心流水号", "凭证号", "reference", "bank reference", "transaction id",
        "operation number",
    ),
    Column.SUB_ACCOUNT: ("子账号", "虚拟账号", "虚户账号", "sub account", "virtual account"),
}  # fmt: skip
"""Usual header texts, compared without blanks, case and what stands in brackets; several columns may be remittance."""

_LABELS: Final = {
    "account": ("账号", "账户", "本方账号", "查询账号", "卡号", "account number", "account", "iban"),
    "currency": ("币种", "currency"),
    "opening": ("期初余额", "上期余额", "承前余额", "opening balance", "balance at start of period"),
    "closing": ("期末余额", "本期余额", "closing balance", "balance at end of period"),
}
_ALL_LABELS: Final = {label for labels in _LABELS.values() for label in labels}
_CURRENCIES: Final = {
    "人民币": "CNY",
    "人民币元": "CNY",
    "rmb": "CNY",
    "美元": "USD",
    "欧元": "EUR",
    "港币": "HKD",
    "日元": "JPY",
}
_CREDIT_WORDS: Final = {"贷", "贷方", "收", "收入", "c", "cr", "credit", "crdt", "+"}
_DEBIT_WORDS: Final = {"借", "借方", "支", "支出", "d", "dr", "debit", "dbit", "-"}
_TOTAL: Final = ("合计", "总计", "小计", "本页", "total", "总笔数", "借方笔数", "贷方笔数")
_DATE: Final = {
    DateOrder.YMD: re.compile(
        r"(?P<y>\d{4})[-/.年]?(?P<m>\d{1,2})[-/.月]?(?P<d>\d{1,2})日?(?:[ T].*)?", re.ASCII | re.DOTALL
    ),
    DateOrder.DMY: re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{2}|\d{4})(?: .*)?", re.ASCII),
    DateOrder.MDY: re.compile(r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{2}|\d{4})(?: .*)?", re.ASCII),
}
_HEADER_ROWS: Final = 40


@dataclass(frozen=True, slots=True)
class CsvProfile:
    """How one bank writes its export; everything has a usual value. `columns` names headers of ours by theirs.

    `inverted`: the file is of a card, money out is positive. `absolute`: where a direction or two columns say which way
    money went, a sign says nothing. Named profiles with versions are in `csv_profiles`.
    """

    columns: Mapping[Column, str] = field(default_factory=dict)
    date_order: DateOrder = DateOrder.YMD
    decimal_comma: bool = False
    account: str = ""
    currency: str = ""
    inverted: bool = False
    absolute: bool = False


def parse_csv(content: bytes, profile: CsvProfile | None = None) -> ParsedStatement:
    """Read one statement; raise `StatementUnreadable` naming row and column, counted from one.

    Rows that are newest first are turned round when only that makes the running balances right.
    """
    profile = profile or CsvProfile()
    rows = _rows(content)
    start, columns = _header(rows, profile)
    labels = _labelled([row for row in rows if row])
    account = profile.account or labels.get("account", "")
    currency = profile.currency or _currency(labels.get("currency", ""))
    table = _Table(columns, profile, currency)
    lines = [
        table.line(row, place=f"row {number}")
        for number, row in enumerate(rows[start + 1 :], start=start + 2)
        if not table.is_beside(row)
    ]
    if not account:
        raise StatementUnreadable("nothing says which account it is of: send `account` with it.")
    currency = currency or (lines[0].amount.currency if lines else "")
    if not currency:
        raise StatementUnreadable("nothing says its currency: send `currency` with it.")
    return _statement(lines, account=account, currency=currency, labels=labels, profile=profile)


def _rows(content: bytes) -> list[list[str]]:
    if len(content) > MAX_BYTES:
        raise StatementUnreadable(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    if b"\0" in content:
        raise StatementUnreadable("it is no text.")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise StatementUnreadable("it is neither UTF-8 nor GB18030 text.")
    sample = text[:20_000]
    delimiter = max(",;\t", key=sample.count)
    rows = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True):
            rows.append([cell if cell.isascii() and cell.isalnum() else cut(cell) for cell in row])
            if len(rows) > MAX_LINES + 2 * _HEADER_ROWS:
                raise StatementUnreadable(f"it has more than {MAX_LINES} lines.")
    except csv.Error as error:
        raise StatementUnreadable(f"row {len(rows) + 1}: {error}.") from None
    return rows


def _half_width(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


@functools.lru_cache(maxsize=1_024)
def _plain(header: str) -> str:
    """A header or label as it is compared: no brackets' content, no blanks around, lower case, half-width."""
    text = re.sub(r"[(\[（【].*?[)\]）】]", "", _half_width(header)).replace("_", " ")
    return " ".join(text.strip(" :：").lower().split())


def _header(rows: Sequence[Sequence[str]], profile: CsvProfile) -> tuple[int, dict[Column, list[int]]]:
    """Find the row that names a date and an amount."""
    for number, row in enumerate(rows[:_HEADER_ROWS]):
        columns = _columns(row, profile)
        if Column.DATE in columns and ({Column.CREDIT, Column.DEBIT} <= columns.keys() or Column.AMOUNT in columns):
            return number, columns
    raise StatementUnreadable("no row names a date and an amount (交易日期, 贷方金额, 借方金额 or date, amount).")


def _columns(row: Sequence[str], profile: CsvProfile) -> dict[Column, list[int]]:
    found: dict[Column, list[int]] = {}
    names = [_plain(cell) for cell in row]
    for column in Column:
        wanted = [_plain(profile.columns[column])] if column in profile.columns else HEADERS[column]
        places = [names.index(name) for name in wanted if name in names]
        if places:
            found[column] = places if column is Column.REMITTANCE else places[:1]
    return found


def _labelled(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """Read what stands above and below the table as `label: value`, in one cell or in the next that is not empty."""
    found: dict[str, str] = {}
    for row in [*rows[:_HEADER_ROWS], *rows[_HEADER_ROWS:][-_HEADER_ROWS:]]:
        for place, cell in enumerate(row):
            label, _, rest = _half_width(cell).partition(":")
            for name, labels in _LABELS.items():
                if _plain(label) in labels and name not in found:
                    value = rest.strip() or next((other for other in row[place + 1 :] if other), "")
                    if value and _plain(value) not in _ALL_HEADERS:
                        found[name] = value
    return found


_ALL_HEADERS: Final = {name for names in HEADERS.values() for name in names}


def _currency(text: str) -> str:
    name = _plain(text)
    code = _CURRENCIES.get(name, name.upper())
    return code if code in EXPONENTS else ""


@dataclass(frozen=True, slots=True)
class _Table:
    columns: Mapping[Column, Sequence[int]]
    profile: CsvProfile
    currency: str

    def cell(self, row: Sequence[str], column: Column) -> str:
        places = [place for place in self.columns.get(column, ()) if place < len(row)]
        if len(places) == 1:
            return row[places[0]]
        return " ".join(dict.fromkeys(row[place] for place in places if row[place]))

    def is_beside(self, row: Sequence[str]) -> bool:
        """Say whether a row is no movement: blank, a total, or a labelled balance above or below the table."""
        first = next((_half_width(cell) for cell in row if cell), "")
        return not first or _plain(first).startswith(_TOTAL) or _plain(first.partition(":")[0]) in _ALL_LABELS

    def line(self, row: Sequence[str], *, place: str) -> ParsedLine:
        currency = self.line_currency(row, place=place)
        booked_on = self.day(self.cell(row, Column.DATE), place=place)
        value = self.cell(row, Column.VALUE_DATE)
        balance = self.cell(row, Column.BALANCE)
        return ParsedLine(
            amount=self.amount(row, currency, place=place),
            booked_on=booked_on,
            value_on=self.day(value, place=place) if value else booked_on,
            remittance=cut(self.cell(row, Column.REMITTANCE)),
            counterparty_name=self.cell(row, Column.NAME),
            counterparty_account=self.cell(row, Column.ACCOUNT),
            bank_reference=self.cell(row, Column.REFERENCE),
            sub_account=self.cell(row, Column.SUB_ACCOUNT),
            balance=self.number(balance, currency, place=place) if balance else None,
        )

    def line_currency(self, row: Sequence[str], *, place: str) -> str:
        text = self.cell(row, Column.CURRENCY)
        currency = _currency(text) if text else self.currency
        if not currency:
            raise StatementUnreadable(f"{place}: {text[:20]!r} is not a currency; send `currency` with the file.")
        return currency

    def amount(self, row: Sequence[str], currency: str, *, place: str) -> Money:
        if Column.AMOUNT in self.columns:
            money = self.number(self.cell(row, Column.AMOUNT), currency, place=place)
            if Column.DIRECTION not in self.columns:
                return -money if self.profile.inverted else money
            word = self.cell(row, Column.DIRECTION).lower()
            if word not in _CREDIT_WORDS | _DEBIT_WORDS:
                raise StatementUnreadable(f"{place}: {word[:20]!r} says neither 借 nor 贷.")
            money = self.unsigned(money)
            return money if word in _CREDIT_WORDS else -money
        zero = Money.zero(currency)
        credit, debit = (self.cell(row, column) for column in (Column.CREDIT, Column.DEBIT))
        if not credit and not debit:
            raise StatementUnreadable(f"{place}: there is no amount.")
        incoming = self.unsigned(self.number(credit, currency, place=place)) if credit else zero
        outgoing = self.unsigned(self.number(debit, currency, place=place)) if debit else zero
        if incoming and outgoing:
            raise StatementUnreadable(f"{place}: money comes in and goes out in one row.")
        return incoming - outgoing

    def unsigned(self, money: Money) -> Money:
        return -money if self.profile.absolute and money.minor < 0 else money

    def number(self, text: str, currency: str, *, place: str) -> Money:
        plain = _half_width(text).replace(" ", "").lstrip("¥$€+'").replace("\u00a5", "")
        if self.profile.decimal_comma:
            plain = plain.replace(".", "").replace(",", ".")
        elif re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})*(\.[0-9]*)?", plain, re.ASCII):
            plain = plain.replace(",", "")
        if not re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]{1,12})?", plain, re.ASCII):
            raise StatementUnreadable(f"{place}: {text[:40]!r} is not an amount.")
        return exact_amount(plain, currency, place=place)

    def day(self, text: str, *, place: str) -> date:
        match = _DATE[DateOrder.YMD].fullmatch(text) or _DATE[self.profile.date_order].fullmatch(text)
        if match is None:
            raise StatementUnreadable(f"{place}: {text[:40]!r} is not a date; say `date_order` if the year is last.")
        year = int(match["y"])
        try:
            return date(year if year > 99 else 2000 + year, int(match["m"]), int(match["d"]))  # noqa: PLR2004 - two digits
        except ValueError:
            raise StatementUnreadable(f"{place}: {text[:40]!r} is not a date.") from None


def _statement(
    lines: list[ParsedLine], *, account: str, currency: str, labels: Mapping[str, str], profile: CsvProfile
) -> ParsedStatement:
    table = _Table({}, profile, currency)
    opening = table.number(labels["opening"], currency, place="opening balance") if "opening" in labels else None
    closing = table.number(labels["closing"], currency, place="closing balance") if "closing" in labels else None

    def built(ordered: list[ParsedLine]) -> ParsedStatement:
        first = ordered[0] if ordered else None
        start = first.balance - first.amount if first is not None and first.balance is not None else None
        last = ordered[-1].balance if ordered else None
        return ParsedStatement(
            format=StatementFormat.CSV,
            kind="statement",
            account=account,
            currency=currency,
            reference="",
            from_on=min((line.booked_on for line in ordered), default=None),
            to_on=max((line.booked_on for line in ordered), default=None),
            opening=start if opening is None else opening,
            closing=last if closing is None else closing,
            lines=tuple(ordered),
        )

    forward = built(lines)
    backward = built(lines[::-1])
    return backward if not _adds_up(forward) and _adds_up(backward) else forward


def _adds_up(statement: ParsedStatement) -> bool:
    try:
        prove(statement)
    except Invalid:
        return False
    return True
