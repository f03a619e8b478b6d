"""Asking for a freeze: done at once while its seller waits when few cases fit, a job when there are many."""

import uuid
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from marketplace import audit, jobs
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.cases.domain.criteria import Criteria
from marketplace.errors import Conflict
from marketplace.jobs import Job, Progress
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
    package = may_freeze(session, package_id, cut_off_on=cut_off_on, actor=actor, at=at)
    waiting = session.get(Job, package.job_id) if package.job_id is not None else None
    if waiting is not None and waiting.finished_at is None:
        if waiting.arguments["cut_off_on"] != cut_off_on.isoformat():
            raise FreezeUnderWay(waiting.id, waiting.arguments["cut_off_on"])
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
