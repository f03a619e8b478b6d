"""The English auction against a separate small model, over attempts and moves of the clock around the end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions.domain.replay import replay
from marketplace.clock import format_instant
from marketplace.documents import Node
from tests.auctions.documents_english import bid, english, played
from tests.auctions.reference_english import Reference

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BIDDERS = ["A", "B", "C", "P1", "P2"]


def at(milliseconds):
    return format_instant(EPOCH + timedelta(milliseconds=milliseconds))


def amount(cents):
    return f"{cents // 100}.{cents % 100:02d}"


def cents(text):
    return None if text is None else int(text.replace(".", ""))


increments = st.one_of(
    st.integers(1, 50).map(lambda step: ({"kind": "fixed", "amount": amount(step)}, lambda _: step)),
    st.tuples(st.integers(0, 3000), st.integers(1, 40)).map(
        lambda pair: (
            {"kind": "percent", "percent": amount(pair[0]), "minimum": amount(pair[1])},
            lambda price: max(-(-price * pair[0] // 10_000), pair[1]),
        )
    ),
    st.tuples(st.integers(1, 300), st.integers(1, 9), st.integers(1, 60)).map(
        lambda three: (
            {
                "kind": "bands",
                "bands": [
                    {"from": "0", "amount": amount(three[1])},
                    {"from": amount(three[0]), "amount": amount(three[2])},
                ],
            },
            lambda price: three[1] if price < three[0] else three[2],
        )
    ),
)


@st.composite
def auctions(draw):
    increment, step = draw(increments)
    length, soft = draw(st.integers(1, 20_000)), draw(st.booleans())
    window, extension = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    base = draw(st.sampled_from(["bid", "end"]))
    hard = draw(st.none() | st.integers(0, 9_000))
    reserve, bidders = draw(st.none() | st.integers(0, 400)), draw(st.integers(0, 3))
    ranks = draw(st.dictionaries(st.sampled_from(["P1", "P2"]), st.integers(1, 2)))
    grid, start = increment["kind"] == "fixed" and draw(st.booleans()), draw(st.integers(1, 200))
    rules = {
        "format": "english", "currency": "CNY", "opens_at": at(0), "ends_at": at(length), "start_price": amount(start),
        "increment": increment, "grid": grid, "minimum_bidders": bidders,
        "reserve_price": None if reserve is None else amount(reserve),
        "priority": [{"bidder": who, "rank": rank} for who, rank in ranks.items()],
    }  # fmt: skip
    if soft:
        rules["soft_close"] = {"window_seconds": window, "extension_seconds": extension, "base": base}
        if hard is not None:
            rules["soft_close"]["hard_end"] = at(length + hard)
    model = Reference(
        opens=0, ends=length, start=start, step=step, grid=grid, window=window * 1000 if soft else -1,
        extension=extension * 1000 if soft else 0, base=base, reserve=reserve, bidders=bidders, ranks=ranks,
        hard_end=length + hard if soft and hard is not None else None,
    )  # fmt: skip
    return rules, model


def play(data, model, count):
    """Draw events one by one, around the end as the model has it; return them with the model's answers."""
    now, events, answers = -2, [], []
    for _ in range(count):
        move = data.draw(st.sampled_from(["stay", "tick", "before", "end", "after", "jump"]))
        targets = {
            "stay": now, "tick": now + 1, "before": model.end - 1, "end": model.end, "after": model.end + 1,
            "jump": now + data.draw(st.integers(0, 3_000)),
        }  # fmt: skip
        now = max(now, targets[move])
        kind = data.draw(st.sampled_from(["bid"] * 12 + ["suspend", "resume", "resume", "void"]))
        event = {"at": at(now), "kind": kind}
        if kind == "bid":
            who = data.draw(st.sampled_from(BIDDERS))
            low = model.minimum()
            value = data.draw(
                st.sampled_from([low, low, low, low - 1, low + 1, model.price() or 0]) | st.integers(0, 900)
            )
            value = max(value, 0)
            events.append(event | {"bidder": who, "amount": amount(value)})
            code = model.bid(now, who, value)
            answers.append((code, model.price(), model.leader(), model.minimum(), model.end))
            continue
        if kind == "void":
            event["bidder"] = data.draw(st.sampled_from(BIDDERS))
            model.void.add(event["bidder"])
        elif kind == "suspend":
            model.suspend(now)
        else:
            model.resume(now)
        events.append(event)
        answers.append(None)
    return events, answers


@settings(max_examples=120, deadline=None)
@given(case=auctions(), data=st.data(), count=st.integers(0, 25))
def test_equals_the_reference_model(case, data, count):
    rules, model = case
    events, expected = play(data, model, count)
    answer = replay(Node({"rules": rules, "events": events, "as_of": None}))
    sequence = 0
    for found, want in zip(answer["answers"], expected, strict=True):
        if want is None:
            assert found == {"event": found["event"], "accepted": True}
            continue
        code, price, leader, minimum, end = want
        if code is None:
            sequence += 1
            assert found == {
                "event": found["event"], "accepted": True, "sequence": sequence, "price": amount(price),
                "leader": leader, "minimum_next": amount(minimum), "ends_at": at(end),
            }  # fmt: skip
        else:
            assert (found["accepted"], found["code"]) == (False, code)
            with_minimum = code.startswith("below_") or code in {"off_grid", "already_leading"}
            assert found.get("minimum_next") == (amount(minimum) if with_minimum else None)
    state, winner, ranking = model.result()
    assert (answer["state"], answer["winner"]) == (state, winner)
    assert (cents(answer["price"]), answer["ends_at"]) == (model.price(), at(model.end))
    assert [(row["bidder"], cents(row["amount"])) for row in answer["ranking"]] == ranking
    assert (answer["accepted"], answer["extensions"]) == (len(model.log), model.extensions)


@settings(max_examples=60, deadline=None)
@given(case=auctions(), data=st.data())
def test_as_of_is_the_log_cut_there(case, data):
    rules, model = case
    events, _ = play(data, model, 12)
    cut = data.draw(st.integers(0, len(events)))
    moment = events[cut - 1]["at"] if cut else at(-5)
    answer = replay(Node({"rules": rules, "events": events, "as_of": moment}))
    kept = [event for event in events if event["at"] <= moment]
    whole = replay(Node({"rules": rules, "events": kept, "as_of": None}))
    assert answer["answers"] == whole["answers"]
    assert answer["log_hash"] == whole["log_hash"]
    if answer["state"] in {"sold", "unsold"}:
        assert answer == whole
        assert answer["ends_at"] <= moment
    elif answer["state"] == "scheduled":
        assert moment < rules["opens_at"]
    elif answer["state"] == "open":
        assert rules["opens_at"] <= moment < answer["ends_at"]


def test_the_bid_one_millisecond_before_the_end_counts_and_extends_and_at_the_end_it_is_late():
    soft = {"window_seconds": 300, "extension_seconds": 300}
    answer = played(
        english(soft_close=soft),
        bid("09:59:59.999", "A", "1000000.00"),
        bid("10:04:59.999", "B", "1050000.00"),
    )
    assert answer["answers"][0]["ends_at"] == "2026-03-02T10:04:59.999Z"
    assert answer["answers"][1] == {"event": 1, "accepted": False, "code": "late"}
    assert (answer["winner"], answer["price"], answer["extensions"]) == ("A", "1000000.00", 1)


def test_the_window_is_inclusive():
    soft = {"window_seconds": 300, "extension_seconds": 300}
    on = played(english(soft_close=soft), bid("09:55:00.000", "A", "1000000.00"))
    assert on["extensions"] == 0, "bid + extension is the end as it is"
    before = played(english(soft_close=soft | {"extension_seconds": 301}), bid("09:54:59.999", "A", "1000000.00"))
    assert before["extensions"] == 0
    within = played(english(soft_close=soft | {"extension_seconds": 301}), bid("09:55:00.000", "A", "1000000.00"))
    assert (within["extensions"], within["ends_at"]) == (1, "2026-03-02T10:00:01.000Z")


def test_a_holder_of_a_right_matches_and_the_better_rank_wins_the_tie():
    rules = english(priority=[{"bidder": "P1", "rank": 1}, {"bidder": "P2", "rank": 2}], awards=3)
    answer = played(
        rules,
        bid("09:10:00.000", "A", "1000000.00"),
        bid("09:11:00.000", "P2", "1000000.00"),
        bid("09:12:00.000", "B", "1000000.00"),
        bid("09:13:00.000", "P1", "1000000.00"),
        bid("09:14:00.000", "P2", "1000000.00"),
    )
    assert [row["accepted"] for row in answer["answers"]] == [True, True, False, True, False]
    assert [row["bidder"] for row in answer["ranking"]] == ["P1", "P2", "A"]
    assert [row["state"] for row in answer["awards"]] == ["pending", "waiting", "waiting"]


def test_awards_below_the_reserve_or_the_raises_are_unsuccessful():
    rules = english(reserve_price="1100000.00", minimum_raises=2, awards=3)
    answer = played(
        rules,
        bid("09:10:00.000", "A", "1000000.00"),
        bid("09:11:00.000", "B", "1100000.00"),
        bid("09:12:00.000", "C", "1150000.00"),
    )
    assert [(row["bidder"], row["state"]) for row in answer["awards"]] == [
        ("C", "pending"), ("B", "waiting"), ("A", "unsuccessful"),
    ]  # fmt: skip
    unsold = played(english(minimum_raises=2), bid("09:10:00.000", "A", "1050000.00"))
    assert (unsold["state"], unsold["winner"], unsold["price"], unsold["awards"]) == ("unsold", None, "1050000.00", [])


def test_a_void_after_the_end_changes_the_result():
    events = [bid("09:10:00.000", "A", "1000000.00"), bid("09:11:00.000", "B", "1050000.00")]
    void = {"at": "2026-03-02T11:00:00.000Z", "kind": "void", "bidder": "B", "reason": "guarantor of a debtor"}
    assert played(english(), *events)["winner"] == "B"
    answer = played(english(), *events, void)
    assert (answer["winner"], answer["price"], answer["accepted"]) == ("A", "1000000.00", 2)


def test_empty_and_scheduled():
    empty = played(english())
    assert (empty["state"], empty["price"], empty["ranking"], empty["awards"]) == ("unsold", None, [], [])
    early = played(english(), as_of="2026-03-02T08:59:59.999Z")
    assert early["state"] == "scheduled"


@pytest.mark.parametrize(("currency", "start", "text"), [("JPY", "230", "230"), ("KWD", "230", "230.000")])
def test_amounts_have_the_decimals_of_the_currency(currency, start, text):
    rules = english(currency=currency, start_price=start, increment={"kind": "fixed", "amount": "1"})
    assert played(rules, bid("09:10:00.000", "A", start))["price"] == text


def test_figures_beyond_any_amount_do_not_break_it():
    top = "92233720368547758.07"
    rules = english(start_price=top, increment={"kind": "percent", "percent": "999999999999999999", "minimum": "0"})
    answer = played(rules, bid("09:10:00.000", "A", top))
    assert answer["answers"][0]["minimum_next"].startswith("92233720368547")
