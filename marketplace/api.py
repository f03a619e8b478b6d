"""The house's own routes: time, health, jobs, audit records, deliveries that are stuck."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import click
import marshmallow as ma
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import db, http, idempotency, jobs, outbox, search
from marketplace import health as schema
from marketplace.actor import Role
from marketplace.audit import AuditRecord
from marketplace.db import Page
from marketplace.fields import Choice, Count, Id, Instant, PageArgs, Schema, Text, page_of
from marketplace.jobs import JobOutcome, JobStatus
from marketplace.module import Module, Periodic
from marketplace.outbox import OutboxDelivery, OutboxEvent
from marketplace.policies import allow, public, signed_in
from marketplace.tasks import run_command

ANSWERS_KEPT: Final = timedelta(days=30)
"""How long a repeated request gets its first answer."""

blueprint = http.Blueprint("house", description="Time, health, jobs, records.")


class TimeOut(Schema):
    """The server's time."""

    now = Instant(required=True)
    epoch_ms = ma.fields.Integer(required=True)


class HealthOut(Schema):
    """What answers."""

    status = ma.fields.Constant("ok", required=True)
    migration = ma.fields.String(required=True)


class JobOut(Schema):
    """Where a job stands: `done` of `total` in the unit that `note` names; total 0 means not known yet."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    outcome = Choice(JobOutcome, required=True)
    done = ma.fields.Integer(required=True)
    total = ma.fields.Integer(required=True)
    note = ma.fields.String(required=True)
    result = ma.fields.Dict(required=True)
    problem = ma.fields.Dict(allow_none=True, required=True)
    created_at = Instant(required=True)
    finished_at = Instant(allow_none=True, required=True)


class AuditRecordArgs(PageArgs):
    """Which records."""

    subject_kind = Text(maximum=63, load_default=None)
    subject_id = Id(load_default=None)


class AuditRecordOut(Schema):
    """Who did what to which thing, when and why."""

    id = Id(required=True)
    at = Instant(required=True)
    actor_user_id = Id(allow_none=True, required=True)
    actor_organisation_id = Id(required=True)
    actor_name = ma.fields.String(required=True)
    subject_kind = ma.fields.String(required=True)
    subject_id = Id(required=True)
    verb = ma.fields.String(required=True)
    before = ma.fields.Dict(required=True)
    after = ma.fields.Dict(required=True)
    reason = ma.fields.String(required=True)


class DeliveryArgs(Schema):
    """Which deliveries."""

    cursor = Count(minimum=1, load_default=None, from_text=True)
    limit = Count(minimum=1, maximum=200, load_default=50, from_text=True)


class DeliveryOut(Schema):
    """What a handler still owes for an event; `given_up` ones wait for a person."""

    sequence = ma.fields.Integer(required=True)
    event_id = Id(required=True)
    event = ma.fields.String(required=True)
    handler = ma.fields.String(required=True)
    attempts = ma.fields.Integer(required=True)
    given_up = ma.fields.Boolean(required=True)
    next_attempt_at = Instant(required=True)
    last_error = ma.fields.String(required=True)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that failed at least once and is still owed."""

    sequence: int
    event_id: uuid.UUID
    event: str
    handler: str
    attempts: int
    next_attempt_at: datetime
    last_error: str

    @property
    def given_up(self) -> bool:
        """Whether it is not tried again by itself."""
        return self.attempts >= outbox.MAX_ATTEMPTS


@blueprint.get("/time", policy=public())
@blueprint.response(200, TimeOut)
def time() -> dict[str, Any]:
    """Say what time it is here; countdowns compare their own clock with it."""
    return {"now": http.at(), "epoch_ms": int(http.at().timestamp() * 1000)}


@blueprint.get("/health", policy=public())
@blueprint.response(200, HealthOut)
def health() -> dict[str, str]:
    """Say that this process and the database answer, and which schema it has."""
    return schema.health(http.session())


@blueprint.get("/jobs/<uuid:job_id>", policy=signed_in())
@blueprint.response(200, JobOut)
def show_job(job_id: uuid.UUID) -> JobStatus:
    """Say how far a job is."""
    return jobs.status(http.session(), job_id, actor=http.actor())


@blueprint.get("/audit-records", policy=allow(Role.AUDITOR, Role.OPERATOR_COMPLIANCE, Role.OPERATOR_ADMIN))
@blueprint.arguments(AuditRecordArgs, location="query")
@blueprint.response(200, page_of(AuditRecordOut))
def list_audit_records(args: dict[str, Any]) -> Page[AuditRecord]:
    """List who did what, newest first."""
    query = select(AuditRecord)
    if args["subject_kind"] is not None:
        query = query.where(AuditRecord.subject_kind == args["subject_kind"])
    if args["subject_id"] is not None:
        query = query.where(AuditRecord.subject_id == args["subject_id"])
    return db.page(http.session(), query, key_column=AuditRecord.id, cursor=args["cursor"], limit=args["limit"])


@blueprint.get("/outbox-deliveries", policy=allow(Role.AUDITOR, Role.OPERATOR_ADMIN))
@blueprint.arguments(DeliveryArgs, location="query")
@blueprint.response(200, page_of(DeliveryOut))
def list_deliveries(args: dict[str, Any]) -> Page[Delivery]:
    """List deliveries that failed and are still owed, newest first."""
    return owed_deliveries(http.session(), **args)


def owed_deliveries(session: Session, *, cursor: int | None, limit: int) -> Page[Delivery]:
    """Return a page of the deliveries that failed at least once and are still owed, newest first by sequence."""
    query = (
        select(OutboxDelivery, OutboxEvent.name)
        .join(OutboxEvent, OutboxEvent.id == OutboxDelivery.event_id)
        .where(OutboxDelivery.delivered_at.is_(None), OutboxDelivery.attempts > 0)
        .order_by(OutboxDelivery.sequence.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        query = query.where(OutboxDelivery.sequence < cursor)
    rows = session.execute(query).all()
    items = [
        Delivery(
            sequence=row.sequence,
            event_id=row.event_id,
            event=event,
            handler=row.handler,
            attempts=row.attempts,
            next_attempt_at=row.next_attempt_at,
            last_error=row.last_error,
        )
        for row, event in rows[:limit]
    ]
    return Page(items, str(items[-1].sequence) if len(rows) > limit else None)


def forget_answers(session: Session, at: datetime) -> None:
    """Drop the stored answers to repeated requests after 30 days."""
    idempotency.forget(session, before=at - ANSWERS_KEPT)


@click.group("house")
def commands() -> None:
    """Look after the house."""


@commands.command("fill-search")
def fill_search() -> None:
    """Copy every search document to Elasticsearch again, through the outbox."""
    count = run_command(lambda session, at: search.announce_all(session, at=at))
    click.echo(f"{count} documents will be copied.")


module = Module(
    name="house",
    blueprints=(blueprint,),
    subscriptions=(outbox.Subscription(search.SearchDocumentChanged.name, search.mirror),),
    periodic=(Periodic("house.forget_answers", forget_answers, seconds=3600),),
    commands=commands,
)
