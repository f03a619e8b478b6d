"""Refunds to cards: carried out by a worker, in full and in part; refused, pending, failed late, made by hand."""

from marketplace import errands
from tests.settlement.cards.conftest import DEPOSIT


def test_a_losers_deposit_goes_back_to_its_card(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    (order,) = cards.release(mine)
    assert (order["rail"], order["payee_account"]) == ("stripe", payment["intent_id"])
    assert not cards.covered(mine)
    answer = cards.finance.post(f"/payment-orders/{order['id']}/send")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "carried_out_by_worker")
    cards.run()
    settled = cards.order(order["id"])
    assert (settled["state"], settled["settled_by_line_id"]) == ("settled", None)
    (made,) = cards.stripe.all("refund")
    assert (made["amount"], made["metadata"]["order_id"]) == (DEPOSIT, order["id"])
    (refund,) = cards.finance.ok("GET", "/card-refunds")["items"]
    assert (refund["refund_id"], refund["status"]) == (made["id"], "succeeded")
    cards.books_are_square()
    cards.sweep()
    assert cards.clearing() == []
    cards.balance_is_stripes()
    cards.books_are_square()


def test_nothing_is_refunded_before_a_second_person_approves(cards) -> None:
    mine = cards.registration()
    cards.paid(mine)
    (order,) = cards.release(mine, approve=False)
    cards.later()
    assert cards.stripe.all("refund") == []
    cards.finance.ok("POST", f"/payment-orders/{order['id']}/cancel", json={"reason": "not yet"})
    cards.run()
    assert cards.covered(mine)
    assert cards.held(mine) == DEPOSIT


def test_part_by_card_part_by_wire_each_goes_back_its_way(cards) -> None:
    mine = cards.registration()
    paper = cards.statement()
    paper.line(60_000_00, mine.reference)
    cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())
    cards.paid(mine)
    orders = cards.release(mine)
    assert {(one["rail"], one["amount"]["amount"]) for one in orders} == {
        ("wire", "60000.00"), ("stripe", "40000.00"),
    }  # fmt: skip
    cards.run()
    (made,) = cards.stripe.all("refund")
    assert made["amount"] == 40_000_00
    cards.books_are_square()


def test_a_pending_refund_settles_when_stripe_says_so(cards) -> None:
    mine = cards.registration()
    cards.paid(mine)
    cards.stripe.refunds_pending = True
    (order,) = cards.release(mine)
    cards.run()
    assert cards.order(order["id"])["state"] == "sent"
    assert cards.balance("in_payment") == -DEPOSIT
    cards.sweep()
    cards.books_are_square()
    (made,) = cards.stripe.all("refund")
    cards.stripe.end_refund(made["id"], "succeeded")
    cards.sweep()
    assert cards.order(order["id"])["state"] == "settled", "its event never came; the sweep found out"
    assert cards.clearing() == []


def test_a_refund_that_fails_after_it_succeeded_goes_by_wire(cards) -> None:
    mine = cards.registration()
    cards.paid(mine)
    (order,) = cards.release(mine)
    cards.run()
    (made,) = cards.stripe.all("refund")
    cards.stripe.end_refund(made["id"], "failed")
    cards.deliver(seed=3)
    assert cards.order(order["id"])["state"] == "cancelled"
    assert cards.held(mine) == DEPOSIT
    assert cards.covered(mine)
    cards.sweep()
    assert cards.clearing() == []
    cards.balance_is_stripes()
    cards.books_are_square()
    cards.buyer.ok("POST", "/bank-accounts", 201, json={"holder": "华信资产", "number": "6217000", "currency": "CNY"})
    (again,) = cards.release(mine)
    assert (again["rail"], again["payee_account"], again["amount"]["amount"]) == ("wire", "6217000", "100000.00")
    assert len(cards.stripe.all("refund")) == 1


def test_a_refund_that_stripe_refuses_puts_the_money_back(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    (order,) = cards.release(mine)
    cards.stripe.objects[payment["charge_id"]]["amount_refunded"] = 1
    cards.run()
    assert cards.order(order["id"])["state"] == "cancelled"
    (refund,) = cards.finance.ok("GET", "/card-refunds")["items"]
    assert (refund["status"], refund["note"][:16]) == ("refused", "amount_too_large")
    assert cards.held(mine) == DEPOSIT
    cards.books_are_square()


def test_a_refund_made_by_hand_at_stripe_stops_payments(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    cards.stripe.refund_by_hand(payment["intent_id"], 5_00)
    cards.deliver()
    cards.sweep()
    assert cards.balance("unexplained") == 5_00
    assert cards.clearing() == []
    cards.books_are_square(passed=False)
    (order,) = cards.release(mine, approve=False)
    answer = cards.api.as_(cards.people.admin).post(f"/payment-orders/{order['id']}/approve")
    assert answer.get_json()["code"] == "client_money_check_failed"


def test_while_the_client_money_check_fails_an_approved_refund_waits(cards) -> None:
    mine, other = cards.registration(), cards.registration()
    cards.paid(mine)
    payment = cards.paid(other)
    (order,) = cards.release(mine)
    cards.stripe.refund_by_hand(payment["intent_id"], 5_00)
    found = [one for one in cards.stripe.events if one["data"]["object"]["object"] == "refund"]
    body, headers = cards.stripe.signed(found[-1])
    cards.api.post("/stripe/webhook", data=body, headers=headers)
    fetch_only = {name: kind for name, kind in cards.running.errands.items() if name == "stripe.fetch_refund"}
    errands.run_due(cards.running.sessions, fetch_only, clock=cards.clock)
    cards.books_are_square(passed=False)
    cards.run()
    assert cards.order(order["id"])["state"] == "approved"
    (waiting,) = cards.finance.ok("GET", "/stripe-errands?waiting=true")["items"]
    assert "client-money" in waiting["last_error"]


def test_a_charge_made_by_hand_at_stripe_waits_as_unapplied(cards) -> None:
    cards.stripe.charge_by_hand(7_00)
    cards.deliver(times=2)
    cards.sweep()
    assert cards.balance("unapplied") == -7_00
    assert cards.clearing() == []
    cards.books_are_square()
