"""Collections set off against the balance: the buyer pays less, the seller is paid less, one register says both."""

import pytest
from sqlalchemy.exc import DBAPIError

from tests.settlement.deals.closing_steps import TERMS, agrees, decide, minor
from tests.settlement.deals.closing_steps import propose as propose_terms
from tests.settlement.deals.conftest import DEPOSIT, PRICE
from tests.settlement.deals.test_adjustments import approve, parts, propose, true_ups
from tests.settlement.deals.test_defaults import fail
from tests.settlement.deals.test_instalment_deals import pay, ties

NET = {**TERMS, "collections": "net_against_balance"}
DUE = PRICE - DEPOSIT


def opened(sale, terms=NET):
    sale.award()
    sale.work()
    assert decide(sale, "closing-terms", propose_terms(sale, terms)).status_code == 200
    return sale.deal()


def netted(sale, deal, *cases):
    return approve(sale, propose(sale, deal, "collections", cases=cases))


def test_the_buyer_pays_so_much_less_and_the_seller_is_paid_so_much_less(sale):
    deal = opened(sale)
    row = netted(sale, deal, ("LN1", 1_200_00), ("LN2", 700_00), ("LN3", -200_00))
    assert (row["state"], minor(row["covered"])) == ("settled", 1_700_00)
    assert parts(sale, row) == {"LN1": 1_200_00, "LN2": 700_00, "LN3": -200_00}
    deal = sale.deal()
    assert (minor(deal["netted"]), minor(deal["due"])) == (1_700_00, DUE - 1_700_00)
    ties(sale)
    sale.sign()
    deal = pay(sale, DUE - 1_700_00)
    assert deal["state"] == "settled"
    whole = sale.api.as_(sale.people.finance).ok("POST", f"/deals/{deal['id']}/closing-preview", json={})
    (payout,) = (minor(one["amount"]) for one in sale.orders() if one["purpose"] == "payout")
    assert payout == minor(whole["first"]) - 1_700_00
    found = true_ups(sale, deal)
    for name in ("total", "paid", "open"):
        assert minor(found["buyer"][name]) == -minor(found["seller"][name])
    assert (minor(found["buyer"]["total"]), minor(found["buyer"]["open"])) == (1_700_00, 0)
    assert parts(sale, row) == {"LN1": 1_200_00, "LN2": 700_00, "LN3": -200_00}
    agrees(sale, deal)


def test_what_comes_after_the_payment_is_paid_over_from_the_same_register(sale):
    deal = opened(sale)
    netted(sale, deal, ("LN1", 500_00))
    early = propose(sale, deal, "collections", cases=[("LN2", 300_00)])
    sale.sign()
    deal = pay(sale, DUE - 500_00)
    late = approve(sale, early)
    assert (late["state"], minor(late["covered"])) == ("settled", 300_00)
    (order,) = (minor(one["amount"]) for one in sale.orders() if one["source_kind"] == "adjustment_cover")
    assert order == 300_00
    found = true_ups(sale, deal)
    assert [minor(line["amount"]) for line in found["buyer"]["lines"]] == [500_00, 300_00]
    assert minor(found["seller"]["total"]) == -800_00
    agrees(sale, deal)


def test_collections_may_pay_the_last_cent_and_not_one_more(sale):
    deal = opened(sale)
    sale.sign()
    pay(sale, DUE - 900_00)
    refused = propose(sale, deal, "collections", cases=[("LN1", 900_01)], status=409)
    assert (refused["code"], refused["allowed"]) == ("nets_too_much", "900.00")
    first = propose(sale, deal, "collections", cases=[("LN1", 900_00)])
    second = propose(sale, deal, "collections", cases=[("LN2", 1_00)])
    approve(sale, first)
    assert decide(sale, "adjustments", second).get_json()["code"] == "not_distributed"
    sale.work()
    assert sale.deal()["state"] == "settled"
    assert approve(sale, second)["state"] == "settled"
    agrees(sale, sale.deal())


def test_no_more_is_set_off_than_the_seller_is_paid_at_once(sale):
    deal = opened(sale, {**NET, "holdback": {"percent": "100"}})
    refused = propose(sale, deal, "collections", cases=[("LN1", 1)], status=409)
    assert (refused["code"], refused["allowed"]) == ("nets_too_much", "0.00")


def test_only_where_the_terms_say_so_and_only_collections(sale):
    deal = opened(sale, TERMS)
    assert propose(sale, deal, "collections", cases=[("LN1", 1)], status=409)["code"] == "not_distributed"


def test_nothing_else_moves_before_the_distribution_and_terms_are_fixed(sale):
    deal = opened(sale)
    assert propose(sale, deal, "price", amount=100, status=409)["code"] == "not_distributed"
    assert propose(sale, deal, "collections", cases=[("LN99", 1)], status=422)["code"] == "unknown_case"
    netted(sale, deal, ("LN1", 500_00))
    body = {"terms": {}, "reason": "other"}
    late = sale.api.as_(sale.people.finance).post(f"/deals/{deal['id']}/closing-terms", json=body)
    assert late.get_json()["code"] == "closing_terms_fixed"


def test_the_notice_of_the_balance_asks_for_what_is_due_now(sale):
    deal = opened(sale)
    netted(sale, deal, ("LN1", 500_00))
    rows = sale.sql(
        "SELECT asked_minor FROM payment_notices n WHERE deal_id = :deal AND NOT EXISTS"
        " (SELECT FROM notice_cancellations c WHERE c.notice_id = n.id)",
        deal=deal["id"],
    )
    assert rows == [(DUE - 500_00,)]


def test_the_notice_that_takes_its_place_is_paid_to_the_same_account_by_the_same_day(sale):
    deal = opened(sale)
    finance = sale.api.as_(sale.people.finance)
    (first,) = finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
    terms = {"due_on": "2026-03-20", "expires_on": "2026-04-30", "cent_tail": True, "reason": "more time"}
    moved = finance.ok("POST", f"/payment-notices/{first['id']}/reissue", 201, json=terms)
    netted(sale, deal, ("LN1", 500_00))
    shown = finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
    (now,) = (one for one in shown if one["status"] != "cancelled")
    assert [now[name] for name in ("due_on", "expires_on")] == ["2026-03-20", "2026-04-30"]
    assert now["account_number"] == moved["account_number"]
    assert now["tail"]["amount"] != "0.00"


def test_a_deal_that_comes_to_nothing_leaves_nothing_in_the_register(sale):
    deal = opened(sale)
    row = netted(sale, deal, ("LN1", 500_00))
    fail(sale)
    sale.work()
    assert sale.deal()["state"] == "cancelled"
    assert sale.sql("SELECT state, covered_minor FROM adjustments WHERE id = :id", id=row["id"]) == [("cancelled", 0)]
    assert true_ups(sale, deal)["buyer"]["lines"] == []
    ties(sale)
    finance = sale.api.as_(sale.people.finance)
    figures = {row["figure"]: row["amount"] for row in finance.ok("GET", f"/deals/{deal['id']}/figures")["items"]}
    assert (minor(figures["adjustments"]), minor(figures["adjustments_paid"])) == (0, 0)
    alone = finance.ok("GET", f"/deals/{deal['id']}/reconciliation")
    assert (alone["rows"], alone["agrees"], minor(alone["difference"])) == ([], True, 0)
    assert [row["difference"] for row in finance.ok("GET", "/reconciliation")["items"]] == [alone["difference"]]


def test_instalments_and_set_off_exclude_each_other(sale):
    sale.award()
    sale.work()
    body = {"terms": {**NET, "distribution": "per_instalment"}, "reason": "both"}
    refused = sale.api.as_(sale.people.finance).post(f"/deals/{sale.deal()['id']}/closing-terms", json=body)
    assert refused.get_json()["errors"][0]["pointer"] == "/terms/collections"


def test_postgresql_itself_counts_what_was_set_off(sale):
    opened(sale)
    with pytest.raises(DBAPIError), sale.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE deals SET netted_minor = price_minor")


def test_nothing_is_set_off_while_terms_wait_for_a_second_person(sale):
    """It would fix the terms, so that nobody could decide on those that wait, and the price would never be shared."""
    deal = opened(sale)
    early = propose(sale, deal, "collections", cases=[("LN1", 500_00)])
    terms = propose_terms(sale, TERMS)
    refused = decide(sale, "adjustments", early)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "closing_terms_undecided")
    other = propose(sale, deal, "collections", cases=[("LN2", 1_00)], status=409)
    assert other["code"] == "closing_terms_undecided"
    assert decide(sale, "closing-terms", terms, "reject").status_code == 200
    approve(sale, early)
    sale.sign()
    assert pay(sale, DUE - 500_00)["state"] == "settled"
