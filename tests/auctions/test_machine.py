"""Any order of bids, raises, ticks, crashes, suspensions and voids: English and proxy against one small model."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from auctions.domain.formats import Event, WholeLogNeeded
from auctions.domain.replay import read_rules
from marketplace.clock import format_instant
from marketplace.documents import Node
from tests.auctions.reference_open import Reference

EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BIDDERS = st.sampled_from(["A", "B", "C", "D"])
SCALES = (1, 100, 2**31 + 1, 2**53 + 1)
"""Cents, and amounts beyond 2^31 and 2^53 minor units."""


def instant(milliseconds):
    return EPOCH + timedelta(milliseconds=milliseconds)


def text(cents):
    return f"{cents // 100}.{cents % 100:02d}"


class Machine(RuleBasedStateMachine):
    """One auction played by the engine and by the model; `events` is the log for a new start."""

    proxy = False

    @initialize(
        scale=st.sampled_from(SCALES),
        step=st.tuples(st.sampled_from(["fixed", "percent", "bands"]), st.integers(1, 40)),
        reserve=st.none() | st.integers(0, 300),
        bidders=st.integers(0, 2),
        soft=st.none() | st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from(["bid", "end"])),
        hard=st.none() | st.integers(0, 9),
        now=st.sampled_from([0, 0, 0, 0, 0, -1]),
    )
    def open(self, scale, step, reserve, bidders, soft, hard, now):
        kind, size = step
        self.now, self.events, self.scale = now, [], scale
        size *= scale
        increment, above = {
            "fixed": ({"amount": text(size)}, lambda _: size),
            "percent": ({"percent": "7.5", "minimum": text(size)}, lambda p: max(-(-p * 75 // 1000), size)),
            "bands": (
                {"bands": [{"from": "0", "amount": text(size)}, {"from": text(99 * scale), "amount": text(3)}]},
                lambda p: size if p < 99 * scale else 3,
            ),
        }[kind]
        document = {
            "format": "proxy" if self.proxy else "english", "currency": "CNY", "opens_at": format_instant(EPOCH),
            "ends_at": format_instant(instant(9_000)), "start_price": text(50 * scale),
            "increment": {"kind": kind} | increment, "minimum_bidders": bidders,
            "reserve_price": None if reserve is None else text(reserve * scale),
        }  # fmt: skip
        if soft is not None:
            document["soft_close"] = {"window_seconds": soft[0], "extension_seconds": soft[1], "base": soft[2]}
            if hard is not None:
                document["soft_close"]["hard_end"] = format_instant(instant(9_000 + hard * 1000))
        self.book = read_rules(Node(document, "/rules"))
        self.play = self.book.start()
        self.model = Reference(
            proxy=self.proxy, opens=0, ends=9_000, start=50 * scale, step=above, bidders=bidders,
            reserve=None if reserve is None else reserve * scale, window=soft[0] * 1000 if soft else -1,
            extension=soft[1] * 1000 if soft else 0, base=soft[2] if soft else "bid",
            hard_end=9_000 + hard * 1000 if soft and hard is not None else None,
        )  # fmt: skip

    def take(self, event):
        self.events.append(event)
        return self.play.step(event)

    @rule(
        bids=st.lists(st.tuples(BIDDERS, st.sampled_from([-1, 0, 0, 0, 1, 7, 60]) | st.integers(-300, 300)), max_size=5)
    )
    def bid(self, bids):
        """Around the least next amount; in the large scales that is beyond what a double holds."""
        for who, above in bids:
            offset = above if abs(above) < 2 else above * self.scale
            self.attempt(who, max(0, self.model.minimum() + offset))

    @rule(aboves=st.lists(st.sampled_from([-1, 0, 1, 1, 5]) | st.integers(0, 400), max_size=3))
    def raise_(self, aboves):
        """The leader offers about what it holds."""
        for above in aboves:
            _, leader, held = self.model.position()
            if leader is not None:
                self.attempt(leader, held[leader][0] + (above if above < 2 else above * self.scale))

    @rule(who=BIDDERS, at_reserve=st.booleans())
    def tie(self, who, at_reserve):
        """Somebody offers exactly what the leader holds, or the reserve."""
        _, leader, held = self.model.position()
        if leader is not None:
            self.attempt(who, self.model.reserve if at_reserve and self.model.reserve else held[leader][0])

    def attempt(self, who, amount):
        kind = "maximum" if self.proxy else "bid"
        event = Event(instant(self.now), kind, who, amount)
        looked, before = self.play.look(event), self.play.dump()
        assert self.play.dump() == before
        minimum = self.model.minimum()
        code = self.model.attempt(self.now, who, amount)
        answer = self.take(event)
        assert answer.code == code
        assert looked == (None if answer.accepted else answer)
        if code is None:
            price, leader, _ = self.model.position()
            found = (answer.sequence, answer.price, answer.leader, answer.minimum_next, answer.ends_at)
            assert found == (len(self.model.log), price, leader, self.model.minimum(), instant(self.model.end))
        else:
            told = code.startswith("below") or code == "already_leading"
            assert answer.minimum_next == (minimum if told else None)

    @rule(move=st.sampled_from(["open", "next", "window", "window", "before", "before", "end"]) | st.integers(0, 900))
    def tick(self, move):
        end = self.model.end
        targets = {"open": 0, "next": self.now + 1, "window": end - self.model.window, "before": end - 1, "end": end}
        self.now = max(self.now, targets[move] if isinstance(move, str) else self.now + move)

    @rule()
    def crash(self):
        self.play = self.book.load(json.loads(json.dumps(self.play.dump())))

    @rule(length=st.integers(0, 3_000), resumes=st.sampled_from([True, True, True, False]))
    def suspend(self, length, resumes):
        self.model.suspend(self.now)
        self.take(Event(instant(self.now), "suspend"))
        self.attempt("A", self.model.minimum())
        if resumes:
            self.now += length
            self.resume()

    @rule()
    def resume(self):
        self.model.resume(self.now)
        self.take(Event(instant(self.now), "resume"))

    @rule(who=BIDDERS, luck=st.integers(0, 2))
    def void(self, who, luck):
        if luck:
            return
        self.model.void.add(who)
        event = Event(instant(self.now), "void", who)
        try:
            self.take(event)
        except WholeLogNeeded:
            assert self.proxy
            self.play = self.book.start()
            for each in self.events:
                self.play.step(each)

    @invariant()
    def close(self):
        """Looking at the result, early or late, once or often, is that of the model and changes nothing."""
        before = self.play.dump()
        outcome = self.play.outcome(instant(self.now))
        assert (outcome.state.value, outcome.winner) == self.model.result(self.now)
        standing = self.play.standing(instant(self.now))
        price, leader, _ = self.model.position()
        assert (outcome.price, standing.price, standing.leader) == (price, price, leader)
        assert (standing.minimum_next, standing.ends_at) == (self.model.minimum(), instant(self.model.end))
        assert (outcome.extensions, outcome.accepted) == (self.model.extensions, len(self.model.log))
        assert [(row.bidder, row.amount) for row in outcome.ranking] == self.model.ranking()
        assert self.play.dump() == before


class ProxyMachine(Machine):
    proxy = True


LIMITS = settings(max_examples=80, stateful_step_count=30, deadline=None)
Machine.TestCase.settings = ProxyMachine.TestCase.settings = LIMITS
TestEnglish = Machine.TestCase
TestProxy = ProxyMachine.TestCase


@pytest.mark.parametrize("kind", ["english", "proxy"])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_around_the_end(kind, offset):
    """One millisecond before the end counts and extends; the end and one after are late."""
    document = {
        "format": kind, "currency": "CNY", "opens_at": format_instant(EPOCH), "ends_at": format_instant(instant(9_000)),
        "start_price": "1", "increment": {"kind": "fixed", "amount": "1"},
        "soft_close": {"window_seconds": 1, "extension_seconds": 1},
    }  # fmt: skip
    play = read_rules(Node(document, "/rules")).start()
    answer = play.step(Event(instant(9_000 + offset), "maximum" if kind == "proxy" else "bid", "A", 500))
    if offset < 0:
        assert (answer.sequence, answer.ends_at) == (1, instant(9_999))
    else:
        assert answer.code == "late"
