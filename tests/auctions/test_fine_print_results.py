"""The fine print of the replay format, points 4 to 10: an example for each sentence."""

import pytest

from tests.auctions.documents_formats import at, awarded, codes, event, play, ranked, rules

OPEN = ("english", "proxy", "two_phase")
SOFT = {"soft_close": {"window_seconds": 300, "extension_seconds": 300}}


def offer(name, time, bidder, amount, **more):
    """The kind of attempt with an amount that a format takes."""
    kind = {"proxy": "maximum", "dutch": "accept"}.get(name, "bid")
    return event(time, kind, bidder, amount, **more)


# 4. Winner, price, awards


def test_winner_only_when_sold_and_the_price_reached_also_when_unsold_or_open():
    events = [event("09:01", "bid", "A", "100.00")]
    for more, as_of, state in (
        ({}, None, "sold"),
        ({"reserve_price": "200.00"}, None, "unsold"),
        ({}, "09:30", "open"),
    ):
        answer = play(rules("english", **more), *events, as_of=as_of)
        assert (answer["state"], answer["winner"], answer["price"]) == (
            state,
            "A" if state == "sold" else None,
            "100.00",
        )
        assert bool(answer["awards"]) == (state == "sold")


@pytest.mark.parametrize("name", ["sealed_first_price", "sealed_second_price", "package"])
def test_price_is_null_when_unsold_and_before_the_end_in_sealed_and_package(name):
    more = {"lots": ["L1"]} if name == "package" else {}
    bid = event("09:01", "bid", "A", "150.00", **more)
    assert play(rules(name), bid, as_of="09:59:59.999")["price"] is None
    assert play(rules(name, minimum_bidders=2), bid)["price"] is None
    assert play(rules(name), bid, as_of="10:00")["price"] is not None


def test_awards_go_to_the_first_of_the_ranking():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "110.00"),
        event("09:03", "bid", "C", "120.00"),
    ]
    assert awarded(play(rules("english"), *events)) == [("C", "120.00", "pending")]
    by_reserve = play(rules("english", awards=3, reserve_price="110.00"), *events)
    assert awarded(by_reserve) == [
        ("C", "120.00", "pending"),
        ("B", "110.00", "waiting"),
        ("A", "100.00", "unsuccessful"),
    ]
    by_raises = play(rules("english", awards=9, minimum_raises=2), *events)
    assert [row[2] for row in awarded(by_raises)] == ["pending", "unsuccessful", "unsuccessful"]


def test_others_are_awarded_at_their_own_amount_also_by_vickrey():
    events = [
        event("09:01", "bid", "A", "150.00"),
        event("09:02", "bid", "B", "140.00"),
        event("09:03", "bid", "C", "130.00"),
    ]
    answer = play(rules("sealed_second_price", awards=3, reserve_price="135.00"), *events)
    assert awarded(answer) == [("A", "140.00", "pending"), ("B", "140.00", "waiting"), ("C", "130.00", "unsuccessful")]
    proxy = [event("09:01", "maximum", "A", "150.00"), event("09:02", "maximum", "B", "140.00")]
    assert awarded(play(rules("proxy", awards=2), *proxy)) == [("A", "150.00", "pending"), ("B", "140.00", "waiting")]


# 5. Ranking


def test_ranking_has_one_row_per_bidder_in_force_best_first():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "110.00"),
        event("09:03", "bid", "A", "120.00"),
        event("09:04", "bid", "C", "130.00"),
        event("09:05", "void", "C"),
    ]
    assert ranked(play(rules("english"), *events)) == [("A", "120.00"), ("B", "110.00")]
    sealed = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "100.00"),
        event("09:03", "withdraw", "A"),
    ]
    assert ranked(play(rules("sealed_first_price"), *sealed)) == [("B", "100.00")]


def test_ranking_breaks_ties_by_priority_rank_then_by_sequence():
    priority = [{"bidder": "P1", "rank": 1}, {"bidder": "P2", "rank": 2}]
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "P2", "100.00"),
        event("09:03", "bid", "P1", "100.00"),
    ]
    assert [row[0] for row in ranked(play(rules("english", priority=priority), *events))] == ["P1", "P2", "A"]
    sealed = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "110.00"),
        event("09:03", "bid", "B", "100.00"),
    ]
    assert [row[0] for row in ranked(play(rules("sealed_first_price"), *sealed))] == ["A", "B"]


def test_ranking_of_proxy_has_the_leader_at_the_price_and_others_at_their_used_up_maximum():
    events = [
        event("09:01", "maximum", "A", "100.00"),
        event("09:02", "maximum", "B", "300.00"),
        event("09:03", "maximum", "C", "150.00"),
    ]
    assert ranked(play(rules("proxy"), *events)) == [("B", "160.00"), ("C", "150.00"), ("A", "100.00")]
    tie = [
        event("09:01", "maximum", "A", "200.00"),
        event("09:02", "maximum", "B", "200.00"),
        event("09:03", "maximum", "A", "300.00"),
    ]
    assert ranked(play(rules("proxy"), *tie)) == [("A", "200.00"), ("B", "200.00")], (
        "the leader comes first although B was set earlier"
    )


def test_ranking_of_package_is_empty():
    assert play(rules("package"), event("09:01", "bid", "A", "100.00", lots=["L1"]))["ranking"] == []


# 6. Counting


def test_minimum_bidders_counts_bidders_in_force():
    two = [event("09:01", "bid", "A", "100.00"), event("09:02", "bid", "B", "110.00")]
    assert play(rules("english", minimum_bidders=2), *two)["state"] == "sold"
    assert play(rules("english", minimum_bidders=2), *two, event("09:03", "void", "A"))["state"] == "unsold"
    sealed = rules("sealed_first_price", minimum_bidders=2)
    assert play(sealed, *two, event("09:03", "withdraw", "A"))["state"] == "unsold"
    assert play(rules("english", minimum_bidders=0))["state"] == "unsold"


def test_extensions_count_accepted_attempts_that_moved_the_end_and_no_resumption():
    events = [
        event("09:55", "bid", "A", "100.00"),
        event("09:56", "bid", "B", "110.00"),
        event("09:57", "bid", "C", "1.00"),
        event("09:58", "suspend"),
        event("09:59", "resume"),
    ]
    answer = play(rules("english", **SOFT), *events)
    assert (answer["extensions"], answer["ends_at"]) == (1, at("10:04"))
    two_phase = [event("10:00", "bid", "A", "100.00"), event("10:00:00.001", "bid", "B", "110.00")]
    assert play(rules("two_phase"), *two_phase)["extensions"] == 1, "the bid as the cycle begins does not move its end"
    gong = [event("09:01", "accept", "A"), event("09:02", "accept", "B"), event("09:02", "accept", "C")]
    assert play(rules("gong"), *gong)["extensions"] == 2


# 7. As of


def test_events_later_than_as_of_are_left_out_and_one_at_as_of_is_included():
    events = [event("09:10", "bid", "A", "100.00"), event("09:20", "bid", "B", "110.00")]
    early, exact = play(rules("english"), *events, as_of="09:19:59.999"), play(rules("english"), *events, as_of="09:20")
    assert (len(early["answers"]), early["accepted"], early["price"]) == (1, 1, "100.00")
    assert (len(exact["answers"]), exact["price"]) == (2, "110.00")
    assert early["log_hash"] == play(rules("english"), events[0])["log_hash"]


def test_it_is_over_from_as_of_at_the_end_on():
    bid = event("09:10", "bid", "A", "100.00")
    states = [play(rules("english"), bid, as_of=time)["state"] for time in ("09:59:59.999", "10:00", "10:00:00.001")]
    assert states == ["open", "sold", "sold"]
    assert play(rules("english"), bid, as_of="08:59:59.999")["state"] == "scheduled"
    assert play(rules("english"), bid, as_of="09:00")["state"] == "open"
    assert play(rules("english"), event("09:10", "suspend"), as_of="11:00")["state"] == "suspended"
    assert play(rules("english"), event("09:10", "suspend"))["state"] == "suspended"


# 8. Proxy


def test_a_leaders_raise_that_first_covers_the_reserve_lifts_the_price_to_it_and_may_extend():
    events = [
        event("09:01", "maximum", "A", "150.00"),
        event("09:58", "maximum", "A", "200.00"),
        event("09:59", "maximum", "A", "500.00"),
    ]
    answer = play(rules("proxy", reserve_price="200.00", **SOFT), *events)
    assert [row["price"] for row in answer["answers"]] == ["100.00", "200.00", "200.00"]
    assert [row["ends_at"] for row in answer["answers"]] == [at("10:00"), at("10:03"), at("10:03")]
    assert answer["extensions"] == 1


def test_any_other_raise_of_ones_own_maximum_moves_neither_price_nor_end_even_after_a_tie():
    events = [
        event("09:01", "maximum", "A", "200.00"),
        event("09:02", "maximum", "B", "200.00"),
        event("09:59", "maximum", "A", "300.00"),
        event("09:59:30", "maximum", "B", "210.00"),
    ]
    answer = play(rules("proxy", **SOFT), *events)
    assert [row["price"] for row in answer["answers"]] == ["100.00", "200.00", "200.00", "220.00"]
    assert [row["leader"] for row in answer["answers"]] == ["A"] * 4
    assert [row["ends_at"] for row in answer["answers"]] == [at("10:00")] * 3 + [at("10:04:30")]


# 9. Priority


@pytest.mark.parametrize("name", ["english", "two_phase"])
def test_a_holder_matches_a_leader_without_right_or_of_worse_rank_and_at_equal_rank_the_first_keeps_it(name):
    priority = [{"bidder": who, "rank": rank} for who, rank in (("P1", 1), ("P2", 2), ("Q2", 2))]
    bids = [event("09:01", "bid", who, "100.00") for who in ("A", "Q2", "P2", "B", "P1", "Q2")]
    answer = play(rules(name, priority=priority), *bids)
    assert codes(answer) == [None, None, "below_minimum", "below_minimum", None, "below_minimum"]
    assert (answer["winner"], answer["price"]) == ("P1", "100.00")


# 10. Void


def test_void_applies_the_remaining_attempts_again_without_rechecking_or_reviving():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("09:02", "bid", "B", "200.00"),
        event("09:03", "bid", "C", "150.00"),
        event("09:04", "bid", "C", "300.00"),
        event("09:05", "void", "B"),
    ]
    answer = play(rules("english"), *events)
    assert (answer["price"], ranked(answer)) == ("300.00", [("C", "300.00"), ("A", "100.00")])
    proxy = [
        event("09:01", "maximum", "A", "120.00"),
        event("09:02", "maximum", "X", "500.00"),
        event("09:03", "maximum", "B", "300.00"),
        event("09:04", "void", "X"),
    ]
    assert ranked(play(rules("proxy"), *proxy)) == [("B", "130.00"), ("A", "120.00")]


@pytest.mark.parametrize("name", OPEN)
def test_the_voided_bidders_later_attempts_are_voided_and_the_end_stays(name):
    soft = {} if name == "two_phase" else SOFT
    events = [offer(name, "09:59:59", "A", "100.00"), event("10:00", "void", "A"), offer(name, "10:01", "A", "500.00")]
    answer = play(rules(name, **soft), *events)
    assert codes(answer) == [None, None, "voided"]
    assert (answer["state"], answer["price"], answer["ends_at"]) == (
        "unsold",
        None,
        at("10:03" if name == "two_phase" else "10:04:59"),
    )


def test_a_void_after_the_end_changes_the_result():
    events = [event("09:01", "accept", "A"), event("09:06", "bid", "B", "120.00"), event("11:00", "void", "B")]
    answer = play(rules("hybrid_dutch"), *events)
    assert (answer["winner"], answer["price"], answer["ends_at"]) == ("A", "100.00", at("09:21:10"))
    dutch = play(rules("dutch"), event("09:01", "accept", "A"), event("11:00", "void", "A"))
    assert (dutch["state"], dutch["price"], dutch["ends_at"]) == ("unsold", None, at("09:01"))
