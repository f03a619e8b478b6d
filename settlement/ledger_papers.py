"""The books as files: trial balance, statement of account, client money, unapplied cash; each as CSV, XLSX or PDF.

One table each, made once and written three ways, so that the three say the same. Amounts in a workbook are numbers as
long as a spreadsheet holds them exactly; text never becomes a formula.
"""

import csv
import enum
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import xlsxwriter

from marketplace.clock import format_instant
from marketplace.money import Money, exponent
from settlement import reports
from settlement.domain.ledger import CHART
from settlement.journal import AccountStatement
from settlement.ledger_models import ClientMoneyCheck
from settlement.trial_balance import TrialBalance
from settlement.unapplied import UnappliedReport
from settlement.words import Language, word
from settlement.workbook import EXACT_BELOW

Cell = str | int | Money


class FileKind(enum.StrEnum):
    """What a file is written as."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Final = {
    FileKind.CSV: "text/csv",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileKind.PDF: "application/pdf",
}


@dataclass(frozen=True, slots=True)
class Table:
    """What is written: a title, facts about it, headings, rows of text, counts and amounts; widths in mm of 178."""

    title: str
    facts: Sequence[tuple[str, str]]
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    widths: tuple[int, ...]


def trial_balance_table(found: TrialBalance, *, language: Language, at: datetime) -> Table:
    """Lay out a trial balance: a row for each name and currency, then a total for each currency."""
    rows: list[list[Cell]] = [
        [row.name, CHART[row.name].meaning, row.currency, row.accounts, row.debit, row.credit, row.balance]
        for row in found.rows
    ]
    rows += [
        [word("total", language), "", total.currency, "", total.debit, total.credit, total.balance]
        for total in found.totals
    ]
    names = ("account", "meaning", "currency", "accounts", "debit", "credit", "account_balance")
    return Table(
        title=word("trial_balance", language),
        facts=[
            (word("value_on", language), _day(found.value_on)),
            (word("posted_on", language), _day(found.posted_on)),
            (word("made_at", language), format_instant(at)),
        ],
        headings=[word(name, language) for name in names],
        rows=rows,
        widths=(22, 42, 14, 16, 28, 28, 28),
    )


def account_statement_table(found: AccountStatement, *, language: Language, at: datetime) -> Table:
    """Lay out a statement of account: the opening balance, each line with the balance after it, the closing balance."""
    rows: list[list[Cell]] = [["", "", "", word("opening", language), "", found.opening]]
    rows += [
        [
            row.entry.posted_on.isoformat(),
            row.entry.value_on.isoformat(),
            row.entry.source_kind,
            row.entry.description,
            row.amount,
            row.balance,
        ]
        for row in found.rows
    ]
    rows.append(["", "", "", word("closing", language), "", found.closing])
    names = ("posted_on", "value_on", "kind", "description", "amount", "account_balance")
    return Table(
        title=word("account_statement", language),
        facts=[
            (word("account", language), found.key),
            (word("currency", language), found.currency),
            (word("made_at", language), format_instant(at)),
        ],
        headings=[word(name, language) for name in names],
        rows=rows,
        widths=(20, 20, 34, 44, 30, 30),
    )


def client_money_table(checks: Sequence[ClientMoneyCheck], *, language: Language, at: datetime) -> Table:
    """Lay out results of the client-money check, a row for each."""
    names = ("checked_at", "currency", "held", "owed", "own", "unexplained", "difference", "state")
    return Table(
        title=word("client_money", language),
        facts=[(word("made_at", language), format_instant(at))],
        headings=[word(name, language) for name in names],
        rows=[
            [
                format_instant(row.checked_at),
                row.currency,
                row.held,
                row.owed,
                row.own,
                row.unexplained,
                row.difference,
                word("passed" if row.passed else "failed", language),
            ]
            for row in checks
        ],
        widths=(26, 14, 26, 26, 22, 22, 22, 20),
    )


def unapplied_table(found: UnappliedReport, *, language: Language, at: datetime) -> Table:
    """Lay out unapplied cash: a row for each receipt, then each currency's buckets, then its total."""
    rows: list[list[Cell]] = [
        [
            one.since.isoformat(),
            one.age_days,
            "" if one.finding is None else one.finding.value,
            one.payer_name,
            one.remittance,
            one.open,
        ]
        for one in found.items
    ]
    for bucket in found.buckets:
        until = f"> {bucket.from_days - 1}" if bucket.to_days is None else f"{bucket.from_days} – {bucket.to_days}"
        days = f"{until} {word('days', language)}"
        rows.append([days, bucket.count, bucket.currency, "", word("subtotal", language), bucket.total])
    rows += [["", "", total.currency, "", word("total", language), total] for total in found.totals]
    names = ("since", "age_days", "kind", "counterparty", "remittance", "open_amount")
    return Table(
        title=word("unapplied_cash", language),
        facts=[(word("made_at", language), format_instant(at))],
        headings=[word(name, language) for name in names],
        rows=rows,
        widths=(26, 16, 30, 34, 42, 30),
    )


def write(table: Table, *, kind: FileKind) -> bytes:
    """Write a table as a file."""
    return {FileKind.CSV: _csv, FileKind.XLSX: _xlsx, FileKind.PDF: _pdf}[kind](table)


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Money) else str(cell)


def _csv(table: Table) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.headings)
    for row in table.rows:
        writer.writerow([_text(cell) if isinstance(cell, Money | int) else _defused(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _defused(text: str) -> str:
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t")) else text


def _xlsx(table: Table) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet(table.title[:31])
    bold = book.add_format({"bold": True, "bottom": 1})
    formats: dict[str, Any] = {}
    for column, (heading, width) in enumerate(zip(table.headings, table.widths, strict=True)):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, heading, bold)
    sheet.freeze_panes(1, 0)
    for number, row in enumerate(table.rows, start=1):
        for column, cell in enumerate(row):
            if isinstance(cell, Money) and abs(cell.minor) < EXACT_BELOW:
                style = formats.get(cell.currency) or _amount_format(book, cell.currency)
                formats[cell.currency] = style
                sheet.write_number(number, column, cell.to_decimal(), style)
            elif isinstance(cell, int):
                sheet.write_number(number, column, cell)
            else:
                sheet.write_string(number, column, _text(cell))
    book.close()
    return out.getvalue()


def _amount_format(book: Any, currency: str) -> Any:
    decimals = exponent(currency)
    return book.add_format({"num_format": "#,##0" + ("." + "0" * decimals if decimals else "")})


def _pdf(table: Table) -> bytes:
    lines = [reports.Line(tuple(_text(cell) for cell in row)) for row in table.rows]
    return reports.set_paper(
        reports.Paper(title=table.title, facts=table.facts, tables=[(tuple(table.headings), lines, table.widths)])
    )
