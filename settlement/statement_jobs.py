"""Statement files beyond one request: read only, or taken in as a job whose progress people see."""

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from marketplace import files, jobs, runtime
from marketplace.actor import Actor
from marketplace.errors import Failure
from marketplace.files import FileStore, StoredFile
from marketplace.jobs import Job, Progress
from marketplace.money import Money
from settlement import bank
from settlement.domain.bank_csv import Column, CsvProfile, DateOrder
from settlement.domain.reading import read_statements
from settlement.domain.statements import ParsedStatement, StatementFormat, admit

IMPORT_JOB: Final = "settlement.import_statement"


@dataclass(frozen=True, slots=True)
class CheckedStatement:
    """A statement that was only read; `problem` says why it would be refused, None when it would not by itself."""

    format: StatementFormat
    kind: str
    account_number: str
    currency: str
    opening: Money | None
    closing: Money | None
    line_count: int
    pending_count: int
    proven: bool
    problem: str | None


def check(content: bytes, *, written_in: StatementFormat | None, profile: CsvProfile) -> list[CheckedStatement]:
    """Read a file and prove each statement by itself, without our accounts; raise `StatementUnreadable`."""
    return [_checked(statement) for statement in read_statements(content, written_in=written_in, profile=profile)]


def _checked(statement: ParsedStatement) -> CheckedStatement:
    proven, problem = False, None
    try:
        proven = admit(statement)
    except Failure as failure:
        problem = failure.detail
    return CheckedStatement(
        format=statement.format,
        kind=statement.kind,
        account_number=statement.account,
        currency=statement.currency,
        opening=statement.opening,
        closing=statement.closing,
        line_count=len(statement.lines),
        pending_count=statement.pending,
        proven=proven,
        problem=problem,
    )


def enqueue(
    session: Session,
    *,
    store: FileStore,
    content: bytes,
    name: str,
    written_in: StatementFormat | None,
    profile: CsvProfile,
    actor: Actor,
    at: datetime,
) -> Job:
    """Keep a file and ask for it to be taken in; what is wrong with it is the job's problem."""
    kept = files.store(
        session, store, content=content, name=name, media_type="application/octet-stream", actor=actor, at=at
    )
    arguments = {
        "file_id": str(kept.id),
        "format": written_in.value if written_in is not None else None,
        "profile": dataclasses.asdict(profile),
        "actor": jobs.plain_actor(actor),
    }
    return jobs.enqueue(session, name=IMPORT_JOB, arguments=arguments, actor=actor, at=at)


def import_statement(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """The job: as `bank.import_file`; the result names the statements and counts their lines."""
    kept = session.get_one(StoredFile, uuid.UUID(arguments["file_id"]))
    store = runtime.current().files
    written_in = StatementFormat(arguments["format"]) if arguments["format"] else None
    actor = jobs.actor_of(arguments["actor"])
    views = bank.import_file(
        session,
        store=store,
        content=store.get(kept.sha256),
        name=kept.name,
        written_in=written_in,
        profile=_profile(arguments["profile"]),
        actor=actor,
        at=at,
        report=progress,
    )
    statements = [view.statement for view in views]
    return {
        "statement_ids": [str(statement.id) for statement in statements],
        "line_count": sum(statement.line_count for statement in statements),
        "new_line_count": sum(statement.new_line_count for statement in statements),
    }


def _profile(stored: Mapping[str, Any]) -> CsvProfile:
    columns = {Column(name): header for name, header in stored["columns"].items()}
    return CsvProfile(**{**stored, "columns": columns, "date_order": DateOrder(stored["date_order"])})
