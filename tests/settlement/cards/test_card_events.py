"""Events: signed, kept once, any number in any order by eight workers; what never comes is swept up."""

import random
import threading

import pytest

from marketplace import errands, outbox
from tests.settlement.cards.conftest import DEPOSIT

STATE = (
    "SELECT state, amount_minor, received_minor, note FROM card_payments ORDER BY id",
    "SELECT status, note, amount_minor FROM card_refunds ORDER BY id",
    "SELECT state, status, deposit_minor, unapplied_minor, loss_minor FROM card_disputes ORDER BY dispute_id",
    "SELECT state, rail, amount_minor FROM payment_orders ORDER BY id",
    "SELECT kind, source, amount_minor, fee_minor, net_minor FROM stripe_lines ORDER BY transaction_id",
    "SELECT status, amount_minor, line_count, lines_minor FROM card_payouts ORDER BY payout_id",
    "SELECT covered_at IS NOT NULL FROM registrations ORDER BY id",
    """SELECT split_part(a.key, ':', 1), sum(p.amount_minor) FROM accounts a JOIN postings p ON p.account_id = a.id
       GROUP BY 1 HAVING sum(p.amount_minor) <> 0 ORDER BY 1""",
    "SELECT count(*), count(DISTINCT event_id) FROM webhook_events",
)


def a_busy_day(cards) -> list:
    """Six payments: one only paid, one refunded, one disputed, one won, one lost, one refund that failed; a payout."""
    payments = []
    for _ in range(6):
        mine = cards.registration()
        payments.append((mine, cards.opened(mine)))
    for _, payment in payments:
        cards.stripe.pay(payment["intent_id"])
    cards.deliver(*cards.stripe.events[-12:])
    for mine, _ in (payments[1], payments[5]):
        cards.release(mine)
    cards.run()
    cards.stripe.end_refund(cards.stripe.all("refund")[1]["id"], "failed")
    for number in (2, 3, 4):
        cards.stripe.dispute(payments[number][1]["intent_id"])
    won, lost = cards.stripe.all("dispute")[1:]
    cards.stripe.end_dispute(won["id"], "won")
    cards.stripe.end_dispute(lost["id"], "lost")
    payout = cards.stripe.pay_out()
    cards.stripe.end_payout(payout["id"], "paid")
    return [mine for mine, _ in payments]


def state_of(cards) -> list:
    return [cards.sql(query) for query in STATE]


def send(cards, events) -> None:
    for event in events:
        body, headers = cards.stripe.signed(event)
        assert cards.api.post("/stripe/webhook", data=body, headers=headers).status_code == 200


def by_eight_workers(cards, events) -> None:
    """Eight threads with connections of their own send and work at once until nothing is left to do."""
    failures: list[BaseException] = []
    parts = [events[number::8] for number in range(8)]
    barrier = threading.Barrier(8)

    def work(part) -> None:
        try:
            barrier.wait()
            for event in part:
                send(cards, [event])
                errands.run_one(cards.running.sessions, cards.running.errands, clock=cards.clock)
                outbox.deliver_one(cards.running.sessions, cards.running.subscriptions, clock=cards.clock)
            errands.run_due(cards.running.sessions, cards.running.errands, clock=cards.clock)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.fixture
def settings(database, tmp_path, stripe):
    from tests.conftest import make_settings

    keys = {"STRIPE_API_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": stripe.secret, "STRIPE_API_BASE": stripe.base}
    return make_settings(database, tmp_path / "files", DATABASE_POOL_SIZE="10", **keys)


def settle(cards) -> None:
    """Whatever was put off because two met is done; the balance is read to its end."""
    for _ in range(3):
        cards.later()
        cards.sweep()


D, FEE, CONTEST = 100_000_00, 2_900_30, 15_00
CHARGES = [("charge", f"ch_{number:06d}", D, FEE, D - FEE) for number in range(8, 20, 2)]
PAID_OUT = 6 * (D - FEE) - D - 2 * (D + CONTEST)
END = [
    [("received", D, D, "")] * 6,
    [("succeeded", "", D), ("failed", "lost_or_stolen_card", D)],
    [("open", "needs_response", D, 0, 0), ("won", "won", 0, 0, 0), ("lost", "lost", D, 0, 0)],
    [("settled", "stripe", D), ("cancelled", "stripe", D)],
    [
        *CHARGES,
        ("refund", "re_000020", -D, 0, -D), ("refund", "re_000022", -D, 0, -D),
        ("refund_failure", "re_000022", D, 0, D),
        ("adjustment", "du_000025", -D, CONTEST, -D - CONTEST), ("adjustment", "du_000027", -D, CONTEST, -D - CONTEST),
        ("adjustment", "du_000029", -D, CONTEST, -D - CONTEST), ("adjustment", "du_000027", D, -CONTEST, D + CONTEST),
        ("payout", "po_000032", -PAID_OUT, 0, -PAID_OUT),
    ],
    [("paid", PAID_OUT, 13, PAID_OUT)],
    [(True,), (False,), (False,), (True,), (False,), (True,)],
    [
        ("card_clearing", D), ("card_fees", 6 * FEE + 2 * CONTEST), ("deposits", -3 * D), ("disputed", -D),
        ("in_transit", PAID_OUT),
    ],
]  # fmt: skip
"""What one event of each leads to, in order; and so four of each in any order."""


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_four_of_each_shuffled_by_eight_workers_is_as_one_of_each_in_order(cards, seed) -> None:
    a_busy_day(cards)
    if seed is None:
        for event in cards.stripe.events:
            send(cards, [event])
            cards.run()
    else:
        events = cards.stripe.events * 4
        random.Random(seed).shuffle(events)
        by_eight_workers(cards, events)
    settle(cards)
    cards.books_are_square()
    cards.balance_is_stripes()
    found = state_of(cards)
    assert found[-1] == [(len(cards.stripe.events), len(cards.stripe.events))]
    assert found[:-1] == END
    waiting = [one["account"].partition(":")[0] for one in cards.clearing()]
    assert waiting == ["card_clearing", "in_transit"], "the open dispute, and the payout that our bank has not shown"
    listed = {one["object_id"][:2] for one in cards.clearing()}
    assert listed == {"du", "po"}


def test_not_one_event_comes_and_the_sweep_finds_everything_out(cards) -> None:
    mine, other = cards.registration(), cards.registration()
    first, second = cards.opened(mine), cards.opened(other)
    for payment in (first, second):
        cards.stripe.pay(payment["intent_id"])
    cards.sweep()
    assert cards.covered(mine)
    made = cards.stripe.dispute(second["intent_id"])
    cards.sweep()
    assert not cards.covered(other)
    cards.stripe.end_dispute(made["id"], "lost")
    payout = cards.stripe.pay_out()
    cards.sweep()
    cards.stripe.end_payout(payout["id"], "paid")
    cards.sweep()
    assert [one["state"] for one in cards.finance.ok("GET", "/card-disputes")["items"]] == ["lost"]
    assert [one["status"] for one in cards.finance.ok("GET", "/card-payouts")["items"]] == ["paid"]
    assert cards.sql("SELECT count(*) FROM webhook_events") == [(0,)]
    cards.balance_is_stripes()
    cards.books_are_square()


def test_the_payload_of_an_event_is_not_believed(cards) -> None:
    mine = cards.registration()
    payment = cards.opened(mine)
    lie = {"id": payment["intent_id"], "object": "payment_intent", "status": "succeeded", "amount_received": DEPOSIT}
    cards.deliver({"id": "evt_lie", "type": "payment_intent.succeeded", "data": {"object": lie}})
    assert cards.payment(payment["id"])["state"] == "open"
    assert not cards.covered(mine)


def test_kinds_that_nobody_follows_are_kept(cards) -> None:
    odd = [
        {"id": "evt_1", "type": "balance.available", "data": {"object": {"object": "balance"}}},
        {"id": "evt_2", "type": "invented.kind", "data": {"object": {"id": "inv_1"}}},
        {"id": "evt_3", "type": "no.object"},
        {"id": "evt_4", "type": "odd.data", "data": {"object": {"id": 7}}},
        {"id": "evt_5", "type": "long.id", "data": {"object": {"id": "pi_" + "x" * 300}}},
    ]
    cards.deliver(*odd, times=2)
    rows = cards.finance.ok("GET", "/stripe-events")["items"]
    assert [(row["event_id"], row["outcome"]) for row in rows[::-1]] == [(one["id"], "ignored") for one in odd]
    assert cards.sql("SELECT count(*) FROM errands WHERE subject LIKE 'inv%'") == [(0,)]


def test_an_event_about_an_object_that_is_not_there_waits_for_a_person(cards) -> None:
    cards.deliver({"id": "evt_1", "type": "refund.updated", "data": {"object": {"id": "re_gone"}}})
    (errand,) = cards.finance.ok("GET", "/stripe-errands", query_string={"waiting": "true"})["items"]
    assert "resource_missing" in errand["last_error"]
    assert not errand["stuck"]
    for _ in range(40):
        cards.clock.advance(hours=1)
        cards.run()
    (errand,) = cards.api.as_(fresh(cards)).ok("GET", "/stripe-errands")["items"]
    assert (errand["stuck"], errand["attempts"]) == (True, 30)


def fresh(cards):
    """A new session of finance: the first has ended meanwhile."""
    from tests.people import PASSWORD

    answer = cards.api.ok("POST", "/sessions", json={"login": cards.people.finance.login, "password": PASSWORD})
    return answer["token"]


def test_an_event_that_is_not_signed_is_refused(cards) -> None:
    import stripe

    body = '{"id": "evt_1", "type": "payment_intent.succeeded"}'
    good = stripe.WebhookSignature.generate_signature_header(body, cards.stripe.secret)
    wrong = stripe.WebhookSignature.generate_signature_header(body, "whsec_other")
    old = stripe.WebhookSignature.generate_signature_header(body, cards.stripe.secret, timestamp=1_600_000_000)
    for content, signature in ((body, ""), (body, "t=1,v1=00"), (body, wrong), (body + " ", good), (body, old)):
        answer = cards.api.post("/stripe/webhook", data=content, headers={"Stripe-Signature": signature})
        assert (answer.status_code, answer.get_json()["code"]) == (400, "signature_wrong")
    for rubbish in ("[]", "{}", "{", '{"id": 1, "type": "x"}'):
        signature = stripe.WebhookSignature.generate_signature_header(rubbish, cards.stripe.secret)
        answer = cards.api.post("/stripe/webhook", data=rubbish, headers={"Stripe-Signature": signature})
        assert answer.status_code == 400
    assert cards.sql("SELECT count(*) FROM webhook_events") == [(0,)]
