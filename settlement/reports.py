"""Papers as PDF in Chinese or English: the balance invoice, statements of account, the reconciliation.

A paper says what the rows say at the instant it is made; the same rows and instant give the same bytes. Set in the one
vendored font, which holds both scripts.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors, pagesizes, units
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from marketplace import fonts
from marketplace.clock import format_instant, local_date
from marketplace.money import Money
from settlement.deal_models import DealDeduction
from settlement.deals import DealView
from settlement.domain.deal import ZONE, Party
from settlement.instalment_models import DealInstalment
from settlement.parts import Holdback
from settlement.reconciliation import Reconciliation
from settlement.trail import TrailEntry
from settlement.true_ups import TrueUpView
from settlement.words import Language, word

MEDIA_TYPE: Final = "application/pdf"

_RED: Final = colors.HexColor("#C00000")
_GREY: Final = colors.HexColor("#666666")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table; `red` lines are differences that somebody must look at, `strong` ones are totals."""

    cells: tuple[str, ...]
    red: bool = False
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Paper:
    """A document before it is set: title, facts about it, tables (headings, lines, column widths in mm), a note."""

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[tuple[tuple[str, ...], Sequence[Line], tuple[int, ...]]]
    note: str = ""


def invoice(view: DealView, *, package_name: str, language: Language, at: datetime) -> bytes:
    """Return the invoice of the balance: price less deposit, what was received, what is still due and until when."""
    deal = view.deal
    rows = [("price", deal.price), ("deposit", -deal.deposit), ("balance", deal.balance), ("received", -deal.received)]
    if deal.netted:
        rows.append(("netted", -deal.netted))
    lines = [Line((word(name, language), amount.text)) for name, amount in rows]
    lines.append(Line((word("still_due", language), deal.due.text), strong=True))
    return set_paper(
        Paper(
            title=word("invoice", language),
            facts=[*_facts(view, package_name, language, at), (word("due_on", language), deal.due_on.isoformat())],
            tables=[(_headings(language, "item", "amount", currency=deal.currency), lines, (110, 60))],
            note=word("remittance_note", language),
        )
    )


def statement(
    view: DealView,
    *,
    party: Party,
    entries: Sequence[TrailEntry],
    deductions: Sequence[DealDeduction],
    instalments: Sequence[DealInstalment],
    paid: tuple[Money, Money],
    holdback: Holdback,
    after: TrueUpView,
    package_name: str,
    language: Language,
    at: datetime,
) -> bytes:
    """Return the account of a deal as its buyer or its seller sees it; `paid`: (paid out, in payment) to the seller.

    What was kept back, and what followed the closing, stand on it where they exist; `after` is that side's true-up. The
    seller sees each of `instalments` as it was distributed.
    The buyer is told what of the holdback paid it and what still secures it, not what the seller has received.
    """
    if party is Party.BUYER:
        lines = _buyer_lines(view, entries, language)
    else:
        lines = _seller_lines(view, deductions, paid, language)
    lines += _holdback_lines(holdback, party, language)
    tables: list[tuple[tuple[str, ...], Sequence[Line], tuple[int, ...]]]
    tables = [(_headings(language, "item", "amount", currency=view.deal.currency), lines, (110, 60))]
    if party is Party.SELLER and instalments:
        tables.append(_instalments_table(instalments, language))
    if after.lines:
        names = ("date", "kind", "amount", "adjustment_paid", "adjustment_open")
        tables.append((_headings(language, *names), _after_lines(after, language), (24, 56, 30, 30, 30)))
    return set_paper(
        Paper(
            title=word(f"statement_{party.value}", language),
            facts=_facts(view, package_name, language, at),
            tables=tables,
            note=word("sign_note", language) if after.lines else "",
        )
    )


def _buyer_lines(view: DealView, entries: Sequence[TrailEntry], language: Language) -> list[Line]:
    deal = view.deal
    lines = [Line((word("price", language), deal.price.text)), Line((word("deposit", language), (-deal.deposit).text))]
    lines += [
        Line((f"{word('received', language)} {one.booked_on.isoformat()}", (-one.part).text))
        for entry in entries
        for one in entry.lines
        if one.role == "balance"
    ]
    lines += _netted_lines(view, language)
    return [*lines, Line((word("still_due", language), deal.due.text), strong=True)]


def _netted_lines(view: DealView, language: Language) -> list[Line]:
    """Collections that the buyer did not have to pay, and that the seller is not paid again."""
    netted = view.deal.netted
    return [Line((word("netted", language), (-netted).text))] if netted else []


def _seller_lines(
    view: DealView, deductions: Sequence[DealDeduction], paid: tuple[Money, Money], language: Language
) -> list[Line]:
    deal = view.deal
    lines = [Line((word("price", language), deal.price.text))]
    lines += [Line((row.name, (-row.amount).text)) for row in deductions]
    if deal.net is not None:
        lines.append(Line((word("net", language), deal.net.text), strong=True))
        lines.append(Line((word("case_count", language), str(deal.case_count))))
    lines += _netted_lines(view, language)
    if deal.distributed:
        lines.append(Line((word("paid_out", language), paid[0].text)))
        lines.append(Line((word("in_payment", language), paid[1].text)))
    return lines


def _instalments_table(
    instalments: Sequence[DealInstalment], language: Language
) -> tuple[tuple[str, ...], Sequence[Line], tuple[int, ...]]:
    """Each instalment and their total: what came, what left it before the cases, what was kept back, what is paid."""
    amounts = [(one.received, one.deducted, one.net, one.liens, one.held, one.at_once) for one in instalments]
    lines = [
        Line((str(one.number), local_date(one.distributed_at, ZONE).isoformat(), *(money.text for money in row)))
        for one, row in zip(instalments, amounts, strict=True)
    ]
    zero = Money.zero(instalments[0].currency)
    totals = [sum(column, zero).text for column in zip(*amounts, strict=True)]
    names = ("received", "deducted", "net", "liens", "held", "at_once")
    headings = _headings(language, "instalment", "date", *(f"instalment.{name}" for name in names))
    return (
        headings,
        [*lines, Line(("", word("instalment.total", language), *totals), strong=True)],
        (12, 22, 26, 24, 26, 22, 22, 24),
    )


def _holdback_lines(holdback: Holdback, party: Party, language: Language) -> list[Line]:
    if not holdback.kept:
        return []
    lines = [("paid", holdback.paid), ("held", holdback.held)]
    if party is Party.SELLER:
        lines = [("kept", holdback.kept), ("released", holdback.released), *lines]
    return [Line((word(f"holdback_{name}", language), amount.text)) for name, amount in lines]


def _after_lines(after: TrueUpView, language: Language) -> list[Line]:
    lines = [
        Line(
            (
                one.value_on.isoformat(),
                word(f"adjustment.{one.kind.value}", language),
                one.amount.text,
                one.paid.text,
                one.open.text,
            )
        )
        for one in after.lines
    ]
    total = ("", word("adjustment_total", language), after.total.text, after.paid.text, after.open.text)
    return [*lines, Line(total, strong=True)]


def reconciliation_paper(result: Reconciliation, *, package_name: str, language: Language) -> bytes:
    """Return the reconciliation of a deal: every figure with its source and difference; differences are red."""
    lines = [
        Line(
            (
                word(f"group.{row.group}", language),
                word(f"figure.{row.figure}", language),
                row.source,
                row.amount.text,
                row.difference.text,
            ),
            red=bool(row.difference),
        )
        for row in result.rows
    ]
    headings = _headings(language, "group", "figure", "source", "amount", "difference")
    verdict = word("agrees" if result.agrees else "differs", language)
    return set_paper(
        Paper(
            title=word("reconciliation", language),
            facts=_facts(result.deal, package_name, language, result.at),
            tables=[(headings, lines, (22, 46, 50, 32, 26))],
            note=f"{verdict}: {result.difference}",
        )
    )


def _facts(view: DealView, package_name: str, language: Language, at: datetime) -> list[tuple[str, str]]:
    deal = view.deal
    return [
        (word("reference", language), deal.reference),
        (word("package", language), package_name),
        (word("seller", language), view.seller_name),
        (word("buyer", language), view.buyer_name),
        (word("opened_on", language), local_date(deal.opened_at, ZONE).isoformat()),
        (word("state", language), word(f"state.{deal.state.value}", language)),
        (word("made_at", language), format_instant(at)),
    ]


def _headings(language: Language, *names: str, currency: str = "") -> tuple[str, ...]:
    words = [word(name, language) for name in names]
    if currency:
        words[-1] = f"{words[-1]} ({currency})"
    return tuple(words)


def set_paper(paper: Paper) -> bytes:
    """Set a document as PDF; the same document gives the same bytes."""
    font = fonts.register()
    plain = ParagraphStyle("plain", fontName=font, fontSize=9, leading=13, wordWrap="CJK")
    grey = ParagraphStyle("grey", parent=plain, textColor=_GREY)
    heading = ParagraphStyle("heading", parent=plain, fontSize=16, leading=24, spaceAfter=6)
    story: list[Flowable] = [Paragraph(escape(paper.title), heading)]
    facts = [[Paragraph(escape(name), grey), Paragraph(escape(value), plain)] for name, value in paper.facts]
    story += [Table(facts, colWidths=[40 * units.mm, 130 * units.mm], hAlign="LEFT"), Spacer(1, 6 * units.mm)]
    for headings, lines, widths in paper.tables:
        story += [_table(headings, lines, widths, font), Spacer(1, 4 * units.mm)]
    if paper.note:
        story.append(Paragraph(escape(paper.note), plain))
    out = io.BytesIO()
    margins: dict[str, Any] = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 16 * units.mm)
    SimpleDocTemplate(out, pagesize=pagesizes.A4, title=paper.title, invariant=1, **margins).build(story)
    return out.getvalue()


def _table(headings: tuple[str, ...], lines: Sequence[Line], widths: tuple[int, ...], font: str) -> Table:
    """Set a table: text wraps, amounts stand right and never break."""
    rows = [headings, *(line.cells for line in lines)]
    text = ParagraphStyle("cell", fontName=font, fontSize=8, leading=11, wordWrap="CJK")
    red = ParagraphStyle("red", parent=text, textColor=_RED)
    amounts = _amount_columns(lines, len(headings))
    body: list[list[Any]] = []
    for number, cells in enumerate(rows):
        style = red if number and lines[number - 1].red else text
        body.append([cell if at in amounts else Paragraph(escape(cell), style) for at, cell in enumerate(cells)])
    commands: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), font, 8),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),  # no money: thickness of a rule in points
        ("LINEBELOW", (0, 1), (-1, -1), 0.25, colors.lightgrey),  # no money: thickness of a rule in points
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ]
    commands += [("ALIGN", (column, 0), (column, -1), "RIGHT") for column in amounts]
    for number, line in enumerate(lines, start=1):
        if line.red:
            commands.append(("TEXTCOLOR", (0, number), (-1, number), _RED))
        if line.strong:
            commands.append(("LINEABOVE", (0, number), (-1, number), 0.8, colors.black))  # no money: as above
    return Table(
        body, colWidths=[width * units.mm for width in widths], repeatRows=1, hAlign="LEFT", style=TableStyle(commands)
    )


def _amount_columns(lines: Sequence[Line], count: int) -> set[int]:
    """Columns in which every line holds digits: amounts and counts."""

    def is_number(text: str) -> bool:
        return text.lstrip("-").replace(".", "", 1).isdigit()

    return {column for column in range(count) if lines and all(is_number(line.cells[column]) for line in lines)}
