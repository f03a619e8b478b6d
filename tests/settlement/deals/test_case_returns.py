"""A case that goes back is the seller's again: open, with what the buyer collected on its books, to be sold anew."""

from sqlalchemy import text

from tests.settlement.deals.closing_steps import TERMS, agrees, close, decide, minor
from tests.settlement.deals.test_adjustments import approve, propose


def states(sale):
    return dict(sale.sql("SELECT case_key, state FROM cases"))


def case_id(sale, key):
    return sale.sql("SELECT id FROM cases WHERE case_key = :key", key=key)[0][0]


def test_a_case_that_goes_back_is_open_again_and_sold_anew(sale):
    deal = close(sale)
    row = propose(sale, deal, "removal", cases=[("LN1", 5_00), ("LN3", None)])
    assert set(states(sale).values()) == {"sold"}
    approve(sale, row)
    assert states(sale) == {"LN1": "open", "LN2": "sold", "LN3": "open", "LN4": "sold", "LN10": "sold"}
    told = sale.sql("SELECT before, after, reason FROM audit_records WHERE verb = 'return'")
    assert [tuple(one) for one in told] == [({"state": "sold"}, {"state": "open"}, "removal: removal agreed")] * 2
    seller = sale.api.as_(sale.people.seller)
    receipts = seller.ok("GET", f"/cases/{case_id(sale, 'LN1')}/receipts")["items"]
    (paid,) = [one for one in receipts if one["kind"] == "repayment"]
    assert (minor(paid["amount"]), minor(paid["applied"]["interest"])) == (5_00, 1_10)
    untouched = seller.ok("GET", f"/cases/{case_id(sale, 'LN3')}/receipts")["items"]
    assert [one["kind"] for one in untouched] == ["proceeds"]
    assert seller.ok("GET", f"/packages/{sale.package_id}")["state"] == "sold"
    again = seller.ok("POST", "/packages", 201, json={"name": "第二期", "filter": {}})
    frozen = seller.ok("POST", f"/packages/{again['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    assert frozen["header"]["loans"] == 2
    assert states(sale)["LN1"] == "bundled"
    assert seller.ok("GET", f"/packages/{sale.package_id}")["header"]["loans"] == 5
    agrees(sale, deal)


def test_what_the_buyer_collected_is_applied_in_the_order_of_the_terms(sale):
    deal = close(sale, {**TERMS, "order": [["principal"], ["interest", "costs"]]})
    approve(sale, propose(sale, deal, "removal", cases=[("LN1", 5_00)]))
    paid = sale.sql("SELECT principal_minor, interest_minor FROM case_receipts WHERE kind = 'repayment'")
    assert paid == [(5_00, 0)]


def test_a_rejected_return_leaves_the_case_sold(sale):
    deal = close(sale)
    row = propose(sale, deal, "repurchase", cases=[("LN2", 50)])
    assert decide(sale, "adjustments", row, verb="reject").status_code == 200
    assert set(states(sale).values()) == {"sold"}
    assert sale.sql("SELECT count(*) FROM case_receipts WHERE kind = 'repayment'") == [(0,)]


def test_a_case_that_left_the_seller_otherwise_does_not_come_back(sale):
    deal = close(sale)
    row = propose(sale, deal, "removal", cases=[("LN2", None)])
    with sale.sessions.begin() as session:
        session.execute(text("UPDATE cases SET state = 'archived' WHERE case_key = 'LN2'"))
    response = decide(sale, "adjustments", row)
    assert (response.status_code, response.get_json()["code"]) == (409, "illegal_move")
    assert sale.sql("SELECT state FROM adjustments") == [("proposed",)]
