"""Documents of every format: what is refused and where, and bounds that hold whatever is sent."""

import time

import pytest

from auctions.domain.formats import Event
from auctions.domain.replay import FORMATS, read_rules
from marketplace.documents import BadDocument, Node
from tests.auctions.documents_formats import at, event, play, rules

STEPS = {"count": 5, "seconds": 60, "drop": "10.00", "pause_seconds": 30}
LOT = {"lot": "L1", "reserve": "1.00"}
PERCENT = {"kind": "percent", "percent": "5", "minimum": "1.00"}
BAD = [
    *[("/rules/colour", rules(name, colour="red"), []) for name in FORMATS],
    *[("/events/0/kind", rules(name), [event("09:01", "buy", "A")]) for name in FORMATS],
    ("/rules/grid", rules("proxy", grid=False), []),
    ("/rules/soft_close", rules("two_phase", soft_close=None), []),
    ("/rules/increment", rules("sealed_second_price", increment=PERCENT), []),
    ("/rules/increment", rules("sealed_first_price", minimum_raises=1), []),
    ("/rules/ends_at", rules("dutch", ends_at=at("10:00")), []),
    ("/rules/awards", rules("dutch", awards=1), []),
    ("/rules/start_price", rules("package", start_price="1.00"), []),
    ("/rules/cycle_seconds", {k: v for k, v in rules("two_phase").items() if k != "cycle_seconds"}, []),
    ("/rules/increment/kind", rules("gong", increment=PERCENT), []),
    ("/rules/stop_at", rules("gong", stop_at=at("09:00")), []),
    ("/rules/steps/drop", rules("dutch", steps=STEPS | {"drop": "25.00"}), []),
    ("/rules/steps/count", rules("dutch", steps=STEPS | {"count": 0}), []),
    ("/rules/steps/count", rules("dutch", steps=STEPS | {"count": 10**6, "seconds": 10**6, "drop": "0.00"}), []),
    ("/rules/steps/seconds", rules("dutch", steps=STEPS | {"seconds": 10**30}), []),
    ("/rules/steps/pause_seconds", rules("dutch", steps={k: v for k, v in STEPS.items() if k != "pause_seconds"}), []),
    ("/rules/lots", rules("package", lots=[]), []),
    ("/rules/lots/1/lot", rules("package", lots=[LOT, LOT]), []),
    ("/rules/lots/0/reserve", rules("package", lots=[{"lot": "L1", "reserve": None}]), []),
    ("/rules/unsold_lots_count", rules("package", unsold_lots_count="half"), []),
    ("/events/0/lots", rules("package"), [event("09:01", "bid", "A", "1.00")]),
    ("/events/0/lots", rules("package"), [event("09:01", "bid", "A", "1.00", lots=[])]),
    ("/events/0/lots/1", rules("package"), [event("09:01", "bid", "A", "1.00", lots=["L1", "L1"])]),
    ("/events/0/amount", rules("sealed_first_price"), [event("09:01", "withdraw", "A", "1.00")]),
    ("/events/0/amount", rules("gong"), [event("09:01", "accept", "A", "1.001")]),
    ("/events/0/kind", rules("proxy"), [event("09:01", "bid", "A", "1.00")]),
    ("/events/0/kind", rules("dutch"), [event("09:01", "bid", "A", "1.00")]),
]  # fmt: skip


@pytest.mark.parametrize(("pointer", "document", "events"), BAD)
def test_bad_documents_are_refused_at_their_place(pointer, document, events):
    with pytest.raises(BadDocument) as caught:
        play(document, *events)
    assert [error["pointer"] for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize("name", list(FORMATS))
def test_without_events_every_format_is_unsold_and_restores_itself(name):
    answer = play(rules(name))
    assert (answer["state"], answer["winner"], answer["price"], answer["ranking"]) == ("unsold", None, None, [])
    book = read_rules(Node(rules(name), "/rules"))
    fresh = book.start()
    assert book.load(fresh.dump()).dump() == fresh.dump()


DEALS = {
    "gong": [event("09:01", "accept", "A"), event("09:02", "bid", "B", "150.00"), event("09:03", "void", "B")],
    "two_phase": [event("10:01", "bid", "A", "100.00"), event("10:01", "suspend"), event("10:02", "resume")],
    "sealed_first_price": [event("09:01", "bid", "A", "100.00"), event("09:02", "bid", "B", "100.00")],
    "sealed_second_price": [event("09:01", "bid", "A", "100.00"), event("09:02", "withdraw", "A")],
    "dutch": [event("09:01", "suspend"), event("09:02", "resume"), event("09:03", "accept", "A")],
    "hybrid_dutch": [
        event("09:01", "accept", "A"), event("09:06", "bid", "B", "101.00"), event("09:17", "bid", "A", "102.00"),
    ],
    "package": [event("09:01", "bid", "A", "100.00", lots=["L1"]), event("09:02", "void", "A")],
}  # fmt: skip


@pytest.mark.parametrize("name", list(DEALS))
def test_a_play_restored_after_every_event_goes_on_as_if_nothing_had_happened(name):
    book = read_rules(Node(rules(name), "/rules"))
    whole, broken = book.start(), book.start()
    for each in DEALS[name]:
        moment = Node(each["at"]).instant()
        amount = int(each.get("amount", "0").replace(".", ""))
        taken = Event(moment, each["kind"], each.get("bidder", ""), amount, lots=tuple(each.get("lots", ())))
        broken = book.load(broken.dump())
        looked = broken.look(taken) if each["kind"] not in {"void", "suspend", "resume"} else None
        answer = broken.step(taken)
        assert answer == whole.step(taken)
        assert looked == (None if answer.accepted else answer)
        assert broken.standing(moment) == whole.standing(moment)
    assert broken.outcome(None) == whole.outcome(None)


def test_voids_between_attempts_of_a_long_proxy_log_are_bounded(monkeypatch):
    monkeypatch.setattr("auctions.domain.proxy.MAX_WORK", 500)
    events = [event("09:01", "maximum", f"b{n}", f"{100 + 10 * n}.00") for n in range(60)]
    for n in range(30):
        events += [event("09:02", "void", f"b{n}"), event("09:02", "maximum", f"c{n}", f"{5000 + 10 * n}.00")]
    with pytest.raises(BadDocument) as caught:
        play(rules("proxy"), *events)
    assert caught.value.errors[0]["pointer"].startswith("/events/")


def test_the_best_bid_phase_costs_the_same_with_many_sealed_bids():
    events = [event("09:01", "accept", "T")] + [event("09:06", "bid", f"b{n}", f"{200 + n}.00") for n in range(3000)]
    events += [event("09:17", "bid", "T", f"{100 + n}.00") for n in range(3000)]
    started = time.perf_counter()
    assert play(rules("hybrid_dutch"), *events)["accepted"] == 3001
    assert time.perf_counter() - started < 20
