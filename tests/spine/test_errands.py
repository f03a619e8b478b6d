"""Errands: intent, call and outcome apart; one worker an errand; put off, taken over, given up, tried again."""

import threading
import time

import pytest

from marketplace import errands
from marketplace.errands import LEASE_SECONDS, MAX_ATTEMPTS, Errand, Kind
from marketplace.errors import NotFound, Unavailable


class Silent(Unavailable):
    """The other side said nothing."""

    code = "silent"

    def __init__(self, **values) -> None:
        super().__init__("nothing was said", **values)


class Outside:
    """Another system, and what was written down of it."""

    def __init__(self) -> None:
        self.plans, self.calls, self.written = [], [], []
        self.fails: list[Exception] = []

    def prepare(self, _, subject, *, again, **__):
        self.plans.append((subject, again))
        return None if subject == "nothing" else (subject, len(self.plans))

    def call(self, plan):
        self.calls.append(plan)
        if self.fails:
            raise self.fails.pop(0)
        return f"answer {len(self.calls)}"

    def record(self, _, plan, *, outcome, **__):
        self.written.append((plan[0], outcome))

    @property
    def kinds(self):
        return {"test.ask": Kind(self.prepare, self.call, self.record)}


@pytest.fixture
def outside() -> Outside:
    return Outside()


def ask(sessions, clock, subject="a") -> int:
    with sessions.begin() as session:
        return errands.ask(session, kind="test.ask", subject=subject, at=clock.now())


def only(sessions) -> Errand:
    with sessions() as session:
        return session.query(Errand).one()


def run(sessions, clock, outside) -> int:
    return errands.run_due(sessions, outside.kinds, clock=clock)


def test_asked_twice_while_it_waits_it_is_done_once(sessions, clock, outside) -> None:
    assert [ask(sessions, clock), ask(sessions, clock)] == [1, 2]
    assert run(sessions, clock, outside) == 1
    assert outside.written == [("a", "answer 1")]
    row = only(sessions)
    assert (row.wanted, row.done, row.waiting, row.claim) == (2, 2, False, None)
    assert run(sessions, clock, outside) == 0


def test_asked_while_it_runs_it_runs_once_more(sessions, clock, outside) -> None:
    call = outside.call

    def asked_meanwhile(plan):
        if not outside.calls:
            ask(sessions, clock)
        return call(plan)

    outside.call = asked_meanwhile
    ask(sessions, clock)
    assert run(sessions, clock, outside) == 2
    assert [outcome for _, outcome in outside.written] == ["answer 1", "answer 2"]


def test_nothing_to_do_is_done(sessions, clock, outside) -> None:
    ask(sessions, clock, "nothing")
    assert run(sessions, clock, outside) == 1
    assert (outside.calls, only(sessions).waiting) == ([], False)


def test_what_failed_is_tried_again_later_and_told_so(sessions, clock, outside) -> None:
    outside.fails = [Silent(), Silent(retry_after=60), RuntimeError("a bug")]
    ask(sessions, clock)
    assert run(sessions, clock, outside) == 1
    assert only(sessions).last_error == "nothing was said"
    clock.advance(seconds=1)
    assert run(sessions, clock, outside) == 0
    clock.advance(seconds=1)
    assert run(sessions, clock, outside) == 1
    clock.advance(seconds=59)
    assert run(sessions, clock, outside) == 0, "the other side said for how long it wants to be left alone"
    clock.advance(seconds=1)
    assert run(sessions, clock, outside) == 1
    assert "a bug" in only(sessions).last_error
    clock.advance(hours=1)
    assert run(sessions, clock, outside) == 1
    assert outside.plans == [("a", False), ("a", True), ("a", True), ("a", True)]
    assert only(sessions).attempts == 0


def test_given_up_it_waits_for_a_person(sessions, clock, outside) -> None:
    outside.fails = [Silent() for _ in range(MAX_ATTEMPTS)]
    ask(sessions, clock)
    for _ in range(MAX_ATTEMPTS + 5):
        clock.advance(hours=1)
        run(sessions, clock, outside)
    row = only(sessions)
    assert (len(outside.calls), row.stuck) == (MAX_ATTEMPTS, True)
    with sessions.begin() as session:
        assert errands.retry(session, errand_id=row.id, at=clock.now()).attempts == 1
        with pytest.raises(NotFound):
            errands.retry(session, errand_id=outside_id(), at=clock.now())
    assert run(sessions, clock, outside) == 1
    assert outside.plans[-1] == ("a", True), "an earlier attempt may have had its effect"


def outside_id():
    from marketplace import db

    return db.new_id()


def test_a_claim_that_nobody_finishes_runs_out_and_the_first_worker_writes_nothing(sessions, clock, outside) -> None:
    """A worker that was away for longer than its lease comes back with an old answer."""
    call = outside.call

    def slow(plan):
        if not outside.calls:
            outside.calls.append("slow")
            clock.advance(seconds=LEASE_SECONDS - 1)
            assert errands.run_one(sessions, outside.kinds, clock=clock) is False
            clock.advance(seconds=1)
            assert errands.run_one(sessions, outside.kinds, clock=clock) is True
            return "old answer"
        return call(plan)

    outside.call = slow
    ask(sessions, clock)
    run(sessions, clock, outside)
    assert outside.written == [("a", "answer 2")]
    assert outside.plans == [("a", False), ("a", True)]


def test_eight_workers_do_each_errand_once_and_never_two_at_one(sessions, clock, outside) -> None:
    inside, most, lock = {}, [], threading.Lock()
    call = outside.call

    def watched(plan):
        with lock:
            inside[plan[0]] = inside.get(plan[0], 0) + 1
            most.append(inside[plan[0]])
        time.sleep(0.01)
        with lock:
            inside[plan[0]] -= 1
        return call(plan)

    outside.call = watched
    for number in range(20):
        ask(sessions, clock, f"s{number}")
    threads = [threading.Thread(target=run, args=(sessions, clock, outside)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(sessions, clock, outside)
    assert sorted(subject for subject, _ in outside.written) == sorted(f"s{number}" for number in range(20))
    assert max(most) == 1
