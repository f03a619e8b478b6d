"""The first accepted bid starts a clock: sooner or later than the announced end, once, whatever comes after."""

import pytest

from auctions.domain import replay as engine
from marketplace.documents import BadDocument
from tests.auctions.documents_english import bid, english, played

SOFT = {"window_seconds": 300, "extension_seconds": 300}
CLOCK = {"first_bid_clock_seconds": 600, "soft_close": SOFT}
START = "1000000.00"
NEXT = "1050000.00"


def end(rules, *events):
    return played(rules, *events)["ends_at"][11:-1]


@pytest.mark.parametrize(
    ("time", "hard_end", "expected"),
    [
        ("09:00:00.000", None, "09:10:00.000"),
        ("09:50:00.000", None, "10:00:00.000"),
        ("09:59:59.999", None, "10:09:59.999"),
        ("09:59:59.999", "10:05:00.000", "10:05:00.000"),
        ("09:10:00.000", "10:05:00.000", "09:20:00.000"),
    ],
)
def test_the_end_is_the_first_bid_and_the_clock_but_not_beyond_a_hard_end(time, hard_end, expected):
    soft = SOFT | ({} if hard_end is None else {"hard_end": f"2026-03-02T{hard_end}Z"})
    answer = played(english(**CLOCK | {"soft_close": soft}), bid(time, "A", START))
    assert answer["ends_at"][11:-1] == expected
    assert answer["extensions"] == (expected > "10:00:00.000")
    assert answer["state"] == "sold"


def test_the_millisecond_of_the_end_of_the_clock():
    for time, accepted in (("09:19:59.999", True), ("09:20:00.000", False), ("09:20:00.001", False)):
        answer = played(english(**CLOCK), bid("09:10:00.000", "A", START), bid(time, "B", NEXT))["answers"][1]
        assert answer["accepted"] is accepted
        assert answer.get("code") == (None if accepted else "late")


def test_a_refused_bid_starts_nothing_and_the_clock_starts_once():
    rules = english(**CLOCK)
    assert end(rules, bid("09:10:00.000", "A", "999999.99")) == "10:00:00.000"
    assert end(rules, bid("09:10:00.000", "A", START), bid("09:12:00.000", "B", NEXT)) == "09:20:00.000"


def test_a_void_neither_stops_the_clock_nor_lets_another_start_it():
    void = {"at": "2026-03-02T09:11:00.000Z", "kind": "void", "bidder": "A"}
    events = [bid("09:10:00.000", "A", START), void, bid("09:12:00.000", "B", START)]
    answer = played(english(**CLOCK), *events)
    assert (answer["winner"], answer["price"], answer["ends_at"][11:-1]) == ("B", START, "09:20:00.000")


def test_a_suspension_keeps_what_remains_of_the_clock():
    stop, go = (
        {"at": f"2026-03-02T{at}Z", "kind": kind}
        for at, kind in (("09:13:00.000", "suspend"), ("11:00:00.000", "resume"))
    )
    assert end(english(**CLOCK), bid("09:10:00.000", "A", START), stop, go) == "11:07:00.000"


def test_a_proxy_auction_has_the_clock_too_and_its_own_raise_does_not_move_it():
    rules = english(**CLOCK) | {"format": "proxy"}
    events = [
        bid("09:10:00.000", "A", START) | {"kind": "maximum"},
        bid("09:19:00.000", "A", NEXT) | {"kind": "maximum"},
    ]
    assert end(rules, *events) == "09:20:00.000"


def test_absent_or_null_is_no_clock_and_other_formats_have_none():
    plain = played(english(), bid("09:10:00.000", "A", START))
    null = played(english(first_bid_clock_seconds=None), bid("09:10:00.000", "A", START))
    assert plain | {"log_hash": null["log_hash"]} == null
    for name, played_by in engine.FORMATS.items():
        assert ("first_bid_clock_seconds" in played_by.optional) == (name in {"english", "proxy"})
    for wrong in (0, -1, "600", 1.5, 366 * 86_400 + 1):
        with pytest.raises(BadDocument) as caught:
            played(english(first_bid_clock_seconds=wrong))
        assert caught.value.errors[0]["pointer"] == "/rules/first_bid_clock_seconds"
