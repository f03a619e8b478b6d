"""Bank lines = ledger = funds flow = cases; from a case back to the bank, and the reverse; papers; raw SQL refused."""

import io
from decimal import Decimal

import openpyxl
import psycopg
import pypdf
import pytest
from sqlalchemy import event

NET = 984_100_01


def minor(amount):
    return int(Decimal(amount["amount"]) * 100)


def finance(sale):
    return sale.api.as_(sale.people.finance)


def pay_out(sale):
    """Approve the payout by a second person, send it, and let the bank's line confirm it."""
    client = finance(sale)
    seller = {"holder": "东海银行", "number": "62220001", "currency": "CNY"}
    sale.api.as_(sale.people.seller).ok("POST", "/bank-accounts", 201, json=seller)
    order = next(order for order in sale.orders() if order["purpose"] == "payout")
    client.ok("POST", f"/payment-orders/{order['id']}/approve")
    client.ok("POST", f"/payment-orders/{order['id']}/send")
    sale.statement((-NET, f"付款 {order['reference']}", "seller"))


def test_everything_agrees_from_the_award_to_the_payout(sale):
    sale.award()
    sale.work()
    deal = sale.deal()
    found = finance(sale).ok("GET", f"/deals/{deal['id']}/reconciliation")
    differences = {row["figure"]: minor(row["difference"]) for row in found["rows"]}
    short = -minor(deal["due"])
    assert differences == {"award": 0, "ledger_price": 0, "bank_received": short, "ledger_received": short}
    assert (found["agrees"], minor(found["difference"])) == (False, short)
    sale.pay_balance()
    sale.sign()
    sale.work()
    for paid in (0, NET):
        if paid:
            pay_out(sale)
        found = finance(sale).ok("GET", f"/deals/{deal['id']}/reconciliation")
        assert found["agrees"], found
        assert len(found["rows"]) == 14
        assert {minor(row["difference"]) for row in found["rows"]} == {0}
        nets = {minor(row["amount"]) for row in found["rows"] if row["group"] == "net"}
        assert nets == {NET}
        assert (minor(found["paid_out"]), minor(found["in_payment"])) == (paid, NET - paid)


def test_an_error_anywhere_shows(sale):
    """A case receipt too much, a bank line without its entry: each shows in its own figure."""
    deal = sale.sell()
    with sale.sessions.begin() as session:
        session.connection().exec_driver_sql("SET session_replication_role = replica")
        session.connection().exec_driver_sql(
            "UPDATE case_receipts SET amount_minor = amount_minor + 1 WHERE case_id = (SELECT id FROM cases LIMIT 1)"
        )
    found = finance(sale).ok("GET", f"/deals/{deal['id']}/reconciliation")
    wrong = {row["figure"]: minor(row["difference"]) for row in found["rows"] if minor(row["difference"])}
    assert wrong == {"case_receipts": 1}
    workbook = openpyxl.load_workbook(io.BytesIO(xlsx(sale, deal)))
    red = [
        row for row in workbook.worksheets[0].iter_rows() if row[4].font.color and row[4].font.color.rgb == "FFC00000"
    ]
    assert [row[1].value for row in red] == ["各案件回款之和"]


def test_all_deals_and_the_whole_bank_account(sale):
    sale.sell()
    pay_out(sale)
    sale.statement((123, "no reference at all", "somebody"))
    page = finance(sale).ok("GET", "/reconciliation")
    assert [row["agrees"] for row in page["items"]] == [True]
    (bank,) = page["bank"]
    assert bank["currency"] == "CNY"
    assert minor(bank["difference"]) == minor(bank["all_postings"]) == 0
    assert minor(bank["lines"]) == minor(bank["ledger"]) == 3 * 50_000_00 + 950_000_01 - NET + 123
    assert sale.api.as_(sale.people.seller).get("/reconciliation").status_code == 403


def test_from_a_case_to_the_bank_lines_in_one_query(sale, running):
    sale.sell()
    pay_out(sale)
    case_id, expected = sale.sql("SELECT case_id, amount_minor FROM allocations WHERE case_key = 'LN10'")[0]
    trail = finance(sale).ok("GET", f"/cases/{case_id}/money-trail")
    (deal,) = trail["deals"]
    assert (deal["case_key"], minor(deal["allocated"])) == ("LN10", expected)
    entries = {entry["source_kind"]: entry for entry in deal["entries"]}
    assert set(entries) == {"deal.opened", "deposit.applied", "deal.payment_received", "deal.distributed"}
    lines = {line["role"]: minor(line["part"]) for entry in deal["entries"] for line in entry["lines"]}
    assert lines == {"deposit": 50_000_00, "balance": 950_000_01, "payout": -NET}
    assert entries["deal.payment_received"]["lines"][0]["counterparty_name"] == "华信资产"
    for_seller = sale.api.as_(sale.people.seller).ok("GET", f"/cases/{case_id}/money-trail")["deals"][0]
    assert {line["counterparty_name"] for entry in for_seller["entries"] for line in entry["lines"]} == {""}
    assert len(sale.api.as_(sale.people.buyer).ok("GET", f"/cases/{case_id}/money-trail")["deals"]) == 1
    for who in (sale.people.other_seller, sale.people.other_buyer):
        assert sale.api.as_(who).get(f"/cases/{case_id}/money-trail").status_code == 404

    statements = []
    event.listen(running.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    finance(sale).ok("GET", f"/cases/{case_id}/money-trail")
    assert len([text for text in statements if "allocations" in text or "statement_lines" in text]) == 1


def test_from_a_bank_line_to_its_cases(sale):
    sale.sell()
    pay_out(sale)
    lines = dict(sale.sql("SELECT counterparty_name, id FROM statement_lines WHERE counterparty_name <> '华信资产'"))
    balance, deposit = (
        sale.sql(f"SELECT id FROM statement_lines WHERE counterparty_name = '华信资产' AND amount_minor {op} 5000000")[
            0
        ][0]
        for op in (">", "=")
    )
    for line_id, role in ((balance, "balance"), (deposit, "deposit"), (lines["seller"], "payout")):
        first = finance(sale).ok("GET", f"/statement-lines/{line_id}/cases", query_string={"limit": 3})
        rest = finance(sale).ok("GET", f"/statement-lines/{line_id}/cases", query_string={"cursor": first["next"]})
        rows = first["items"] + rest["items"]
        assert len({row["case_id"] for row in rows}) == 5
        assert {row["role"] for row in rows} == {role}
        assert sum(minor(row["allocated"]) for row in rows) == NET
    assert finance(sale).ok("GET", f"/statement-lines/{lines['金投资产']}/cases") == {"items": [], "next": None}
    assert sale.api.as_(sale.people.seller).get(f"/statement-lines/{balance}/cases").status_code == 403


def test_a_case_that_is_not_sold_has_an_empty_trail(sale):
    case_id = sale.sql("SELECT id FROM cases LIMIT 1")[0][0]
    trail = sale.api.as_(sale.people.seller).ok("GET", f"/cases/{case_id}/money-trail")
    assert trail == {"case_id": str(case_id), "deals": []}


def xlsx(sale, deal, language="zh"):
    return finance(sale).get(f"/deals/{deal['id']}/reconciliation.xlsx", query_string={"language": language}).data


def test_the_workbook(sale):
    deal = sale.sell()
    pay_out(sale)
    content = xlsx(sale, deal, "en")
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    assert book.sheetnames == ["Summary", "Bank lines", "Ledger entries", "Funds flow", "Allocation"]
    summary = list(book["Summary"].iter_rows(min_row=2, max_row=15, values_only=True))
    assert {row[4] for row in summary} == {0}
    cases = list(book["Allocation"].iter_rows(min_row=2, values_only=True))
    assert [row[0] for row in cases] == ["LN1", "LN10", "LN2", "LN3", "LN4", "Total"]
    assert cases[-1][2] == pytest.approx(NET / 100)
    assert round(sum(row[2] for row in cases[:-1]) * 100) == NET
    assert len(list(book["Bank lines"].iter_rows(min_row=2))) == 3
    formulas = openpyxl.load_workbook(io.BytesIO(content))
    assert formulas["Allocation"].cell(7, 3).value == "=SUM(C2:C6)"
    assert formulas["Summary"].cell(3, 5).value == "=D3-D2"


def test_text_of_strangers_is_no_formula(sale):
    sale.award()
    sale.work()
    deal = sale.deal()
    paid = sale.statement((minor(deal["due"]), f"=HYPERLINK(1) {deal['reference']}", "=1+1"))
    line = paid["items"][0]["lines"][0]
    assert line["finding"] == "third_party_payer"
    finance = sale.api.as_(sale.people.finance)
    upload = {"data": {"file": (io.BytesIO(b"%PDF-1.7"), "=1+1.pdf")}, "content_type": "multipart/form-data"}
    kept = finance.ok("POST", f"/statement-lines/{line['id']}/documents", 201, **upload)
    proof = {"reference": deal["reference"], "document_id": kept["id"], "reason": "=1+1"}
    proposal = finance.ok("POST", f"/statement-lines/{line['id']}/match", 200, json=proof)["proposals"][0]
    sale.api.as_(sale.people.admin).ok("POST", f"/match-proposals/{proposal['id']}/approve")
    sale.sign()
    sale.work()
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx(sale, sale.deal())))["银行流水"]
    cells = [cell for row in sheet.iter_rows() for cell in row if str(cell.value).startswith("=")]
    assert len(cells) == 2
    assert {cell.data_type for cell in cells} == {"s"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_papers(sale, language):
    deal = sale.sell()
    words = {
        "zh": {"invoice": "余款付款通知书", "statement": "转让方结算单", "reconciliation": "对账单"},
        "en": {"invoice": "Balance invoice", "statement": "Statement of account", "reconciliation": "Reconciliation"},
    }[language]
    texts = {}
    for name, client in (("invoice", sale.api.as_(sale.people.buyer)), ("statement", sale.api.as_(sale.people.seller)),
                         ("reconciliation", finance(sale))):  # fmt: skip
        url = f"/deals/{deal['id']}/{name}.pdf"
        response = client.get(url, query_string={"language": language})
        assert response.status_code == 200
        assert response.data == client.get(url, query_string={"language": language}).data
        texts[name] = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(response.data)).pages)
        assert words[name] in texts[name]
        assert deal["reference"] in texts[name]
    assert "950000.01" in texts["invoice"]
    assert "984100.01" in texts["statement"]
    assert texts["reconciliation"].count("0.00") >= 14
    buyers = f"/deals/{deal['id']}/statement.pdf"
    assert sale.api.as_(sale.people.seller).get(buyers, query_string={"party": "buyer"}).status_code == 404
    assert finance(sale).get(buyers, query_string={"party": "buyer"}).status_code == 200
    assert sale.api.as_(sale.people.seller).get(buyers, query_string={"language": "fr"}).status_code == 422


ATTACKS = [
    "UPDATE allocations SET amount_minor = 0",
    "DELETE FROM allocations",
    "TRUNCATE allocations",
    "INSERT INTO allocations SELECT 0, deal_id, gen_random_uuid(), 'x', 0, 0 FROM allocations LIMIT 1",
    "INSERT INTO allocations SELECT 0, gen_random_uuid(), case_id, case_key, weight, amount_minor FROM allocations",
    "UPDATE deals SET net_minor = net_minor - 1",
    "UPDATE deals SET case_count = 4",
    "UPDATE deals SET price_minor = price_minor + 1",
    "UPDATE deals SET received_minor = 0",
    "DELETE FROM deals",
    "UPDATE deal_deductions SET amount_minor = 0",
    "UPDATE fee_schedules SET deductions = '[]'",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_postgresql_itself_refuses(sale, database, attack):
    sale.sell()
    with psycopg.connect(database, autocommit=True) as connection, pytest.raises(psycopg.IntegrityError):
        connection.execute(attack)


def test_a_deal_cannot_be_distributed_without_its_allocations(sale, database):
    sale.award()
    sale.work()
    sale.pay_balance()
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE deals SET state = 'distributed', net_minor = 1, case_count = 1")
        with pytest.raises(psycopg.errors.CheckViolation, match="allocations"):
            connection.commit()
