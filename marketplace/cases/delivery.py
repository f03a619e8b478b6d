"""Taking in a tape: the file is kept, looked at, and an import asked for; the same file twice is one tape."""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace import audit, db, files, jobs
from marketplace.actor import Actor
from marketplace.cases import reading
from marketplace.cases.domain.case import OnError, TapeState
from marketplace.cases.domain.mapping import lay_out
from marketplace.cases.mappings import require_mapping, rules_of
from marketplace.cases.models import Tape, TapeError
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.errors import Conflict, Invalid, NotFound
from marketplace.money import CurrencyMismatch, exponent

IMPORT_JOB = "cases.import_tape"
ERRORS_SHOWN = 100_000
_ZONE = "Asia/Shanghai"


class TapeDeliveredOtherwise(Conflict):
    """The same file was delivered with other terms; importing it again would give its balances a second meaning."""

    code = "tape_delivered_otherwise"

    def __init__(self, tape: Tape) -> None:
        super().__init__(
            f"This file was delivered as of {tape.as_of_on} in {tape.currency}; the terms cannot change.",
            tape_id=str(tape.id),
        )


class TapeBeingDelivered(Conflict):
    """Two requests brought the same file at the same moment; one of them did it."""

    code = "tape_being_delivered"

    def __init__(self) -> None:
        super().__init__("The same file is just being delivered by another request; look into the list of tapes.")


class TapeOfTheFuture(Invalid):
    """Balances cannot be as of a day to come."""

    code = "tape_of_the_future"

    def __init__(self, as_of_on: date) -> None:
        super().__init__(f"{as_of_on} is still to come.", found=as_of_on.isoformat())


db.violation("uq_tapes_content", TapeBeingDelivered)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file as it was sent, with what the sender says of it."""

    content: bytes
    name: str
    mapping_id: uuid.UUID | None
    on_error: OnError
    currency: str
    as_of_on: date


def deliver_tape(session: Session, *, delivery: Delivery, store: files.FileStore, actor: Actor, at: datetime) -> Tape:
    """Keep a file and ask for its import; a file known already answers with its tape and changes nothing.

    Raises `TapeUnreadable`, `TapeTooLarge`, `HeaderMismatch` for what can be seen at once; the rest is told by the job.
    """
    exponent(delivery.currency)
    if delivery.as_of_on > local_date(at, _ZONE):
        raise TapeOfTheFuture(delivery.as_of_on)
    saved = delivery.mapping_id and require_mapping(session, delivery.mapping_id, organisation_id=actor.organisation_id)
    rules = rules_of(saved or None)
    if rules.currency not in {None, delivery.currency}:
        raise CurrencyMismatch(delivery.currency, str(rules.currency))
    header = reading.read_header(delivery.content, rules)
    if header is not None:
        lay_out(header, rules)
    sha256 = hashlib.sha256(delivery.content).hexdigest()
    known = _known(session, actor.organisation_id, sha256, delivery.mapping_id)
    if known is not None:
        if (known.currency, known.as_of_on) != (delivery.currency, delivery.as_of_on):
            raise TapeDeliveredOtherwise(known)
        return known
    return _receive(session, delivery, sha256, store=store, actor=actor, at=at)


def _known(session: Session, organisation_id: uuid.UUID, sha256: str, mapping_id: uuid.UUID | None) -> Tape | None:
    return session.scalars(
        select(Tape).where(
            Tape.organisation_id == organisation_id,
            Tape.sha256 == sha256,
            Tape.mapping_id.is_not_distinct_from(mapping_id),
            Tape.state != TapeState.REFUSED,
        )
    ).first()


def _receive(
    session: Session, delivery: Delivery, sha256: str, *, store: files.FileStore, actor: Actor, at: datetime
) -> Tape:
    media_type = "application/zip" if reading.is_workbook(delivery.content) else "text/csv"
    kept = files.store(
        session, store, content=delivery.content, name=delivery.name, media_type=media_type, actor=actor, at=at
    )
    tape = Tape(
        id=db.new_id(),
        organisation_id=actor.organisation_id,
        mapping_id=delivery.mapping_id,
        file_id=kept.id,
        file_name=delivery.name,
        sha256=sha256,
        currency=delivery.currency,
        as_of_on=delivery.as_of_on,
        on_error=delivery.on_error,
        created_at=at,
    )
    job = jobs.enqueue(session, name=IMPORT_JOB, arguments={"tape_id": str(tape.id)}, actor=actor, at=at)
    tape.job_id = job.id
    session.add(tape)
    session.flush()
    audit.record(
        session, actor=actor, at=at, subject=tape, verb="deliver", after={"sha256": sha256, "name": delivery.name}
    )
    return tape


def list_tapes(session: Session, *, actor: Actor, cursor: str | None, limit: int) -> Page[Tape]:
    """Tapes of the actor's organisation, newest first; operator and auditor see all."""
    query = select(Tape)
    if not actor.sees_everything:
        query = query.where(Tape.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=Tape.id, cursor=cursor, limit=limit)


def get_tape(session: Session, tape_id: uuid.UUID, *, actor: Actor) -> Tape:
    """Return one tape; raise `NotFound` unless the actor may see it."""
    tape = session.get(Tape, tape_id)
    if tape is None or not (actor.sees_everything or tape.organisation_id == actor.organisation_id):
        raise NotFound("tape", tape_id)
    return tape


def tape_errors(session: Session, tape_id: uuid.UUID, *, actor: Actor) -> Iterator[Sequence[Any]]:
    """Rows (row number, header, found, allowed, code) of a tape's errors in order, at most `ERRORS_SHOWN`."""
    get_tape(session, tape_id, actor=actor)
    columns = (TapeError.row_number, TapeError.column_header, TapeError.found, TapeError.allowed, TapeError.code)
    query = select(*columns).where(TapeError.tape_id == tape_id).order_by(TapeError.row_number, TapeError.id)
    return iter(session.execute(query.limit(ERRORS_SHOWN)))
