"""The reconciliation workbook computed anew: each formula gives its stored value, an edited row shows on page one."""

import io
import re
from decimal import Decimal

import openpyxl
import pytest

from tests.settlement.deals.closing_steps import close

REFERENCE = r"(?:'([^']+)'!)?([A-Z]+)(\d*)(?::([A-Z]+)(\d*))?"


class Calculator:
    """Evaluates what our formulas use: cells, ranges, SUM, SUMIF, plus and minus; nothing else."""

    def __init__(self, book):
        self.book = book

    def value(self, sheet, cell):
        found = self.book[sheet][cell].value
        if isinstance(found, str) and found.startswith("="):
            return self.formula(sheet, found)
        return found

    def number(self, sheet, cell):
        found = self.value(sheet, cell)
        return Decimal(str(found)) if isinstance(found, int | float | Decimal) else Decimal(0)

    def formula(self, sheet, text):
        total, rest = Decimal(0), text[1:]
        while rest:
            term = re.match(r"([+-]?)(SUMIF\([^)]*\)|SUM\([^)]*\)|(?:'[^']+'!)?[A-Z]+\d+|\d+)", rest)
            assert term, rest
            total += (-1 if term[1] == "-" else 1) * self.term(sheet, term[2])
            rest = rest[term.end() :]
        return total

    def term(self, sheet, term):
        if term.isdigit():
            return Decimal(term)
        if term.startswith("SUMIF("):
            where, wanted, what = re.fullmatch(r'SUMIF\((.+?),"(.*)",(.+)\)', term).groups()
            pairs = zip(self.cells(sheet, where), self.cells(sheet, what), strict=True)
            return sum((self.number(*amount) for key, amount in pairs if self.value(*key) == wanted), Decimal(0))
        if term.startswith("SUM("):
            return sum((self.number(*cell) for cell in self.cells(sheet, term[4:-1])), Decimal(0))
        return self.number(*self.cells(sheet, term)[0])

    def cells(self, sheet, text):
        name, column, first, _, last = re.fullmatch(REFERENCE, text).groups()
        name = name or sheet
        end = self.book[name].max_row if ":" in text and not last else int(last or first)
        return [(name, f"{column}{row}") for row in range(int(first or 1), end + 1)]


def formulas(book):
    return [
        (sheet.title, cell.coordinate, cell.value)
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str) and cell.value.startswith("=")
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("terms", [None, "terms"])
def test_every_formula_recomputes_and_an_edited_row_shows_on_the_first_sheet(sale, language, terms):
    deal = sale.sell() if terms is None else close(sale)
    finance = sale.api.as_(sale.people.finance)
    content = finance.get(f"/deals/{deal['id']}/reconciliation.xlsx", query_string={"language": language}).data
    written, stored = (openpyxl.load_workbook(io.BytesIO(content), data_only=only) for only in (False, True))
    calculator = Calculator(written)
    found = formulas(written)
    for sheet, cell, formula in found:
        assert calculator.formula(sheet, formula) == Decimal(str(stored[sheet][cell].value)), (sheet, cell, formula)
    summary = written.sheetnames[0]
    recomputed = [cell for sheet, cell, _ in found if sheet == summary and cell.startswith("H")]
    assert len(recomputed) == 7
    assert [calculator.number(summary, cell) for cell in recomputed] == [0] * 7
    edited = written[written.sheetnames[-1]]["C2"]
    edited.value = float(edited.value) + 1
    assert sorted(calculator.number(summary, cell) for cell in recomputed) == [-1] + [0] * 6


def test_a_changed_cell_on_any_sheet_shows_on_the_first_one(sale):
    """Bank lines, entries, funds flow, shares: of every sheet at least one amount is in a figure of the summary."""
    deal = close(sale)
    content = sale.api.as_(sale.people.finance).get(f"/deals/{deal['id']}/reconciliation.xlsx").data
    written = openpyxl.load_workbook(io.BytesIO(content))
    calculator, summary = Calculator(written), written.sheetnames[0]
    differences = [cell for sheet, cell, _ in formulas(written) if sheet == summary and cell.startswith("H")]
    shown = {}
    for sheet in written.worksheets[1:]:
        for cell in (cell for row in sheet.iter_rows(min_row=2) for cell in row):
            if isinstance(cell.value, int | float):
                kept, cell.value = cell.value, float(cell.value) + 1
                off = [one for one in differences if calculator.number(summary, one)]
                cell.value = kept
                shown.setdefault((sheet.title, cell.column_letter), []).append(bool(off))
    for title in written.sheetnames[1:]:
        assert any(any(seen) for (sheet, _), seen in shown.items() if sheet == title), title
    last = written.sheetnames[-1]
    assert all(shown[last, "C"] + shown[last, "D"]), "every share and every price of a case counts"
