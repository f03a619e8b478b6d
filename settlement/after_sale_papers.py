"""Papers of what follows a closing: the true-up of one side, and price beside net of every case; three ways each."""

from collections.abc import Sequence
from datetime import datetime

from marketplace.clock import format_instant, local_date
from marketplace.money import Money
from settlement import reports
from settlement.closings import CaseShown
from settlement.deals import DealView
from settlement.domain.assignment import NoticeKind
from settlement.domain.deal import ZONE
from settlement.ledger_papers import Cell, Table
from settlement.true_ups import TrueUpView
from settlement.words import Language, word


def true_up_table(view: TrueUpView, *, language: Language) -> Table:
    """Lay out the true-up of one side: a row for each adjustment with its id, then the totals."""
    rows: list[list[Cell]] = [
        [
            one.value_on.isoformat(),
            word(f"adjustment.{one.kind.value}", language),
            str(one.adjustment_id),
            one.amount,
            one.paid,
            one.open,
        ]
        for one in view.lines
    ]
    rows.append([word("total", language), "", "", view.total, view.paid, view.open])
    names = ("date", "kind", "adjustment", "amount", "adjustment_paid", "adjustment_open")
    return Table(
        title=word(f"true_up_{view.party.value}", language),
        facts=[*_facts(view.deal, language, view.at), (word("sign", language), word("sign_note", language))],
        headings=[word(name, language) for name in names],
        rows=rows,
        widths=(20, 28, 62, 24, 22, 22),
    )


def case_table(view: DealView, cases: Sequence[CaseShown], *, language: Language, at: datetime) -> Table:
    """Lay out price and net of cases side by side; a buyer's table has the price alone."""
    names = ("price", "net", "proceeds", "costs", "interest", "principal", "excess")
    shown = [name for name in names if all(getattr(one, name) is not None for one in cases)]
    rows: list[list[Cell]] = [[one.case_key, *(getattr(one, name) for name in shown)] for one in cases]
    totals = [Money(sum(getattr(one, name).minor for one in cases), view.deal.currency) for name in shown]
    rows.append([word("total", language), *totals])
    return Table(
        title=word("case_closings", language),
        facts=_facts(view, language, at),
        headings=[word("case", language), *(word(f"case.{name}", language) for name in shown)],
        rows=rows,
        widths=(38, *(20 for _ in shown)),
    )


def _facts(view: DealView, language: Language, at: datetime) -> list[tuple[str, str]]:
    return [
        (word("reference", language), view.deal.reference),
        (word("seller", language), view.seller_name),
        (word("buyer", language), view.buyer_name),
        (word("opened_on", language), local_date(view.deal.opened_at, ZONE).isoformat()),
        (word("currency", language), view.deal.currency),
        (word("made_at", language), format_instant(at)),
    ]


def assignment_notice(view: DealView, *, kind: NoticeKind, borrower: str, case_key: str, at: datetime) -> bytes:
    """Set the notice to one borrower, in Chinese with an English summary (Civil Code 546, 547).

    Of a reassignment the buyer is who gives the claim back, the seller who has it again.
    """
    back = kind is NoticeKind.REASSIGNMENT
    assignor, assignee = (view.buyer_name, view.seller_name) if back else (view.seller_name, view.buyer_name)
    name = kind.value
    named = {"borrower": borrower, "seller": view.seller_name, "buyer": view.buyer_name, "case": case_key}
    chinese, english = Language.ZH, Language.EN
    return reports.set_paper(
        reports.Paper(
            title=f"{word(f'{name}_notice', chinese)}  {word(f'{name}_notice', english)}",
            facts=[
                (word("borrower", chinese), borrower),
                (word("case", chinese), case_key),
                (word("assignor", chinese), assignor),
                (word("assignee", chinese), assignee),
                (word("reference", chinese), view.deal.reference),
                (word("date", chinese), local_date(at, ZONE).isoformat()),
            ],
            tables=[],
            note="\n".join(word(f"{name}_text", language).format(**named) for language in (chinese, english)),
        )
    )
