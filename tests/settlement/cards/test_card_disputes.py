"""Disputes: a contested deposit covers nothing; won, it covers again; lost, it is gone; what was passed on is ours."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.domain.cards import CARD_DISPUTE, CardDisputeState, dispute_parts, standing, way
from tests.settlement.cards.conftest import DEPOSIT


def the_dispute(cards):
    (row,) = cards.finance.ok("GET", "/card-disputes")["items"]
    return row


@pytest.mark.parametrize("inquiry", [False, True])
def test_a_disputed_deposit_covers_nothing_until_it_is_won(cards, inquiry) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    made = cards.stripe.dispute(payment["intent_id"], inquiry=inquiry)
    cards.deliver()
    row = the_dispute(cards)
    assert (row["state"], row["deposit"]["amount"], row["loss"]["amount"]) == ("open", "100000.00", "0.00")
    assert not cards.covered(mine)
    assert (cards.held(mine), cards.balance("disputed")) == (0, -DEPOSIT)
    cards.sweep()
    cards.balance_is_stripes()
    cards.books_are_square()
    assert cards.release(mine) == [], "nothing is held, so nothing goes back"
    cards.stripe.end_dispute(made["id"], "warning_closed" if inquiry else "won")
    cards.deliver()
    assert the_dispute(cards)["state"] == "won"
    assert cards.covered(mine)
    assert (cards.held(mine), cards.balance("disputed")) == (DEPOSIT, 0)
    cards.sweep()
    assert cards.clearing() == []
    cards.balance_is_stripes()
    cards.books_are_square()


def test_a_lost_dispute_takes_the_deposit_and_a_new_one_may_be_paid(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    made = cards.stripe.dispute(payment["intent_id"])
    cards.stripe.end_dispute(made["id"], "lost")
    cards.deliver(seed=1)
    cards.sweep()
    assert the_dispute(cards)["state"] == "lost"
    assert (cards.held(mine), cards.balance("disputed")) == (0, 0)
    assert cards.clearing() == []
    cards.books_are_square()
    paper = cards.statement()
    paper.line(DEPOSIT, mine.reference)
    cards.finance.ok("POST", "/bank-statements", 201, **paper.upload())
    assert cards.covered(mine)
    (order,) = cards.release(mine)
    assert (order["rail"], order["amount"]["amount"]) == ("wire", "100000.00"), "the card has its money back already"
    cards.books_are_square()


def test_lost_and_then_won_after_all(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    made = cards.stripe.dispute(payment["intent_id"])
    for status in ("lost", "won"):
        cards.stripe.end_dispute(made["id"], status)
        cards.deliver()
        cards.books_are_square()
    cards.sweep()
    assert cards.covered(mine)
    assert cards.held(mine) == DEPOSIT
    assert cards.clearing() == []


def test_every_turn_of_a_dispute_is_a_fact_of_its_own(cards) -> None:
    """An inquiry that was closed may become a dispute: the deposit is blocked once more."""
    mine = cards.registration()
    payment = cards.paid(mine)
    made = cards.stripe.dispute(payment["intent_id"], inquiry=True)
    cards.deliver()
    for status in ("warning_closed", "needs_response"):
        cards.clock.advance(minutes=1)
        cards.stripe.end_dispute(made["id"], status)
        cards.deliver()
    facts = cards.sql("SELECT payload FROM outbox_events WHERE name = 'card_dispute.changed' ORDER BY id")
    assert [row.payload["state"] for row in facts] == ["open", "won", "open"]
    assert len({row.payload["since"] for row in facts}) == len(facts)


def test_a_refund_that_was_not_sent_makes_way_for_the_dispute(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    (order,) = cards.release(mine, approve=False)
    cards.stripe.dispute(payment["intent_id"])
    cards.deliver()
    assert cards.order(order["id"])["state"] == "cancelled"
    assert the_dispute(cards)["deposit"]["amount"] == "100000.00"
    assert not cards.covered(mine)
    cards.books_are_square()


def test_a_dispute_of_what_was_refunded_is_our_loss(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    cards.release(mine)
    cards.run()
    made = cards.stripe.dispute(payment["intent_id"])
    cards.deliver()
    row = the_dispute(cards)
    assert (row["deposit"]["amount"], row["loss"]["amount"]) == ("0.00", "100000.00")
    assert cards.balance("chargebacks") == DEPOSIT
    cards.stripe.end_dispute(made["id"], "lost")
    cards.deliver()
    cards.sweep()
    assert cards.clearing() == []
    cards.balance_is_stripes()
    cards.books_are_square()


def test_a_part_that_is_disputed_uncovers_all_the_same(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    cards.stripe.dispute(payment["intent_id"], amount=1)
    cards.deliver()
    assert cards.held(mine) == DEPOSIT - 1
    assert not cards.covered(mine)
    cards.books_are_square()


def test_a_dispute_whose_events_never_came_is_found(cards) -> None:
    mine = cards.registration()
    payment = cards.paid(mine)
    cards.stripe.now = int(cards.clock.now().timestamp())
    cards.stripe.dispute(payment["intent_id"], inquiry=True)
    cards.sweep()
    assert not cards.covered(mine), "no line of the balance names an inquiry; the list of disputes does"


STATUSES = ("needs_response", "won", "lost", "warning_closed", "under_review")


@pytest.mark.parametrize(("before", "after"), list(itertools.product(CardDisputeState, CardDisputeState)))
def test_there_is_a_way_between_any_two_states(before, after) -> None:
    state = before
    for verb in way(before, after):
        state = CARD_DISPUTE.move(state, verb)
    assert state is after


def test_a_status_that_nobody_knows_keeps_the_money_blocked() -> None:
    assert standing("something_new") is CardDisputeState.OPEN
    assert {standing(one) for one in STATUSES} == set(CardDisputeState)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_a_dispute_takes_adds_up(disputed, deposit, unapplied) -> None:
    parts = dispute_parts(disputed, deposit_minor=deposit, unapplied_minor=unapplied)
    assert parts.deposit + parts.unapplied + parts.loss == disputed
    assert 0 <= parts.deposit <= deposit
    assert 0 <= parts.unapplied <= unapplied
    assert parts.loss >= 0
    assert not parts.unapplied or parts.deposit == deposit
    assert not parts.loss or parts.unapplied == unapplied
