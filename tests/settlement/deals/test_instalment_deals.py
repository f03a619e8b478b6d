"""A deal whose price comes in instalments, each distributed as it comes; it ends where a deal paid at once ends."""

import io
import json
import subprocess
import sys

import pypdf
import pytest
from sqlalchemy.exc import DBAPIError

from tests.settlement.deals.closing_steps import TERMS, agrees, close, decide, entry, minor, propose
from tests.settlement.deals.conftest import DEPOSIT, PRICE

PARTS = (200_000_00, 300_000_01, PRICE - DEPOSIT - 500_000_01)
"""Instalments after the deposit."""

IN_PARTS = {**TERMS, "distribution": "per_instalment"}


def signed(sale, terms=IN_PARTS):
    """A deal under such terms that both have signed; nothing but the deposit has come."""
    sale.award()
    sale.work()
    assert decide(sale, "closing-terms", propose(sale, terms)).status_code == 200
    sale.sign()
    sale.work()
    return sale.deal()


def pay(sale, amount):
    deal = sale.deal()
    sale.statement((amount, f"余款 {deal['reference']}", "buyer"))
    sale.work()
    return sale.deal()


def paid_in_parts(sale):
    signed(sale)
    for amount in PARTS:
        deal = pay(sale, amount)
    return deal


def instalments(sale, deal):
    return sale.api.as_(sale.people.seller).ok("GET", f"/deals/{deal['id']}/instalments")["items"]


def of_cases(sale):
    return dict(sale.sql("SELECT s.case_key, sum(s.net_minor) FROM instalment_shares s GROUP BY 1"))


def ties(sale):
    finance = sale.api.as_(sale.people.finance)
    assert finance.ok("GET", "/ledger/control-totals")["agrees"] is True
    assert finance.ok("POST", "/client-money-checks", 201)["items"][0]["passed"] is True


def balances(sale):
    """What each kind of account ends with; orders move money on, so what they set aside is counted back."""
    rows = sale.sql(
        "SELECT split_part(a.key, ':', 1), sum(p.amount_minor) FROM entries e JOIN postings p ON p.entry_id = e.id"
        " JOIN accounts a ON a.id = p.account_id WHERE e.source_kind LIKE 'deal.%distributed' GROUP BY 1"
    )
    return dict(map(tuple, rows))


def test_the_deposit_is_distributed_with_the_signatures_and_each_instalment_as_it_comes(sale):
    deal = signed(sale)
    assert (deal["state"], minor(deal["distributed"])) == ("signed", DEPOSIT)
    seen = of_cases(sale)
    for place, amount in enumerate(PARTS, start=2):
        deal = pay(sale, amount)
        rows = instalments(sale, deal)
        assert [row["number"] for row in rows] == list(range(1, place + 1))
        assert minor(rows[-1]["received"]) == amount
        now = of_cases(sale)
        assert all(now[key] >= seen[key] for key in seen)
        seen = now
        ties(sale)
    agrees(sale, deal)
    assert deal["state"] == "settled"
    assert minor(deal["distributed"]) == PRICE


def test_what_comes_before_the_signatures_waits_for_them(sale):
    sale.award()
    sale.work()
    decide(sale, "closing-terms", propose(sale, IN_PARTS))
    assert minor(pay(sale, PARTS[0])["distributed"]) == 0
    sale.sign()
    sale.work()
    assert minor(sale.deal()["distributed"]) == DEPOSIT + PARTS[0]
    assert len(instalments(sale, sale.deal())) == 2
    contract = sale.sql("SELECT state FROM awards")
    assert contract == [("contracted",)]


def test_it_ends_at_the_figures_of_a_deal_paid_at_once(sale):
    deal = paid_in_parts(sale)
    finance, seller = sale.api.as_(sale.people.finance), sale.api.as_(sale.people.seller)
    whole = finance.ok("POST", f"/deals/{deal['id']}/closing-preview", json={"terms": TERMS})
    rows = {row["case"]: row for row in whole["cases"]}
    closed = seller.ok("GET", f"/deals/{deal['id']}/cases")["items"]
    assert {row["case_key"]: minor(row["net"]) for row in closed} == {key: minor(r["net"]) for key, r in rows.items()}
    assert of_cases(sale) == {key: minor(row["net"]) for key, row in rows.items()}
    first = dict(
        sale.sql(
            "SELECT c.case_key, sum(r.amount_minor) FROM case_receipts r JOIN cases c ON c.id = r.case_id GROUP BY 1"
        )
    )
    assert first == {key: minor(row["first"]) for key, row in rows.items()}
    assert balances(sale) == {
        "proceeds": PRICE, "commission": -15_000_00, "vat": -900_00, "third_party": -(1_000_00 + 9_000_01),
        "lien": -100_000_00, "holdback": -minor(whole["holdback"]), "payable": -minor(whole["first"]),
    }  # fmt: skip
    assert entry(sale, "deal.distributed") == {}
    paid = {}
    for row in sale.orders():
        if row["purpose"] in {"other", "payout"}:
            paid[row["payee_name"]] = paid.get(row["payee_name"], 0) + minor(row["amount"])
    assert sorted(paid.values()) == sorted([1_000_00, 9_000_01, 100_000_00, minor(whole["first"])])
    agrees(sale, deal)


def test_the_holdback_of_instalments_completes_every_case(sale):
    deal = paid_in_parts(sale)
    finance = sale.api.as_(sale.people.finance)
    part = finance.ok("POST", f"/deals/{deal['id']}/parts", 201, json={"reason": "warranty over"})
    assert decide(sale, "deal-parts", part).status_code == 200
    rows = sale.api.as_(sale.people.seller).ok("GET", f"/deals/{deal['id']}/cases")["items"]
    got = dict(
        sale.sql(
            "SELECT c.case_key, sum(r.amount_minor) FROM case_receipts r JOIN cases c ON c.id = r.case_id GROUP BY 1"
        )
    )
    assert got == {row["case_key"]: minor(row["proceeds"]) for row in rows}
    agrees(sale, deal)


def test_each_instalment_is_in_the_trail_of_a_case_before_the_last_has_come(sale):
    signed(sale)
    deal = pay(sale, PARTS[0])
    seller = sale.api.as_(sale.people.seller)
    last = instalments(sale, deal)[-1]
    cases = seller.ok("GET", f"/deal-instalments/{last['id']}/cases")["items"]
    assert sum(minor(row["net"]) for row in cases) == minor(last["net"])
    assert sum(minor(row["at_once"]) for row in cases) == minor(last["at_once"])
    case = next(row for row in cases if row["case_key"] == "LN3")
    (found,) = seller.ok("GET", f"/cases/{case['case_id']}/money-trail")["deals"]
    assert minor(found["allocated"]) == of_cases(sale)["LN3"]
    shares = {row["source_kind"]: row["share"] for row in found["entries"]}
    assert shares["deal.instalment_distributed"] == case["net"]
    assert shares["deal.payment_received"] is None
    line = next(row for one in found["entries"] for row in one["lines"] if row["role"] == "balance")
    finance = sale.api.as_(sale.people.finance)
    behind = finance.ok("GET", f"/statement-lines/{line['line_id']}/cases")["items"]
    assert {row["case_key"]: minor(row["allocated"]) for row in behind} == of_cases(sale)
    figures = {row["figure"]: row for row in finance.ok("GET", f"/deals/{deal['id']}/figures")["items"]}
    rows = instalments(sale, deal)
    for figure, name in (("deductions", "deducted"), ("net", "net"), ("liens", "liens"), ("parts", "at_once")):
        assert minor(figures[figure]["amount"]) == sum(minor(row[name]) for row in rows)
    assert sale.api.as_(sale.people.buyer).get(f"/deals/{deal['id']}/instalments").status_code == 403


def test_the_proof_package_holds_every_instalment(sale, tmp_path):
    signed(sale)
    deal = pay(sale, PARTS[0])
    file = tmp_path / "proof.json"
    file.write_bytes(sale.api.as_(sale.people.seller).get(f"/deals/{deal['id']}/closing-proof.json").data)
    done = subprocess.run([sys.executable, "-m", "settlement", "verify", str(file)], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, file.read_bytes())
    proved = json.loads(file.read_bytes())["result"]["instalments"]
    rows = instalments(sale, deal)
    assert [one["received"] for one in proved] == [row["received"]["amount"] for row in rows]
    assert [one["net"] for one in proved] == [row["net"]["amount"] for row in rows]
    assert [one["first"] for one in proved] == [row["at_once"]["amount"] for row in rows]


def test_the_seller_reads_every_instalment_on_its_statement_and_the_buyer_none(sale):
    signed(sale)
    deal = pay(sale, PARTS[0])
    last = instalments(sale, deal)[-1]
    for who, reads in (("seller", True), ("buyer", False)):
        answer = sale.api.as_(getattr(sale.people, who)).get(f"/deals/{deal['id']}/statement.pdf?language=en")
        text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.data)).pages)
        assert (last["at_once"]["amount"] in text, "To the seller" in text) == (reads, reads)


def test_what_is_distributed_is_neither_taken_back_nor_put_under_other_terms(sale):
    signed(sale)
    deal = pay(sale, PARTS[0])
    finance = sale.api.as_(sale.people.finance)
    (match,) = sale.sql("SELECT id FROM matches WHERE reference = :reference", reference=deal["reference"])
    refused = finance.post(f"/matches/{match[0]}/unmatch", json={"reason": "wrong"})
    assert refused.get_json()["code"] == "instalment_stands"
    terms = finance.post(f"/deals/{deal['id']}/closing-terms", json={"terms": {}, "reason": "at once"})
    assert terms.get_json()["code"] == "closing_terms_fixed"


def test_a_buyer_that_stops_paying_keeps_nothing_and_loses_nothing_that_was_distributed(sale):
    signed(sale)
    deal = pay(sale, PARTS[0])
    finance = sale.api.as_(sale.people.finance)
    with sale.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE user_sessions SET expires_at = expires_at + interval '20 days'")
    sale.clock.advance(days=11)
    assert finance.ok("GET", f"/deals/{deal['id']}")["overdue"] is True
    before = of_cases(sale)
    for refused in (
        finance.post(f"/deals/{deal['id']}/fail-overdue", json={"reason": "late"}),
        finance.get(f"/deals/{deal['id']}/default-preview"),
    ):
        assert refused.get_json()["code"] == "deal_distributed"
    sale.work()
    late = sale.deal()
    assert (late["state"], minor(late["distributed"])) == ("signed", DEPOSIT + PARTS[0])
    assert of_cases(sale) == before
    assert sale.sql("SELECT DISTINCT state FROM cases WHERE state = 'sold'") == []
    assert pay(sale, PARTS[1] + PARTS[2])["state"] == "settled"
    agrees(sale, sale.deal())


def test_approved_terms_distribute_what_a_signed_deal_has(sale):
    sale.award()
    sale.work()
    sale.sign()
    sale.work()
    pay(sale, PARTS[0])
    row = propose(sale, IN_PARTS)
    pay(sale, PARTS[1])
    assert minor(sale.deal()["distributed"]) == 0
    decide(sale, "closing-terms", row)
    sale.work()
    assert minor(sale.deal()["distributed"]) == DEPOSIT + PARTS[0] + PARTS[1]


def test_without_such_terms_nothing_is_distributed_before_the_last(sale):
    signed(sale, TERMS)
    assert minor(pay(sale, PARTS[0])["distributed"]) == 0
    deal = pay(sale, PARTS[1] + PARTS[2])
    assert (deal["state"], minor(deal["distributed"])) == ("settled", PRICE)
    assert instalments(sale, deal) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE instalment_shares SET net_minor = net_minor + 1",
        "DELETE FROM deal_instalments",
        "TRUNCATE instalment_payments",
        "INSERT INTO instalment_shares SELECT instalment_id, uuidv7(), 'x', 1, 1, 0 FROM instalment_shares LIMIT 1",
        "UPDATE deals SET distributed_minor = price_minor",
    ],
)
def test_postgresql_itself_refuses_to_rewrite_an_instalment(sale, statement):
    signed(sale)
    with pytest.raises(DBAPIError), sale.sessions.begin() as session:
        session.connection().exec_driver_sql(statement)


def test_a_deal_under_such_terms_paid_before_it_is_signed_ends_the_same(sale):
    deal = close(sale, IN_PARTS)
    assert deal["state"] == "settled"
    assert [minor(row["received"]) for row in instalments(sale, deal)] == [DEPOSIT, PRICE - DEPOSIT]
    agrees(sale, deal)
