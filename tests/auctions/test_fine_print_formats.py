"""The fine print of the replay format, points 11 to 16: an example for each sentence."""

import hashlib

import pytest

from auctions.domain.canonical import canonical
from tests.auctions.documents_formats import at, awarded, codes, event, play, ranked, rules

# 11. Two phases


def test_the_end_in_answers_is_that_of_the_delay_cycle_already_in_the_free_phase():
    events = [
        event("09:01", "bid", "A", "100.00"),
        event("10:02:59.999", "bid", "B", "110.00"),
        event("10:05:59.999", "bid", "A", "120.00"),
    ]
    answer = play(rules("two_phase"), *events)
    assert [row.get("ends_at") for row in answer["answers"]] == [at("10:03"), at("10:05:59.999"), None]
    assert codes(answer)[2] == "late"
    assert (answer["winner"], answer["extensions"]) == ("B", 1)


def test_the_cycle_also_runs_when_nobody_bid():
    assert play(rules("two_phase"))["ends_at"] == at("10:03")
    assert play(rules("two_phase"), as_of="10:02:59.999")["state"] == "open"
    assert play(rules("two_phase"), event("10:01", "bid", "A", "100.00"))["ends_at"] == at("10:04")


def test_on_resumption_at_least_a_cycle_remains():
    free = [event("09:30", "suspend"), event("09:40", "resume")]
    assert play(rules("two_phase"), *free)["ends_at"] == at("10:13")
    delay = [event("10:02", "suspend"), event("10:10", "resume")]
    assert play(rules("two_phase"), *delay)["ends_at"] == at("10:13")


def test_with_a_suspension_a_hard_end_moves_by_its_length():
    soft = {"window_seconds": 300, "extension_seconds": 300, "hard_end": at("10:02")}
    events = [event("09:30", "suspend"), event("09:40", "resume"), event("10:09", "bid", "A", "100.00")]
    assert play(rules("english", soft_close=soft), *events)["ends_at"] == at("10:12")


# 12. Sealed


def test_start_price_is_the_floor_and_the_hidden_reserve_never_refuses():
    events = [event("09:01", "bid", "A", "99.99"), event("09:02", "bid", "A", "100.00")]
    answer = play(rules("sealed_first_price", reserve_price="500.00"), *events)
    assert codes(answer) == ["below_start", None]
    assert (answer["state"], answer["price"], ranked(answer)) == ("unsold", None, [("A", "100.00")])


@pytest.mark.parametrize(
    ("later", "first"),
    [
        ([("bid", "100.00")], "A"),
        ([("bid", "90.00"), ("bid", "100.00")], "B"),
        ([("withdraw", None), ("bid", "100.00")], "B"),
    ],
)
def test_the_same_amount_again_keeps_its_time_a_changed_or_renewed_one_takes_the_new(later, first):
    events = [event("09:01", "bid", "A", "100.00"), event("09:02", "bid", "B", "100.00")]
    events += [event("09:03", kind, "A", amount) for kind, amount in later]
    answer = play(rules("sealed_first_price", start_price="50.00"), *events)
    assert (answer["winner"], answer["accepted"]) == (first, 2 + len(later))


def test_vickrey_prices():
    a, b = event("09:01", "bid", "A", "150.00"), event("09:02", "bid", "B", "140.00")
    sealed = rules("sealed_second_price")
    assert play(sealed, a)["price"] == "100.00", "one valid bid, no reserve: the start price"
    assert play(sealed | {"reserve_price": "145.00"}, a)["price"] == "145.00"
    assert play(sealed, a, b)["price"] == "140.00"
    assert play(sealed | {"reserve_price": "145.00"}, a, b)["price"] == "145.00"
    tie = play(sealed, a, event("09:02", "bid", "B", "150.00"))
    assert (tie["winner"], tie["price"]) == ("A", "150.00")
    assert play(sealed, a, b, event("09:03", "void", "B"))["price"] == "100.00"


def test_sealed_raises_need_an_increment():
    answer = play(
        rules("sealed_first_price", minimum_raises=2, increment={"kind": "fixed", "amount": "10.00"}),
        event("09:01", "bid", "A", "119.99"),
    )
    assert answer["state"] == "unsold"
    assert play(rules("sealed_first_price", minimum_raises=0), event("09:01", "bid", "A", "100.00"))["state"] == "sold"


# 13. Dutch and hybrid Dutch


def test_the_pause_passes_before_the_first_price_and_it_ends_when_taken():
    events = [event("09:00:29.999", "accept", "A"), event("09:00:30", "accept", "A"), event("09:00:30", "accept", "B")]
    answer = play(rules("dutch"), *events)
    assert codes(answer) == ["wrong_phase", None, "late"]
    assert (answer["price"], answer["ends_at"], answer["extensions"]) == ("100.00", at("09:00:30"), 0)


def test_prices_fall_at_the_turn_of_the_step_until_the_last():
    for time, price in (("09:01:29.999", "100.00"), ("09:01:30", "90.00"), ("09:05:29.999", "60.00")):
        assert play(rules("dutch"), event(time, "accept", "A"))["price"] == price
    late = play(rules("dutch"), event("09:05:30", "accept", "A"))
    assert (codes(late), late["state"], late["price"], late["ends_at"]) == (["late"], "unsold", None, at("09:05:30"))


def test_the_time_table_stands_still_in_a_suspension():
    events = [event("09:01", "suspend"), event("09:11", "resume"), event("09:11:29.999", "accept", "A")]
    assert play(rules("dutch"), *events)["price"] == "100.00"
    assert play(rules("dutch"), *events[:2])["ends_at"] == at("09:15:30")
    hybrid = [
        event("09:01", "accept", "A"),
        event("09:06", "suspend"),
        event("09:16", "resume"),
        event("09:25:49.999", "bid", "B", "101.00"),
    ]
    answer = play(rules("hybrid_dutch"), *hybrid)
    assert (codes(answer)[3], answer["ends_at"]) == (None, at("09:31:10"))


def test_hybrid_has_a_fixed_time_table():
    times = {"09:05:29.999": "taken", "09:05:30": "wrong_phase", "09:05:50": "wrong_phase"}
    for time, code in times.items():
        assert codes(play(rules("hybrid_dutch"), event("09:01", "accept", "A"), event(time, "accept", "B")))[1] == code
    times = {"09:05:49.999": "wrong_phase", "09:05:50": None, "09:15:49.999": None, "09:15:50": "late"}
    for time, code in times.items():
        assert (
            codes(play(rules("hybrid_dutch"), event("09:01", "accept", "A"), event(time, "bid", "B", "101.00")))[1]
            == code
        )
    best = {"09:16:09.999": "wrong_phase", "09:16:10": None, "09:21:09.999": None, "09:21:10": "late"}
    sealed = [event("09:01", "accept", "A"), event("09:06", "bid", "B", "101.00")]
    for time, code in best.items():
        assert codes(play(rules("hybrid_dutch"), *sealed, event(time, "bid", "A", "102.00")))[2] == code


def test_the_end_of_hybrid_depends_on_taker_and_sealed_bids_in_force():
    taken, bid = event("09:01", "accept", "A"), event("09:06", "bid", "B", "101.00")
    assert play(rules("hybrid_dutch"))["ends_at"] == at("09:05:30")
    assert play(rules("hybrid_dutch"), taken)["ends_at"] == at("09:15:50")
    assert play(rules("hybrid_dutch"), taken, bid)["ends_at"] == at("09:21:10")
    assert play(rules("hybrid_dutch"), taken, bid, event("09:07", "withdraw", "B"))["ends_at"] == at("09:15:50")
    assert play(rules("hybrid_dutch"), event("09:06", "bid", "B", "101.00"))["answers"][0]["code"] == "late"


def test_both_later_phases_need_strictly_more():
    events = [
        event("09:01", "accept", "A"),
        event("09:06", "bid", "B", "100.00"),
        event("09:06", "bid", "B", "100.01"),
        event("09:17", "bid", "A", "100.01"),
        event("09:17", "bid", "C", "200.00"),
        event("09:17", "bid", "A", "100.02"),
    ]
    answer = play(rules("hybrid_dutch", awards=2), *events)
    assert codes(answer) == [None, "below_minimum", None, "below_minimum", "not_eligible", None]
    assert awarded(answer) == [("A", "100.02", "pending"), ("B", "100.01", "waiting")]


def test_the_dutch_winner_ranks_with_its_best_bid_else_its_dutch_price():
    events = [event("09:02", "accept", "A"), event("09:06", "bid", "B", "95.00"), event("09:07", "bid", "C", "95.00")]
    assert ranked(play(rules("hybrid_dutch"), *events)) == [("B", "95.00"), ("C", "95.00"), ("A", "90.00")]
    best = play(rules("hybrid_dutch"), *events, event("09:17", "bid", "A", "96.00"))
    assert ranked(best)[0] == ("A", "96.00")


def test_the_price_reached_of_hybrid_takes_sealed_bids_in_when_they_are_opened():
    events = [event("09:02", "accept", "A"), event("09:06", "bid", "B", "95.00")]
    prices = [
        play(rules("hybrid_dutch"), *events, as_of=time)["price"] for time in ("09:15:49.999", "09:15:50", "09:21:10")
    ]
    assert prices == ["90.00", "95.00", "95.00"]


def test_a_void_taker_frees_the_dutch_price_while_prices_are_shown():
    events = [
        event("09:01", "accept", "A"),
        event("09:02", "void", "A"),
        event("09:03", "accept", "B"),
        event("09:04", "accept", "C"),
    ]
    answer = play(rules("hybrid_dutch"), *events)
    assert (codes(answer), answer["winner"], answer["price"]) == ([None, None, None, "taken"], "B", "80.00")


# 14. Gong


def test_accept_takes_the_asked_price_and_bid_any_multiple_not_below_it():
    events = [event("09:01", "accept", "A"), event("09:02", "bid", "B", "150.00"), event("09:03", "accept", "A")]
    assert [row["price"] for row in play(rules("gong"), *events)["answers"]] == ["110.00", "150.00", "160.00"]


def test_attempts_in_a_pause_are_in_the_wrong_phase_and_a_round_without_taker_ends_it():
    events = [
        event("09:01", "accept", "A"),
        event("09:01:19.999", "accept", "B"),
        event("09:04:19.999", "accept", "B"),
        event("09:07:39.999", "accept", "A"),
    ]
    answer = play(rules("gong"), *events)
    assert codes(answer) == [None, "wrong_phase", None, "late"]
    assert (answer["winner"], answer["ends_at"]) == ("B", at("09:07:39.999"))
    assert play(rules("gong"))["ends_at"] == at("09:03")


def test_the_end_is_cut_at_stop_at_and_no_round_starts_at_or_after_it():
    first = event("09:02", "accept", "A")
    cut = play(
        rules("gong", stop_at=at("09:04")), first, event("09:03:59.999", "accept", "B"), event("09:04", "accept", "C")
    )
    assert [row.get("ends_at") for row in cut["answers"]] == [at("09:04"), at("09:04"), None]
    assert (codes(cut), cut["extensions"]) == ([None, None, "late"], 1)
    none = play(rules("gong", stop_at=at("09:02:20")), first, event("09:02:19.999", "accept", "B"))
    assert (codes(none), none["ends_at"]) == ([None, "wrong_phase"], at("09:02:20"))


def test_a_suspension_moves_rounds_and_stop():
    events = [event("09:01", "accept", "A"), event("09:01:10", "suspend"), event("09:11:10", "resume")]
    answer = play(rules("gong"), *events, event("09:11:19.999", "accept", "B"), event("09:11:20", "accept", "B"))
    assert codes(answer)[3:] == ["wrong_phase", None]
    in_round = play(rules("gong"), event("09:02:50", "suspend"), event("09:10", "resume"))
    assert in_round["ends_at"] == at("09:13"), "at least a round remains"


def test_a_void_in_gong_lowers_the_asked_price():
    events = [
        event("09:01", "accept", "A"),
        event("09:02", "bid", "B", "150.00"),
        event("09:03", "void", "B"),
        event("09:03", "accept", "C"),
    ]
    answer = play(rules("gong", awards=3), *events)
    assert ranked(answer) == [("C", "120.00"), ("A", "110.00")]


# 15. Package


def package_bid(time, bidder, amount, *lots):
    return event(time, "bid", bidder, amount, lots=list(lots))


def test_package_awards_one_row_per_winning_bid_in_order_of_sequence_with_lots_in_order_of_the_rules():
    events = [
        package_bid("09:01", "A", "250.00", "L2", "L1"),
        package_bid("09:02", "B", "120.00", "L3"),
        package_bid("09:03", "C", "110.00", "L3"),
    ]
    answer = play(rules("package"), *events)
    assert (answer["winner"], answer["price"]) == (None, "370.00")
    assert answer["awards"] == [
        {"bidder": "A", "lots": ["L1", "L2"], "price": "250.00", "state": "pending"},
        {"bidder": "B", "lots": ["L3"], "price": "120.00", "state": "pending"},
    ]


def test_a_bid_on_the_same_set_replaces_the_earlier_and_withdraw_takes_back_all():
    events = [
        package_bid("09:01", "A", "300.00", "L1", "L2"),
        package_bid("09:02", "A", "250.00", "L2", "L1"),
        package_bid("09:03", "A", "100.00", "L3"),
    ]
    assert play(rules("package"), *events)["price"] == "350.00"
    gone = play(rules("package"), *events, event("09:04", "withdraw", "A"), event("09:05", "withdraw", "A"))
    assert (gone["state"], gone["accepted"], codes(gone)[3:]) == ("unsold", 4, [None, "nothing_to_withdraw"])


def test_how_unsold_lots_count():
    lots = [{"lot": "L1", "reserve": "100.00"}, {"lot": "L2", "reserve": "100.00"}]
    events = [package_bid("09:01", "A", "210.00", "L1", "L2"), package_bid("09:02", "B", "205.00", "L1")]
    nothing = play(rules("package", lots=lots), *events)
    assert (nothing["price"], [row["bidder"] for row in nothing["awards"]]) == ("210.00", ["A"])
    at_reserve = play(rules("package", lots=lots, unsold_lots_count="at_reserve"), *events)
    assert (at_reserve["price"], [row["bidder"] for row in at_reserve["awards"]]) == ("205.00", ["B"])


def test_ties_go_to_more_lots_then_fewer_bids_then_the_smallest_sequences():
    whole = package_bid("09:01", "A", "300.00", "L1", "L2", "L3")
    singles = [package_bid("09:02", "B", "100.00", lot) for lot in ("L1", "L2", "L3")]
    assert [row["bidder"] for row in play(rules("package"), whole, *singles)["awards"]] == ["A"]
    more_lots = [package_bid("09:01", "A", "300.00", "L1"), package_bid("09:02", "B", "300.00", "L1", "L2")]
    assert [row["bidder"] for row in play(rules("package"), *more_lots)["awards"]] == ["B"]
    equal = [package_bid("09:01", who, "100.00", lot) for who, lot in (("A", "L1"), ("B", "L1"), ("C", "L2"))]
    assert [row["bidder"] for row in play(rules("package"), *equal)["awards"]] == ["A", "C"]


def test_exclusive_bids_win_at_most_once_a_bidder():
    events = [
        package_bid("09:01", "A", "300.00", "L1"),
        package_bid("09:02", "A", "290.00", "L2"),
        package_bid("09:03", "B", "100.00", "L2"),
    ]
    assert play(rules("package"), *events)["price"] == "590.00"
    exclusive = play(rules("package", exclusive_bids_per_bidder=True), *events)
    assert (exclusive["price"], [row["bidder"] for row in exclusive["awards"]]) == ("400.00", ["A", "B"])


# 16. The hash


@pytest.mark.parametrize("name", ["gong", "package", "hybrid_dutch"])
def test_the_log_hash_chains_rules_and_every_event_with_its_answer(name):
    document = rules(name)
    events = [
        event("09:01", "accept", "甲") if name != "package" else package_bid("09:01", "甲", "1.00", "L1"),
        event("09:02", "void", "甲", reason="guarantor"),
    ]
    answer = play(document, *events)
    digest = hashlib.sha256(canonical(document)).digest()
    for each, found in zip(events, answer["answers"], strict=True):
        digest = hashlib.sha256(digest + canonical({"answer": found, "event": each})).digest()
    assert answer["log_hash"] == f"sha256:{digest.hex()}"
