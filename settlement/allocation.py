"""Storing what each case receives: one binary COPY for a whole deal, checked as one statement by PostgreSQL itself.

The rule is `settlement.domain.allocation`; the sum is held by the trigger `allocations_add_up` (migration 0009).
"""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from settlement.domain.allocation import Integers

COLUMNS: Final = ("deal_id", "case_id", "case_key", "weight", "amount_minor")
BLOCK: Final = 50_000
"""Rows built and sent at a time: memory stays bounded however many cases there are."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END: Final = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Claims:
    """The cases of a package in columns: ids, distinct keys, and weights in minor units, all of one length."""

    case_ids: Sequence[uuid.UUID]
    keys: Sequence[str]
    weights: Integers


def store(session: Session, *, deal_id: uuid.UUID, claims: Claims, amounts: Integers) -> int:
    """Write one allocation row for each case of a deal in one statement; return how many.

    `amounts` are minor units in the order of `claims`. PostgreSQL refuses the statement unless the rows of the deal
    then add up to its net proceeds and every case exists.
    """
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor, cursor.copy(copy_statement("allocations")) as copy:
        for block in binary_rows(deal_id, claims, amounts):
            copy.write(block)
    return len(claims.keys)


def copy_statement(table: str) -> bytes:
    """Return the COPY statement for a table with the columns of an allocation."""
    return f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)".encode()


def binary_rows(deal_id: uuid.UUID, claims: Claims, amounts: Integers) -> Iterator[bytes]:
    """Yield the rows in PostgreSQL's binary COPY format (its documentation, COPY, Binary Format)."""
    yield _HEADER
    for start in range(0, len(claims.keys), BLOCK):
        part = slice(start, start + BLOCK)
        yield from _block(deal_id, claims.case_ids[part], claims.keys[part], claims.weights[part], amounts[part])
    yield _END


def _block(
    deal_id: uuid.UUID, ids: Sequence[uuid.UUID], keys: Sequence[str], weights: Integers, amounts: Integers
) -> Iterator[bytes]:
    """Lay rows out as arrays of records; a record has a fixed size, so keys are grouped by their length in bytes."""
    encoded = [key.encode() for key in keys]
    case_ids = np.frombuffer(b"".join(case_id.bytes for case_id in ids), dtype="V16")
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    for length in np.unique(lengths).tolist():
        chosen = lengths == length
        texts = np.array(list(itertools.compress(encoded, chosen.tolist())), dtype=f"S{length}")
        yield _records(deal_id, case_ids[chosen], texts, weights[chosen], amounts[chosen]).tobytes()


def _records(
    deal_id: uuid.UUID, case_ids: NDArray[Any], texts: NDArray[Any], weights: Integers, amounts: Integers
) -> NDArray[Any]:
    columns: list[tuple[str, str, Any]] = [
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
