"""Which money is for what, and who gets what back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money
from settlement.domain.matching import Finding, choose_reference, match_deposit, match_order, match_return
from settlement.domain.orders import (
    PAYMENT_ORDER,
    Payer,
    PaymentOrderState,
    Rail,
    SamePerson,
    Share,
    check_approval,
    needs_two_approvals,
    refund_shares,
)
from settlement.domain.references import ReferenceKind, new_reference

AMOUNTS = st.integers(1, 10**14)


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


@pytest.mark.parametrize(
    ("received", "held", "finding", "applied", "covers"),
    [
        (cny(100), 0, Finding.EXACT, 100, True),
        (cny(99), 0, Finding.PARTIAL, 99, False),
        (cny(1), 99, Finding.COMPLETES, 1, True),
        (cny(101), 0, Finding.OVERPAYMENT, 100, True),
        (cny(5), 100, Finding.DUPLICATE_PAYMENT, 0, True),
        (Money(100, "EUR"), 0, Finding.WRONG_CURRENCY, 0, False),
    ],
)
def test_a_deposit_takes_what_it_needs(received, held, finding, applied, covers) -> None:
    match = match_deposit(received, required=cny(100), held_minor=held, is_open=True)
    assert (match.finding, match.applied_minor, match.covers) == (finding, applied, covers)


def test_a_closed_registration_takes_nothing() -> None:
    match = match_deposit(cny(100), required=cny(100), held_minor=0, is_open=False)
    assert match.finding is Finding.REGISTRATION_CLOSED
    assert match.excess_minor == 100


@given(required=AMOUNTS, receipts=st.lists(AMOUNTS, max_size=6))
def test_credits_add_up_to_a_deposit(required, receipts) -> None:
    """However it comes in: held + excess = received, never more than required, covered exactly from there on."""
    held = excess = 0
    for amount in receipts:
        match = match_deposit(cny(amount), required=cny(required), held_minor=held, is_open=True)
        assert match.applied_minor + match.excess_minor == amount
        held += match.applied_minor
        excess += match.excess_minor
        assert match.covers == (held >= required)
    assert held + excess == sum(receipts)
    assert held == min(required, sum(receipts))


@pytest.mark.parametrize(
    ("paid", "state", "finding"),
    [
        (cny(100), PaymentOrderState.SENT, Finding.ORDER),
        (cny(99), PaymentOrderState.SENT, Finding.ORDER_AMOUNT_DIFFERS),
        (Money(100, "EUR"), PaymentOrderState.SENT, Finding.WRONG_CURRENCY),
        *(
            (cny(100), state, Finding.ORDER_NOT_SENT)
            for state in PaymentOrderState
            if state is not PaymentOrderState.SENT
        ),
    ],
)
def test_money_out_matches_a_sent_order_of_its_amount(paid, state, finding) -> None:
    assert match_order(paid, ordered=cny(100), state=state) is finding


@pytest.mark.parametrize(
    ("received", "state", "finding"),
    [
        (cny(100), PaymentOrderState.SETTLED, Finding.RETURNED),
        (cny(99), PaymentOrderState.SETTLED, Finding.PAYMENT_RETURNED),
        (Money(100, "EUR"), PaymentOrderState.SETTLED, Finding.PAYMENT_RETURNED),
        *(
            (cny(100), state, Finding.PAYMENT_RETURNED)
            for state in PaymentOrderState
            if state is not PaymentOrderState.SETTLED
        ),
    ],
)
def test_only_a_whole_paid_order_comes_back_by_itself(received, state, finding) -> None:
    assert match_return(received, ordered=cny(100), state=state) is finding


@given(required=AMOUNTS, tail=st.integers(0, 99), receipts=st.lists(AMOUNTS, max_size=6))
def test_a_cent_tail_is_held_with_the_deposit_and_nothing_beyond_it(required, tail, receipts) -> None:
    held = excess = 0
    for amount in receipts:
        match = match_deposit(cny(amount), required=cny(required), held_minor=held, is_open=True, tail_minor=tail)
        assert match.applied_minor + match.excess_minor == amount
        held += match.applied_minor
        excess += match.excess_minor
        assert held <= required + tail
        assert match.covers == (held >= required)
    assert held + excess == sum(receipts)


def test_two_approvals_are_for_large_orders_of_the_clockwork() -> None:
    import uuid

    person = uuid.uuid4()
    assert needs_two_approvals(101, limit_minor=100, proposed_by_id=None)
    assert not needs_two_approvals(100, limit_minor=100, proposed_by_id=None)
    assert not needs_two_approvals(101, limit_minor=100, proposed_by_id=person)
    assert not needs_two_approvals(10**15, limit_minor=None, proposed_by_id=None)


def test_references_are_chosen_by_direction_and_existence() -> None:
    deposit, other = new_reference(ReferenceKind.DEPOSIT), new_reference(ReferenceKind.DEPOSIT)
    order = new_reference(ReferenceKind.PAYMENT_ORDER)
    known = {deposit, order}.__contains__
    assert choose_reference([], incoming=True, known=known) is Finding.NO_REFERENCE
    assert choose_reference([other], incoming=True, known=known) is Finding.UNKNOWN_REFERENCE
    assert choose_reference([other, deposit, order], incoming=True, known=known) == deposit
    assert choose_reference([order, deposit], incoming=False, known=known) == order
    assert choose_reference([order], incoming=True, known=known) == order
    assert choose_reference([order, "PO-2"], incoming=True, known=lambda _: True) is Finding.PAYMENT_RETURNED
    assert choose_reference([deposit], incoming=False, known=known) is Finding.UNKNOWN_REFERENCE
    assert choose_reference([deposit, other], incoming=True, known=lambda _: True) is Finding.SEVERAL_REFERENCES


def test_every_pair_of_state_and_verb_of_an_order() -> None:
    moves = {(source, verb): target for source, verb, target in PAYMENT_ORDER.rows}
    assert moves == {
        (PaymentOrderState.PROPOSED, "approve"): PaymentOrderState.APPROVED,
        (PaymentOrderState.APPROVED, "send"): PaymentOrderState.SENT,
        (PaymentOrderState.SENT, "settle"): PaymentOrderState.SETTLED,
        (PaymentOrderState.SETTLED, "return"): PaymentOrderState.RETURNED,
        (PaymentOrderState.PROPOSED, "cancel"): PaymentOrderState.CANCELLED,
        (PaymentOrderState.APPROVED, "cancel"): PaymentOrderState.CANCELLED,
        (PaymentOrderState.SENT, "fail"): PaymentOrderState.CANCELLED,
        (PaymentOrderState.SETTLED, "fail"): PaymentOrderState.CANCELLED,
    }


def test_four_eyes() -> None:
    import uuid

    one, other = uuid.uuid4(), uuid.uuid4()
    check_approval(proposed_by_id=None, approver_id=one)
    check_approval(proposed_by_id=other, approver_id=one)
    with pytest.raises(SamePerson):
        check_approval(proposed_by_id=one, approver_id=one)


A, B, C = Payer("甲", "1"), Payer("乙", "2"), Payer("Stripe", "pi_1", Rail.STRIPE)


@pytest.mark.parametrize(
    ("paid", "returned", "held", "shares"),
    [
        ([(A, 50), (B, 50)], [], 100, [(A, 50), (B, 50)]),
        ([(A, 50), (B, 50)], [], 70, [(A, 20), (B, 50)]),
        ([(A, 50), (B, 50)], [(B, 50)], 50, [(A, 50)]),
        ([(A, 30), (B, 40), (A, 30)], [], 100, [(A, 60), (B, 40)]),
        ([(C, 10)], [], 0, []),
    ],
)
def test_refunds_go_back_to_whoever_paid(paid, returned, held, shares) -> None:
    found = refund_shares([Share(*one) for one in paid], [Share(*one) for one in returned], held_minor=held)
    assert found == [Share(*one) for one in shares]


@given(
    paid=st.lists(st.tuples(st.sampled_from([A, B, C]), AMOUNTS), max_size=6).map(
        lambda rows: [Share(*row) for row in rows]
    ),
    data=st.data(),
)
def test_refunds_add_up_to_what_is_held_and_never_exceed_what_came(paid, data) -> None:
    total = sum(share.amount_minor for share in paid)
    held = data.draw(st.integers(0, total))
    shares = refund_shares(paid, [], held_minor=held)
    assert sum(share.amount_minor for share in shares) == held
    for share in shares:
        assert 0 < share.amount_minor <= sum(one.amount_minor for one in paid if one.payer == share.payer)
    assert len({share.payer for share in shares}) == len(shares)
