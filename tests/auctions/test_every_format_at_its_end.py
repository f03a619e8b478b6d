"""Every format about its end: the millisecond before, the end, the millisecond after; closing often; great amounts.

By the pure engine and over PostgreSQL. `hybrid_dutch` has three ends: of its prices, its sealed phase, its best bid.
"""

from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions.domain.formats import Event
from auctions.domain.replay import FORMATS, read_rules
from marketplace.documents import Node
from tests.auctions.arena import MILLISECOND, OPENS, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture

KINDS = {"proxy": "maximum", "dutch": "accept", "hybrid_dutch": "accept", "gong": "accept"}
SEALED = {"sealed_first_price", "sealed_second_price", "package"}
ENDS = {
    "english": 3600, "proxy": 3600, "two_phase": 3780, "sealed_first_price": 3600, "sealed_second_price": 3600,
    "dutch": 330, "hybrid_dutch": 330, "gong": 180, "package": 3600,
}  # fmt: skip
"""Seconds after the opening when nobody bids."""

GREAT = (2**31 + 1, 2**53 + 1, 2**53 + 3)


def attempt(form, at, who="A", amount=100_00):
    kind = KINDS.get(form, "bid")
    lots = ("L1", "L2") if form == "package" else ()
    return Event(at, kind, who, 0 if kind == "accept" else amount, lots=lots)


def started(form, **more):
    return read_rules(Node(rules(form, **more), "/rules")).start()


def test_the_table_of_ends_names_every_format():
    assert set(ENDS) == set(FORMATS)


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_engine_takes_the_last_millisecond_and_nothing_after_it(form):
    end = OPENS + timedelta(seconds=ENDS[form])
    assert started(form).outcome(None).ends_at == end
    before, at, after = (started(form).step(attempt(form, end + offset * MILLISECOND)) for offset in (-1, 0, 1))
    assert (before.accepted, before.code) == (True, None)
    assert [(one.accepted, one.code) for one in (at, after)] == [(False, "late")] * 2
    play = started(form)
    play.step(attempt(form, end - MILLISECOND))
    assert play.outcome(end - MILLISECOND).state == ("sold" if form == "dutch" else "open")
    assert play.outcome(None).state == "sold"
    assert started(form).outcome(end).state == "unsold"
    early = started(form)
    assert early.step(attempt(form, OPENS - MILLISECOND)).code == "not_open"


@pytest.mark.parametrize(("taken", "phase_end"), [([], 950), ([("B", 150_00)], 1270)])
def test_the_later_ends_of_a_hybrid(taken, phase_end):
    """Prices until 330 s, sealed bids from 350 to 950, the best bid from 970 to 1,270."""
    play = started("hybrid_dutch")
    play.step(attempt("hybrid_dutch", OPENS + timedelta(seconds=40)))
    for who, amount in taken:
        assert play.step(Event(OPENS + timedelta(seconds=500), "bid", who, amount)).accepted
    end = play.outcome(None).ends_at
    who, amount = ("A", 160_00) if taken else ("B", 150_00)
    codes = []
    for offset in (-1, 0, 1):
        again = read_rules(Node(rules("hybrid_dutch"), "/rules")).load(play.dump())
        codes.append(again.step(Event(end + offset * MILLISECOND, "bid", who, amount)).code)
    assert codes == [None, "late", "late"]
    assert end == OPENS + timedelta(seconds=phase_end)


@pytest.mark.parametrize("minor", GREAT)
@pytest.mark.parametrize("form", list(FORMATS))
def test_amounts_beyond_every_double_are_exact(form, minor):
    written = f"{minor // 100}.{minor % 100:02d}"
    more = {"lots": [{"lot": "L1", "reserve": written}, {"lot": "L2", "reserve": "0.00"}]} if form == "package" else {}
    if form != "package":
        more["start_price"] = written
    play = started(form, **more)
    step = 10_00 if form == "gong" else 0
    at = OPENS + timedelta(seconds=35)
    short = play.step(attempt(form, at, "B", minor - 1))
    if KINDS.get(form) != "accept":
        assert short.code in {"below_start", "below_lot_reserves"}
    first = short if short.accepted else play.step(attempt(form, at, "A", minor))
    assert first.accepted
    outcome = play.outcome(None)
    assert (outcome.state, outcome.price) == ("sold", minor + step)


def tried(arena, form, who, amount):
    kind = KINDS.get(form, "bid")
    lots = ["L1", "L2"] if form == "package" else ()
    return arena.bid(who, None if kind == "accept" else amount, kind, lots=lots)


@pytest.mark.parametrize("form", list(FORMATS))
def test_over_postgresql_the_same_and_closed_once_however_often(arena, form):
    for times in (1, 2, 50):
        arena.open(rules(form))
        if form in SEALED:
            arena.seal()
        end = OPENS + timedelta(seconds=ENDS[form])
        arena.at(end - MILLISECOND)
        assert tried(arena, form, "A", 100) in {1, None}
        arena.at(arena.row().ends_at - MILLISECOND)
        assert arena.close() == 0
        for offset in (0, 1):
            arena.at(arena.row().ends_at + offset * MILLISECOND)
            assert tried(arena, form, "B", 200) == "late"
        if form in SEALED:
            arena.unseal()
        assert [arena.close() for _ in range(times)] == [1] + [0] * (times - 1)
        outcome, price, awards = arena.result()
        assert (outcome, len(awards)) == ("sold", 1)
        assert price == {"dutch": 60, "hybrid_dutch": 60, "gong": 110}.get(form, 100)
    with arena.sessions() as session:
        assert session.execute(text("SELECT count(*) FROM awards")).scalar_one() == 3
        told = "SELECT count(*) FROM outbox_events WHERE name = 'auction.awarded'"
        assert session.execute(text(told)).scalar_one() == 3
