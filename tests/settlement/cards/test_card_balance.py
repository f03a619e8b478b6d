"""Stripe's balance line by line, payouts proven by their lines and found again on the statement of our bank."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from settlement.card_models import CardPayout
from settlement.domain.cards import clearing_id, fetched_by
from tests.settlement.cards.conftest import DEPOSIT

FEE = DEPOSIT * 29 // 1000 + 30


def paid_out(cards, status: str = "paid"):
    """Everything that lies at Stripe is on its way to our bank; the payout as finance sees it."""
    made = cards.stripe.pay_out()
    made["arrival_date"] = int(cards.clock.now().timestamp())
    cards.sweep()
    cards.stripe.end_payout(made["id"], status)
    cards.sweep()
    return cards.finance.ok("GET", "/card-payouts")["items"][0]


def arrive(cards, amount: int, text: str = "STRIPE PAYMENTS", **more: str):
    """Our bank's statement shows it."""
    paper = cards.statement()
    paper.line(amount, text, name="STRIPE", account="GB99", **more)
    (item,) = cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())["items"]
    return item["lines"][0]


def test_from_the_card_to_our_bank(cards) -> None:
    cards.paid(cards.registration())
    payout = paid_out(cards)
    assert (payout["status"], payout["amount"]["amount"]) == ("paid", "97099.70")
    assert (payout["line_count"], payout["difference"]["amount"]) == (1, "0.00")
    assert cards.balance("in_transit") == DEPOSIT - FEE
    assert [one["object_id"] for one in cards.clearing()] == [payout["payout_id"]]
    cards.books_are_square()
    line = arrive(cards, DEPOSIT - FEE)
    assert line["finding"] == "no_reference"
    cards.sweep()
    (payout,) = cards.finance.ok("GET", "/card-payouts")["items"]
    assert payout["settled_by_line_id"] == line["id"]
    assert cards.balance("bank") == DEPOSIT - FEE
    assert (cards.balance("stripe"), cards.balance("unapplied"), cards.clearing()) == (0, 0, [])
    (seen,) = cards.finance.ok("GET", "/statement-lines")["items"]
    assert (seen["finding"], seen["open"]["amount"]) == ("card_payout", "0.00")
    cards.books_are_square()
    match = seen["matches"][0]
    cards.finance.ok("POST", f"/matches/{match['id']}/unmatch", json={"reason": "another payout"})
    assert cards.balance("in_transit") == DEPOSIT - FEE
    cards.books_are_square()
    again = cards.finance.ok("POST", f"/card-payouts/{payout['id']}/match", json={"line_id": seen["id"]})
    assert again["settled_by_line_id"] == seen["id"]
    cards.books_are_square()


@pytest.mark.parametrize(
    ("change", "text"),
    [(-1, "STRIPE"), (0, "somebody else"), (0, "STRIPE late")],
    ids=["another amount", "without its name", "too late"],
)
def test_what_is_not_surely_the_payout_waits_for_a_person(cards, change, text) -> None:
    cards.paid(cards.registration())
    payout = paid_out(cards)
    paper = cards.statement()
    name = "STRIPE" if "STRIPE" in text else "somebody else"
    paper.line(DEPOSIT - FEE + change, text, name=name)
    cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())
    if "late" in text:
        with cards.running.sessions.begin() as session:
            session.get(CardPayout, payout["id"]).arrival_on -= timedelta(days=30)
    cards.sweep()
    (payout,) = cards.finance.ok("GET", "/card-payouts")["items"]
    assert payout["settled_by_line_id"] is None
    (line,) = cards.finance.ok("GET", "/statement-lines")["items"]
    answer = cards.finance.post(f"/card-payouts/{payout['id']}/match", json={"line_id": line["id"]})
    if change:
        assert (answer.status_code, answer.get_json()["code"]) == (409, "payout_does_not_match")
    else:
        assert answer.status_code == 200
    cards.books_are_square()


def test_two_lines_that_could_be_it_wait_for_a_person(cards) -> None:
    cards.paid(cards.registration())
    paid_out(cards)
    arrive(cards, DEPOSIT - FEE)
    arrive(cards, DEPOSIT - FEE)
    cards.sweep()
    (payout,) = cards.finance.ok("GET", "/card-payouts")["items"]
    assert payout["settled_by_line_id"] is None


def test_a_payout_that_fails_lies_at_stripe_again(cards) -> None:
    cards.paid(cards.registration())
    payout = paid_out(cards, "failed")
    assert payout["status"] == "failed"
    assert (cards.balance("stripe"), cards.balance("in_transit")) == (DEPOSIT - FEE, 0)
    assert cards.clearing() == []
    cards.balance_is_stripes()
    cards.books_are_square()


def test_the_balance_is_read_page_after_page_and_each_line_once(cards) -> None:
    for _ in range(230):
        cards.stripe.take_fee(1_00)
    cards.sweep()
    cards.sweep()
    assert cards.sql("SELECT count(*), sum(net_minor) FROM stripe_lines") == [(230, -230_00)]
    assert (cards.balance("card_fees"), cards.balance("stripe")) == (230_00, -230_00)
    pages = [one for one in cards.stripe.requests if one.path == "/v1/balance_transactions"]
    assert len([one for one in pages if "starting_after" in one.values]) >= 2
    cards.books_are_square()


def test_money_that_moves_without_a_known_cause_is_treated_as_at_a_bank(cards) -> None:
    cards.stripe.move({"id": "topup_1", "currency": "cny"}, "topup", 50_00, 0)
    cards.stripe.move({"id": "trr_1", "currency": "cny"}, "transfer", -20_00, 0)
    cards.sweep()
    assert (cards.balance("unapplied"), cards.balance("unexplained")) == (-50_00, 20_00)
    cards.balance_is_stripes()
    cards.books_are_square(passed=False)


def test_the_books_are_right_before_the_balance_shows_a_charge(cards) -> None:
    cards.stripe.hold_balance = True
    mine = cards.registration()
    cards.paid(mine)
    assert cards.covered(mine)
    assert (cards.balance("stripe"), cards.balance("card_clearing")) == (0, DEPOSIT)
    (open_,) = cards.clearing()
    assert open_["object_id"] == cards.stripe.all("charge")[0]["id"]
    cards.books_are_square()
    cards.stripe.hold_balance = False
    cards.sweep()
    assert cards.clearing() == []
    cards.books_are_square()


def test_lines_of_the_balance_are_for_good(cards) -> None:
    cards.paid(cards.registration())
    for deed in ("UPDATE stripe_lines SET net_minor = 0", "DELETE FROM stripe_lines", "TRUNCATE stripe_lines"):
        with pytest.raises(DBAPIError):
            cards.sql(deed)


def test_a_buyer_sees_nothing_of_finances_side(cards) -> None:
    for path in ("/card-refunds", "/card-disputes", "/card-payouts", "/stripe-lines", "/card-clearing",
                 "/stripe-events", "/stripe-errands"):  # fmt: skip
        assert cards.buyer.get(path).status_code == 403, path
        assert cards.api.as_(cards.people.auditor).get(path).status_code == 200, path


def test_names_of_clearing_accounts_come_from_stripes_own() -> None:
    assert clearing_id("ch_1") == clearing_id("ch_1") != clearing_id("re_1")
    assert fetched_by("pi_1") == fetched_by("ch_1") == "stripe.fetch_payment"
    assert fetched_by("") is fetched_by("inv_1") is None
