"""Every figure of a deal's statements, and the rows that it is the sum of.

A figure is added up from its rows and from nothing else, so following it always ends at rows: entries of the books,
cases, payment orders, adjustments.
"""

import enum
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.db import Page
from marketplace.errors import NotFound
from marketplace.money import Money
from settlement import deals
from settlement.deal_models import Deal


class StatementFigure(enum.StrEnum):
    """What a figure of a statement is of."""

    PRICE = "price"
    DEPOSIT = "deposit"
    RECEIVED = "received"
    DEDUCTIONS = "deductions"
    NET = "net"
    LIENS = "liens"
    PARTS = "parts"
    PAYOUTS = "payouts"
    ADJUSTMENTS = "adjustments"
    ADJUSTMENTS_PAID = "adjustments_paid"


OF_BUYER: Final = frozenset(
    {
        StatementFigure.PRICE,
        StatementFigure.DEPOSIT,
        StatementFigure.RECEIVED,
        StatementFigure.ADJUSTMENTS,
        StatementFigure.ADJUSTMENTS_PAID,
    }
)
"""What a buyer sees; the others are between the seller and the market."""

_OF_RECEIVABLE: Final = (
    "SELECT 'entry' AS kind, CAST(e.id AS text) AS id, e.description AS label, -p.amount_minor AS minor"
    " FROM deals d JOIN accounts a ON a.key = 'receivable:' || d.id AND a.currency = d.currency"
    " JOIN postings p ON p.account_id = a.id JOIN entries e ON e.id = p.entry_id"
    " LEFT JOIN entries o ON o.id = e.reverses_id"
    " WHERE d.id = :deal_id AND coalesce(o.source_kind, e.source_kind) = '{source}'"
)

_UNDER_WAY: Final = (
    "JOIN deal_instalments i ON i.id = {of}.instalment_id JOIN deals d ON d.id = i.deal_id"
    " WHERE i.deal_id = :deal_id AND d.distributed_at IS NULL"
)
"""Rows of the instalments of a deal that is not complete; the rows of a complete one say it whole."""

_ROWS: Final = {
    StatementFigure.PRICE: "SELECT 'award' AS kind, CAST(award_id AS text) AS id, reference AS label,"
    " price_minor AS minor FROM deals WHERE id = :deal_id",
    StatementFigure.DEPOSIT: _OF_RECEIVABLE.format(source="deposit.applied"),
    StatementFigure.RECEIVED: _OF_RECEIVABLE.format(source="deal.payment_received"),
    StatementFigure.DEDUCTIONS: "SELECT 'deduction' AS kind, lpad(CAST(position AS text), 4, '0') AS id,"  # noqa: S608 - constants of this module
    " name AS label, amount_minor AS minor FROM deal_deductions WHERE deal_id = :deal_id"
    " UNION ALL SELECT 'instalment_payment', CAST(p.id AS text), p.name, p.amount_minor FROM instalment_payments p"
    f" {_UNDER_WAY.format(of='p')} AND NOT p.is_lien",
    StatementFigure.NET: "SELECT 'case' AS kind, CAST(case_id AS text) AS id, case_key AS label,"  # noqa: S608 - constants of this module
    " amount_minor AS minor FROM allocations WHERE deal_id = :deal_id"
    " UNION ALL SELECT 'case', CAST(s.case_id AS text), s.case_key, sum(s.net_minor) FROM instalment_shares s"
    f" {_UNDER_WAY.format(of='s')} GROUP BY s.case_id, s.case_key",
    StatementFigure.LIENS: "SELECT 'third_party' AS kind, CAST(c.id AS text) AS id, c.name AS label,"  # noqa: S608 - constants of this module
    " c.paid_minor AS minor FROM third_party_claims c JOIN deals d ON d.id = c.deal_id"
    " WHERE c.deal_id = :deal_id AND c.kind = 'lien' AND d.distributed_at IS NOT NULL"
    " UNION ALL SELECT 'instalment_payment', CAST(p.id AS text), p.name, p.amount_minor FROM instalment_payments p"
    f" {_UNDER_WAY.format(of='p')} AND p.is_lien",
    StatementFigure.PARTS: "SELECT 'part' AS kind, CAST(id AS text) AS id, CAST(number AS text) AS label,"
    " amount_minor AS minor FROM deal_parts WHERE deal_id = :deal_id AND state = 'shared_out'",
    StatementFigure.PAYOUTS: "SELECT 'payment_order' AS kind, CAST(o.id AS text) AS id, o.reference AS label,"
    " o.amount_minor AS minor FROM payment_orders o WHERE o.state <> 'cancelled' AND ("
    "(o.source_kind = 'deal' AND o.source_id = :deal_id) OR (o.source_kind = 'deal_part' AND o.source_id IN"
    " (SELECT id FROM deal_parts WHERE deal_id = :deal_id)))",
    StatementFigure.ADJUSTMENTS: "SELECT 'adjustment' AS kind, CAST(id AS text) AS id, reason AS label,"
    " amount_minor AS minor FROM adjustments WHERE deal_id = :deal_id AND state IN ('approved', 'settled')",
    StatementFigure.ADJUSTMENTS_PAID: "SELECT 'cover' AS kind, CAST(c.id AS text) AS id,"
    " CASE WHEN c.against_balance THEN 'balance' WHEN c.statement_line_id IS NULL THEN 'holdback'"
    " ELSE 'bank line ' || c.statement_line_id END AS label,"
    " c.amount_minor * sign(a.amount_minor) AS minor"
    " FROM adjustment_covers c JOIN adjustments a ON a.id = c.adjustment_id"
    " WHERE a.deal_id = :deal_id AND a.state <> 'cancelled'",
}
"""Rows of each figure: (kind, id, label, minor units). Adjustments: above zero the seller owes the buyer."""


class FigureNotFound(NotFound):
    """There is no such figure, or it is not the actor's."""

    def __init__(self, figure: str) -> None:
        super().__init__("figure", figure[:60])


def read_figure(name: str) -> StatementFigure:
    """Return a figure by its name; raise `FigureNotFound`."""
    try:
        return StatementFigure(name)
    except ValueError:
        raise FigureNotFound(name) from None


@dataclass(frozen=True, slots=True)
class FigureShown:
    """A figure, how many rows it is the sum of, and the route that lists them."""

    figure: StatementFigure
    amount: Money
    rows: int
    href: str


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One row behind a figure; `kind` and `id` say where it is kept."""

    kind: str
    id: str
    label: str
    amount: Money


def list_figures(session: Session, *, deal_id: uuid.UUID, actor: Actor) -> list[FigureShown]:
    """Return every figure of a deal that the actor may see; raise `DealNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    session.flush()
    shown = []
    for figure in StatementFigure:
        if _may_see(deal, figure, actor):
            query = f"SELECT coalesce(sum(minor), 0), count(*) FROM ({_ROWS[figure]}) AS r"  # noqa: S608 - constants of this module
            total, count = session.execute(text(query), {"deal_id": deal_id}).one()
            href = f"/api/v1/deals/{deal_id}/figures/{figure.value}"
            shown.append(FigureShown(figure, Money(int(total), deal.currency), count, href))
    return shown


def rows_of_figure(
    session: Session, *, deal_id: uuid.UUID, figure: StatementFigure, cursor: str | None, limit: int, actor: Actor
) -> Page[FigureRow]:
    """Return a page of the rows behind a figure in order of their ids; raise `DealNotFound`, `FigureNotFound`."""
    deal = deals.get_deal(session, deal_id, actor=actor)
    if not _may_see(deal, figure, actor):
        raise FigureNotFound(figure.value)
    session.flush()
    query = (
        f"SELECT kind, id, label, minor FROM ({_ROWS[figure]}) AS r"  # noqa: S608 - as above
        ' WHERE id COLLATE "C" > :after ORDER BY id COLLATE "C" LIMIT :limit'
    )
    found = session.execute(text(query), {"deal_id": deal_id, "after": cursor or "", "limit": limit + 1}).all()
    items = [FigureRow(kind, key, label, Money(int(minor), deal.currency)) for kind, key, label, minor in found[:limit]]
    return Page(items, items[-1].id if len(found) > limit else None)


def _may_see(deal: Deal, figure: StatementFigure, actor: Actor) -> bool:
    return actor.sees_everything or actor.organisation_id == deal.seller_organisation_id or figure in OF_BUYER
