"""Control totals: each control account of the books against the rows behind it. They agree, or the difference is shown.

Amounts of cases, orders, deals and bank lines are sub-ledgers of their own; the books carry only their totals, so that
no entry ever has a million lines.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.money import Money

_BALANCE: Final = (
    "SELECT a.currency, sum(p.amount_minor) * {sign} AS minor FROM postings p JOIN accounts a ON a.id = p.account_id"
    " WHERE split_part(a.key, ':', 1) = '{name}' GROUP BY a.currency"
)

_DISTRIBUTED: Final = "e.source_kind IN ('deal.distributed', 'deal.instalment_distributed')"
"""The entries that distribute prices, whole or an instalment at a time."""

_UNDER_WAY: Final = "i.deal_id IN (SELECT id FROM deals WHERE distributed_at IS NULL)"
"""Instalments `i` of deals that are not complete; the rows of a complete deal say it whole."""


@dataclass(frozen=True, slots=True)
class Control:
    """A tie between books and rows: two queries of (currency, minor) that must say the same."""

    name: str
    meaning: str
    books: str
    rows: str


CONTROLS: Final = (
    Control(
        "bank",
        "the account of the books = every line of the bank",
        _BALANCE.format(name="bank", sign=1),
        "SELECT currency, sum(amount_minor) AS minor FROM statement_lines GROUP BY currency",
    ),
    Control(
        "stripe",
        "our balance at Stripe in the books = every line of it",
        _BALANCE.format(name="stripe", sign=1),
        "SELECT currency, sum(net_minor) AS minor FROM stripe_lines GROUP BY currency",
    ),
    Control(
        "disputed",
        "disputed card money in the books = disputes that are open",
        _BALANCE.format(name="disputed", sign=-1),
        "SELECT currency, sum(amount_minor) AS minor FROM card_disputes WHERE state = 'open' GROUP BY currency",
    ),
    Control(
        "in_payment",
        "set aside = payment orders that are neither paid, returned nor cancelled",
        _BALANCE.format(name="in_payment", sign=-1),
        "SELECT currency, sum(amount_minor) AS minor FROM payment_orders"
        " WHERE state NOT IN ('settled', 'cancelled', 'returned') GROUP BY currency",
    ),
    Control(
        "receivable",
        "what buyers owe in the books = price less deposit, receipts, collections and what was let go of every deal",
        _BALANCE.format(name="receivable", sign=1),
        "SELECT currency, sum(price_minor - deposit_minor - received_minor - waived_minor - netted_minor) AS minor"
        " FROM deals WHERE state <> 'cancelled' GROUP BY currency",
    ),
    Control(
        "netted",
        "collections set off in the books = those of deals that are not distributed yet",
        _BALANCE.format(name="netted", sign=1),
        "SELECT currency, sum(netted_minor) AS minor FROM deals WHERE distributed_at IS NULL GROUP BY currency",
    ),
    Control(
        "deposits",
        "deposits held in the books = received less applied, released, forfeited and disputed",
        _BALANCE.format(name="deposits", sign=-1),
        "SELECT currency, sum(minor) AS minor FROM ("
        "SELECT currency, amount_minor AS minor FROM matches WHERE deposit_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM match_reversals r WHERE r.match_id = matches.id)"
        " UNION ALL SELECT currency, -deposit_minor FROM deals"
        " UNION ALL SELECT currency, -amount_minor FROM payment_orders"
        " WHERE purpose = 'deposit_refund' AND state NOT IN ('cancelled', 'returned')"
        " UNION ALL SELECT currency, coalesce(returned_minor, 0) - amount_minor FROM forfeitures"
        " UNION ALL SELECT currency, -deposit_minor FROM card_disputes"
        ") AS moved GROUP BY currency",
    ),
    Control(
        "forfeited",
        "forfeited deposits in the books = those that are not used yet",
        _BALANCE.format(name="forfeited", sign=-1),
        "SELECT currency, sum(amount_minor) AS minor FROM forfeitures WHERE settled_at IS NULL GROUP BY currency",
    ),
    Control(
        "deal_net",
        "net proceeds posted for distributed deals = the sum of what each case received",
        "SELECT a.currency, -sum(p.amount_minor) AS minor FROM entries e JOIN postings p ON p.entry_id = e.id"  # noqa: S608 - constants of this module
        f" JOIN accounts a ON a.id = p.account_id WHERE {_DISTRIBUTED}"
        " AND split_part(a.key, ':', 1) IN ('payable', 'holdback', 'lien', 'netted') GROUP BY a.currency",
        "SELECT d.currency, sum(t.amount_minor) AS minor FROM"  # noqa: S608 - constants of this module
        " (SELECT deal_id, sum(amount_minor) AS amount_minor FROM allocations GROUP BY deal_id"
        " UNION ALL SELECT i.deal_id, sum(s.net_minor) FROM instalment_shares s"
        f" JOIN deal_instalments i ON i.id = s.instalment_id WHERE {_UNDER_WAY} GROUP BY i.deal_id) AS t"
        " JOIN deals d ON d.id = t.deal_id GROUP BY d.currency",
    ),
    Control(
        "deductions",
        "deductions posted for distributed deals = the rows of what was deducted",
        "SELECT a.currency, -sum(p.amount_minor) AS minor FROM entries e JOIN postings p ON p.entry_id = e.id"  # noqa: S608 - constants of this module
        f" JOIN accounts a ON a.id = p.account_id WHERE {_DISTRIBUTED}"
        " AND split_part(a.key, ':', 1) NOT IN ('payable', 'holdback', 'lien', 'netted', 'proceeds')"
        " GROUP BY a.currency",
        "SELECT currency, sum(amount_minor) AS minor FROM (SELECT currency, amount_minor FROM deal_deductions"  # noqa: S608 - constants of this module
        " UNION ALL SELECT p.currency, p.amount_minor FROM instalment_payments p"
        f" JOIN deal_instalments i ON i.id = p.instalment_id WHERE NOT p.is_lien AND {_UNDER_WAY}"
        ") AS taken GROUP BY currency",
    ),
    Control(
        "distributed",
        "prices distributed in the books = how much of each deal is distributed",
        "SELECT a.currency, sum(p.amount_minor) AS minor FROM entries e JOIN postings p ON p.entry_id = e.id"  # noqa: S608 - constants of this module
        f" JOIN accounts a ON a.id = p.account_id WHERE {_DISTRIBUTED}"
        " AND split_part(a.key, ':', 1) = 'proceeds' GROUP BY a.currency",
        "SELECT currency, sum(distributed_minor) AS minor FROM deals GROUP BY currency",
    ),
    Control(
        "holdback",
        "kept back in the books = proceeds of cases not shared out yet, less what paid adjustments",
        _BALANCE.format(name="holdback", sign=-1),
        "SELECT currency, sum(minor) AS minor FROM ("  # noqa: S608 - constants of this module
        "SELECT d.currency, d.net_minor AS minor FROM deals d WHERE d.state IN ('distributed', 'settled')"
        " UNION ALL SELECT c.currency, -c.paid_minor FROM third_party_claims c JOIN deals d ON d.id = c.deal_id"
        " WHERE c.kind = 'lien' AND d.distributed_at IS NOT NULL"
        f" UNION ALL SELECT i.currency, i.net_minor - i.liens_minor FROM deal_instalments i WHERE {_UNDER_WAY}"
        " UNION ALL SELECT currency, -amount_minor FROM deal_parts WHERE state = 'shared_out'"
        " UNION ALL SELECT currency, -amount_minor FROM adjustment_covers"
        " WHERE statement_line_id IS NULL AND NOT against_balance"
        ") AS moved GROUP BY currency",
    ),
)
"""Every tie that the product keeps."""


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """One tie in one currency. `difference` = books − rows."""

    name: str
    meaning: str
    books: Money
    rows: Money

    @property
    def difference(self) -> Money:
        """Zero, or somebody must look."""
        return self.books - self.rows


def control_totals(session: Session) -> list[ControlTotal]:
    """Return every tie in every currency that either side knows, in order of name and currency; one statement a tie."""
    session.flush()
    totals = []
    for control in CONTROLS:
        query = (
            "SELECT currency, coalesce(b.minor, 0), coalesce(r.minor, 0)"  # noqa: S608 - constants of this module
            f" FROM ({control.books}) AS b FULL JOIN ({control.rows}) AS r USING (currency) ORDER BY currency"
        )
        found = session.execute(text(query))
        totals += [
            ControlTotal(control.name, control.meaning, Money(int(books), currency), Money(int(rows), currency))
            for currency, books, rows in found
        ]
    return totals
