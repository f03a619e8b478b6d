"""The worked example of docs/algorithms/ledger.md, as printed: the product posts these entries, and no others."""

import uuid

from settlement.controls import CONTROLS
from settlement.domain.ledger import CHART
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "algorithms" / "ledger.md").read_text()


FIRST = uuid.UUID(int=0)


def tables() -> list[list[list[str]]]:
    """Every table of the page: rows of cells, its two head lines left out."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [rows[2:] for rows in found if rows]


CHART_TABLE, EXAMPLE, LEFT, DEFAULT, _, CARD, CONTROL_TABLE = tables()


def minor(text: str) -> int:
    """`1,000.01` in minor units; nothing is nothing."""
    return int(text.replace(",", "").replace(".", "")) if text else 0


def printed(rows: list[list[str]] = EXAMPLE) -> list[tuple[str, list[tuple[str, int]]]]:
    """The entries of the example: (source, [(account, signed minor units)])."""
    entries: list[tuple[str, list[tuple[str, int]]]] = []
    for number, _, source, account, debit, credit in rows:
        if number:
            entries.append((source, []))
        entries[-1][1].append((account, minor(debit) - minor(credit)))
    return entries


def numbered(entries) -> list:
    """The same entries with what stands behind the colon of a key replaced by the order of its first appearance."""
    seen: dict[str, str] = {}
    result = []
    for source, lines in entries:
        named = []
        for account, amount in lines:
            name, _, of = account.partition(":")
            number = sum(one.startswith(f"{name}:") for one in seen)
            named.append((seen.setdefault(account, f"{name}:{number}") if of else name, amount))
        result.append((source, named))
    return result


def test_the_chart_and_the_ties_are_those_of_the_product() -> None:
    assert [(name, kind, owed == "never below zero", meaning) for name, kind, owed, meaning in CHART_TABLE] == [
        (name, one.kind.value, one.limited, one.meaning) for name, one in CHART.items()
    ]
    assert [tuple(row) for row in CONTROL_TABLE] == [(one.name, one.meaning) for one in CONTROLS]


def test_the_example_adds_up() -> None:
    totals: dict[str, int] = {}
    for _, lines in printed():
        assert sum(amount for _, amount in lines) == 0
        for account, amount in lines:
            totals[account] = totals.get(account, 0) + amount
    assert {account: amount for account, amount in totals.items() if amount} == {name: minor(x) for name, x in LEFT}
    assert max(int(number) for number, *_ in EXAMPLE if number) == len(printed())


def entries_of(sale, after: uuid.UUID = FIRST) -> list[tuple[str, list[tuple[str, int]]]]:
    """What was posted after an entry, in order: (source, [(account, signed minor units)])."""
    posted: list[tuple[str, list[tuple[str, int]]]] = []
    last = None
    for entry, source, account, amount in sale.sql(
        "SELECT e.id, e.source_kind, a.key, p.amount_minor FROM entries e JOIN postings p ON p.entry_id = e.id"
        " JOIN accounts a ON a.id = p.account_id WHERE e.id > :after ORDER BY e.id, p.line",
        after=after,
    ):
        if entry != last:
            posted.append((source, []))
        posted[-1][1].append((account, amount))
        last = entry
    return posted


def test_the_product_posts_what_is_printed(sale) -> None:
    """From the deposits to the payout over the public API; then every check of the books passes."""
    finance, admin = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.admin)
    sale.award()
    sale.work()
    midway = finance.ok("POST", "/client-money-checks", 201)["items"][0]
    assert (midway["passed"], midway["held"]["amount"], midway["owed"]["amount"]) == (True, "150000.00", "150000.00")
    sale.pay_balance()
    sale.sign()
    sale.work()
    for order in sorted(sale.orders(), key=lambda order: order["id"]):
        admin.ok("POST", f"/payment-orders/{order['id']}/approve")
        finance.ok("POST", f"/payment-orders/{order['id']}/send")
        sale.statement((-minor(order["amount"]["amount"]), order["reference"], "payee"))
    assert numbered(entries_of(sale)) == numbered(printed())
    rows = finance.ok("GET", "/ledger/trial-balance")["rows"]
    left = {row["name"]: minor(row["balance"]["amount"]) for row in rows if minor(row["balance"]["amount"])}
    assert left == {name: minor(text) for name, text in LEFT}
    check = finance.ok("POST", "/client-money-checks", 201)["items"][0]
    assert (check["passed"], check["held"]["amount"], check["own"]["amount"]) == (True, "15900.00", "15900.00")
    assert finance.ok("GET", "/ledger/control-totals")["agrees"] is True
