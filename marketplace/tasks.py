"""The Celery side of the edge: waking the outbox and the jobs, and the clockwork; each piece of work one transaction.

The broker only carries wake-up calls. What is to be done stands in PostgreSQL, so a lost or doubled message changes
nothing. No module imports the Celery application: tasks are `shared_task`s, `worker.py` makes the application.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import celery
import click
import structlog
from kombu.exceptions import OperationalError
from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace import db, errands, jobs, outbox, runtime
from marketplace.errors import Failure
from marketplace.module import Module, Periodic
from marketplace.settings import Settings

log = structlog.get_logger(__name__)
T = TypeVar("T")

BEAT_LOCK = 7_001_001
"""Advisory lock that the one beat of an installation holds."""


@celery.shared_task(name="marketplace.relay")
def relay() -> None:
    """Deliver what is due in the outbox."""
    running = runtime.current()
    outbox.deliver_due(running.sessions, running.subscriptions, clock=running.clock)


@celery.shared_task(name="marketplace.run_jobs")
def run_jobs() -> None:
    """Run waiting jobs."""
    running = runtime.current()
    jobs.run_due(running.sessions, running.works, clock=running.clock)


@celery.shared_task(name="marketplace.run_errands")
def run_errands() -> None:
    """Run the errands that are due."""
    running = runtime.current()
    errands.run_due(running.sessions, running.errands, clock=running.clock)


@celery.shared_task(name="marketplace.run_periodic")
def run_periodic(name: str) -> None:
    """Run one piece of clockwork."""
    perform(runtime.current(), name)


def perform(running: runtime.Runtime, name: str) -> Any:
    """Run one piece of clockwork in its own transaction; a `PeriodicCall` in two, with its calls between them."""
    work = running.periodic[name]
    if isinstance(work, Periodic):
        return _transact(running, lambda session: work.run(session, running.clock.now()))
    claimed = _transact(running, lambda session: work.claim(session, running.clock.now()))
    if not claimed:
        return claimed
    outcome = work.call(claimed)
    return _transact(
        running, lambda session: work.record(session, claimed=claimed, outcome=outcome, at=running.clock.now())
    )


def _transact(running: runtime.Runtime, work: Callable[[Session], T]) -> T:
    with running.sessions.begin() as session:
        db.allow_long(session)
        result = work(session)
        awake = session.info.pop("wake", False)
    if awake:
        running.wake()
    return result


def run_command(work: Callable[[Session, datetime], T]) -> T:
    """Run what a person asked for at the terminal in its own transaction; a failure ends with one line and code 1."""
    running = runtime.current()
    try:
        return _transact(running, lambda session: work(session, running.clock.now()))
    except Failure as failure:
        raise click.ClickException(failure.detail) from failure


def wake() -> None:
    """Tell the workers that there is work. Without a broker the beat finds it within seconds."""
    try:
        for task in (relay, run_jobs, run_errands):
            task.apply_async(retry=False, expires=60)
    except (OperationalError, OSError):
        log.warning("no broker to wake the workers")


def make_celery(settings: Settings, modules: tuple[Module, ...]) -> celery.Celery:
    """Return the Celery application of an installation."""
    app = celery.Celery("marketplace", broker=_broker(settings.redis_url))
    app.set_default()
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=2,
        broker_transport_options={
            "visibility_timeout": 3600,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 2,
        },
        worker_hijack_root_logger=False,
        task_routes={"marketplace.run_jobs": {"queue": "jobs"}, "marketplace.run_errands": {"queue": "jobs"}},
        beat_schedule=_schedule(modules),
    )
    return app


def _broker(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+socket://", 1)


def _schedule(modules: tuple[Module, ...]) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "relay": {"task": "marketplace.relay", "schedule": 1.0, "options": {"expires": 5}},
        "run_jobs": {"task": "marketplace.run_jobs", "schedule": 2.0, "options": {"expires": 5}},
        "run_errands": {"task": "marketplace.run_errands", "schedule": 2.0, "options": {"expires": 5}},
    }
    for module in modules:
        for periodic in module.periodic:
            schedule[periodic.name] = {
                "task": "marketplace.run_periodic",
                "schedule": float(periodic.seconds),
                "args": (periodic.name,),
                "options": {"expires": max(5, periodic.seconds)},
            }
    return schedule


def hold_beat_lock() -> Any:
    """Wait until no other beat runs; the lock lives as long as the connection returned."""
    connection = runtime.current().engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": BEAT_LOCK})
    return connection
