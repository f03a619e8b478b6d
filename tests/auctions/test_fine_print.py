"""The fine print of the replay format, points 1 to 3: an example for each sentence."""

import pytest

from tests.auctions.documents_formats import at, codes, event, play, rules

OPEN = ("english", "proxy", "two_phase")


def offer(name, time, bidder, amount, **more):
    """The kind of attempt with an amount that a format takes."""
    kind = {"proxy": "maximum", "dutch": "accept"}.get(name, "bid")
    return event(time, kind, bidder, amount, **more)


# 1. The order of checks


def test_suspended_comes_before_not_open_and_both_before_late():
    answer = play(rules("english"), event("08:00", "suspend"), event("08:30", "bid", "A", "1.00"))
    assert codes(answer) == [None, "suspended"]
    assert codes(play(rules("english"), event("08:30", "bid", "A", "1.00"))) == ["not_open"]


def test_late_comes_before_voided_and_voided_before_the_rest():
    events = [event("09:10", "void", "A"), event("09:20", "bid", "A", "1.00"), event("10:00", "bid", "A", "1.00")]
    assert codes(play(rules("english"), *events)) == [None, "voided", "late"]
    gong = [event("09:01", "accept", "A"), event("09:01:01", "void", "A"), event("09:01:02", "accept", "A")]
    assert codes(play(rules("gong"), *gong)) == [None, None, "voided"]


def test_wrong_phase_comes_before_already_leading_and_that_before_below_and_off_grid():
    events = [
        event("09:01", "accept", "A"),
        event("09:01:19.999", "bid", "A", "1.00"),
        event("09:01:20", "bid", "A", "1.00"),
    ]
    assert codes(play(rules("gong"), *events)) == [None, "wrong_phase", "already_leading"]
    low = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "105.00"),
        event("09:03", "bid", "B", "115.00"),
    ]
    assert codes(play(rules("english", grid=True), *low)) == [None, "below_minimum", "off_grid"]


def test_taken_comes_before_price_changed():
    events = [event("09:01", "accept", "A"), event("09:02", "accept", "B", "1.00")]
    assert codes(play(rules("hybrid_dutch"), *events)) == [None, "taken"]


def test_not_eligible_comes_before_below():
    events = [event("09:01", "accept", "A"), event("09:06", "bid", "A", "1.00")]
    assert codes(play(rules("hybrid_dutch"), *events)) == [None, "not_eligible"]


def test_no_such_lot_comes_before_below_lot_reserves():
    events = [
        event("09:01", "bid", "A", "1.00", lots=["L1", "L9"]),
        event("09:01", "bid", "A", "199.99", lots=["L1", "L2"]),
    ]
    assert codes(play(rules("package"), *events)) == ["no_such_lot", "below_lot_reserves"]


def test_below_start_as_long_as_there_is_no_bid_then_below_minimum():
    for name in OPEN:
        events = [
            offer(name, "09:01", "A", "99.99"),
            offer(name, "09:02", "A", "100.00"),
            offer(name, "09:03", "B", "99.99"),
        ]
        assert codes(play(rules(name), *events)) == ["below_start", None, "below_minimum"]


def test_below_start_again_when_the_only_bid_is_void():
    events = [event("09:01", "bid", "A", "100.00"), event("09:02", "void", "A"), event("09:03", "bid", "B", "99.99")]
    assert codes(play(rules("english"), *events))[2] == "below_start"


def test_maximum_not_raised_even_when_below_the_minimum():
    events = [
        event("09:01", "maximum", "A", "500.00"),
        event("09:02", "maximum", "A", "500.00"),
        event("09:03", "maximum", "A", "1.00"),
    ]
    assert codes(play(rules("proxy"), *events)) == [None, "maximum_not_raised", "maximum_not_raised"]


# 2. Accepting a price


def test_accept_may_carry_the_price_that_the_bidder_saw():
    seen = [event("09:00:30", "accept", "A", "90.00"), event("09:00:30", "accept", "A", "100.00")]
    assert codes(play(rules("dutch"), *seen)) == ["price_changed", None]
    gong = [event("09:01", "accept", "A", "100.00"), event("09:01", "accept", "A", "110.00")]
    assert codes(play(rules("gong"), *gong)) == ["price_changed", None]
    assert codes(play(rules("dutch"), event("09:00:30", "accept", "A") | {"amount": None})) == [None]


# 3. Answers


def test_one_answer_per_event_in_order_and_acts_of_the_operator_have_no_sequence():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "suspend"),
        event("09:03", "resume"),
        event("09:04", "void", "A"),
    ]
    answers = play(rules("english"), *events)["answers"]
    assert [row["event"] for row in answers] == [0, 1, 2, 3]
    assert answers[1:] == [{"event": number, "accepted": True} for number in (1, 2, 3)]


def test_every_accepted_attempt_takes_the_next_sequence_and_accepted_counts_voided_ones():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "1.00"),
        event("09:03", "bid", "B", "110.00"),
        event("09:04", "void", "B"),
    ]
    answer = play(rules("english"), *events)
    assert [row.get("sequence") for row in answer["answers"]] == [1, None, 2, None]
    assert answer["accepted"] == 2
    sealed = [event("09:01", "bid", "A", "100.00"), event("09:02", "withdraw", "A"), event("09:03", "withdraw", "A")]
    assert play(rules("sealed_first_price"), *sealed)["accepted"] == 2


@pytest.mark.parametrize("name", OPEN)
def test_minimum_next_comes_with_accepted_attempts_and_what_helps_to_do_better(name):
    events = [
        offer(name, "08:00", "A", "1.00"),
        offer(name, "09:01", "A", "1.00"),
        offer(name, "09:02", "A", "100.00"),
        offer(name, "09:03", "B", "1.00"),
    ]
    assert [row.get("minimum_next") for row in play(rules(name), *events)["answers"]] == [
        None,
        "100.00",
        "110.00",
        "110.00",
    ]


def test_minimum_next_comes_with_already_leading_and_off_grid_but_not_with_maximum_not_raised():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "A", "200.00"),
        event("09:03", "bid", "B", "115.00"),
    ]
    answers = play(rules("english", grid=True), *events)["answers"]
    assert [row["minimum_next"] for row in answers] == ["110.00"] * 3
    same = [event("09:01", "maximum", "A", "100.00"), event("09:02", "maximum", "A", "100.00")]
    assert play(rules("proxy"), *same)["answers"][1] == {"event": 1, "accepted": False, "code": "maximum_not_raised"}


def test_minimum_next_of_gong_is_the_next_asked_price():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:01", "accept", "A"),
        event("09:02", "accept", "A"),
        event("09:02", "bid", "B", "125.00"),
    ]
    answers = play(rules("gong"), *events)["answers"]
    assert [row.get("minimum_next") for row in answers] == ["110.00", "120.00", "120.00", "120.00"]
    assert codes({"answers": answers}) == ["below_start", None, "already_leading", "off_grid"]


def test_answers_in_sealed_formats_tell_nothing_of_anybody():
    end = {"ends_at": at("10:00")}
    for name in ("sealed_first_price", "sealed_second_price"):
        events = [
            event("09:01", "bid", "A", "100.00"),
            event("09:02", "bid", "B", "99.00"),
            event("09:03", "withdraw", "A"),
        ]
        answers = play(rules(name), *events)["answers"]
        assert answers[0] == {"event": 0, "accepted": True} | end
        assert answers[1] == {"event": 1, "accepted": False, "code": "below_start"}, (
            "below_minimum would tell of A's bid"
        )
        assert answers[2] == {"event": 2, "accepted": True} | end
    package = play(
        rules("package"),
        event("09:01", "bid", "A", "100.00", lots=["L1"]),
        event("09:02", "bid", "A", "1.00", lots=["L1"]),
    )
    assert package["answers"] == [
        {"event": 0, "accepted": True} | end,
        {"event": 1, "accepted": False, "code": "below_lot_reserves"},
    ]


def test_answers_in_the_sealed_phases_of_hybrid_tell_nothing_of_anybody():
    events = [event("09:01", "accept", "A"), event("09:06", "bid", "B", "120.00"), event("09:17", "bid", "A", "130.00")]
    first, *others = play(rules("hybrid_dutch"), *events)["answers"]
    assert first == {
        "event": 0,
        "accepted": True,
        "sequence": 1,
        "price": "100.00",
        "leader": "A",
        "ends_at": at("09:15:50"),
    }
    assert others == [{"event": number, "accepted": True, "ends_at": at("09:21:10")} for number in (1, 2)]
