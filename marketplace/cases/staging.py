"""Moving checked rows into the tables: COPY into a staging table of the transaction, then a few set statements.

Linear in rows, whatever the tape does: new cases are inserted, open ones updated where something differs, equal ones
left alone, and rows whose case is no longer open become errors.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.cases.domain.cells import Terms

_CASE_COLUMNS: Final = (
    "product", "customer_type", "principal_minor", "interest_minor", "other_minor", "days_past_due", "default_on",
    "originated_on", "grade", "litigation", "written_off", "security", "credit_limit_minor", "province", "city",
)  # fmt: skip
_OBLIGOR_COLUMNS: Final = {
    "masked_name": "text", "name_sealed": "bytea", "identity_kind": "text", "identity_number_sealed": "bytea",
    "phone_sealed": "bytea", "fingerprint": "bytea", "content_fingerprint": "bytea", "name_fingerprint": "bytea",
    "birth_year": "bigint",
    "sex": "text", "province": "text",
}  # fmt: skip
_COLLATERAL_COLUMNS: Final = {
    "kind": "text", "description": "text", "value_minor": "bigint", "prior_liens_minor": "bigint",
    "registered_cap_minor": "bigint", "city": "text",
}  # fmt: skip
_CASE_TYPES: Final = {
    "days_past_due": "bigint",
    "default_on": "date",
    "originated_on": "date",
    "written_off": "boolean",
}

_STAGED: Final = {
    "row": "bigint", "case_key": "text",
    **{name: _CASE_TYPES.get(name, "bigint" if name.endswith("_minor") else "text") for name in _CASE_COLUMNS},
    "borrower_key_fingerprint": "bytea",
    **{f"{role}_{name}": kind for role in ("borrower", "guarantor") for name, kind in _OBLIGOR_COLUMNS.items()},
    "has_collateral": "boolean",
    **{f"collateral_{name}": kind for name, kind in _COLLATERAL_COLUMNS.items()},
}  # fmt: skip

WORK_MEMORY: Final = "256MB"
"""For the joins of one import: a million staged rows are hashed without going to disk."""

_ERROR_COLUMNS: Final = ("tape_id", "row_number", "column_header", "found", "allowed", "code")


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the staged rows."""

    added: int
    updated: int
    unchanged: int


def copy(session: Session, frame: pl.DataFrame, *, table: str, columns: Sequence[str]) -> None:
    """COPY a frame into a table over the session's own connection, in its transaction."""
    connection: Any = session.connection().connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL '')").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as stream:
        for part in frame.select(columns).iter_slices(20_000):
            stream.write(part.write_csv(include_header=False))


def prepare(session: Session) -> None:
    """Make the staging tables; they are gone with the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _STAGED.items())
    for statement in (
        "DROP TABLE IF EXISTS pg_temp.staged_cases, pg_temp.touched_cases",
        f"CREATE TEMPORARY TABLE staged_cases ({columns}) ON COMMIT DROP",
        "CREATE TEMPORARY TABLE touched_cases (case_id uuid, added boolean) ON COMMIT DROP",
    ):
        session.execute(text(statement))


def stage(session: Session, sealed: pl.DataFrame) -> None:
    """Add sealed rows to the staging table."""
    copy(session, sealed, table="staged_cases", columns=tuple(_STAGED))


def write_errors(session: Session, faults: pl.DataFrame, *, tape_id: uuid.UUID) -> None:
    """Keep faults (row, column, found, allowed, code) as rows of the tape; a NUL, which text cannot hold, as ␀."""
    shown = faults.select(
        tape_id=pl.lit(str(tape_id)),
        row_number="row",
        column_header=pl.col("column").str.replace_all("\x00", "␀"),
        found=pl.col("found").fill_null("").str.replace_all("\x00", "␀"),
        allowed="allowed",
        code="code",
    )
    connection: Any = session.connection().connection.driver_connection
    statement = (
        f"COPY tape_errors ({_list(*_ERROR_COLUMNS)}) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (found, column_header))"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as stream:
        stream.write(shown.select(_ERROR_COLUMNS).write_csv(include_header=False))


def conflicts(session: Session, *, organisation_id: uuid.UUID, terms: Terms, header: str) -> pl.DataFrame:
    """Lock the known cases of the staging table; return the rows that may not touch theirs as faults, taken out."""
    given = {"organisation": organisation_id, "currency": terms.currency, "as_of": terms.as_of_on}
    session.execute(text("ANALYZE staged_cases (case_key)"))
    session.execute(text(_LOCK_KNOWN), given)
    rows = session.execute(text(_TAKE_OUT), given).all()
    return pl.DataFrame(
        [(row, header, key[:80], allowed, code) for row, key, code, allowed in rows],
        schema={"row": pl.UInt32, "column": pl.String, "found": pl.String, "allowed": pl.String, "code": pl.String},
        orient="row",
    )


def apply(session: Session, *, tape_id: uuid.UUID, organisation_id: uuid.UUID, terms: Terms, at: datetime) -> Applied:
    """Write the staged rows into cases, obligors and collaterals; the caller has dealt with conflicts."""
    given = {
        "tape": tape_id,
        "organisation": organisation_id,
        "currency": terms.currency,
        "as_of": terms.as_of_on,
        "at": at,
    }
    session.execute(text(f"SET LOCAL work_mem = '{WORK_MEMORY}'"))
    for statement in (_UPDATE_CASES, _INSERT_CASES):
        session.execute(text(statement), given)
    for role in ("borrower", "guarantor"):
        session.execute(text(_upsert_obligors(role)), given)
    session.execute(text(_UPSERT_COLLATERALS), given)
    counted = session.execute(
        text(
            "SELECT (SELECT count(*) FROM staged_cases), count(*) FILTER (WHERE added),"
            " count(*) FILTER (WHERE NOT added)"
            " FROM (SELECT case_id, bool_or(added) AS added FROM touched_cases GROUP BY case_id)"
        )
    ).one()
    return Applied(added=counted[1], updated=counted[2], unchanged=counted[0] - counted[1] - counted[2])


def _list(*names: str, prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


_KNOWN = "cases c JOIN staged_cases s ON c.case_key = s.case_key AND c.organisation_id = :organisation"

_LOCK_KNOWN = f"SELECT count(*) FROM (SELECT c.id FROM {_KNOWN} ORDER BY c.id FOR UPDATE OF c) locked"  # noqa: S608 - fixed text

_TAKE_OUT = """
WITH taken AS (
  DELETE FROM staged_cases s USING cases c
  WHERE c.organisation_id = :organisation AND c.case_key = s.case_key
    AND (c.state <> 'open' OR c.currency <> :currency OR c.as_of_on > :as_of)
  RETURNING s.row, s.case_key, c.state, c.currency, c.as_of_on)
SELECT row, case_key,
  CASE WHEN state <> 'open' THEN 'case_' || state WHEN currency <> :currency THEN 'wrong_currency'
    ELSE 'older_than_known' END,
  CASE WHEN state <> 'open' THEN 'an open case; this one is ' || state WHEN currency <> :currency THEN currency
    ELSE 'balances not older than ' || as_of_on END
FROM taken
"""

_UPDATE_CASES = f"""
WITH changed AS (
  UPDATE cases c SET ({_list(*_CASE_COLUMNS)}, borrower_fingerprint, as_of_on, tape_id, row_number, updated_at)
    = ({_list(*_CASE_COLUMNS, prefix="s.")}, s.borrower_key_fingerprint, CAST(:as_of AS date), :tape, s.row, :at)
  FROM staged_cases s
  WHERE c.organisation_id = :organisation AND c.case_key = s.case_key
    AND ({_list(*_CASE_COLUMNS, prefix="c.")}, c.borrower_fingerprint, c.as_of_on)
      IS DISTINCT FROM ({_list(*_CASE_COLUMNS, prefix="s.")}, s.borrower_key_fingerprint, CAST(:as_of AS date))
  RETURNING c.id)
INSERT INTO touched_cases SELECT id, false FROM changed
"""  # noqa: S608 - names of our own columns

_INSERT_CASES = f"""
WITH made AS (
  INSERT INTO cases (id, organisation_id, tape_id, row_number, case_key, currency, as_of_on, borrower_fingerprint,
    state, created_at, updated_at, {_list(*_CASE_COLUMNS)})
  SELECT uuidv7(), :organisation, :tape, s.row, s.case_key, :currency, :as_of, s.borrower_key_fingerprint, 'open',
    :at, :at, {_list(*_CASE_COLUMNS, prefix="s.")}
  FROM staged_cases s
  WHERE NOT EXISTS (SELECT FROM cases c WHERE c.organisation_id = :organisation AND c.case_key = s.case_key)
  RETURNING id)
INSERT INTO touched_cases SELECT id, true FROM made
"""  # noqa: S608 - names of our own columns


def _upsert_obligors(role: str) -> str:
    columns = [name.replace("identity_number_sealed", "identity_sealed") for name in _OBLIGOR_COLUMNS]
    return f"""
WITH written AS (
  INSERT INTO obligors AS o (id, case_id, role, {_list(*columns)})
  SELECT uuidv7(), c.id, '{role}', {_list(*_OBLIGOR_COLUMNS, prefix=f"s.{role}_")} FROM {_KNOWN}
  WHERE s.{role}_masked_name IS NOT NULL
  ON CONFLICT (case_id, role) DO UPDATE SET ({_list(*columns)}) = ({_list(*columns, prefix="excluded.")})
  WHERE o.content_fingerprint <> excluded.content_fingerprint
  RETURNING case_id)
INSERT INTO touched_cases SELECT case_id, false FROM written
"""  # noqa: S608 - names of our own columns


_UPSERT_COLLATERALS = f"""
WITH written AS (
  INSERT INTO collaterals AS o (id, case_id, currency, {_list(*_COLLATERAL_COLUMNS)})
  SELECT uuidv7(), c.id, :currency, {_list(*_COLLATERAL_COLUMNS, prefix="s.collateral_")} FROM {_KNOWN}
  WHERE s.has_collateral
  ON CONFLICT (case_id) DO UPDATE
    SET ({_list(*_COLLATERAL_COLUMNS)}) = ({_list(*_COLLATERAL_COLUMNS, prefix="excluded.")})
  WHERE ({_list(*_COLLATERAL_COLUMNS, prefix="o.")})
    IS DISTINCT FROM ({_list(*_COLLATERAL_COLUMNS, prefix="excluded.")})
  RETURNING case_id)
INSERT INTO touched_cases SELECT case_id, false FROM written
"""  # noqa: S608 - names of our own columns
