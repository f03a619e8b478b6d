"""Long work: a job is a row written in the same transaction as its cause, so it is neither lost nor done for nothing.

A worker holds the row's lock while it runs the job in one transaction; when the worker dies PostgreSQL lets go of the
lock and another takes over at once. Attempts and progress live in a second row, written outside that transaction, so
that people see them move and a job that kills its worker thrice is given up instead of retried for ever.
"""

import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from marketplace import db
from marketplace.actor import Actor, OrganisationKind, Role
from marketplace.clock import Clock
from marketplace.db import Base, key, new_id
from marketplace.errors import Failure, NotFound
from marketplace.outbox import wake

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3


class JobOutcome(enum.StrEnum):
    """Where a job stands; derived from its rows, never a lifecycle of its own."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(Base):
    """One piece of long work, asked for by an organisation."""

    __tablename__ = "jobs"
    id: Mapped[uuid.UUID] = key()
    name: Mapped[str]
    organisation_id: Mapped[uuid.UUID]
    arguments: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[dict[str, Any] | None]

    __table_args__ = (Index("ix_jobs_waiting", "id", postgresql_where=text("finished_at IS NULL")),)


class JobProgress(Base):
    """How far a job is; written outside the job's own transaction."""

    __tablename__ = "job_progress"
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(default="")


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as people see it. `done` of `total` in the unit that `note` names; total 0 means not known yet."""

    id: uuid.UUID
    name: str
    outcome: JobOutcome
    done: int
    total: int
    note: str
    result: dict[str, Any]
    problem: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


Progress = Callable[[int, int, str], None]
"""progress(done, total, note): seen by others at once."""

Work = Callable[[Session, dict[str, Any], Progress, datetime], dict[str, Any]]
"""work(session, arguments, progress, at) -> result; raises a `Failure` to end as failed with nothing kept."""


def enqueue(
    session: Session,
    *,
    name: str,
    arguments: dict[str, Any],
    actor: Actor,
    at: datetime,
    organisation_id: uuid.UUID | None = None,
) -> Job:
    """Ask for a job in this transaction. `organisation_id` (default the actor's) may watch it."""
    job = Job(
        id=new_id(),
        name=name,
        organisation_id=organisation_id or actor.organisation_id,
        arguments=arguments,
        created_at=at,
    )
    session.add(job)
    session.flush()
    session.add(JobProgress(job_id=job.id))
    wake(session)
    return job


def under_way(session: Session, *, name: str, organisation_id: uuid.UUID) -> Job | None:
    """Return the oldest job of a name that an organisation waits for, None when there is none."""
    waiting = select(Job).where(Job.finished_at.is_(None), Job.name == name, Job.organisation_id == organisation_id)
    return session.scalars(waiting.order_by(Job.id).limit(1)).first()


def plain_actor(actor: Actor) -> dict[str, Any]:
    """Who asked, as an argument of a job, so that the job's records name that person."""
    return {
        "organisation_id": str(actor.organisation_id),
        "organisation_kind": actor.organisation_kind.value,
        "roles": sorted(role.value for role in actor.roles),
        "name": actor.name,
        "user_id": str(actor.user_id) if actor.user_id is not None else None,
    }


def actor_of(stored: Mapping[str, Any]) -> Actor:
    """Return who asked for a job, from its arguments."""
    return Actor(
        organisation_id=uuid.UUID(stored["organisation_id"]),
        organisation_kind=OrganisationKind(stored["organisation_kind"]),
        roles=frozenset(map(Role, stored["roles"])),
        name=stored["name"],
        user_id=uuid.UUID(stored["user_id"]) if stored["user_id"] else None,
    )


def status(session: Session, job_id: uuid.UUID, *, actor: Actor) -> JobStatus:
    """Return where a job stands; raise `NotFound` unless the actor's organisation asked for it."""
    job = session.get(Job, job_id)
    if job is None or not (actor.sees_everything or job.organisation_id == actor.organisation_id):
        raise NotFound("job", job_id)
    progress = session.get_one(JobProgress, job_id)
    return JobStatus(
        id=job.id,
        name=job.name,
        outcome=_outcome(job, progress),
        done=progress.done,
        total=progress.total,
        note=progress.note,
        result=job.result,
        problem=job.problem,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def _outcome(job: Job, progress: JobProgress) -> JobOutcome:
    if job.finished_at is not None:
        return JobOutcome.DONE if job.problem is None else JobOutcome.FAILED
    return JobOutcome.RUNNING if progress.attempts else JobOutcome.WAITING


def run_one(sessions: sessionmaker[Session], works: dict[str, Work], *, clock: Clock) -> bool:
    """Run the oldest waiting job that nobody else holds; return False when there is none."""
    at = clock.now()
    with sessions.begin() as session:
        job = session.scalars(
            select(Job)
            .where(Job.finished_at.is_(None), Job.name.in_(works))
            .order_by(Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if job is None:
            return False
        attempts = _start(sessions, job.id)
        if attempts > MAX_ATTEMPTS:
            job.problem = {"code": "gave_up", "detail": f"The work ended {MAX_ATTEMPTS} times without an answer."}
        else:
            _run(session, sessions, job, works[job.name], at)
        job.finished_at = clock.now()
    return True


def run_due(sessions: sessionmaker[Session], works: dict[str, Work], *, clock: Clock) -> int:
    """Run waiting jobs until there are none (bounded); return how many ran."""
    for count in range(1_000):
        if not run_one(sessions, works, clock=clock):
            return count
    return 1_000


def _run(session: Session, sessions: sessionmaker[Session], job: Job, work: Work, at: datetime) -> None:
    def progress(done: int, total: int, note: str) -> None:
        with sessions.begin() as other:
            other.execute(
                text("UPDATE job_progress SET done = :done, total = :total, note = :note WHERE job_id = :id"),
                {"done": done, "total": total, "note": note, "id": job.id},
            )

    try:
        db.allow_long(session)
        with session.begin_nested():
            job.result = work(session, job.arguments, progress, at)
            session.flush()
    except Failure as failure:
        job.problem = _problem(failure)
    except Exception as error:
        anticipated = _anticipated(error)
        if anticipated is not None:
            job.problem = _problem(anticipated)
            return
        log.exception("job failed", job=str(job.id), name=job.name)
        job.problem = {"code": "internal", "detail": "The work failed for a reason of ours; it was logged."}


def _problem(failure: Failure) -> dict[str, Any]:
    return {"code": failure.code, "detail": failure.detail, "errors": failure.errors}


def _anticipated(error: Exception) -> Failure | None:
    """The failure that a refusal of the database means, as at the edge: a lost race, or a lock held for too long."""
    if isinstance(error, IntegrityError):
        return db.explain(error)
    return db.Busy() if isinstance(error, DBAPIError) and db.is_busy(error) else None


def _start(sessions: sessionmaker[Session], job_id: uuid.UUID) -> int:
    with sessions.begin() as other:
        return int(
            other.execute(
                text("UPDATE job_progress SET attempts = attempts + 1 WHERE job_id = :id RETURNING attempts"),
                {"id": job_id},
            ).scalar_one()
        )
