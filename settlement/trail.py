"""The money trail: from one case back to the bank lines in one SQL query, and from a bank line forward to its cases.

case → allocation → deal → entries on the deal's accounts → statement lines (the winner's deposit, the balance, the
payout). Nothing is stored for it: the trail is what the books already say.
"""

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.orm import Session

from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.db import Page, UnknownCursor
from marketplace.money import Money

_ENTRIES_AND_LINES: Final = """
    JOIN accounts c ON c.key IN ('receivable:' || d.id, 'proceeds:' || d.id) AND c.currency = d.currency
    JOIN postings g ON g.account_id = c.id
    JOIN entries e ON e.id = g.entry_id
    LEFT JOIN LATERAL (
        SELECT 'deposit' AS role, w.line_id, least(w.ends, u.ends) - greatest(w.starts, u.starts) AS amount_minor
        FROM (
            SELECT m.line_id, CAST(sum(m.amount_minor) OVER (ORDER BY m.id) AS bigint) AS ends,
                   CAST(sum(m.amount_minor) OVER (ORDER BY m.id) AS bigint) - m.amount_minor AS starts
            FROM deposits p JOIN matches m ON m.deposit_id = p.id
            WHERE p.registration_id = d.registration_id
              AND NOT EXISTS (SELECT FROM match_reversals v WHERE v.match_id = m.id)
        ) w, (
            SELECT CAST(coalesce(sum(x.deposit_minor), 0) AS bigint) AS starts,
                   CAST(coalesce(sum(x.deposit_minor), 0) AS bigint) + d.deposit_minor AS ends
            FROM deals x WHERE x.registration_id = d.registration_id AND x.id < d.id
        ) u
        WHERE e.source_kind = 'deposit.applied' AND least(w.ends, u.ends) > greatest(w.starts, u.starts)
        UNION ALL
        SELECT 'balance', substr(c2.key, 11)::uuid, g2.amount_minor
        FROM postings g2 JOIN accounts c2 ON c2.id = g2.account_id
        WHERE e.source_kind = 'deal.payment_received' AND g2.entry_id = e.id AND c2.key LIKE 'unapplied:%'
        UNION ALL
        SELECT 'payout', o.settled_by_line_id, -o.amount_minor FROM payment_orders o
        WHERE o.source_id = e.source_id AND o.source_kind =
            CASE e.source_kind
              WHEN 'deal.distributed' THEN 'deal' WHEN 'deal.instalment_distributed' THEN 'deal_part' END
          AND o.state <> 'cancelled' AND o.settled_by_line_id IS NOT NULL
    ) r ON true
    LEFT JOIN statement_lines l ON l.id = r.line_id
"""
"""Every entry on the two accounts of deal `d`, each with the bank lines behind it (none for the price itself).

Of a deposit that several deals of one bidder share, each deal has its part: the deals in their order take the lines in
theirs. What is not applied to any deal is no part of one.
"""

_ONCE: Final = "WHERE NOT (c.key LIKE 'proceeds:%' AND e.source_kind = 'deal.opened')"
"""The price stands on both accounts."""

_COLUMNS: Final = """
    e.id AS entry_id, e.source_kind, e.description, e.value_on, e.posted_at, abs(g.amount_minor) AS entry_minor,
    r.role, r.amount_minor AS part_minor, l.id AS line_id, l.booked_on, l.amount_minor AS line_minor,
    l.counterparty_name, l.remittance, l.bank_reference
"""

_SHARE: Final = """
    LEFT JOIN instalment_shares s ON e.source_kind = 'deal.instalment_distributed' AND s.instalment_id = e.source_id
      AND s.case_id = a.case_id
"""
"""What case `a` has of the instalment that an entry distributes."""

_OF_CASE: Final = text(
    f"""
    SELECT d.id AS deal_id, d.reference, d.state, d.currency, d.price_minor, d.seller_organisation_id,
           d.buyer_organisation_id, a.net_minor, a.case_count, a.case_key, a.weight, a.amount_minor,
           k.price_minor AS case_price_minor, {_COLUMNS}, s.net_minor AS share_minor
    FROM (
        SELECT w.deal_id, w.case_id, w.case_key, w.weight, w.amount_minor, o.net_minor, o.case_count
        FROM allocations w JOIN deals o ON o.id = w.deal_id WHERE w.case_id = :case_id
        UNION ALL
        SELECT i.deal_id, p.case_id, p.case_key, p.weight, CAST(sum(p.net_minor) AS bigint),
               CAST(sum(i.net_minor) AS bigint), max(i.case_count)
        FROM instalment_shares p JOIN deal_instalments i ON i.id = p.instalment_id JOIN deals o ON o.id = i.deal_id
        WHERE p.case_id = :case_id AND o.distributed_at IS NULL
        GROUP BY i.deal_id, p.case_id, p.case_key, p.weight
    ) a JOIN deals d ON d.id = a.deal_id
    LEFT JOIN case_closings k ON k.deal_id = a.deal_id AND k.case_id = a.case_id {_ENTRIES_AND_LINES} {_SHARE} {_ONCE}
    ORDER BY d.id, e.id, l.id
    """  # noqa: S608 - fixed fragments of this module, values are bound
)

_OF_DEAL: Final = text(
    f"SELECT d.currency, {_COLUMNS} FROM deals d {_ENTRIES_AND_LINES} {_ONCE} AND d.id = :deal_id ORDER BY e.id, l.id"  # noqa: S608 - as above
)

_DEALS_OF_LINE: Final = text(
    """
    WITH behind AS (
        SELECT d.id, 'deposit' AS role FROM matches m JOIN deposits p ON p.id = m.deposit_id
          AND NOT EXISTS (SELECT FROM match_reversals u WHERE u.match_id = m.id)
        JOIN deals d ON d.registration_id = p.registration_id WHERE m.line_id = CAST(:line_id AS uuid)
        UNION
        SELECT substr(c.key, 12)::uuid, 'balance' FROM accounts u JOIN postings h ON h.account_id = u.id
        JOIN entries e ON e.id = h.entry_id AND e.source_kind = 'deal.payment_received'
        JOIN postings g ON g.entry_id = e.id
        JOIN accounts c ON c.id = g.account_id AND c.key LIKE 'receivable:%'
        WHERE u.key = 'unapplied:' || CAST(:line_id AS text)
        UNION
        SELECT o.source_id, 'payout' FROM payment_orders o
        WHERE o.settled_by_line_id = CAST(:line_id AS uuid) AND o.source_kind = 'deal'
        UNION
        SELECT p.deal_id, 'payout' FROM payment_orders o JOIN deal_parts p ON p.id = o.source_id
        WHERE o.settled_by_line_id = CAST(:line_id AS uuid) AND o.source_kind = 'deal_part'
    )
    SELECT b.role, d.id AS deal_id, d.reference, d.currency FROM behind b JOIN deals d ON d.id = b.id
    ORDER BY d.id, b.role
    """
)
"""The deals that a bank line belongs to, one row for each part that it plays in one."""

_CASES_OF_DEAL: Final = text(
    "(SELECT case_id, case_key, amount_minor FROM allocations"
    " WHERE deal_id = :deal_id AND case_id > :after ORDER BY case_id LIMIT :limit)"
    " UNION ALL (SELECT s.case_id, s.case_key, CAST(sum(s.net_minor) AS bigint) FROM instalment_shares s"
    " WHERE s.instalment_id IN (SELECT i.id FROM deal_instalments i JOIN deals d ON d.id = i.deal_id"
    " WHERE d.id = :deal_id AND d.distributed_at IS NULL) AND s.case_id > :after"
    " GROUP BY s.case_id, s.case_key ORDER BY s.case_id LIMIT :limit) ORDER BY case_id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class BankLine:
    """A movement on the bank account and how much of it belongs to the deal (incoming +, outgoing −).

    `counterparty_name` and `remittance` are empty for who may not see the other side's bank details.
    """

    line_id: uuid.UUID
    role: str
    booked_on: date
    amount: Money
    part: Money
    counterparty_name: str
    remittance: str
    bank_reference: str


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """An entry of the books about the deal, and the bank lines behind it.

    `share`: what the case has of an instalment that the entry distributes; None for any other entry.
    """

    entry_id: uuid.UUID
    source_kind: str
    description: str
    value_on: date
    posted_at: datetime
    amount: Money
    lines: tuple[BankLine, ...]
    share: Money | None = None


@dataclass(frozen=True, slots=True)
class TrailDeal:
    """A deal that the case was sold in, what the case received of it, and every entry and bank line of it.

    `case_price` is the part of the price that was paid for the case, frozen at the closing; None until it is written.
    While instalments are to come, `net` and `allocated` are what was distributed so far.
    """

    deal_id: uuid.UUID
    reference: str
    state: str
    case_key: str
    weight: Money
    price: Money
    net: Money
    case_count: int
    case_price: Money | None
    allocated: Money
    entries: tuple[TrailEntry, ...]


@dataclass(frozen=True, slots=True)
class MoneyTrail:
    """Where the money of one case came from; no deals before its sale is distributed."""

    case_id: uuid.UUID
    deals: tuple[TrailDeal, ...]


@dataclass(frozen=True, slots=True)
class LineCase:
    """A case that part of a bank line went to, or was paid for."""

    case_id: uuid.UUID
    case_key: str
    deal_id: uuid.UUID
    reference: str
    role: str
    allocated: Money


def money_trail(session: Session, *, case_id: uuid.UUID, actor: Actor) -> MoneyTrail:
    """Trace a case to the bank lines in one query; raise `NotFound` for who is neither a party nor sees the case."""
    rows = [row for row in _rows(session, _OF_CASE, case_id=case_id) if _may_see(row, actor)]
    if not rows:
        cases.require_case(session, case_id, actor=actor)
    deals: list[TrailDeal] = []
    for part in _grouped(rows, "deal_id"):
        first = part[0]
        money = _money(first["currency"])
        deals.append(
            TrailDeal(
                deal_id=first["deal_id"],
                reference=first["reference"],
                state=first["state"],
                case_key=first["case_key"],
                weight=money(first["weight"]),
                price=money(first["price_minor"]),
                net=money(first["net_minor"]),
                case_count=first["case_count"],
                case_price=None if first["case_price_minor"] is None else money(first["case_price_minor"]),
                allocated=money(first["amount_minor"]),
                entries=_entries(part, shown=actor.sees_everything),
            )
        )
    return MoneyTrail(case_id, tuple(deals))


def entries_of_deal(session: Session, *, deal_id: uuid.UUID) -> tuple[TrailEntry, ...]:
    """Return every entry on the accounts of a deal with its bank lines, oldest first."""
    return _entries(_rows(session, _OF_DEAL, deal_id=deal_id), shown=True)


def cases_of_line(session: Session, *, line_id: uuid.UUID, cursor: str | None, limit: int) -> Page[LineCase]:
    """Return a page of the cases behind a bank line, for finance and the auditor; raise `UnknownCursor`.

    Deal by deal and role by role, in order of case id; costs what is shown, however many cases a deal has.
    """
    place, after = _place(cursor)
    items: list[LineCase] = []
    for deal in _rows(session, _DEALS_OF_LINE, line_id=str(line_id)):
        here = _name(deal["deal_id"], deal["role"])
        if here < place or len(items) > limit:
            continue
        rows = _rows(
            session,
            _CASES_OF_DEAL,
            deal_id=deal["deal_id"],
            after=after if here == place else _FIRST,
            limit=limit + 1 - len(items),
        )
        items += [
            LineCase(
                case_id=row["case_id"],
                case_key=row["case_key"],
                deal_id=deal["deal_id"],
                reference=deal["reference"],
                role=deal["role"],
                allocated=Money(row["amount_minor"], deal["currency"]),
            )
            for row in rows
        ]
    if len(items) <= limit:
        return Page(items, None)
    last = items[limit - 1]
    return Page(items[:limit], urlsafe_b64encode(_name(last.deal_id, last.role) + last.case_id.bytes).decode())


_FIRST: Final = uuid.UUID(int=0)


def _name(deal_id: uuid.UUID, role: str) -> bytes:
    """Return a deal and the part that a line plays in it, in the order of `_DEALS_OF_LINE`."""
    return deal_id.bytes + role[0].encode()


def _place(cursor: str | None) -> tuple[bytes, uuid.UUID]:
    """Return after which deal and part, and after which case of it, a page begins."""
    if cursor is None:
        return b"", _FIRST
    try:
        content = urlsafe_b64decode(cursor)
        return content[:17], uuid.UUID(bytes=content[17:])
    except ValueError:
        raise UnknownCursor from None


def _rows(session: Session, query: TextClause, **values: Any) -> Sequence[RowMapping]:
    session.flush()
    return session.execute(query, values).mappings().all()


def _may_see(row: RowMapping, actor: Actor) -> bool:
    parties = {row["seller_organisation_id"], row["buyer_organisation_id"]}
    return actor.sees_everything or actor.organisation_id in parties


def _money(currency: str) -> Any:
    return lambda minor: Money(minor, currency)


def _grouped(rows: Sequence[RowMapping], column: str) -> list[list[RowMapping]]:
    groups: dict[Any, list[RowMapping]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return list(groups.values())


def _entries(rows: Sequence[RowMapping], *, shown: bool) -> tuple[TrailEntry, ...]:
    entries: list[TrailEntry] = []
    for part in _grouped(rows, "entry_id"):
        first = part[0]
        money = _money(first["currency"])
        entries.append(
            TrailEntry(
                entry_id=first["entry_id"],
                source_kind=first["source_kind"],
                description=first["description"],
                value_on=first["value_on"],
                posted_at=first["posted_at"],
                amount=money(first["entry_minor"]),
                lines=tuple(_line(row, shown=shown) for row in part if row["line_id"] is not None),
                share=None if first.get("share_minor") is None else money(first["share_minor"]),
            )
        )
    return tuple(entries)


def _line(row: RowMapping, *, shown: bool) -> BankLine:
    money = _money(row["currency"])
    return BankLine(
        line_id=row["line_id"],
        role=row["role"],
        booked_on=row["booked_on"],
        amount=money(row["line_minor"]),
        part=money(row["part_minor"]),
        counterparty_name=row["counterparty_name"] if shown else "",
        remittance=row["remittance"] if shown else "",
        bank_reference=row["bank_reference"],
    )
