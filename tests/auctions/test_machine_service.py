"""The machine of `test_machine` over the service and PostgreSQL: rows, log, receipts and closing against the model.

A crash is a transaction that dies before its commit; the request is then sent again. Whatever the model says of a
standing must be in the row after every step, and the closed auction must be what the model would sell.
"""

import uuid
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from auctions import bidding, judging, plays, steering
from auctions.domain.formats import AttemptKind
from auctions.models import AuctionOutcome
from marketplace.errors import Failure
from marketplace.money import Money
from tests.auctions.arena import ENDS, MILLISECOND
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.test_machine import BIDDERS, Machine, instant

CODES = {"A": "B-1001", "B": "B-1002", "C": "B-1003"}
# Found faults are not made smaller: each trial is an auction of its own in PostgreSQL.
LIMITS = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],
)


class ServiceMachine(Machine):
    arena = None
    largest = judging.LARGEST_MINOR

    def called(self, who):
        return CODES[who]

    def begin(self, document, reserve):
        self.keys = []
        self.arena.open(document, reserve=reserve)

    def answered(self, who, amount):
        kind = AttemptKind.MAXIMUM if self.form == "proxy" else AttemptKind.BID
        money = Money(amount, "CNY")
        attempt = bidding.Attempt(self.arena.person(who).actor, uuid.uuid4().hex, kind, money, (), False)
        answer = self.decided(attempt)
        if isinstance(answer, Failure):
            least = answer.values.get("minimum_next")
            least = None if least is None else Money.parse(least["amount"], "CNY").minor
            return answer.code, None, None, None, least, None
        self.keys.append((attempt, answer))
        leader = next((name for name, code in CODES.items() if code == answer.leader), None)
        return None, answer.sequence, answer.price.minor, leader, answer.minimum_next.minor, answer.ends_at

    def decided(self, *attempts):
        self.arena.at(instant(self.now))
        return self.arena.batch(*attempts)[0]

    @rule(which=st.integers(0, 20))
    def retry(self, which):
        """The same key gets the first receipt, whatever happened since."""
        if self.keys:
            attempt, first = self.keys[which % len(self.keys)]
            again = self.decided(attempt)
            assert (again.sequence, again.proof, again.ends_at) == (first.sequence, first.proof, first.ends_at)

    @rule()
    def crash(self):
        """A transaction with an accepted attempt dies before its commit: nothing of it is left."""
        self.arena.at(instant(self.now))
        kind = "maximum" if self.form == "proxy" else "bid"
        other = next(name for name in BIDDERS if name != self.model.position()[1])
        attempt = self.arena.attempt(other, 10**12, kind)
        with self.arena.sessions() as session:
            bidding.decide_batch(session, auction_id=self.arena.auction_id, attempts=[attempt])
            session.rollback()

    def operate(self, verb, *, possible):
        self.arena.at(instant(self.now))
        if possible and not self.over:
            self.arena.steer(verb)
        else:
            with pytest.raises((steering.AlreadySuspended, steering.BiddingOver, steering.NotSuspended)):
                self.arena.steer(verb)

    def strike(self, who, *, possible):
        self.arena.at(instant(self.now))
        if possible and not self.over:
            self.arena.steer("void", name=who)
            return
        with pytest.raises((steering.AlreadyVoided, steering.BiddingOver)):
            self.arena.steer("void", name=who)
        if possible:
            self.model.void.discard(who)

    @rule(times=st.sampled_from([1, 2, 50]))
    def finish(self, times):
        """Written down once, however often it is tried, and only after the end."""
        self.arena.at(instant(self.now))
        due = self.model.stopped is None and self.now >= self.model.end and not self.over
        self.over = self.over or due
        written = set()
        for _ in range(times):
            self.arena.close()  # auctions of earlier examples may close as well
            row = self.arena.row()
            written.add((row.closed_at, row.outcome, row.log_hash))
        assert len(written) == 1
        assert (row.outcome is not None) == self.over

    @invariant()
    def close(self):
        row = self.arena.row()
        price, leader, _ = self.model.position()
        state, winner = self.model.result(self.now)
        assert (row.ends_at, row.extensions) == (instant(self.model.end), self.model.extensions)
        assert row.sequence == len(self.model.log)
        names = {registration: name for name, registration in self.arena.registrations.items()}
        if row.outcome is None:
            standing = plays.standing(row, instant(self.now))
            assert (row.price_minor, names.get(row.leader_registration_id)) == (price, leader)
            assert (standing.price, standing.minimum_next) == (price, self.model.minimum())
            assert (row.suspended_at is None) == (self.model.stopped is None)
            return
        assert row.outcome is (AuctionOutcome.SOLD if state == "sold" else AuctionOutcome.UNSOLD)
        if state == "sold":
            awards = self.arena.result()[2]
            assert names[row.leader_registration_id] == winner == awards[0][0]
            ranked = [who for who, _ in self.model.ranking()]
            assert [who for who, _, _ in awards] == ranked[: len(awards)]


@pytest.mark.parametrize("form", ["english", "two_phase", "proxy"])
def test_the_service_is_the_model(arena, form):
    assert set(BIDDERS) == set(CODES)

    class Played(ServiceMachine):
        pass

    Played.arena, Played.form = arena, form
    run_state_machine_as_test(Played, settings=LIMITS)


def test_the_clock_is_stopped_in_the_last_millisecond_and_not_at_the_end(arena):
    """Chance meets that one instant too seldom: a suspension at the end would be logged and keep the auction open."""
    arena.open().at(ENDS - MILLISECOND)
    arena.steer("suspend")
    assert arena.row().suspended_at == ENDS - MILLISECOND
    for late in (0, 1):
        arena.open().at(ENDS + late * MILLISECOND)
        with pytest.raises(steering.BiddingOver):
            arena.steer("suspend")
        assert arena.log() == []


def test_a_suspended_auction_is_not_closed_however_late(arena):
    """The time that a suspension takes is added to the end: until the resumption there is none."""
    arena.open().at(ENDS - MILLISECOND)
    arena.steer("suspend")
    arena.at(ENDS + timedelta(days=1))
    assert arena.close() == 0
    arena.steer("resume")
    assert arena.close() == 0
    assert arena.row().ends_at > ENDS + timedelta(days=1)
