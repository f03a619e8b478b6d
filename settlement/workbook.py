"""The reconciliation of a deal as a workbook: summary, bank lines, ledger entries, funds flow, allocation per case.

Amounts are numbers in the currency's format as long as a spreadsheet holds them exactly (15 digits), else exact text.
Text never becomes a formula or a link; the only formulas are our own, with their values stored: totals, differences,
and on the first sheet every figure that the other sheets hold the rows of, computed anew from them.
"""

import io
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import xlsxwriter

from marketplace.money import Money, exponent
from settlement.deal_models import Allocation, DealDeduction
from settlement.reconciliation import Figure, Reconciliation
from settlement.trail import TrailEntry
from settlement.words import Language, word

EXACT_BELOW: Final = 10**15
"""Minor units that a double shows exactly in all digits."""

MAX_ROWS: Final = 1_000_000
"""Cases on one sheet; a spreadsheet ends at 1,048,576 rows."""

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class _Book:
    """A workbook under construction with its formats; rows are written in order, so memory stays bounded."""

    def __init__(self, currency: str, language: Language) -> None:
        self.buffer = io.BytesIO()
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self.book = xlsxwriter.Workbook(self.buffer, options)
        decimals = exponent(currency)
        number = "#,##0" + ("." + "0" * decimals if decimals else "")
        self.money = self.book.add_format({"num_format": number})
        self.red = self.book.add_format({"num_format": number, "font_color": "#C00000", "bold": True})
        self.bold = self.book.add_format({"bold": True, "bottom": 1})
        self.language = language

    def say(self, name: str) -> str:
        return word(name, self.language)

    def sheet(self, name: str, headings: Sequence[str], widths: Sequence[int]) -> Any:
        sheet = self.book.add_worksheet(name[:31])
        for column, (heading, width) in enumerate(zip(headings, widths, strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, self.say(heading), self.bold)
        sheet.freeze_panes(1, 0)
        return sheet

    def amount(self, sheet: Any, row: int, column: int, money: Money, *, style: Any = None) -> None:
        if abs(money.minor) < EXACT_BELOW:
            sheet.write_number(row, column, money.to_decimal(), style or self.money)
        else:
            sheet.write_string(row, column, money.text, style or self.money)

    def close(self) -> bytes:
        self.book.close()
        return self.buffer.getvalue()


def reconciliation_workbook(
    result: Reconciliation,
    *,
    entries: Sequence[TrailEntry],
    deductions: Sequence[DealDeduction],
    allocations: Sequence[Allocation],
    prices: Mapping[uuid.UUID, Money],
    language: Language,
) -> bytes:
    """Return the workbook of one deal; sheets in the order of the module's first line.

    `prices`: what was paid for each case by its id, empty before they are frozen.
    """
    deal = result.deal.deal
    book = _Book(deal.currency, language)
    book.book.set_properties({"title": f"{word('reconciliation', language)} {deal.reference}", "created": result.at})
    parts = [allocations[start : start + MAX_ROWS] for start in range(0, max(len(allocations), 1), MAX_ROWS)]
    _summary(book, result, _recomputed(book, result, entries, deductions, parts, priced=bool(prices)))
    _bank_lines(book, entries)
    _entries(book, entries)
    _funds_flow(book, result, deductions)
    for number, rows in enumerate(parts, start=1):
        _allocation(book, number, rows, prices, deal.currency)
    return book.close()


def _recomputed(
    book: _Book,
    result: Reconciliation,
    entries: Sequence[TrailEntry],
    deductions: Sequence[DealDeduction],
    parts: Sequence[Sequence[Allocation]],
    *,
    priced: bool,
) -> dict[Figure, str]:
    """Return the formula by which a figure follows from the rows on the other sheets."""
    lines, flow = f"'{book.say('bank_lines')}'", f"'{book.say('funds_flow')}'"
    books, last = f"'{book.say('ledger_entries')}'", len(deductions) + 2
    kinds = (("+", "deposit.applied"), ("+", "deal.payment_received"), ("-", "reversal"))
    found = {
        Figure.LEDGER_RECEIVED: "=" + "".join(f'{sign}SUMIF({books}!B:B,"{kind}",{books}!D:D)' for sign, kind in kinds)
    }
    shown = {line.line_id: line.part.minor for entry in entries for line in entry.lines if line.role != "payout"}
    received = next((row.amount.minor for row in result.rows if row.figure is Figure.BANK_RECEIVED), None)
    if sum(shown.values()) == received:
        roles = (book.say("role.deposit"), book.say("role.balance"))
        found[Figure.BANK_RECEIVED] = "=" + "+".join(f'SUMIF({lines}!B:B,"{role}",{lines}!D:D)' for role in roles)
    if result.deal.deal.net is not None:
        totals = [
            f"'{_allocation_name(book, number)}'!{{column}}{len(rows) + 2}" for number, rows in enumerate(parts, 1)
        ]
        taken = f"SUM({flow}!C3:C{last})" if deductions else "0"
        found[Figure.FLOW_GROSS] = f"={flow}!C{last + 1}-{taken}"
        found[Figure.FLOW_DEDUCTIONS] = f"=0-{taken}"
        found[Figure.FLOW_NET] = f"={flow}!C{last + 1}"
        found[Figure.ALLOCATIONS] = "=" + "+".join(totals).format(column="C")
        if priced:
            found[Figure.AWARD] = "=" + "+".join(totals).format(column="D")
    return found


def _summary(book: _Book, result: Reconciliation, recomputed: Mapping[Figure, str]) -> None:
    headings = ["group", "figure", "source", "amount", "difference", "currency", "recomputed", "recomputed_difference"]
    sheet = book.sheet(book.say("summary"), headings, [16, 44, 60, 22, 18, 10, 22, 22])
    firsts: dict[str, int] = {}
    for number, row in enumerate(result.rows, start=1):
        first = firsts.setdefault(row.group, number)
        sheet.write_string(number, 0, book.say(f"group.{row.group}"))
        sheet.write_string(number, 1, book.say(f"figure.{row.figure}"))
        sheet.write_string(number, 2, row.source)
        book.amount(sheet, number, 3, row.amount)
        formula = f"=D{number + 1}-D{first + 1}"
        sheet.write_formula(number, 4, formula, book.red if row.difference else book.money, row.difference.to_decimal())
        sheet.write_string(number, 5, row.amount.currency)
        if row.figure in recomputed:
            sheet.write_formula(number, 6, recomputed[row.figure], book.money, row.amount.to_decimal())
            sheet.write_formula(number, 7, f"=D{number + 1}-G{number + 1}", book.money, 0)
    verdict = "agrees" if result.agrees else "differs"
    sheet.write_string(len(result.rows) + 2, 0, book.say(verdict), book.bold if result.agrees else book.red)
    deal, end = result.deal.deal, len(result.rows) + 3
    facts = [("reference", deal.reference), ("seller", result.deal.seller_name), ("buyer", result.deal.buyer_name)]
    for number, (name, value) in enumerate(facts, start=end):
        sheet.write_string(number, 0, book.say(name))
        sheet.write_string(number, 1, value)


def _bank_lines(book: _Book, entries: Sequence[TrailEntry]) -> None:
    headings = ["date", "role", "amount", "part", "counterparty", "remittance", "line"]
    sheet = book.sheet(book.say("bank_lines"), headings, [12, 12, 20, 20, 30, 50, 38])
    lines = [line for entry in entries for line in entry.lines]
    for number, line in enumerate(lines, start=1):
        sheet.write_string(number, 0, line.booked_on.isoformat())
        sheet.write_string(number, 1, book.say(f"role.{line.role}"))
        book.amount(sheet, number, 2, line.amount)
        book.amount(sheet, number, 3, line.part)
        sheet.write_string(number, 4, line.counterparty_name)
        sheet.write_string(number, 5, line.remittance)
        sheet.write_string(number, 6, str(line.line_id))


def _entries(book: _Book, entries: Sequence[TrailEntry]) -> None:
    headings = ["value_on", "kind", "description", "amount", "entry"]
    sheet = book.sheet(book.say("ledger_entries"), headings, [12, 26, 50, 20, 38])
    for number, entry in enumerate(entries, start=1):
        sheet.write_string(number, 0, entry.value_on.isoformat())
        sheet.write_string(number, 1, entry.source_kind)
        sheet.write_string(number, 2, entry.description)
        book.amount(sheet, number, 3, entry.amount)
        sheet.write_string(number, 4, str(entry.entry_id))


def _funds_flow(book: _Book, result: Reconciliation, deductions: Sequence[DealDeduction]) -> None:
    deal = result.deal.deal
    sheet = book.sheet(book.say("funds_flow"), ["item", "payee", "amount"], [40, 30, 22])
    sheet.write_string(1, 0, book.say("price"))
    book.amount(sheet, 1, 2, deal.price)
    for number, row in enumerate(deductions, start=2):
        sheet.write_string(number, 0, row.name)
        sheet.write_string(number, 1, row.payee)
        book.amount(sheet, number, 2, -row.amount)
    if deal.net is not None:
        number = 2 + len(deductions)
        sheet.write_string(number, 0, book.say("net"))
        sheet.write_string(number, 1, result.deal.seller_name)
        sheet.write_formula(number, 2, f"=SUM(C2:C{number})", book.money, deal.net.to_decimal())


def _allocation_name(book: _Book, number: int) -> str:
    return book.say("allocation") + (f" {number}" if number > 1 else "")


def _allocation(
    book: _Book, number: int, rows: Sequence[Allocation], prices: Mapping[uuid.UUID, Money], currency: str
) -> None:
    headings = ["case", "weight", "amount", *(["case.price"] if prices else [])]
    sheet = book.sheet(_allocation_name(book, number), headings, [30, *(24 for _ in headings[1:])])
    for line, row in enumerate(rows, start=1):
        sheet.write_string(line, 0, row.case_key)
        book.amount(sheet, line, 1, Money(row.weight, currency))
        book.amount(sheet, line, 2, Money(row.amount_minor, currency))
        if prices:
            book.amount(sheet, line, 3, prices[row.case_id])
    total = Money(sum(row.amount_minor for row in rows), currency)
    end = len(rows) + 1
    sheet.write_string(end, 0, book.say("total"), book.bold)
    if rows:
        sheet.write_formula(end, 2, f"=SUM(C2:C{end})", book.money, total.to_decimal())
    if rows and prices:
        paid = Money(sum(prices[row.case_id].minor for row in rows), currency)
        sheet.write_formula(end, 3, f"=SUM(D2:D{end})", book.money, paid.to_decimal())
