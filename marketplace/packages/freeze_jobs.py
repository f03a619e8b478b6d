"""Asking for a freeze: done at once while its seller waits when few cases fit, a job when there are many."""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, jobs
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.cases.domain.criteria import Criteria
from marketplace.errors import Conflict
from marketplace.jobs import Job, Progress
from marketplace.packages.domain.package import PACKAGE
from marketplace.packages.freezing import freeze_package, may_freeze
from marketplace.packages.models import Package

FREEZE_JOB: Final = "packages.freeze"


class FreezeUnderWay(Conflict):
    """A job freezes the package as of another day."""

    code = "freeze_under_way"

    def __init__(self, job_id: uuid.UUID, cut_off_on: str) -> None:
        super().__init__(
            f"The package is being frozen as of {cut_off_on}; follow that under /jobs/{job_id}.", job_id=str(job_id)
        )


def ask_freeze(
    session: Session, package_id: uuid.UUID, *, cut_off_on: date, limit: int, actor: Actor, at: datetime
) -> Package | Job:
    """Freeze a package of up to `limit` cases, or ask for a job that does; while one runs, it is the answer again.

    Raises at once what can be seen at once: `NotFound`, `IllegalMove`, `CutOffOfTheFuture`, `FreezeUnderWay`; the rest
    as `freeze_package` does, or as the job's problem.
    """
    waiting = _under_way(session, package_id, cut_off_on=cut_off_on, actor=actor)
    if waiting is not None:
        return waiting
    package = may_freeze(session, package_id, cut_off_on=cut_off_on, actor=actor, at=at)
    waiting = _under_way(session, package_id, cut_off_on=cut_off_on, actor=actor)
    if waiting is not None:
        return waiting
    criteria = Criteria.of_document(package.criteria)
    fitting = cases.count_open(
        session,
        organisation_id=package.organisation_id,
        currency=package.currency,
        criteria=criteria,
        at_most=limit + 1,
    )
    if fitting <= limit:
        return freeze_package(session, package_id, cut_off_on=cut_off_on, actor=actor, at=at)
    arguments = {
        "package_id": str(package_id), "cut_off_on": cut_off_on.isoformat(), "actor": jobs.plain_actor(actor),
    }  # fmt: skip
    job = jobs.enqueue(session, name=FREEZE_JOB, arguments=arguments, actor=actor, at=at)
    package.job_id = job.id
    audit.record(session, actor=actor, at=at, subject=package, verb="ask_freeze", after={"job_id": str(job.id)})
    session.flush()
    return job


def _under_way(session: Session, package_id: uuid.UUID, *, cut_off_on: date, actor: Actor) -> Job | None:
    """Return the job that freezes a draft of the actor's, None when there is none; raise `FreezeUnderWay`.

    Asked without the lock of the package, which the job has for as long as it works, and again with it.
    """
    mine = (Package.id == package_id, Package.organisation_id == actor.organisation_id)
    job = session.scalars(
        select(Job)
        .join(Package, Package.job_id == Job.id)
        .where(*mine, Package.state == PACKAGE.initial, Job.finished_at.is_(None))
    ).one_or_none()
    if job is not None and job.arguments["cut_off_on"] != cut_off_on.isoformat():
        raise FreezeUnderWay(job.id, job.arguments["cut_off_on"])
    return job


def freeze(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """The job: as `freeze_package`; the result names the package and the state it is in."""
    package = freeze_package(
        session,
        uuid.UUID(arguments["package_id"]),
        cut_off_on=date.fromisoformat(arguments["cut_off_on"]),
        actor=jobs.actor_of(arguments["actor"]),
        at=at,
        progress=progress,
    )
    return {"package_id": str(package.id), "state": package.state.value}
