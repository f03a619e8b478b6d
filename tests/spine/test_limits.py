"""The limit of a statement: it cuts off what a request asks, and lets jobs and clockwork go on."""

import dataclasses

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from marketplace import db, jobs, tasks
from marketplace.actor import SYSTEM
from marketplace.module import Module, Periodic
from tests.conftest import make_settings

SLEEP = text("SELECT pg_sleep(1.5)")


@pytest.fixture
def hasty(database, tmp_path):
    """Sessions of an installation whose statements may take a second."""
    engine = db.make_engine(make_settings(database, tmp_path, STATEMENT_SECONDS="1"))
    yield db.make_sessions(engine)
    engine.dispose()


def test_a_statement_is_cut_off_after_the_limit_and_the_failure_says_busy(hasty) -> None:
    with hasty() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "1s"
        with pytest.raises(OperationalError) as cut:
            session.execute(SLEEP)
    assert db.is_busy(cut.value)


def test_what_is_long_raises_it_for_its_own_transaction_alone(hasty) -> None:
    with hasty() as session:
        db.allow_long(session)
        session.execute(SLEEP)
        session.commit()
        assert session.scalar(text("SHOW statement_timeout")) == "1s"


def test_jobs_and_clockwork_are_not_cut_off(hasty, running, clock) -> None:
    seen = []

    def work(session, *_) -> dict:
        seen.append(session.scalar(text("SHOW statement_timeout")))
        return {}

    with running.sessions.begin() as session:
        jobs.enqueue(session, name="test.long", arguments={}, actor=SYSTEM, at=clock.now())
    assert jobs.run_one(running.sessions, {"test.long": work}, clock=clock)
    clockwork = Module(name="test", periodic=(Periodic("test.tick", work, seconds=1),))
    tasks.perform(dataclasses.replace(running, modules=(clockwork,)), "test.tick")
    assert seen == [db.LONGEST] * 2


def test_a_minute_is_the_usual_limit(settings) -> None:
    assert settings.statement_seconds == 60
