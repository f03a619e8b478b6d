"""Storing what each case receives: one binary COPY for a whole deal, checked as one statement by PostgreSQL itself.

The rule is `settlement.domain.allocation`; the sum is held by the trigger `allocations_add_up`. A deal with very many
cases is written into a table of its own, whose key is built when all rows are there, and which then becomes a
partition of `allocations` (migration 0026, decision 24).
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.packages.service import Ids, Keys
from settlement.domain.allocation import Integers

COLUMNS: Final = ("segment", "deal_id", "case_id", "case_key", "weight", "amount_minor")
BLOCK: Final = 50_000
"""Rows built and sent at a time: memory stays bounded however many cases there are."""

OWN_SEGMENT: Final = 100_000
"""Cases from which on a deal has a partition of its own: below, making a table costs more than it saves."""

SHARED: Final = 0
"""The partition of all other deals."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END: Final = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Claims:
    """The cases of a package in columns: ids, distinct keys, and weights in minor units, all of one length."""

    case_ids: Ids
    keys: Keys
    weights: Integers


def store(session: Session, *, deal_id: uuid.UUID, claims: Claims, amounts: Integers) -> int:
    """Write one allocation row for each case of a deal; return how many.

    `amounts` are minor units in the order of `claims`. PostgreSQL refuses them unless the rows of the deal then add up
    to its net proceeds and number its cases; nothing can be added to them afterwards.
    """
    segment = _own_segment(session, deal_id) if len(claims.keys) >= OWN_SEGMENT else None
    if segment is None:
        _copy(session, sql.Identifier("allocations"), binary_rows(SHARED, deal_id, claims, amounts))
        return len(claims.keys)
    db.allow_long(session)  # one statement brings every case of a very large deal
    table = sql.Identifier("allocation_segments", f"segment_{segment}")
    _copy(session, table, binary_rows(segment, deal_id, claims, amounts))
    session.execute(text("SELECT attach_allocation_segment(:segment, :deal)"), {"segment": segment, "deal": deal_id})
    return len(claims.keys)


def _own_segment(session: Session, deal_id: uuid.UUID) -> int | None:
    """Make a partition for a deal, None for one of several deals of its package."""
    segment: int | None = session.execute(text("SELECT open_allocation_segment(:deal)"), {"deal": deal_id}).scalar_one()
    return segment


def _copy(session: Session, table: sql.Identifier, rows: Iterator[bytes]) -> None:
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor, cursor.copy(copy_statement(table)) as copy:
        for block in rows:
            copy.write(block)


def copy_statement(table: sql.Identifier) -> sql.Composed:
    """Return the COPY statement for a table with the columns of an allocation."""
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, columns)


def binary_rows(segment: int, deal_id: uuid.UUID, claims: Claims, amounts: Integers) -> Iterator[bytes]:
    """Yield the rows in PostgreSQL's binary COPY format (its documentation, COPY, Binary Format)."""
    yield _HEADER
    for start in range(0, len(claims.keys), BLOCK):
        part = slice(start, start + BLOCK)
        ids, texts = claims.case_ids.content[part], claims.keys.content[part]
        sizes = np.strings.str_len(texts)
        for size in np.unique(sizes).tolist():
            chosen = slice(None) if (sizes == size).all() else sizes == size
            rows = _records(
                segment,
                deal_id,
                ids[chosen],
                texts[chosen].astype(f"S{size}"),
                claims.weights[part][chosen],
                amounts[part][chosen],
            )
            yield rows.tobytes()
    yield _END


def _records(
    segment: int, deal_id: uuid.UUID, case_ids: NDArray[Any], texts: NDArray[Any], weights: Integers, amounts: Integers
) -> NDArray[Any]:
    """Lay rows out as an array of records; a record has a fixed size, so these keys are of one length in bytes."""
    columns: list[tuple[str, str, Any]] = [
        ("segment", ">i8", segment),
        ("deal", "V16", np.frombuffer(deal_id.bytes, dtype="V16")[0]),
        ("case", "V16", case_ids),
        ("key", texts.dtype.str, texts),
        ("weight", ">i8", weights),
        ("amount", ">i8", amounts),
    ]
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind, _ in columns:
        layout += [(f"{name}_size", ">i4"), (name, kind)]
    rows = np.empty(len(texts), dtype=layout)
    rows["fields"] = len(columns)
    for name, kind, values in columns:
        rows[f"{name}_size"] = np.dtype(kind).itemsize
        rows[name] = values
    return rows
