"""Any order of bids, raises, ticks, crashes, suspensions and voids: English, two-phase and proxy against one model.

Twice: the pure engine, crashing into its dump; and the service over PostgreSQL (`test_machine_service`), crashing in
the middle of a transaction. `benchmarks/machine_faults.py` plants faults and says which of these two find them.
"""

import json
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from auctions.domain.formats import Event, WholeLogNeeded
from auctions.domain.replay import read_rules
from marketplace.clock import format_instant
from marketplace.documents import Node
from tests.auctions.arena import OPENS
from tests.auctions.reference_open import Reference

BIDDERS = ["A", "B", "C"]
NAMES = st.sampled_from(BIDDERS)
SCALES = (1, 100, 2**31 + 1, 2**47 + 1)
"""Cents, and amounts beyond 2^31 and 2^53 minor units."""
EDGE = 60
"""Where the second band begins: soon after the start of 50, and with a lower step, so that prices could fall."""
EDGES = st.tuples(st.permutations(BIDDERS), st.integers(-3, 1), st.integers(0, 2), st.booleans())
SOFT = st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from(["bid", "end"]))
ABOVE = st.sampled_from([-1, 0, 0, 0, 1, 7, 60]) | st.integers(-300, 300)


def instant(milliseconds):
    return OPENS + timedelta(milliseconds=milliseconds)


def text(cents):
    return f"{cents // 100}.{cents % 100:02d}"


class Machine(RuleBasedStateMachine):
    """One auction played by the engine and by the model; `events` is the log for a new start."""

    form = "english"
    largest = None

    @initialize(
        scale=st.sampled_from(SCALES),
        step=st.tuples(st.sampled_from(["fixed", "percent", "bands", "bands"]), st.integers(1, 40)),
        reserve=st.none() | st.integers(0, 300),
        bidders=st.integers(0, 2),
        soft=st.none() | SOFT | SOFT,
        hard=st.none() | st.integers(0, 9) | st.integers(0, 9),
        clock=st.none() | st.none() | st.integers(1, 15),
        ranks=st.dictionaries(NAMES, st.integers(1, 2)),
        now=st.sampled_from([0, 0, 0, 0, 0, -1]),
        prelude=st.none() | EDGES | st.integers(0, 3_000),
    )
    def open(self, scale, step, reserve, bidders, soft, hard, clock, ranks, now, prelude):
        self.set_up(scale, step, reserve, bidders, soft, hard, clock, ranks, now)
        if isinstance(prelude, tuple):
            self.edge(prelude)
        elif prelude is not None and prelude % 2:
            self.brink(BIDDERS, late=0)
        elif prelude is not None:
            self.suspend(prelude, resumes=True)
            self.rush(BIDDERS, crashes=True)

    def set_up(self, scale, step, reserve, bidders, soft, hard, clock, ranks, now):
        kind, size = step
        self.now, self.scale, self.over = now, scale, False
        size *= scale
        increment, above = {
            "fixed": ({"amount": text(size)}, lambda _: size),
            "percent": ({"percent": "7.5", "minimum": text(size)}, lambda p: max(-(-p * 75 // 1000), size)),
            "bands": (
                {"bands": [{"from": "0", "amount": text(size)}, {"from": text(EDGE * scale), "amount": text(3)}]},
                lambda p: size if p < EDGE * scale else 3,
            ),
        }[kind]
        document = {
            "format": self.form, "currency": "CNY", "opens_at": format_instant(OPENS),
            "ends_at": format_instant(instant(9_000)), "start_price": text(50 * scale),
            "increment": {"kind": kind} | increment, "minimum_bidders": bidders, "awards": 2,
        }  # fmt: skip
        window, extension, base, hard_end, end = -1, 0, "bid", None, 9_000
        if self.form == "two_phase":
            document["cycle_seconds"] = 3
            clock = None
            window, extension, end = 3_000, 3_000, 12_000
        elif soft is not None:
            document["soft_close"] = {"window_seconds": soft[0], "extension_seconds": soft[1], "base": soft[2]}
            window, extension, base = soft[0] * 1000, soft[1] * 1000, soft[2]
            if hard is not None:
                hard_end = 9_000 + hard * 1000
                document["soft_close"]["hard_end"] = format_instant(instant(hard_end))
        if clock is not None:
            document["first_bid_clock_seconds"] = clock
        if self.form == "proxy":
            ranks = {}
        elif ranks:
            document["priority"] = [{"bidder": self.called(who), "rank": rank} for who, rank in ranks.items()]
        reserve = None if reserve is None else reserve * scale
        self.model = Reference(
            proxy=self.form == "proxy", opens=0, end=end, start=50 * scale, step=above, bidders=bidders,
            reserve=reserve, window=window, extension=extension, base=base, hard_end=hard_end, ranks=ranks,
            clock=None if clock is None else clock * 1000,
        )  # fmt: skip
        self.begin(document, reserve)

    def begin(self, document, reserve):
        self.events = []
        self.book = read_rules(Node(document | {"reserve_price": None if reserve is None else text(reserve)}, "/rules"))
        self.play = self.book.start()

    def called(self, who):
        return who

    def take(self, event):
        self.events.append(event)
        return self.play.step(event)

    @rule(bids=st.lists(st.tuples(NAMES, ABOVE), max_size=5))
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

    @rule(who=NAMES, what=st.sampled_from(["held", "price", "reserve"]))
    def tie(self, who, what):
        """Somebody offers exactly what the leader holds, the price, or the reserve."""
        price, leader, held = self.model.position()
        if leader is not None:
            values = {"held": held[leader][0], "price": price, "reserve": self.model.reserve or price}
            self.attempt(who, values[what])

    @rule(edge=EDGES)
    def edge(self, edge):
        """About the edge of the bands, over it, far over it, again: without the second, later prices would be lower."""
        names, off, above, removes = edge
        self.attempt(names[0], (EDGE + off) * self.scale)
        self.attempt(names[1], self.model.minimum())
        self.attempt(names[2], self.model.minimum() + EDGE * self.scale)
        self.attempt(names[0], self.model.minimum() + above)
        if removes:
            self.void(names[1], luck=0)

    @rule(names=st.permutations(BIDDERS), crashes=st.booleans())
    def rush(self, names, crashes):
        """One after the other bids a millisecond before the end, until a hard end or the rules say no."""
        if crashes:
            self.crash()
        for who in names:
            self.now = max(self.now, self.model.end - 1)
            self.attempt(who, self.model.minimum())

    @rule(names=st.permutations(BIDDERS), late=st.integers(-1, 1))
    def brink(self, names, late):
        """A bid about the millisecond in which the window begins."""
        self.now = max(self.now, self.model.end - self.model.window + late)
        for who in names[:2]:
            self.attempt(who, self.model.minimum())

    def attempt(self, who, amount):
        if self.largest is not None and amount > self.largest:
            return
        minimum, before = self.model.minimum(), len(self.model.log)
        code = self.model.attempt(self.now, who, amount)
        found = self.answered(who, amount)
        if code is None:
            price, leader, _ = self.model.position()
            assert found == (None, before + 1, price, leader, self.model.minimum(), instant(self.model.end))
        else:
            told = code.startswith("below") or code == "already_leading"
            assert found == (code, None, None, None, minimum if told else None, None)

    def answered(self, who, amount):
        event = Event(instant(self.now), "maximum" if self.form == "proxy" else "bid", who, amount)
        looked, before = self.play.look(event), self.play.dump()
        assert self.play.dump() == before
        answer = self.take(event)
        assert looked == (None if answer.accepted else answer)
        return answer.code, answer.sequence, answer.price, answer.leader, answer.minimum_next, answer.ends_at

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
        possible = self.model.stopped is None and self.now < self.model.end
        self.model.suspend(self.now)
        self.operate("suspend", possible=possible)
        self.attempt("A", self.model.minimum())
        if resumes:
            self.now += length
            self.resume()

    @rule()
    def resume(self):
        possible = self.model.stopped is not None
        self.model.resume(self.now)
        self.operate("resume", possible=possible)

    def operate(self, verb, *, possible):
        """Suspend or resume; the engine answers what changes nothing as well."""
        del possible
        self.take(Event(instant(self.now), verb))

    @rule(who=NAMES, luck=st.integers(0, 2))
    def void(self, who, luck):
        if luck:
            return
        possible = who not in self.model.void
        self.model.void.add(who)
        self.strike(who, possible=possible)

    def strike(self, who, *, possible):
        del possible
        try:
            self.take(Event(instant(self.now), "void", who))
        except WholeLogNeeded:
            assert self.form == "proxy"
            self.play = self.book.start()
            for each in self.events:
                self.play.step(each)

    @invariant()
    def close(self):
        """The result as of now, and as of the end if nothing more came, is the model's; looking changes nothing."""
        before = self.play.dump()
        for moment in (self.now, max(self.now, self.model.end)):
            outcome = self.play.outcome(instant(moment))
            assert (outcome.state.value, outcome.winner) == self.model.result(moment)
        standing = self.play.standing(instant(self.now))
        price, leader, _ = self.model.position()
        assert (outcome.price, standing.price, standing.leader) == (price, price, leader)
        assert (standing.minimum_next, standing.ends_at) == (self.model.minimum(), instant(self.model.end))
        assert (outcome.extensions, outcome.accepted) == (self.model.extensions, len(self.model.log))
        assert [(row.bidder, row.amount) for row in outcome.ranking] == self.model.ranking()
        assert self.play.dump() == before


class TwoPhaseMachine(Machine):
    form = "two_phase"


class ProxyMachine(Machine):
    form = "proxy"


PLAIN = {
    "scale": 100, "step": ("fixed", 1), "reserve": None, "bidders": 1, "soft": None, "hard": None, "clock": None,
    "ranks": {},
}  # fmt: skip


def lower_steps_after_a_void():
    machine = ProxyMachine()
    machine.set_up(**PLAIN | {"step": ("bands", 40)}, now=0)
    machine.edge((BIDDERS, -1, 0, True))
    return machine


def the_reserve_to_the_cent():
    machine = Machine()
    machine.set_up(**PLAIN | {"reserve": 50}, now=0)
    machine.attempt("A", machine.model.minimum())
    return machine


def the_last_of_those_who_remain():
    machine = Machine()
    machine.set_up(**PLAIN, now=0)
    for who in "ABAC":
        machine.attempt(who, machine.model.minimum())
    machine.void("C", luck=0)
    return machine


def a_moved_hard_end_after_a_crash():
    machine = Machine()
    machine.set_up(**PLAIN | {"soft": (8, 8, "bid"), "hard": 9}, now=0)
    machine.suspend(3_000, resumes=True)
    machine.rush(BIDDERS, crashes=True)
    return machine


def a_clock_after_a_void_and_a_suspension():
    machine = ProxyMachine()
    machine.set_up(**PLAIN | {"soft": (1, 1, "bid"), "clock": 2}, now=0)
    machine.suspend(500, resumes=True)
    machine.attempt("A", machine.model.minimum())
    assert machine.model.end < 9_000
    machine.void("A", luck=0)
    machine.rush(BIDDERS, crashes=True)
    return machine


SCRIPTS = (
    lower_steps_after_a_void,
    the_reserve_to_the_cent,
    the_last_of_those_who_remain,
    a_moved_hard_end_after_a_crash,
    a_clock_after_a_void_and_a_suspension,
)
"""What chance plays only now and then: the orders of rules that planted faults needed to be found in every run."""


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_chance_rarely_plays(script):
    script().close()


LIMITS = settings(max_examples=100, stateful_step_count=30, deadline=None)
for machine in (Machine, TwoPhaseMachine, ProxyMachine):
    machine.TestCase.settings = LIMITS
TestEnglish = Machine.TestCase
TestTwoPhase = TwoPhaseMachine.TestCase
TestProxy = ProxyMachine.TestCase


@pytest.mark.parametrize("kind", ["english", "proxy"])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_around_the_end(kind, offset):
    """One millisecond before the end counts and extends; the end and one after are late."""
    document = {
        "format": kind, "currency": "CNY", "opens_at": format_instant(OPENS), "ends_at": format_instant(instant(9_000)),
        "start_price": "1", "increment": {"kind": "fixed", "amount": "1"},
        "soft_close": {"window_seconds": 1, "extension_seconds": 1},
    }  # fmt: skip
    play = read_rules(Node(document, "/rules")).start()
    answer = play.step(Event(instant(9_000 + offset), "maximum" if kind == "proxy" else "bid", "A", 500))
    if offset < 0:
        assert (answer.sequence, answer.ends_at) == (1, instant(9_999))
    else:
        assert answer.code == "late"
