"""Promises kept by rows: events and jobs survive crashes, happen once, and say how they fare."""

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import func, select, text

from marketplace import jobs, outbox, runtime
from marketplace.actor import SYSTEM
from marketplace.clock import SystemClock
from marketplace.errors import Conflict, NotFound
from marketplace.files import StoredFile
from marketplace.module import Module


@dataclass(frozen=True, slots=True)
class LampLit(outbox.Event):
    name: ClassVar[str] = "lamp.lit"
    lamp: str


def _effect(session, at, name):
    row = {"organisation_id": SYSTEM.organisation_id, "media_type": "x", "size": 1, "sha256": "0", "created_at": at}
    session.add(StoredFile(name=name, **row))


def on_lit(session, payload, at):
    _effect(session, at, payload["lamp"])
    if payload["lamp"] == "broken":
        raise RuntimeError("no bulb")


def also_on_lit(session, payload, at):
    _effect(session, at, "also " + payload["lamp"])


def work(session, arguments, progress, at):
    _effect(session, at, arguments["name"])
    session.flush()
    progress(1, 2, "half")
    if arguments["name"] == "refused":
        raise Conflict("Not today.")
    if arguments["name"] == "bug":
        raise RuntimeError
    return {"made": arguments["name"]}


@pytest.fixture
def running(settings, clock):
    subscriptions = (outbox.Subscription("lamp.lit", on_lit), outbox.Subscription("lamp.lit", also_on_lit))
    built = runtime.build(
        settings, (Module("lamps", subscriptions=subscriptions, jobs={"lamps.work": work}),), clock=clock
    )
    runtime.install(built)
    yield built
    built.engine.dispose()


def _names(sessions):
    with sessions() as session:
        return sorted(session.scalars(select(StoredFile.name)).all())


def _publish(running, lamp, *, roll_back=False):
    with running.sessions() as session:
        outbox.publish(session, LampLit(lamp=lamp), at=running.clock.now())
        session.rollback() if roll_back else session.commit()


def _deliver(running):
    return outbox.deliver_due(running.sessions, running.subscriptions, clock=running.clock)


def test_an_event_reaches_each_handler_once(running):
    _publish(running, "a")
    _publish(running, "never", roll_back=True)
    assert _deliver(running) == 2
    assert _deliver(running) == 0
    assert _names(running.sessions) == ["a", "also a"]


def test_a_failing_handler_leaves_nothing_waits_and_harms_no_other(running, clock):
    _publish(running, "broken")
    _deliver(running)
    assert _names(running.sessions) == ["also broken"]
    assert _deliver(running) == 0
    clock.advance(seconds=3)
    assert _deliver(running) == 1
    with running.sessions() as session:
        owed = session.scalars(select(outbox.OutboxDelivery).where(outbox.OutboxDelivery.delivered_at.is_(None))).one()
    assert (owed.attempts, owed.next_attempt_at - clock.now()) == (2, timedelta(seconds=4))
    assert "no bulb" in owed.last_error


def test_it_gives_up_after_twenty_attempts(running, clock):
    _publish(running, "broken")
    for _ in range(outbox.MAX_ATTEMPTS + 5):
        _deliver(running)
        clock.advance(seconds=301)
    with running.sessions() as session:
        assert session.scalar(select(func.max(outbox.OutboxDelivery.attempts))) == outbox.MAX_ATTEMPTS


def test_many_relays_at_once_deliver_each_event_once(running):
    for number in range(30):
        _publish(running, f"{number:02}")
    threads = [threading.Thread(target=_deliver, args=(running,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _names(running.sessions) == sorted(
        f"{prefix}{number:02}" for number in range(30) for prefix in ("", "also ")
    )


def _enqueue(running, name):
    with running.sessions.begin() as session:
        arguments = {"name": name}
        return jobs.enqueue(session, name="lamps.work", arguments=arguments, actor=SYSTEM, at=running.clock.now()).id


def _status(running, job):
    with running.sessions() as session:
        return jobs.status(session, job, actor=SYSTEM)


def _run(running):
    return jobs.run_due(running.sessions, running.works, clock=running.clock)


def test_a_job_runs_once_and_tells_how_far_it_is(running):
    job = _enqueue(running, "a")
    assert _status(running, job).outcome is jobs.JobOutcome.WAITING
    assert _run(running) == 1
    assert _run(running) == 0
    status = _status(running, job)
    assert (status.outcome, status.done, status.total, status.note) == (jobs.JobOutcome.DONE, 1, 2, "half")
    assert status.result == {"made": "a"}


@pytest.mark.parametrize(("name", "code"), [("refused", "conflict"), ("bug", "internal")])
def test_a_failed_job_keeps_nothing_and_says_why(running, name, code):
    job = _enqueue(running, name)
    _run(running)
    status = _status(running, job)
    assert (status.outcome, status.problem["code"]) == (jobs.JobOutcome.FAILED, code)
    assert _names(running.sessions) == []


def test_a_job_whose_worker_dies_is_taken_over_and_at_last_given_up(running):
    job = _enqueue(running, "a")

    def die(session, arguments, progress, at):
        raise KeyboardInterrupt

    for _ in range(jobs.MAX_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            jobs.run_one(running.sessions, {"lamps.work": die}, clock=SystemClock())
        assert _status(running, job).outcome is jobs.JobOutcome.RUNNING
    assert _run(running) == 1
    assert _status(running, job).problem["code"] == "gave_up"


def test_a_stranger_does_not_see_a_job(running):
    job = _enqueue(running, "a")
    stranger = replace(SYSTEM, organisation_kind="seller", organisation_id=job)
    with running.sessions() as session, pytest.raises(NotFound):
        jobs.status(session, job, actor=stranger)


def test_statements_give_up_a_lock_in_time(running):
    with running.sessions() as session:
        assert session.execute(text("SHOW lock_timeout")).scalar() == "10s"
