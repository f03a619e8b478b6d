"""The balance of a deal: notices and instalments, too little and too much, payments that come back, two approvals."""

from datetime import date, timedelta

import pytest

from marketplace.actor import SYSTEM
from marketplace.money import Money
from settlement import notice_views, tolerances
from settlement.deal_models import Deal
from settlement.domain.notices import NoticePurpose
from tests.conftest import NOW

BALANCE = 950_000_01
DAY = date(2026, 3, 2)


def cny(minor: int) -> dict:
    return {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": "CNY"}


def notices_of(sale, deal) -> list[dict]:
    return list(reversed(sale.api.as_(sale.people.buyer).ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]))


def agrees(sale) -> None:
    finance = sale.api.as_(sale.people.finance)
    totals = finance.ok("GET", "/ledger/control-totals")
    assert totals["agrees"], totals
    checks = finance.ok("POST", "/client-money-checks", 201)["items"]
    assert all(one["passed"] for one in checks), checks


@pytest.fixture
def awarded(sale):
    """A deal whose balance is asked for."""
    sale.award()
    sale.work()
    return sale


def test_a_deal_asks_for_its_balance_by_itself_and_the_notice_pays_it(awarded) -> None:
    deal = awarded.deal()
    (notice,) = notices_of(awarded, deal)
    assert (notice["purpose"], notice["amount"], notice["due_on"]) == ("balance", cny(BALANCE), deal["due_on"])
    finance = awarded.api.as_(awarded.people.finance)
    twice = finance.post(f"/deals/{deal['id']}/payment-notices", json={})
    assert (twice.status_code, twice.get_json()["code"]) == (409, "notices_stand")
    awarded.statement((BALANCE, notice["printed_reference"], "buyer"))
    assert awarded.deal()["state"] == "paid"
    assert notices_of(awarded, deal)[0]["status"] == "paid"
    agrees(awarded)


def test_instalments_are_filled_in_order_and_say_whether_the_deal_is_behind(awarded) -> None:
    finance = awarded.api.as_(awarded.people.finance)
    deal = awarded.deal()
    (whole,) = notices_of(awarded, deal)
    finance.ok("POST", f"/payment-notices/{whole['id']}/cancel", json={"reason": "paid in instalments"})
    url = f"/deals/{deal['id']}/payment-notices"
    parts = [
        {"amount": cny(300_000_00), "due_on": "2026-03-05"},
        {"amount": cny(300_000_00), "due_on": "2026-04-05"},
        {"amount": cny(350_000_01), "due_on": "2026-05-05"},
    ]
    assert finance.post(url, json={"parts": parts[:2]}).get_json()["code"] == "plan_invalid"
    plan = finance.ok("POST", url, 201, json={"parts": parts, "cent_tail": True})["items"]
    assert [(one["position"], one["purpose"], one["amount"]["amount"]) for one in plan] == [
        (1, "instalment", "300000.01"),
        (2, "instalment", "300000.02"),
        (3, "instalment", "350000.02"),
    ]
    answer = awarded.statement((300_000_01, "first part", "buyer"))
    assert answer["items"][0]["lines"][0]["finding"] == "deal"
    awarded.statement((100_000_00, plan[0]["reference"], "buyer"))
    found = [(one["received"]["amount"], one["status"]) for one in notices_of(awarded, deal)[1:]]
    assert found == [("300000.00", "paid"), ("100000.01", "part_paid"), ("0.00", "open")]
    with awarded.sessions() as session:
        row = session.get_one(Deal, deal["id"])
        behind = [notice_views.is_overdue(session, row, on=date(2026, *day)) for day in ((3, 20), (4, 5), (4, 6))]
        assert behind == [False, False, True], "by the instalments, not by the day of the deal"
        assert row.overdue(date(2026, 3, 20))
    last = awarded.statement((550_000_01, plan[2]["reference"], "buyer"))["items"][0]["lines"][0]
    assert (last["finding"], last["open"]["amount"]) == ("surplus", "0.01"), "the tails that we asked for ourselves"
    assert awarded.deal()["state"] == "paid"
    assert [one["status"] for one in notices_of(awarded, deal)[1:]] == ["paid"] * 3
    assert len(finance.ok("GET", "/unapplied-cash")["items"]) == 1
    agrees(awarded)


def test_a_match_taken_back_is_taken_back_from_its_instalments(awarded) -> None:
    finance = awarded.api.as_(awarded.people.finance)
    deal = awarded.deal()
    line = awarded.statement((200_000_00, deal["reference"], "buyer"))["items"][0]["lines"][0]
    assert notices_of(awarded, deal)[0]["status"] == "part_paid"
    finance.ok("POST", f"/matches/{line['matches'][0]['id']}/unmatch", json={"reason": "another deal"})
    (notice,) = notices_of(awarded, deal)
    assert (notice["status"], notice["received"]["amount"]) == ("open", "0.00")


@pytest.mark.parametrize(
    ("short", "state", "waived"), [(100, "paid", "1.00"), (101, "awaiting_payment", "0.00"), (0, "paid", "0.00")]
)
def test_too_little_within_the_tolerance_is_paid_by_the_operator(awarded, short, state, waived) -> None:
    allow(awarded, under=100, over=0)
    deal = awarded.deal()
    awarded.statement((BALANCE - short, deal["reference"], "buyer"))
    deal = awarded.deal()
    assert (deal["state"], deal["waived"]["amount"]) == (state, waived)
    agrees(awarded)
    if state == "paid":
        awarded.sign()
        awarded.work()
        assert awarded.deal()["state"] == "settled"
        rows = awarded.api.as_(awarded.people.finance).ok("GET", f"/deals/{deal['id']}/reconciliation")
        assert rows["agrees"], rows
        agrees(awarded)


@pytest.mark.parametrize(("over", "finding"), [(100, "surplus"), (101, "overpayment")])
def test_too_much_stays_unapplied_and_is_looked_at_above_the_tolerance(awarded, over, finding) -> None:
    allow(awarded, under=0, over=100)
    deal = awarded.deal()
    line = awarded.statement((BALANCE + over, deal["reference"], "buyer"))["items"][0]["lines"][0]
    assert (line["finding"], line["open"]["amount"]) == (finding, f"{over / 100:.2f}")
    finance = awarded.api.as_(awarded.people.finance)
    order = finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "too much"})
    assert order["amount"]["amount"] == f"{over / 100:.2f}"
    assert finance.ok("GET", "/unapplied-cash")["items"] == []
    agrees(awarded)


def allow(sale, *, under: int, over: int) -> None:
    """A tolerance of the balance that holds since yesterday."""
    with sale.sessions.begin() as session:
        tolerances.add_tolerance(
            session,
            purpose=NoticePurpose.BALANCE,
            under=Money(under, "CNY"),
            over=Money(over, "CNY"),
            valid_from_on=DAY,
            actor=SYSTEM,
            at=NOW - timedelta(days=1),
        )


def test_a_payment_that_comes_back_is_owed_again_and_paid_to_another_account(awarded) -> None:
    """The bank returns a loser's refund whole; it is held again, released again, and goes to the corrected account."""
    finance, admin = awarded.api.as_(awarded.people.finance), awarded.api.as_(awarded.people.admin)
    (order,) = [one for one in awarded.orders(state="proposed") if one["purpose"] == "deposit_refund"]
    admin.ok("POST", f"/payment-orders/{order['id']}/approve")
    finance.ok("POST", f"/payment-orders/{order['id']}/send")
    awarded.statement((-50_000_00, order["reference"], "payee"))
    part = awarded.statement((49_990_00, f"RETURN {order['reference']} less fee", "payee"))["items"][0]["lines"][0]
    assert part["finding"] == "payment_returned", "less than the whole is a person's decision"
    back = awarded.statement((50_000_00, f"退汇 {order['reference']}", "bank"))["items"][0]["lines"][0]
    assert (back["finding"], back["open"]["amount"]) == ("returned", "0.00")
    returned = finance.ok("GET", f"/payment-orders/{order['id']}")
    assert (returned["state"], returned["returned_by_line_id"]) == ("returned", back["id"])
    agrees(awarded)
    url = f"/registrations/{order['registration_id']}/release-deposit"
    (again,) = finance.ok("POST", url, json={"reason": "returned"})["items"]
    assert (again["amount"], again["state"]) == (order["amount"], "proposed")
    twice = awarded.statement((50_000_00, order["reference"], "bank"))["items"][0]["lines"][0]
    assert twice["finding"] == "payment_returned"
    agrees(awarded)


def test_above_the_limit_two_persons_approve_what_the_clockwork_proposed(awarded) -> None:
    finance, admin = awarded.api.as_(awarded.people.finance), awarded.api.as_(awarded.people.admin)
    (order,) = [one for one in awarded.orders(state="proposed") if one["purpose"] == "deposit_refund"]
    limit = {"limit": {"amount": "49999.99", "currency": "CNY"}}
    assert finance.post("/payment-limits", json=limit).status_code == 403
    admin.ok("POST", "/payment-limits", 201, json=limit)
    assert admin.ok("GET", "/payment-limits")["items"][0]["limit"]["amount"] == "49999.99"
    first = admin.ok("POST", f"/payment-orders/{order['id']}/approve")
    assert (first["state"], first["first_approved_by"] is None) == ("proposed", False)
    same = admin.post(f"/payment-orders/{order['id']}/approve")
    assert (same.status_code, same.get_json()["code"]) == (403, "same_person")
    assert finance.post(f"/payment-orders/{order['id']}/send").status_code == 409
    second = finance.ok("POST", f"/payment-orders/{order['id']}/approve")
    assert (second["state"], second["approved_by"] != second["first_approved_by"]) == ("approved", True)
