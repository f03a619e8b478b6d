"""The import job: read, check slice by slice, seal, stage, and apply in one transaction, with progress."""

import uuid
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from marketplace import audit
from marketplace.actor import SYSTEM
from marketplace.cases import reading, staging
from marketplace.cases.domain import checking
from marketplace.cases.domain.case import TAPE, OnError, TapeState
from marketplace.cases.domain.cells import Terms
from marketplace.cases.domain.mapping import ColumnMapping, Layout, lay_out
from marketplace.cases.mappings import rules_of
from marketplace.cases.models import Tape, TapeMapping
from marketplace.cases.reading import Table
from marketplace.cases.sealing import seal_rows
from marketplace.crypto import Vault
from marketplace.errors import Failure, NotFound
from marketplace.files import FileStore
from marketplace.jobs import Progress

SLICE_ROWS: Final = 20_000
MAX_ERRORS_KEPT: Final = 100_000


def import_tape(
    session: Session, *, tape_id: uuid.UUID, store: FileStore, vault: Vault, progress: Progress, at: datetime
) -> Tape:
    """Import a received tape; one that is done already stays as it is. The tape ends imported or refused."""
    tape = session.scalars(select(Tape).where(Tape.id == tape_id).with_for_update()).first()
    if tape is None:
        raise NotFound("tape", tape_id)
    if tape.state is not TapeState.RECEIVED:
        return tape
    session.execute(text("SET LOCAL lock_timeout = '10min'"))
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('cases.import:' || :seller, 0))"),
        {"seller": str(tape.organisation_id)},
    )
    audit.transition(session, tape, "start", lifecycle=TAPE, actor=SYSTEM, at=at)
    try:
        _import(session, tape, store=store, vault=vault, progress=progress, at=at)
    except Failure as failure:
        _refuse(session, tape, {"code": failure.code, "detail": failure.detail, "errors": failure.errors}, at=at)
    tape.finished_at = at
    session.flush()
    return tape


def _refuse(session: Session, tape: Tape, problem: dict[str, Any], *, at: datetime) -> None:
    tape.problem = problem
    audit.transition(session, tape, "refuse", lifecycle=TAPE, actor=SYSTEM, at=at, reason=problem["detail"][:500])


def _import(session: Session, tape: Tape, *, store: FileStore, vault: Vault, progress: Progress, at: datetime) -> None:
    mapping = rules_of(session.get(TapeMapping, tape.mapping_id) if tape.mapping_id else None)
    terms = Terms(tape.currency, tape.as_of_on)
    progress(0, 0, "reading")
    table = reading.read(store.get(tape.sha256), mapping)
    layout = lay_out(table.header, mapping)
    staging.prepare(session)
    faults = _stage(session, tape, table, layout, mapping=mapping, terms=terms, vault=vault, progress=progress)
    key = layout.position.get("case_key")
    header = "case_key" if key is None else table.header[key]
    late = staging.conflicts(session, organisation_id=tape.organisation_id, terms=terms, header=header)
    faults = pl.concat([faults, late])
    tape.rows = table.rows.height + len(table.ragged)
    tape.bad_rows = faults["row"].n_unique()
    tape.errors = faults.height
    kept = faults.sort("row", maintain_order=True).head(MAX_ERRORS_KEPT)
    staging.write_errors(session, kept, tape_id=tape.id)
    if tape.bad_rows and (tape.on_error is OnError.REFUSE_ALL or tape.bad_rows == tape.rows):
        detail = (
            f"{tape.bad_rows} of {tape.rows} rows cannot be right; nothing was imported. See the errors of the tape."
        )
        _refuse(session, tape, {"code": "rows_refused", "detail": detail, "errors": []}, at=at)
        return
    progress(tape.rows, tape.rows, "writing")
    applied = staging.apply(session, tape_id=tape.id, organisation_id=tape.organisation_id, terms=terms, at=at)
    tape.added, tape.updated, tape.unchanged = applied.added, applied.updated, applied.unchanged
    audit.transition(session, tape, "finish", lifecycle=TAPE, actor=SYSTEM, at=at)


def _stage(
    session: Session,
    tape: Tape,
    table: Table,
    layout: Layout,
    *,
    mapping: ColumnMapping,
    terms: Terms,
    vault: Vault,
    progress: Progress,
) -> pl.DataFrame:
    """Check every slice and stage its good rows; return the faults of all."""
    repeated = checking.repeated_keys(table.rows, layout)
    ragged = pl.DataFrame({"row": table.ragged}, schema={"row": pl.UInt32}).with_columns(
        column=pl.lit(""),
        found=pl.lit(""),
        allowed=pl.lit(f"at most {len(table.header)} cells"),
        code=pl.lit("too_many_cells"),
    )
    faults = [ragged, repeated]
    for done, part in enumerate(table.rows.iter_slices(SLICE_ROWS)):
        checked = checking.check(part, layout, mapping=mapping, terms=terms)
        good = checked.good.filter(~pl.col("row").is_in(repeated["row"].implode()))
        staging.stage(session, seal_rows(good, vault=vault, organisation_id=tape.organisation_id))
        faults.append(checked.faults)
        progress(min((done + 1) * SLICE_ROWS, table.rows.height), table.rows.height, "rows checked")
    return pl.concat(faults)
