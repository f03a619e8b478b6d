"""From the award to the settled deal, over the public API, with the bank's own lines."""

import uuid
from decimal import Decimal

import pytest

from marketplace.documents import Node, parse
from marketplace.money import share_out
from settlement.domain.split import split

PRICE, DEPOSIT = 1_000_000_01, 50_000_00
COMMISSION, VAT = 15_000_00, 900_00
NET = PRICE - COMMISSION - VAT


def minor(amount):
    return int(Decimal(amount["amount"]) * 100)


def test_the_award_becomes_a_deal_with_the_deposit_applied(sale):
    sale.award()
    sale.work()
    deal = sale.deal()
    assert deal["state"] == "awaiting_payment"
    assert deal["reference"].startswith("INV-")
    assert (minor(deal["price"]), minor(deal["deposit"]), minor(deal["due"])) == (PRICE, DEPOSIT, PRICE - DEPOSIT)
    assert deal["due_on"] == "2026-03-12"
    assert deal["net"] is None


def test_losers_are_released_at_once_and_the_runner_up_when_the_contract_is_signed(sale):
    sale.award()
    sale.work()
    third, other = sale.registrations["third_buyer"], sale.registrations["other_buyer"]
    released = {order["registration_id"] for order in sale.orders()}
    assert released == {str(third)}
    sale.sign()
    sale.work()
    orders = sale.orders()
    assert {order["registration_id"] for order in orders} == {str(third), str(other)}
    assert [minor(order["amount"]) for order in orders] == [DEPOSIT, DEPOSIT]
    assert {order["proposed_by"] for order in orders} == {"system"}
    assert sale.sql("SELECT state FROM awards") == [("contracted",)]


def test_a_failed_auction_releases_everybody(sale):
    sale.fail()
    sale.work()
    assert len(sale.orders()) == 3
    assert sale.sql("SELECT count(*) FROM deals") == [(0,)]


def test_the_whole_way(sale):
    deal = sale.sell()
    assert deal["state"] == "settled"
    assert (minor(deal["net"]), deal["case_count"]) == (NET, 5)
    finance = sale.api.as_(sale.people.finance)
    shares = finance.ok("GET", f"/deals/{deal['id']}/allocations")["items"]
    weights = {row["case_key"]: minor(row["weight"]) for row in shares}
    assert weights == {f"LN{n}": n * 1000_00 + 33 + n * 1_00 + 10 for n in (1, 2, 3, 4, 10)}
    keys = sorted(weights)
    parts = dict(zip(keys, share_out(NET, [weights[key] for key in keys], keys), strict=True))
    assert {row["case_key"]: minor(row["amount"]) for row in shares} == parts
    assert {row[0] for row in sale.sql("SELECT state FROM cases")} == {"sold"}
    assert sale.sql("SELECT state FROM packages") == [("sold",)]
    receipts = sale.sql("SELECT c.case_key, r.amount_minor FROM case_receipts r JOIN cases c ON c.id = r.case_id")
    assert dict(map(tuple, receipts)) == parts
    payout = next(order for order in sale.orders() if order["purpose"] == "payout")
    assert (minor(payout["amount"]), payout["state"]) == (NET, "proposed")
    assert payout["payee_organisation_id"] == str(sale.people.seller.organisation_id)
    assert sale.sql("SELECT sum(amount_minor) FROM postings") == [(0,)]


def test_payment_and_signature_in_the_other_order(sale):
    sale.award()
    sale.work()
    sale.sign()
    sale.work()
    assert sale.deal()["state"] == "signed"
    sale.pay_balance()
    sale.work()
    assert sale.deal()["state"] == "settled"


def test_payments_add_up_and_the_excess_stays_unapplied(sale):
    sale.award()
    sale.work()
    deal = sale.deal()
    due, reference = minor(deal["due"]), deal["reference"]
    sale.statement((due - 1, reference, "buyer"))
    deal = sale.deal()
    assert (deal["state"], minor(deal["due"])) == ("awaiting_payment", 1)
    sale.statement((500, reference, "buyer"))
    deal = sale.deal()
    assert (deal["state"], minor(deal["due"]), minor(deal["received"])) == ("paid", 0, due)
    left = sale.sql(
        "SELECT -sum(p.amount_minor) FROM postings p JOIN accounts a ON a.id = p.account_id "
        "WHERE a.key LIKE 'unapplied:%'"
    )
    assert left == [(499,)]
    sale.statement((700, reference, "buyer"))
    assert minor(sale.deal()["received"]) == due


def test_signing_twice_is_signing_once_and_only_parties_sign(sale):
    sale.award()
    sale.work()
    path = f"/deals/{sale.deal()['id']}/sign-contract"
    for _ in range(2):
        deal = sale.api.as_(sale.people.seller).ok("POST", path)
    assert deal["state"] == "awaiting_payment"
    assert deal["seller_signed_at"] is not None
    assert deal["buyer_signed_at"] is None
    assert sale.api.as_(sale.people.other_buyer).post(path).status_code == 404
    assert sale.api.as_(sale.people.other_seller).post(path).status_code == 404
    assert sale.api.as_(sale.people.finance).post(path).status_code == 403
    assert sale.api.as_(sale.people.buyer_analyst).post(path).status_code == 403


def test_finance_distributes_only_what_is_ready(sale):
    sale.award()
    sale.work()
    path = f"/deals/{sale.deal()['id']}/distribute"
    finance = sale.api.as_(sale.people.finance)
    problem = finance.post(path)
    assert problem.status_code == 409
    assert problem.get_json()["code"] == "illegal_move"
    sale.pay_balance()
    sale.sign()
    deal = finance.ok("POST", path)
    assert deal["state"] == "distributed"
    assert finance.ok("POST", path)["distributed_at"] == deal["distributed_at"]
    sale.work()
    assert sale.deal()["state"] == "settled"
    assert sale.sql("SELECT count(*) FROM entries WHERE source_kind = 'deal.distributed'") == [(1,)]


def test_strangers_see_nothing(sale):
    deal = sale.sell()
    paths = ["", "/funds-flow", "/funds-flow.json", "/allocations", "/invoice.pdf", "/statement.pdf"]
    people = sale.people
    for path in paths:
        for who in (
            people.seller,
            people.seller_agent,
            people.buyer,
            people.buyer_analyst,
            people.finance,
            people.auditor,
        ):
            assert sale.api.as_(who).get(f"/deals/{deal['id']}{path}").status_code == 200, path
        for who in (people.other_seller, people.other_buyer):
            assert sale.api.as_(who).get(f"/deals/{deal['id']}{path}").status_code == 404, path
    for path in ("/reconciliation", "/reconciliation.xlsx", "/reconciliation.pdf"):
        assert sale.api.as_(people.seller).get(f"/deals/{deal['id']}{path}").status_code == 403
        assert sale.api.as_(people.auditor).get(f"/deals/{deal['id']}{path}").status_code == 200
    assert sale.api.as_(people.other_buyer).ok("GET", "/deals")["items"] == []
    assert len(sale.api.as_(people.buyer).ok("GET", "/deals", query_string={"state": "settled"})["items"]) == 1
    assert sale.api.as_(people.finance).get(f"/deals/{uuid.uuid4()}").status_code == 404


def test_anyone_recomputes_the_deal_from_its_document(sale):
    deal = sale.sell()
    seller = sale.api.as_(sale.people.seller)
    document = seller.get(f"/deals/{deal['id']}/funds-flow.json").data
    answer = split(Node(parse(document)))
    assert answer["net"] == deal["net"]["amount"]
    shares = seller.ok("GET", f"/deals/{deal['id']}/allocations")["items"]
    assert {row["case"]: row["amount"] for row in answer["allocations"]} == {
        row["case_key"]: row["amount"]["amount"] for row in shares
    }
    preview = seller.ok("POST", "/previews/split", data=document, content_type="application/json")
    assert preview == answer
    flow = seller.ok("GET", f"/deals/{deal['id']}/funds-flow")
    assert [row["amount"]["amount"] for row in flow["deductions"]] == [row["amount"] for row in answer["deductions"]]


def test_the_preview_refuses_by_pointer(api, people):
    problem = api.as_(people.seller).post("/previews/split", data=b'{"price": 1}', content_type="application/json")
    assert problem.status_code == 422
    assert problem.get_json()["errors"][0]["pointer"] == "/currency"
    assert api.as_(people.seller).post("/previews/split", data=b"x", content_type="text/plain").status_code == 415


def test_fee_schedules_are_versions_and_a_deal_keeps_its_own(sale):
    admin = sale.api.as_(sale.people.admin)
    body = {
        "currency": "CNY",
        "valid_from_on": "2026-03-03",
        "deductions": [{"name": "commission", "payee": "operator", "kind": "percent", "percent": "50"}],
    }
    assert admin.ok("POST", "/fee-schedules", 201, json=body)["version"] == 2
    sale.award()
    sale.work()
    assert sale.sql("SELECT version FROM fee_schedules s JOIN deals d ON d.fee_schedule_id = s.id") == [(1,)]
    deal = sale.deal()
    assert minor(sale.api.as_(sale.people.seller).ok("GET", f"/deals/{deal['id']}/funds-flow")["net"]) == NET


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"deductions": [{"name": "x", "payee": "friend", "kind": "percent", "percent": "1"}]}, "unknown_payee"),
        ({"deductions": [{"name": "x", "payee": "tax", "kind": "percent", "percent": "101"}]}, "bad_document"),
        ({"valid_from_on": "2026-03-02"}, "starts_in_the_past"),
        ({"currency": "XXX"}, "request_invalid"),
    ],
)
def test_bad_fee_schedules(api, people, change, code):
    body = {"currency": "EUR", "valid_from_on": "2026-03-03", "deductions": []} | change
    problem = api.as_(people.admin).post("/fee-schedules", json=body)
    assert problem.status_code == 422
    assert problem.get_json()["code"] == code
