"""A deposit by card: asked for, confirmed, counted once, covered; refused in words where it cannot be."""

import pytest

from marketplace.money import Money
from settlement.domain.cards import (
    MAX_MINOR,
    AboveCardLimit,
    BelowCardMinimum,
    NotChargeable,
    check_amount,
)
from tests.settlement.cards.conftest import DEPOSIT


def test_a_card_payment_covers_the_registration(cards) -> None:
    mine = cards.registration()
    asked = cards.request(mine)
    assert (asked["state"], asked["intent_id"], asked["amount"]["amount"]) == ("requested", None, "100000.00")
    cards.run()
    payment = cards.payment(asked["id"])
    assert payment["state"] == "open"
    (customer,), (intent,) = cards.stripe.all("customer"), cards.stripe.all("payment_intent")
    assert intent["customer"] == customer["id"]
    assert (intent["amount"], intent["currency"], intent["capture_method"]) == (DEPOSIT, "cny", "automatic")
    assert intent["metadata"] == {"payment_id": asked["id"], "deposit_reference": mine.reference}
    secret = cards.buyer.ok("POST", f"/card-payments/{asked['id']}/client-secret")["client_secret"]
    assert secret == intent["client_secret"]
    assert not cards.covered(mine)
    cards.stripe.pay(payment["intent_id"])
    cards.deliver()
    received = cards.payment(asked["id"])
    assert (received["state"], received["received"]["amount"]) == ("received", "100000.00")
    assert cards.covered(mine)
    assert cards.held(mine) == DEPOSIT
    assert cards.balance("stripe") == 0, "Stripe's balance has not been read yet"
    cards.books_are_square()
    cards.sweep()
    assert cards.clearing() == []
    assert cards.balance("card_fees") == DEPOSIT * 29 // 1000 + 30
    cards.balance_is_stripes()
    cards.books_are_square()


def test_asked_again_it_is_the_same_payment_and_one_customer(cards, people) -> None:
    first, second = cards.registration(), cards.registration()
    asked = cards.request(first)
    assert cards.request(first)["id"] == asked["id"]
    cards.run()
    assert cards.request(first)["intent_id"] == cards.payment(asked["id"])["intent_id"]
    cards.opened(second)
    assert len(cards.stripe.all("customer")) == 1
    assert len(cards.stripe.all("payment_intent")) == 2
    assert cards.api.as_(people.other_buyer).post(f"/registrations/{first.id}/card-payments").status_code == 404
    assert cards.api.as_(people.other_buyer).get(f"/card-payments/{asked['id']}").status_code == 404
    assert len(cards.buyer.ok("GET", "/card-payments")["items"]) == 2
    assert cards.api.as_(people.other_buyer).ok("GET", "/card-payments")["items"] == []


def test_a_declined_card_leaves_the_payment_open(cards) -> None:
    payment = cards.opened(cards.registration())
    cards.stripe.pay(payment["intent_id"], declined="card_declined")
    cards.deliver()
    after = cards.payment(payment["id"])
    assert (after["state"], after["note"]) == ("open", "Your card was declined.")
    cards.stripe.pay(payment["intent_id"])
    cards.deliver()
    assert cards.payment(payment["id"])["note"] == ""
    assert cards.payment(payment["id"])["state"] == "received"


def test_only_what_is_missing_is_asked_for(cards, people) -> None:
    mine = cards.registration()
    paper = cards.statement()
    paper.line(60_000_00, mine.reference)
    cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())
    payment = cards.paid(mine)
    assert payment["amount"]["amount"] == "40000.00"
    assert cards.covered(mine)
    answer = cards.buyer.post(f"/registrations/{mine.id}/card-payments")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "deposit_covered")
    cards.books_are_square()


def test_a_payment_is_given_up_unless_it_was_paid_first(cards) -> None:
    payment = cards.opened(cards.registration())
    cards.buyer.ok("POST", f"/card-payments/{payment['id']}/cancel", 202)
    cards.run()
    assert cards.payment(payment["id"])["state"] == "cancelled"
    answer = cards.buyer.post(f"/card-payments/{payment['id']}/cancel")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "card_payment_not_open")
    mine = cards.registration()
    quick = cards.opened(mine)
    cards.stripe.pay(quick["intent_id"])
    cards.buyer.ok("POST", f"/card-payments/{quick['id']}/cancel", 202)
    cards.run()
    assert cards.payment(quick["id"])["state"] == "received"
    assert cards.covered(mine)


def test_stripe_refuses_an_amount_and_says_why(cards, monkeypatch) -> None:
    monkeypatch.setattr("settlement.domain.cards.MAX_MINOR", 10**12)
    payment = cards.opened(cards.registration(deposit=MAX_MINOR + 1))
    assert (payment["state"], payment["note"][:16]) == ("refused", "amount_too_large")
    assert cards.stripe.all("payment_intent") == []


@pytest.mark.parametrize(
    ("minor", "currency", "failure"),
    [
        (MAX_MINOR, "CNY", None), (MAX_MINOR + 1, "CNY", AboveCardLimit), (49, "EUR", BelowCardMinimum),
        (50, "EUR", None), (1, "CNY", None), (49, "JPY", BelowCardMinimum), (50, "JPY", None), (1_001, "KRW", None),
        (1_230, "KWD", None), (1_235, "KWD", NotChargeable), (17_499, "HUF", BelowCardMinimum),
    ],
)  # fmt: skip
def test_what_a_card_can_carry(minor, currency, failure) -> None:
    if failure is None:
        check_amount(Money(minor, currency))
        return
    with pytest.raises(failure):
        check_amount(Money(minor, currency))


@pytest.mark.parametrize(("currency", "deposit", "text"), [("JPY", 120_000, "120000"), ("KWD", 1_500_250, "1500.250")])
def test_currencies_without_cents_and_with_mills(cards, currency, deposit, text) -> None:
    mine = cards.registration(currency=currency, deposit=deposit)
    payment = cards.paid(mine)
    assert payment["received"] == {"amount": text, "currency": currency}
    assert cards.stripe.all("payment_intent")[0]["amount"] == deposit
    assert cards.covered(mine)
    cards.balance_is_stripes(currency)
    cards.books_are_square()


def test_a_closed_registration_takes_no_card(cards) -> None:
    from auctions.domain.lifecycles import RegistrationState

    answer = cards.buyer.post(f"/registrations/{cards.registration(state=RegistrationState.REFUSED).id}/card-payments")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "deposit_closed")


class TestWithoutKeys:
    """No key: the rail is off and says so, everywhere."""

    @pytest.fixture
    def settings(self, database, tmp_path):
        from tests.conftest import make_settings

        return make_settings(database, tmp_path / "files", STRIPE_API_KEY="", STRIPE_WEBHOOK_SECRET="")

    def test_it_is_off_and_says_so(self, cards) -> None:
        mine = cards.registration()
        answer = cards.buyer.post(f"/registrations/{mine.id}/card-payments")
        assert (answer.status_code, answer.get_json()["code"]) == (503, "stripe_off")
        rail = cards.buyer.ok("GET", "/card-rail")
        assert (rail["on"], rail["events"]) == (False, False)
        assert "wire" in rail["detail"]
        assert cards.api.post("/stripe/webhook", data="{}").get_json()["code"] == "stripe_off"
        cards.sweep()
        assert cards.sql("SELECT count(*) FROM errands") == [(0,)]


def test_a_rail_that_is_on_says_so(cards) -> None:
    assert cards.buyer.ok("GET", "/card-rail") == {
        "on": True, "events": True, "detail": "Deposits can be paid by card.",
    }  # fmt: skip


def test_the_page_of_the_listing_says_how_the_card_payment_stands(cards) -> None:
    from console import market, words
    from marketplace.actor import SYSTEM

    mine = cards.registration()
    cards.opened(mine)
    buyer = cards.people.buyer.actor

    class View:
        row = mine

    with cards.running.sessions() as session:
        (payment,) = market._card_payments(session, [View], buyer)
        assert market._card_payments(session, [View], cards.people.other_buyer.actor) == []
        assert market._card_payments(session, [View], SYSTEM) == []
    assert payment.state.value in words.WORDS["card_payment"]
