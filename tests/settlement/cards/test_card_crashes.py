"""The crash matrix: workers killed around every call to Stripe, lines that are not good; one object, books right.

Workers are real processes ended by SIGKILL. Stripe has forgotten the idempotency key when the next worker comes, so
that only looking first can save it; that the key saves it where looking fails is shown apart.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from settlement import card_client
from settlement.domain import cards as kinds
from tests import mortal
from tests.conftest import KEY
from tests.settlement.cards.conftest import DEPOSIT

ROOT = Path(__file__).resolve().parents[3]
POINTS = (*mortal.POINTS, "end")
PATHS = {
    kinds.MAKE_CUSTOMER: "/v1/customers", kinds.MAKE_INTENT: "/v1/payment_intents",
    kinds.CANCEL_INTENT: "/v1/payment_intents/[^/]+/cancel", kinds.MAKE_REFUND: "/v1/refunds",
}  # fmt: skip
LOOKS = (
    kinds.FETCH_PAYMENT, kinds.FETCH_REFUND, kinds.FETCH_DISPUTE, kinds.FETCH_PAYOUT, kinds.LIST_BALANCE,
    kinds.LIST_DISPUTES,
)  # fmt: skip
DEEDS = (*PATHS, *LOOKS)


@pytest.fixture(scope="module")
def zygote():
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("zygote.py")], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def environment(cards) -> dict[str, str]:
    settings = cards.running.settings
    return {
        "DATABASE_URL": settings.database_url, "REDIS_URL": "unix:///nonexistent", "SECRET_KEY": KEY,
        "IDENTITY_KEY": KEY, "MATCHING_KEY": KEY, "FILES_PATH": str(settings.files_path), "STRIPE_API_KEY": "sk_test_x",
        "STRIPE_API_BASE": settings.stripe_api_base,
    }  # fmt: skip


def deed(cards, kind):
    """Bring things to where `kind` is due next; return the registration."""
    mine = cards.registration()
    if kind == kinds.MAKE_CUSTOMER:
        cards.request(mine)
    elif kind == kinds.MAKE_INTENT:
        cards.opened(cards.registration())
        cards.request(mine)
    elif kind == kinds.CANCEL_INTENT:
        payment = cards.opened(mine)
        cards.buyer.ok("POST", f"/card-payments/{payment['id']}/cancel", 202)
    elif kind == kinds.MAKE_REFUND:
        cards.paid(mine)
        cards.release(mine)
    else:
        notice(cards, mine, kind)
    return mine


def notice(cards, mine, kind) -> None:
    """Something has happened at Stripe, and its event has come (of lists, the clockwork has asked)."""
    payment = cards.opened(mine) if kind == kinds.FETCH_PAYMENT else cards.paid(mine)
    if kind == kinds.FETCH_PAYMENT:
        cards.stripe.pay(payment["intent_id"])
    elif kind == kinds.FETCH_DISPUTE:
        cards.stripe.dispute(payment["intent_id"])
    elif kind == kinds.FETCH_REFUND:
        cards.stripe.refunds_pending = True
        cards.release(mine)
        cards.run()
        cards.stripe.end_refund(cards.stripe.all("refund")[0]["id"], "succeeded")
    elif kind == kinds.FETCH_PAYOUT:
        cards.stripe.end_payout(cards.stripe.pay_out()["id"], "paid")
    else:
        if kind == kinds.LIST_DISPUTES:
            cards.stripe.now = int(cards.clock.now().timestamp())
            cards.stripe.dispute(payment["intent_id"], inquiry=True)
        cards.stripe.take_fee(5_00)
        with cards.running.sessions.begin() as session:
            cards.running.periodic["settlement.sweep_stripe"].run(session, cards.clock.now())
        return
    body, headers = cards.stripe.signed(cards.stripe.events[-1])
    assert cards.api.post("/stripe/webhook", data=body, headers=headers).status_code == 200


def check(cards, mine, kind) -> None:
    """Exactly one object at Stripe, and the books as if nothing had happened."""
    for made in ("customer", "refund", "dispute", "payout"):
        assert len(cards.stripe.all(made)) <= 1, made
    intents = [one for one in cards.stripe.all("payment_intent") if mine.reference in str(one["metadata"])]
    assert len(intents) == 1
    (payment,) = cards.finance.ok("GET", "/card-payments", query_string={"registration_id": mine.id})["items"]
    states = {kinds.MAKE_CUSTOMER: "open", kinds.MAKE_INTENT: "open", kinds.CANCEL_INTENT: "cancelled"}
    assert payment["state"] == states.get(kind, "received")
    if kind in states and kind != kinds.CANCEL_INTENT:
        cards.stripe.pay(payment["intent_id"])
        cards.deliver()
    cards.sweep()
    gone = {kinds.CANCEL_INTENT, kinds.MAKE_REFUND, kinds.FETCH_REFUND, kinds.FETCH_DISPUTE, kinds.LIST_DISPUTES}
    held = 0 if kind in gone else DEPOSIT
    assert cards.held(mine) == held
    assert cards.covered(mine) is bool(held)
    if kind in {kinds.MAKE_REFUND, kinds.FETCH_REFUND}:
        assert [one["amount"] for one in cards.stripe.all("refund")] == [DEPOSIT]
        assert [one["state"] for one in cards.finance.ok("GET", "/payment-orders")["items"]] == ["settled"]
    if kind == kinds.FETCH_PAYOUT:
        (payout,) = cards.finance.ok("GET", "/card-payouts")["items"]
        assert (payout["status"], payout["difference"]["amount"]) == ("paid", "0.00")
    assert cards.sql("SELECT count(*) FROM errands WHERE done < wanted OR claim IS NOT NULL") == [(0,)]
    cards.balance_is_stripes()
    cards.books_are_square()


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", DEEDS)
def test_a_worker_killed_at_each_step_of_each_call(cards, zygote, kind, point) -> None:
    mine = deed(cards, kind)
    order = {"settings": environment(cards), "kind": kind, "point": point, "at": cards.clock.now().isoformat()}
    zygote.stdin.write(json.dumps(order) + "\n")
    zygote.stdin.flush()
    assert int(zygote.stdout.readline()) == 9
    cards.stripe.answers.clear()
    cards.later()
    check(cards, mine, kind)


@pytest.mark.parametrize("how", ["lost", "before", "busy", "slow"])
@pytest.mark.parametrize("kind", PATHS)
def test_a_line_that_is_not_good(cards, monkeypatch, kind, how) -> None:
    """The answer is lost after its effect, Stripe fails before any, has too much to do, or takes too long; twice."""
    monkeypatch.setattr(card_client, "TIMEOUT_SECONDS", 1)
    cards.stripe.seconds_slow = 2.0
    mine = deed(cards, kind)
    cards.stripe.fail("POST", PATHS[kind], how, times=2)
    cards.run()
    (waiting,) = cards.finance.ok("GET", "/stripe-errands", query_string={"waiting": "true"})["items"]
    assert (waiting["kind"], waiting["attempts"]) == (kind, 1)
    cards.stripe.answers.clear()
    cards.later()
    cards.later()
    check(cards, mine, kind)


def test_where_looking_finds_nothing_the_key_saves(cards, monkeypatch) -> None:
    """Stripe's search lags behind: the customer that is there is not found, and still not made twice."""
    monkeypatch.setattr(card_client, "find_customer", lambda *_, **__: None)
    monkeypatch.setattr(card_client, "find_intent", lambda *_, **__: None)
    monkeypatch.setattr(card_client, "find_refund", lambda *_, **__: None)
    for path in ("/v1/customers", "/v1/payment_intents", "/v1/refunds"):
        cards.stripe.fail("POST", path, "lost")
    mine = cards.registration()
    cards.request(mine)
    for _ in range(3):
        cards.later()
    (payment,) = cards.finance.ok("GET", "/card-payments")["items"]
    cards.stripe.pay(payment["intent_id"])
    cards.sweep()
    cards.release(mine)
    for _ in range(3):
        cards.later()
    assert [len(cards.stripe.all(kind)) for kind in ("customer", "payment_intent", "refund")] == [1, 1, 1]
    cards.sweep()
    cards.books_are_square()


def test_a_busy_stripe_is_asked_again_when_it_says(cards) -> None:
    cards.stripe.fail("POST", "/v1/customers", "busy")
    cards.request(cards.registration())
    cards.run()
    (waiting,) = cards.finance.ok("GET", "/stripe-errands", query_string={"waiting": "true"})["items"]
    assert "too often" in waiting["last_error"]
    cards.clock.advance(seconds=6)
    cards.run()
    assert cards.stripe.all("customer") == []
    cards.clock.advance(seconds=1)
    cards.run()
    assert len(cards.stripe.all("customer")) == 1


def test_a_person_tries_a_stuck_errand_again(cards) -> None:
    cards.stripe.fail("POST", "/v1/customers", "before", times=1)
    asked = cards.request(cards.registration())
    cards.run()
    (waiting,) = cards.finance.ok("GET", "/stripe-errands", query_string={"waiting": "true"})["items"]
    cards.finance.ok("POST", f"/stripe-errands/{waiting['id']}/retry", 202)
    cards.run()
    assert cards.payment(asked["id"])["state"] == "open"


def test_no_transaction_is_open_during_a_call(cards) -> None:
    """While Stripe is asked, no connection of the product is inside a transaction."""
    seen = []

    def look(_) -> None:
        seen.extend(
            cards.sql(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            )
        )

    cards.stripe.on_request = look
    mine = cards.registration()
    payment = cards.paid(mine)
    cards.release(mine)
    cards.run()
    cards.buyer.post(f"/card-payments/{payment['id']}/client-secret")
    second = cards.opened(cards.registration())
    cards.buyer.ok("POST", f"/card-payments/{second['id']}/client-secret")
    assert len(cards.stripe.requests) > 10
    assert seen == []
