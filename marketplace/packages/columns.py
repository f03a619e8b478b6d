"""The cases of a frozen package in columns, for arithmetic over millions of them.

Read a slice at a time as one value of bytes for each column, never row by row; held as arrays of bytes and numbers, so
that a million cases take some 60 MB. Order: the case key by code point, as `frozen_cases`.
"""

import uuid
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

SLICE: Final = 250_000
"""Cases read at a time: bounds what PostgreSQL and the driver hold at once."""

_READ: Final = b"""
SELECT string_agg(uuid_send(case_id), ''), string_agg(int4send(octet_length(case_key)), ''),
    string_agg(convert_to(case_key, 'UTF8'), ''), string_agg(int8send(principal_minor), ''),
    string_agg(int8send(interest_minor), '')
FROM (SELECT case_id, case_key, principal_minor, interest_minor FROM package_cases
    WHERE package_id = %s AND case_id > %s ORDER BY case_id LIMIT %s) AS one
"""


class Ids(Sequence[uuid.UUID]):
    """Ids as sixteen bytes each."""

    def __init__(self, content: NDArray[Any]) -> None:
        self.content = content

    def __len__(self) -> int:
        return len(self.content)

    @overload
    def __getitem__(self, at: int) -> uuid.UUID: ...
    @overload
    def __getitem__(self, at: slice) -> "Ids": ...
    def __getitem__(self, at: int | slice) -> "uuid.UUID | Ids":
        """Return one id, or a view of some."""
        if isinstance(at, slice):
            return Ids(self.content[at])
        return uuid.UUID(bytes=self.content[at].tobytes())

    def __iter__(self) -> Iterator[uuid.UUID]:
        whole = self.content.tobytes()
        return (uuid.UUID(bytes=whole[at : at + 16]) for at in range(0, len(whole), 16))


class Keys(Sequence[str]):
    """Texts in UTF-8, padded with zero bytes to the longest; no text holds one."""

    def __init__(self, content: NDArray[np.bytes_]) -> None:
        self.content = content

    def __len__(self) -> int:
        return len(self.content)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> "Keys": ...
    def __getitem__(self, at: int | slice) -> "str | Keys":
        """Return one text, or a view of some."""
        if isinstance(at, slice):
            return Keys(self.content[at])
        return bytes(self.content[at]).decode()

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key in self.content.tolist())


@dataclass(frozen=True, slots=True)
class CaseColumns:
    """Cases with what is owed on them at the cut-off, minor units; all columns of one length."""

    case_ids: Ids
    keys: Keys
    principal: NDArray[np.int64]
    interest: NDArray[np.int64]

    def only(self, case_ids: AbstractSet[uuid.UUID]) -> "CaseColumns":
        """Return those of the cases that are among `case_ids`, in the same order."""
        chosen = np.fromiter((one in case_ids for one in self.case_ids), dtype=np.bool_, count=len(self.case_ids))
        ids, keys = Ids(self.case_ids.content[chosen]), Keys(self.keys.content[chosen])
        return CaseColumns(ids, keys, self.principal[chosen], self.interest[chosen])


def case_columns(session: Session, package_id: uuid.UUID) -> CaseColumns:
    """Return the cases of a package, empty before the freeze. No visibility check: for stages that answer for it."""
    session.flush()
    connection: Any = session.connection().connection.driver_connection
    slices: list[tuple[NDArray[Any], ...]] = []
    after = uuid.UUID(int=0)
    with connection.cursor(binary=True) as cursor:
        while True:
            row = cursor.execute(_READ, (package_id, after, SLICE)).fetchone()
            if row[0] is None:
                break
            slices.append(_slice(*row))
            after = uuid.UUID(bytes=slices[-1][0][-1].tobytes())
            if len(slices[-1][0]) < SLICE:
                break
    if not slices:
        nothing = np.empty(0, dtype=np.int64)
        return CaseColumns(Ids(np.empty(0, dtype="V16")), Keys(np.empty(0, dtype="S1")), nothing, nothing)
    ids, keys, principal, interest = (np.concatenate(column) for column in zip(*slices, strict=True))
    order = _order(keys)
    return CaseColumns(Ids(ids[order]), Keys(keys[order]), principal[order], interest[order])


def _slice(ids: bytes, sizes: bytes, keys: bytes, principal: bytes, interest: bytes) -> tuple[NDArray[Any], ...]:
    return (
        np.frombuffer(ids, dtype="V16"),
        _texts(np.frombuffer(keys, dtype=np.uint8), np.frombuffer(sizes, dtype=">i4").astype(np.int64)),
        np.frombuffer(principal, dtype=">i8").astype(np.int64),
        np.frombuffer(interest, dtype=">i8").astype(np.int64),
    )


def _texts(content: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Lay texts that follow each other out in rows of the longest; one gather for each length."""
    longest = max(int(sizes.max()), 1)
    starts = np.cumsum(sizes) - sizes
    rows = np.zeros((len(sizes), longest), dtype=np.uint8)
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        if size:
            rows[chosen, :size] = content[starts[chosen][:, None] + np.arange(size)]
    return rows.view(f"S{longest}")[:, 0]


def _order(keys: NDArray[np.bytes_]) -> Any:
    """Return the order of the keys; cases that came in it already, as most tapes do, are not sorted again."""
    if bool((keys[:-1] <= keys[1:]).all()):
        return slice(None)
    return np.argsort(keys, kind="stable")
