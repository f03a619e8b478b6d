"""docs/algorithms/settlement.md as printed: the product closes, posts and states exactly these figures."""

import json
import re

from marketplace.documents import Node
from settlement.domain.closing_document import close_document
from tests.conftest import ROOT
from tests.settlement.deals.closing_steps import agrees, close, decide, minor
from tests.settlement.deals.test_adjustments import approve, pay, prices, propose, true_ups
from tests.settlement.deals.test_instalment_deals import instalments, paid_in_parts
from tests.settlement.deals.test_ledger_document import entries_of, numbered, printed

PAGE = (ROOT / "docs" / "algorithms" / "settlement.md").read_text()
TABLES = [
    [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
]
STEPS, CASES, INSTALMENTS, KINDS, ENTRIES, TRUE_UP, CALLS = TABLES


def cents(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


def column(number: int) -> dict[str, int]:
    return {row[0]: cents(row[number]) for row in CASES[:-1]}


def test_the_tables_add_up():
    steps = {name: cents(amount) for name, amount in STEPS}
    amounts = list(steps.values())
    assert sum(amounts[:5]) == steps["net"]
    assert steps["net"] + amounts[6] == steps["proceeds"]
    assert steps["proceeds"] + amounts[8] == steps["paid at once"]
    for number in range(1, 9):
        assert sum(column(number).values()) == cents(CASES[-1][number])
    for name, *parts in INSTALMENTS:
        assert sum(map(cents, parts[:-1])) == cents(parts[-1]), name
    for row in CASES:
        _, _, net, lien, proceeds, at_once, part, rest = map(cents, row[1:])
        assert (net - lien, at_once + part + rest) == (proceeds, proceeds)
    assert all(sum(amount for _, amount in lines) == 0 for _, lines in printed(ENTRIES))
    assert all(cents(buyer) == -cents(seller) for _, buyer, seller in TRUE_UP)
    assert sum(cents(buyer) for _, buyer, _ in TRUE_UP[:-1]) == cents(TRUE_UP[-1][1])


def test_the_test_of_each_call_to_the_outside_is_there():
    named = {row[3].strip("`") for row in CALLS} - {"nothing to lose"}
    found = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert named <= found


def test_the_document_of_the_page_is_one():
    document = json.loads(PAGE.split("```json")[1].split("```")[0])
    assert close_document(Node(document))["gross"] == "1000.00"


def test_a_price_in_instalments_is_distributed_as_printed(sale):
    deal = paid_in_parts(sale)
    rows = instalments(sale, deal)
    printed_rows = {name: [cents(amount) for amount in amounts[:-1]] for name, *amounts in INSTALMENTS}
    for name, member in (("received", "received"), ("mortgage, out of LN10", "liens"), ("kept back", "held")):
        assert printed_rows.pop(name) == [minor(row[member]) for row in rows]
    assert printed_rows.pop("paid at once") == [minor(row["at_once"]) for row in rows]
    taken = sale.sql(
        "SELECT p.name, i.number, p.amount_minor FROM instalment_payments p JOIN deal_instalments i"
        " ON i.id = p.instalment_id WHERE NOT p.is_lien"
        " UNION ALL SELECT s.case_key, i.number, s.net_minor FROM instalment_shares s JOIN deal_instalments i"
        " ON i.id = s.instalment_id"
    )
    found = {name: [0] * len(rows) for name in printed_rows}
    for name, number, amount in taken:
        found[name][number - 1] = amount
    assert found == printed_rows
    assert [cents(row[-1]) for row in INSTALMENTS if row[0] in column(3)] == list(column(3).values())


def test_the_product_closes_posts_and_states_what_is_printed(sale):
    deal = close(sale)
    finance, seller = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.seller)
    before = "SELECT id FROM entries WHERE id < (SELECT id FROM entries WHERE source_kind = 'deal.distributed')"
    start = sale.sql(f"{before} ORDER BY id DESC LIMIT 1")
    rows = seller.ok("GET", f"/deals/{deal['id']}/cases")["items"]
    assert {row["case_key"]: minor(row["net"]) for row in rows} == column(3)
    assert {row["case_key"]: minor(row["proceeds"]) for row in rows} == column(5)
    assert prices(sale, deal) == column(2)
    body = {"amount": {"amount": "10000.00", "currency": "CNY"}, "reason": "half the warranty is over"}
    part = finance.ok("POST", f"/deals/{deal['id']}/parts", 201, json=body)
    decide(sale, "deal-parts", part)
    shares = (
        "SELECT k.case_key, s.amount_minor FROM part_shares s JOIN deal_parts p ON p.id = s.part_id"
        " JOIN case_closings k ON k.case_id = s.case_id WHERE p.number = :number"
    )
    assert dict(map(tuple, sale.sql(shares, number=1))) == column(6)
    assert dict(map(tuple, sale.sql(shares, number=2))) == column(7)
    approve(sale, propose(sale, deal, "collections", cases=[("LN1", 1_200_00)]))
    up = approve(sale, propose(sale, deal, "price", amount=-500_00))
    pay(sale, up, 500_00, "buyer")
    removed = approve(sale, propose(sale, deal, "removal", cases=[("LN1", None)]))
    pay(sale, removed, 17_536_12)
    assert numbered(entries_of(sale, start[0][0])) == numbered(printed(ENTRIES))
    found = true_ups(sale, deal)
    for place, who in ((1, "buyer"), (2, "seller")):
        lines = [(line["kind"], minor(line["amount"])) for line in found[who]["lines"]]
        assert lines == [(row[0], cents(row[place])) for row in TRUE_UP[:-1]]
        assert minor(found[who]["total"]) == cents(TRUE_UP[-1][place])
        assert minor(found[who]["open"]) == 0
    agrees(sale, deal)
