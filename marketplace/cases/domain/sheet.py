"""Tables going out as CSV and XLSX: text that a spreadsheet would run as a formula is defused by an apostrophe."""

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

import xlsxwriter

CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")


def defused(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_DANGEROUS) else cell


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as UTF-8 CSV with LF, None empty; the same rows give the same bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([defused(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def to_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, name: str = "Sheet1") -> bytes:
    """Write rows as a workbook of one sheet. Everything but counts is text, so that no digit of an amount is lost."""
    content = io.BytesIO()
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(content, options) as workbook:
        workbook.set_properties({"created": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)})
        sheet = workbook.add_worksheet(name)
        sheet.write_row(0, 0, columns, workbook.add_format({"bold": True}))
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                _write(sheet, number, column, cell)
    return content.getvalue()


def _write(sheet: Any, number: int, column: int, cell: Any) -> None:
    if cell is None:
        return
    if type(cell) is int:
        sheet.write_number(number, column, cell)
    else:
        sheet.write_string(number, column, str(defused(cell)))
