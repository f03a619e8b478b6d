"""A deal closed under terms of its own: four eyes, what is posted, who is paid, parts that complete every case."""

import json
import subprocess
import sys

import pytest
from sqlalchemy.exc import DBAPIError

from tests.settlement.deals.closing_steps import TERMS, agrees, close, decide, entry, minor, propose, yuan


def test_terms_are_approved_by_another_person_and_fixed_by_the_distribution(sale):
    sale.award()
    sale.work()
    row = propose(sale)
    assert decide(sale, "closing-terms", row, who="finance").get_json()["code"] == "same_person"
    again = sale.api.as_(sale.people.finance).post(
        f"/deals/{row['deal_id']}/closing-terms", json={"terms": {}, "reason": "other"}
    )
    assert again.get_json()["code"] == "closing_terms_undecided"
    assert decide(sale, "closing-terms", row, verb="reject", who="finance").status_code == 200
    bad = sale.api.as_(sale.people.finance).post(
        f"/deals/{row['deal_id']}/closing-terms",
        json={"terms": {"liens": [{**TERMS["liens"][0], "case": "LN99"}]}, "reason": "other"},
    )
    assert bad.get_json()["errors"][0]["pointer"] == "/terms/liens/0/case"
    seller = sale.api.as_(sale.people.seller)
    assert seller.post(f"/deals/{row['deal_id']}/closing-terms", json={}).status_code == 403
    sale.pay_balance()
    sale.sign()
    sale.work()
    late = sale.api.as_(sale.people.finance).post(
        f"/deals/{row['deal_id']}/closing-terms", json={"terms": {}, "reason": "too late"}
    )
    assert late.get_json()["code"] == "closing_terms_fixed"


def test_a_deal_waits_for_undecided_terms_and_goes_on_by_itself(sale):
    sale.award()
    sale.work()
    row = propose(sale)
    sale.pay_balance()
    sale.sign()
    sale.work()
    assert sale.deal()["state"] == "ready"
    refused = sale.api.as_(sale.people.finance).post(f"/deals/{row['deal_id']}/distribute")
    assert refused.get_json()["code"] == "closing_terms_undecided"
    decide(sale, "closing-terms", row)
    sale.work()
    assert sale.deal()["state"] == "settled"


def test_what_is_posted_and_who_is_paid(sale):
    deal = close(sale)
    finance = sale.api.as_(sale.people.finance)
    result = finance.ok("POST", f"/deals/{deal['id']}/closing-preview", json={})
    posted = entry(sale, "deal.distributed")
    assert sum(posted.values()) == 0
    lien = minor(result["liens"][0]["amount"])
    assert posted == {
        "proceeds": 1_000_000_01, "commission": -15_000_00, "vat": -900_00, "third_party": -(1_000_00 + 9_000_01),
        "lien": -lien, "holdback": -minor(result["holdback"]), "payable": -minor(result["first"]),
    }  # fmt: skip
    assert lien == 100_000_00
    assert minor(deal["net"]) == minor(result["net"]) == minor(result["proceeds"]) + lien
    orders = {(row["payee_name"], minor(row["amount"])) for row in sale.orders() if row["purpose"] == "other"}
    assert orders == {("court", 1_000_00), ("staff", 9_000_01), ("bank B", lien)}
    third = finance.ok("GET", f"/deals/{deal['id']}/third-parties")["items"]
    assert [(row["kind"], row["name"]) for row in third] == [
        ("deduction", "court fee"), ("senior", "wages"), ("lien", "mortgage"),
    ]  # fmt: skip
    agrees(sale, deal)


def test_price_and_net_of_each_case_side_by_side(sale):
    deal = close(sale)
    rows = sale.api.as_(sale.people.seller).ok("GET", f"/deals/{deal['id']}/cases")["items"]
    assert sum(minor(row["price"]) for row in rows) == 1_000_000_01
    assert sum(minor(row["net"]) for row in rows) == minor(deal["net"])
    for row in rows:
        parts = sum(minor(row[name]) for name in ("costs", "interest", "principal", "excess"))
        assert parts == minor(row["proceeds"]) == minor(row["net"]) - 100_000_00 * (row["case_key"] == "LN10")
    case = next(row for row in rows if row["case_key"] == "LN3")
    (found,) = sale.api.as_(sale.people.seller).ok("GET", f"/cases/{case['case_id']}/money-trail")["deals"]
    assert (found["case_price"], found["allocated"]) == (case["price"], case["net"])
    of_buyer = sale.api.as_(sale.people.buyer).ok("GET", f"/deals/{deal['id']}/cases")["items"]
    assert [row["price"] for row in of_buyer] == [row["price"] for row in rows]
    assert {row["net"] for row in of_buyer} == {None}
    assert sale.api.as_(sale.people.other_buyer).get(f"/deals/{deal['id']}/cases").status_code == 404


def received(sale):
    """What collection knows each case received of the sale."""
    return dict(
        sale.sql(
            "SELECT c.case_key, sum(r.amount_minor) FROM case_receipts r JOIN cases c ON c.id = r.case_id GROUP BY 1"
        )
    )


def test_the_holdback_completes_every_case_in_parts_and_takes_nothing_back(sale):
    deal = close(sale)
    finance = sale.api.as_(sale.people.finance)
    path = f"/deals/{deal['id']}/parts"
    held = minor(finance.ok("POST", f"/deals/{deal['id']}/closing-preview", json={})["holdback"])
    before = received(sale)
    too_much = finance.post(path, json={"amount": yuan(held + 1), "reason": "warranty over"})
    assert too_much.get_json()["code"] == "holdback_too_small"
    first = finance.ok("POST", path, 201, json={"amount": yuan(1), "reason": "one cent"})
    rest = finance.ok("POST", path, 201, json={"reason": "warranty over"})
    assert minor(rest["amount"]) == held - 1
    assert finance.post(path, json={"reason": "nothing is left"}).get_json()["code"] == "adjustment_out_of_bounds"
    assert decide(sale, "deal-parts", first, who="finance").get_json()["code"] == "same_person"
    for part in (first, rest):
        assert decide(sale, "deal-parts", part).status_code == 200
        after = received(sale)
        assert all(after[key] >= before[key] for key in before)
        before = after
        agrees(sale, deal)
    rows = sale.api.as_(sale.people.seller).ok("GET", f"/deals/{deal['id']}/cases")["items"]
    assert before == {row["case_key"]: minor(row["proceeds"]) for row in rows}
    payouts = [minor(row["amount"]) for row in sale.orders() if row["purpose"] == "payout"]
    assert sum(payouts) == sum(before.values())
    assert entry(sale, "holdback.released") == {"holdback": held, "payable": -held}
    assert decide(sale, "deal-parts", first).get_json()["code"] == "illegal_move"


def test_the_proof_package_is_computed_anew_to_the_same_bytes(sale, tmp_path):
    deal = close(sale)
    file = tmp_path / "proof.json"
    seller = sale.api.as_(sale.people.seller)
    file.write_bytes(seller.get(f"/deals/{deal['id']}/closing-proof.json").data)
    done = subprocess.run([sys.executable, "-m", "settlement", "verify", str(file)], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, file.read_bytes())
    proof = json.loads(file.read_bytes())
    assert seller.ok("POST", "/previews/verify", json=proof) == proof
    assert seller.ok("POST", "/previews/close", json=proof["inputs"]) == proof["result"]
    flow = json.loads(seller.get(f"/deals/{deal['id']}/funds-flow.json").data)
    assert seller.ok("POST", "/previews/split", json=flow)["net"] == proof["result"]["net"]


def test_postgresql_itself_refuses_to_rewrite_a_closing(sale):
    close(sale)
    for statement in (
        "UPDATE case_closings SET price_minor = price_minor + 1",
        "DELETE FROM part_shares",
        "UPDATE closing_terms SET terms = '{}'",
        "UPDATE deal_parts SET amount_minor = 0",
        "INSERT INTO part_shares SELECT part_id, uuidv7(), 1 FROM part_shares LIMIT 1",
        "INSERT INTO case_closings SELECT deal_id, uuidv7(), 'x', 0, 0, 0, 0, 0, 0, 0 FROM case_closings LIMIT 1",
        "UPDATE closing_terms SET decided_by_id = proposed_by_id",
        "TRUNCATE third_party_claims",
    ):
        with pytest.raises(DBAPIError), sale.sessions.begin() as session:
            session.connection().exec_driver_sql(statement)
