"""Card money that no deposit takes: the intent is given up, and what is captured all the same goes back by itself."""

import uuid

import pytest
from sqlalchemy import text

from marketplace.actor import SYSTEM
from settlement import ledger
from settlement.domain import ledger as books
from tests.settlement.cards.conftest import DEPOSIT


def wire(cards, mine, minor: int = DEPOSIT) -> None:
    paper = cards.statement()
    paper.line(minor, mine.reference)
    cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())


def quick(cards, payment) -> None:
    """The payer's card is charged before a worker gives the intent up."""
    cards.stripe.pay(payment["intent_id"])
    cards.deliver()


def only_order(cards):
    (order,) = cards.finance.ok("GET", "/payment-orders")["items"]
    return order


def reason_of(cards, verb: str, kind: str) -> str:
    """Why the one row of a kind was moved by a verb."""
    rows = cards.sql(f"SELECT reason FROM audit_records WHERE verb = '{verb}' AND subject_kind = '{kind}'")
    ((reason,),) = rows
    return reason


def at_rest(cards) -> None:
    cards.sweep()
    assert cards.clearing() == []
    assert cards.balance("unapplied") == 0
    cards.balance_is_stripes()
    cards.books_are_square()


def test_the_intent_is_given_up_once_a_wire_covers(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    cards.run()
    assert cards.stripe.objects[payment["intent_id"]]["status"] == "canceled"
    after = cards.payment(payment["id"])
    assert (after["state"], after["note"]) == ("cancelled", "The deposit is held in full already.")
    assert reason_of(cards, "cancel", "card_payments") == after["note"]
    assert cards.covered(mine)
    at_rest(cards)


def test_an_intent_that_is_made_after_the_wire_is_given_up_at_once(cards) -> None:
    mine = cards.registration()
    asked = cards.request(mine)
    wire(cards, mine)
    cards.run()
    assert cards.payment(asked["id"])["state"] == "cancelled"
    assert [one["status"] for one in cards.stripe.all("payment_intent")] == ["canceled"]


def test_what_is_charged_all_the_same_goes_back_by_itself(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    quick(cards, payment)
    after = cards.payment(payment["id"])
    assert (after["state"], after["note"][:25]) == ("received", "The deposit was full alre")
    order = only_order(cards)
    assert (order["state"], order["rail"], order["payee_account"]) == ("settled", "stripe", payment["intent_id"])
    assert (order["proposed_by"], order["approved_by"]) == (SYSTEM.name, SYSTEM.name)
    assert reason_of(cards, "approve", "payment_orders") == after["note"]
    assert [one["amount"] for one in cards.stripe.all("refund")] == [DEPOSIT]
    assert cards.held(mine) == DEPOSIT
    answer = cards.finance.post(f"/card-payments/{payment['id']}/refund", json={"reason": "again"})
    assert answer.get_json()["code"] == "nothing_unapplied"
    at_rest(cards)


def test_only_what_is_too_much_goes_back(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine, 60_000_00)
    quick(cards, payment)
    assert cards.covered(mine)
    assert [one["amount"] for one in cards.stripe.all("refund")] == [60_000_00]
    (order, *_) = cards.release(mine)
    cards.run()
    assert sum(one["amount"] for one in cards.stripe.all("refund")) == DEPOSIT
    assert order["rail"] == "wire"
    at_rest(cards)


@pytest.mark.parametrize("late", [False, True])
def test_what_comes_after_the_deposit_went_back_is_too_late(cards, late) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine, 60_000_00)
    cards.release(mine)
    if not late:
        cards.run()
        assert cards.payment(payment["id"])["state"] == "cancelled"
        return
    quick(cards, payment)
    assert cards.payment(payment["id"])["note"][:16] == "Nothing is taken"
    assert [one["amount"] for one in cards.stripe.all("refund")] == [DEPOSIT]
    assert cards.held(mine) == 0
    at_rest(cards)


def test_above_the_limit_two_persons_approve(cards) -> None:
    admin = cards.api.as_(cards.people.admin)
    admin.ok("POST", "/payment-limits", 201, json={"limit": {"amount": "99999.99", "currency": "CNY"}})
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    quick(cards, payment)
    order = only_order(cards)
    assert (order["state"], cards.stripe.all("refund")) == ("proposed", [])
    for person in (cards.people.admin, cards.people.finance):
        cards.api.as_(person).ok("POST", f"/payment-orders/{order['id']}/approve")
    cards.run()
    at_rest(cards)


def test_a_dispute_comes_first_and_the_money_goes_back_when_it_is_won(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    cards.stripe.pay(payment["intent_id"])
    made = cards.stripe.dispute(payment["intent_id"])
    cards.deliver()
    assert cards.order(only_order(cards)["id"])["state"] == "cancelled"
    assert cards.held(mine) == DEPOSIT
    cards.stripe.end_dispute(made["id"], "won")
    cards.deliver()
    assert [one["amount"] for one in cards.stripe.all("refund")] == [DEPOSIT]
    at_rest(cards)


def test_what_a_card_does_not_take_goes_to_the_payers_bank_account(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    quick(cards, payment)
    (made,) = cards.stripe.all("refund")
    cards.stripe.end_refund(made["id"], "failed")
    cards.deliver()
    assert cards.balance("unapplied") == -DEPOSIT
    cards.buyer.ok("POST", "/bank-accounts", 201, json={"holder": "华信资产", "number": "6217000", "currency": "CNY"})
    order = cards.finance.ok("POST", f"/card-payments/{payment['id']}/refund", 201, json={"reason": "by wire"})
    assert (order["rail"], order["payee_account"], order["amount"]["amount"]) == ("wire", "6217000", "100000.00")
    cards.books_are_square()


def test_a_currency_that_stripe_would_change_is_refused_with_those_that_it_does_not(cards) -> None:
    mine = cards.registration(currency="HUF", deposit=5_000_000)
    answer = cards.buyer.post(f"/registrations/{mine.id}/card-payments")
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (409, "card_currency_not_settled")
    assert (problem["currency"], problem["allowed"]) == ("HUF", ["CNY", "EUR", "JPY", "KWD"])


def test_money_that_stripe_changed_all_the_same_is_moved_by_two_corrections(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    cards.stripe.pay(payment["intent_id"])
    (line,) = cards.stripe.all("balance_transaction")
    line |= {"currency": "eur", "amount": 12_000_00, "fee": 350_00, "net": 11_650_00}
    cards.deliver()
    cards.sweep()
    both = {one["balance"]["currency"]: one for one in cards.clearing()}
    assert (both["CNY"]["balance"]["amount"], both["EUR"]["balance"]["amount"]) == ("100000.00", "-12000.00")
    assert both["CNY"]["object_id"] == both["EUR"]["object_id"] == line["source"]
    for one in both.values():
        amount, text_ = one["balance"], one["balance"]["amount"]
        back = text_.removeprefix("-") if text_.startswith("-") else f"-{text_}"
        lines = [
            {"account": one["account"], "amount": amount | {"amount": back}},
            {"account": "fx_position", "amount": amount},
        ]
        body = {"lines": lines, "value_on": "2026-03-02", "reason": "Stripe changed it"}
        asked = cards.finance.ok("POST", "/ledger-corrections", 201, json=body)
        cards.api.as_(cards.people.admin).ok("POST", f"/ledger-corrections/{asked['id']}/approve")
    assert cards.clearing() == []
    cards.books_are_square()


def test_money_of_a_version_that_did_not_read_the_balance_is_counted_once(cards) -> None:
    """Such a version posted the charge to `stripe`, gross, and knew neither charge nor fee nor payout."""
    mine = cards.registration()
    payment = cards.opened(mine)
    cards.stripe.pay(payment["intent_id"])
    key = uuid.UUID(payment["id"])
    with cards.running.sessions.begin() as session:
        ledger.post(
            session, source_kind="stripe.payment", source_id=key, description="早期", currency="CNY",
            lines=books.transfer(debit=books.STRIPE, credit=books.unapplied(key), amount_minor=DEPOSIT),
            value_on=cards.clock.now().date(), actor=SYSTEM, at=cards.clock.now(),
        )  # fmt: skip
        session.execute(
            text("UPDATE card_payments SET state = 'received', received_minor = amount_minor, received_at = :at"),
            {"at": cards.clock.now()},
        )
    for _ in range(2):
        cards.sweep()
        cards.deliver()
    cards.balance_is_stripes()
    assert cards.clearing() == []
    assert cards.balance("card_fees") == 2_900_30
    cards.stripe.end_payout(cards.stripe.pay_out()["id"], "paid")
    cards.sweep()
    assert [one["account"].partition(":")[0] for one in cards.clearing()] == ["in_transit"]
    cards.books_are_square()
    order = cards.finance.ok("POST", f"/card-payments/{key}/refund", 201, json={"reason": "never counted"})
    assert order["amount"]["amount"] == "100000.00"


def test_an_intent_that_stripe_keeps_is_asked_for_once_a_sweep(cards, monkeypatch) -> None:
    """A payment under way (`processing`) cannot be given up: it is not asked for again and again."""
    mine = cards.registration()
    payment = cards.opened(mine)
    wire(cards, mine)
    monkeypatch.setitem(cards.stripe.objects[payment["intent_id"]], "status", "processing")
    before = len(cards.stripe.requests)
    cards.run()
    asked = [one.path.rsplit("/", 1)[-1] for one in cards.stripe.requests[before:]]
    assert asked == ["cancel", payment["intent_id"]]
    cards.sweep()
    assert [one.path.rsplit("/", 1)[-1] for one in cards.stripe.requests].count("cancel") == 2
    assert cards.payment(payment["id"])["state"] == "open"
