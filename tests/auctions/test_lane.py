"""Deciding: batches, repetitions, the clock around the end, what the operator does, and what PostgreSQL holds."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions import bidding, eligibility, plays, refusals, viewing
from auctions.domain import proofs, proxy
from auctions.steering import TooManyRemovals
from marketplace.actor import SYSTEM
from marketplace.errors import Failure
from marketplace.money import Money
from tests.auctions.arena import ENDS, MILLISECOND, OPENS, SECOND, parsed, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture


def test_a_batch_is_decided_in_order_and_a_refused_attempt_spoils_nobody(arena):
    arena.open()
    answers = arena.batch(
        arena.attempt("A", 100),
        arena.attempt("A", 120),
        arena.attempt("B", 105),
        arena.attempt("B", 110),
        arena.attempt("C", 119),
        arena.attempt("C", 120),
    )
    told = [answer.code if isinstance(answer, Failure) else answer.sequence for answer in answers]
    assert told == [1, "already_leading", "below_minimum", 2, "below_minimum", 3]
    assert arena.standing() == ("C", 120, ENDS)
    assert [(entry.number, entry.sequence, entry.price_minor) for entry in arena.log()] == [
        (1, 1, 10_000), (2, 2, 11_000), (3, 3, 12_000),
    ]  # fmt: skip


def test_a_leader_overbid_earlier_in_the_batch_may_bid_again(arena):
    arena.open()
    assert arena.bid("A", 100) == 1
    told = arena.batch(arena.attempt("B", 110), arena.attempt("A", 120))
    assert [answer.sequence for answer in told] == [2, 3]


def test_a_key_gets_its_first_receipt_in_the_same_batch_and_later(arena):
    arena.open()
    first, twin = arena.batch(arena.attempt("A", 100, key="k"), arena.attempt("A", 100, key="k"))
    assert (first.sequence, twin) == (1, first)
    arena.bid("B", 110)
    again = arena.batch(arena.attempt("A", 100, key="k"))[0]
    assert again.repeated
    assert (again.sequence, again.minimum_next, again.ends_at, again.proof) == (
        1, first.minimum_next, first.ends_at, first.proof,
    )  # fmt: skip
    assert arena.bid("A", 130, key="k") == "idempotency_key_reused"
    assert arena.bid("B", 120, key="k") == "already_leading"
    assert arena.row().sequence == 2


def test_one_accepted_attempt_a_second_and_repetitions_are_free(arena):
    arena.open(interval=1)
    assert arena.bid("A", 100, key="k") == 1
    assert arena.bid("B", 109) == "below_minimum"
    assert arena.bid("B", 110) == 2
    arena.at(OPENS + SECOND - MILLISECOND)
    assert arena.bid("A", 120) == "too_fast"
    assert arena.bid("A", 100, key="k") == 1
    arena.at(OPENS + SECOND)
    assert arena.bid("A", 120) == 3


def test_an_amount_far_above_what_is_needed_is_asked_again(arena):
    arena.open(confirm=100)
    assert arena.bid("A", 201) == "confirmation_required"
    assert arena.bid("A", 200) == 1
    assert arena.bid("B", 421) == "confirmation_required"
    assert arena.bid("B", 421, confirmed=True) == 2


def test_amounts_beyond_every_float_are_exact(arena):
    big = 2**53 // 100 + 1
    arena.open(rules(start_price=f"{big}.01"))
    assert arena.bid("A", big) == "below_start"
    assert arena.bid("A", big + 1) == 1
    assert arena.row().price_minor == (big + 1) * 100
    assert arena.bid("B", 9 * 10**15) == "invalid_amount"


def test_the_end_by_milliseconds(arena):
    arena.open()
    arena.at(ENDS - MILLISECOND)
    assert arena.bid("A", 100) == 1
    end = ENDS - MILLISECOND + timedelta(minutes=5)
    for moment, told in ((end + MILLISECOND, "late"), (end, "late"), (end - MILLISECOND, 2)):
        arena.at(moment)
        assert arena.bid("B", 110) == told
    assert arena.standing() == ("B", 110, end - MILLISECOND + timedelta(minutes=5))


def test_entries_are_signed_and_chained(arena):
    arena.open()
    arena.bid("A", 100)
    arena.steer("suspend")
    arena.at(OPENS + SECOND)
    arena.steer("resume")
    arena.bid("B", 110)
    row, head = arena.row(), None
    with arena.sessions() as session:
        public = bytes(session.execute(text("SELECT public FROM signing_keys")).scalar_one())
    head = proofs.genesis(row.rules_hash)
    for entry in arena.log():
        signed = proofs.SignedReceipt.kept(entry.receipt, bytes(entry.signature), entry.inclusion)
        assert signed.fault(public) is None
        assert parsed(entry)["head"] == proofs.head_text(head)
        head = proofs.link(head, signed)
        assert bytes(entry.hash) == head
    assert row.head == head
    assert [entry.kind for entry in arena.log()] == ["bid", "suspend", "resume", "bid"]


def test_a_refusal_is_signed_too(arena):
    arena.open()
    refused = arena.batch(arena.attempt("A", 99))[0]
    assert refused.values["receipt"]["receipt"]["answer"] == {
        "accepted": False, "code": "below_start", "minimum_next": "100.00",
    }  # fmt: skip
    assert arena.log() == []


def test_whoever_is_turned_away_gets_a_receipt_that_says_so(arena, monkeypatch):
    """Too fast, far too much, the key of something else, not eligible: each is an attempt, and answered by a proof."""
    arena.open(interval=1, confirm=100)
    assert arena.bid("A", 100, key="a") == 1
    assert arena.bid("B", 110) == 2
    turned = [
        arena.batch(arena.attempt("A", 120))[0], arena.batch(arena.attempt("C", 1000))[0],
        arena.batch(arena.attempt("A", 120, key="a"))[0],
    ]  # fmt: skip
    monkeypatch.setattr(eligibility, "_barred", lambda _: refusals.DepositNotHeld())
    turned += arena.batch(arena.attempt("A", 130), arena.attempt("B", 130))
    codes = ["too_fast", "confirmation_required", "idempotency_key_reused", "deposit_not_held", "deposit_not_held"]
    assert [one.code for one in turned] == codes
    found = [one.values["receipt"] for one in turned]
    assert [one["receipt"]["answer"] for one in found] == [{"accepted": False, "code": code} for code in codes]
    assert [one["receipt"]["event"]["amount"] for one in found] == ["120.00", "1000.00", "120.00", "130.00", "130.00"]
    assert found[3]["signature"] == found[4]["signature"]
    assert found[3]["receipt"]["event"]["bidder"] != found[4]["receipt"]["event"]["bidder"]
    assert len(arena.log()) == 2


def test_what_is_no_attempt_of_the_auction_is_refused_without_a_receipt(arena, monkeypatch):
    arena.open()
    monkeypatch.setattr(eligibility, "_barred", lambda _: refusals.DepositNotHeld())
    foreign = bidding.Attempt(arena.person("A").actor, "k", amount=Money(100, "USD"))
    answer = arena.batch(foreign)[0]
    assert (answer.code, "receipt" in answer.values) == ("deposit_not_held", False)


def test_a_suspension_is_fair_and_nobody_bids_meanwhile(arena):
    arena.open()
    arena.bid("A", 100)
    arena.at(ENDS - timedelta(minutes=1))
    arena.steer("suspend")
    assert arena.bid("B", 110) == "suspended"
    arena.at(ENDS + timedelta(minutes=10))
    assert arena.close() == 0
    arena.steer("resume")
    assert arena.standing()[2] == ENDS + timedelta(minutes=15)
    assert arena.bid("B", 110) == 2
    arena.at(ENDS + timedelta(minutes=15))
    assert arena.close() == 1
    assert arena.result() == ("sold", 110, [("B", 110, "pending"), ("A", 100, "waiting")])


def test_a_removed_bidder_counts_no_more_and_stays_visible(arena):
    arena.open()
    for name, amount in (("A", 100), ("B", 110), ("C", 120)):
        arena.bid(name, amount)
    arena.steer("void", name="C")
    assert arena.standing() == ("B", 110, ENDS)
    assert arena.bid("C", 130) == "voided"
    assert arena.bid("A", 115) == "below_minimum"
    arena.steer("void", name="B")
    assert arena.standing() == ("A", 100, ENDS)
    assert [entry.kind for entry in arena.log()] == ["bid", "bid", "bid", "void", "void"]
    arena.at(ENDS)
    arena.steer("void", name="A")
    assert arena.close() == 1
    assert arena.result() == ("unsold", None, [])


def test_a_maximum_is_its_owners_alone(arena):
    arena.open(rules("proxy"), reserve=15_000)
    assert arena.bid("A", 130, "maximum") == 1
    assert arena.bid("B", 120, "maximum") == 2
    assert arena.standing()[:2] == ("A", 130)
    assert arena.bid("B", 200, "maximum") == 3
    assert arena.standing()[:2] == ("B", 150)
    assert arena.bid("B", 190, "maximum") == "maximum_not_raised"
    assert arena.bid("B", 190) == "attempt_not_taken"
    arena.at(ENDS)
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", 150)


def test_a_removed_bidders_maximum_drives_nobody_any_more(arena, monkeypatch):
    arena.open(rules("proxy"))
    for name, amount in (("A", 130), ("B", 200), ("C", 180), ("A", 250)):
        assert isinstance(arena.bid(name, amount, "maximum"), int)
    assert arena.standing()[:2] == ("A", 210)
    arena.steer("void", name="B")
    assert arena.standing()[:2] == ("A", 190)
    arena.steer("void", name="A")
    assert arena.standing()[:2] == ("C", 100)
    assert arena.bid("A", 300, "maximum") == "voided"
    with monkeypatch.context() as patched:
        patched.setattr(proxy, "MAX_WORK", 2)
        with pytest.raises(TooManyRemovals):
            arena.steer("void", name="C")
    assert arena.standing()[:2] == ("C", 100)
    arena.at(ENDS)
    assert arena.close() == 1
    assert arena.result() == ("sold", 100, [("C", 100, "pending")])


def test_the_first_taker_of_a_falling_price(arena):
    arena.open(rules("dutch"))
    assert arena.bid("A", None, "accept") == "wrong_phase"
    arena.at(OPENS + timedelta(seconds=30 + 65))
    assert arena.bid("A", 100, "accept") == "price_changed"
    assert arena.bid("A", 90, "accept") == 1
    assert arena.bid("B", None, "accept") in {"taken", "late"}
    assert arena.close() == 1
    assert arena.result() == ("sold", 90, [("A", 90, "pending")])


def test_nobody_takes_the_falling_price(arena):
    arena.open(rules("dutch"))
    arena.at(OPENS + timedelta(seconds=30 + 5 * 60))
    assert arena.close() == 1
    assert arena.result() == ("unsold", None, [])


def test_a_hybrid_hides_its_sealed_phase(arena):
    arena.open(rules("hybrid_dutch"))
    arena.at(OPENS + timedelta(seconds=35))
    assert arena.bid("A", 100, "accept") == 1
    sealed = OPENS + timedelta(seconds=30 + 5 * 60 + 30)
    arena.at(sealed)
    assert arena.bid("B", 150) is not None
    with arena.sessions() as session:
        bids = viewing.list_bids(session, auction_id=arena.auction_id, cursor=None, limit=9, actor=SYSTEM)
        view = viewing.view_auction(session, arena.auction_id, actor=SYSTEM)
    assert ([bid.kind for bid in bids.items], view.sequence) == (["accept"], None)
    arena.at(sealed + timedelta(minutes=11))
    assert arena.bid("A", 160) is not None
    arena.at(sealed + timedelta(hours=1))
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", 160)


def test_gong_rounds(arena):
    arena.open(rules("gong"))
    arena.at(OPENS + timedelta(seconds=30))
    assert arena.bid("A", None, "accept") == 1
    assert arena.bid("B", None, "accept") == "wrong_phase"
    price = arena.standing()[1]
    arena.at(OPENS + timedelta(seconds=60))
    assert arena.bid("B", price + 30) == 2
    arena.at(OPENS + timedelta(minutes=30))
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", price + 30)


def test_two_phases_end_with_the_delay_cycle(arena):
    arena.open(rules("two_phase"))
    assert arena.row().ends_at == ENDS + timedelta(minutes=3)
    arena.at(ENDS + timedelta(minutes=2))
    assert arena.bid("A", 100) == 1
    arena.at(ENDS + timedelta(minutes=5) - MILLISECOND)
    assert arena.bid("B", 110) == 2
    assert arena.standing()[2] == ENDS + timedelta(minutes=8) - MILLISECOND


def test_sealed_bids_are_neither_shown_nor_counted_before_they_are_opened(arena):
    arena.open(rules("sealed_second_price"))
    arena.seal()
    assert arena.bid("A", 99) == "below_start"
    sealed = arena.batch(arena.attempt("A", 300, key="a"), arena.attempt("B", 250), arena.attempt("C", 200))
    assert [(one.sequence, one.price, one.number) for one in sealed] == [(None, None, None)] * 3
    assert arena.batch(arena.attempt("A", 300, key="a"))[0].proof == sealed[0].proof
    assert arena.bid("A", 310, key="a") == "idempotency_key_reused"
    arena.bid("B", 260)
    arena.bid("C", None, "withdraw")
    with arena.sessions() as session:
        view = viewing.view_auction(session, arena.auction_id, actor=SYSTEM)
        bids = viewing.list_bids(session, auction_id=arena.auction_id, cursor=None, limit=9, actor=SYSTEM)
    assert (view.price, view.leader, view.sequence, view.head, list(bids.items)) == (None, None, None, None, [])
    assert (arena.log(), arena.row().sequence) == ([], 0)
    arena.at(ENDS)
    assert arena.bid("A", 400) == "late"
    assert arena.close() == 0
    arena.unseal()
    assert arena.close() == 1
    assert arena.result() == ("sold", 260, [("A", 260, "pending"), ("B", 260, "waiting")])
    with arena.sessions() as session:
        bids = viewing.list_bids(session, auction_id=arena.auction_id, cursor=None, limit=9, actor=SYSTEM)
    assert len(bids.items) == 5


def test_lots_are_sold_for_the_greatest_sum(arena):
    arena.open(rules("package"))
    arena.seal()
    assert arena.bid("A", 100) == "attempt_not_taken"
    assert arena.bid("A", 100, lots=["L9"]) == "no_such_lot"
    for name, amount, lots in (("A", 100, ["L1", "L2"]), ("B", 70, ["L1"]), ("C", 40, ["L2"])):
        assert arena.bid(name, amount, lots=lots) is None
    arena.at(ENDS)
    arena.unseal()
    assert arena.close() == 1
    assert arena.result() == ("sold", 110, [("B", 70, "pending"), ("C", 40, "pending")])
    assert arena.row().leader_registration_id is None


def test_a_play_that_was_kept_is_used_only_where_it_was_left(arena):
    """What a process remembers of an auction: not after another one wrote, nor after its own batch was rolled back."""
    arena.open()
    for name, amount in (("A", 100), ("B", 110)):
        arena.bid(name, amount)
    kept = dict(plays._kept)
    assert kept[arena.auction_id][1].play.price == 11_000
    arena.bid("A", 120)
    plays._kept.update(kept)
    assert arena.bid("B", 120) == "below_minimum"
    assert arena.bid("B", 130) == 4
    with arena.sessions() as session:
        bidding.decide_batch(session, auction_id=arena.auction_id, attempts=[arena.attempt("A", 900)])
        session.rollback()
    assert plays._kept[arena.auction_id][1].play.price == 90_000
    assert arena.bid("C", 140) == 5
    assert arena.standing() == ("C", 140, ENDS)


def test_whoever_was_refused_after_an_accepted_attempt_is_told_where_the_batch_ended(arena):
    arena.open()
    arena.bid("A", 100)
    early, accepted, late = arena.batch(arena.attempt("B", 105), arena.attempt("B", 110), arena.attempt("C", 105))
    assert accepted.sequence == 2
    assert [one.values["minimum_next"]["amount"] for one in (early, late)] == ["110.00", "120.00"]
    assert [one.values["receipt"]["receipt"]["price"] for one in (early, late)] == ["100.00", "110.00"]
    assert (early.code, late.code) == ("below_minimum", "below_minimum")


def test_a_price_taken_in_the_first_moment_ends_the_auction_in_it(arena):
    steps = {"count": 5, "seconds": 60, "drop": "10.00", "pause_seconds": 0}
    arena.open(rules("dutch", steps=steps))
    assert arena.bid("A", 100, "accept") == 1
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", 100)
