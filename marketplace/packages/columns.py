"""The cases of a frozen package in columns, for arithmetic over millions of them.

Read as one value of bytes for each column, never row by row, and held as arrays of bytes and numbers: a million cases
take some 50 MB. Order: the case key by code point, as `frozen_cases`.
"""

import uuid
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

BLOCK: Final = 50_000
"""Texts laid out at a time: a gather holds eight bytes for each byte that it moves."""

_READ: Final = b"""
SELECT string_agg(uuid_send(case_id), ''), string_agg(int4send(octet_length(case_key)), ''),
    convert_to(string_agg(case_key, ''), 'UTF8'), string_agg(int8send(principal_minor + interest_minor), '')
FROM package_cases WHERE package_id = %s
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
    """Cases with their claims: principal and interest at the cut-off, minor units; all columns of one length."""

    case_ids: Ids
    keys: Keys
    claims: NDArray[np.int64]

    def only(self, case_ids: AbstractSet[uuid.UUID]) -> "CaseColumns":
        """Return those of the cases that are among `case_ids`, in the same order."""
        chosen = np.fromiter((one in case_ids for one in self.case_ids), dtype=np.bool_, count=len(self.case_ids))
        return CaseColumns(Ids(self.case_ids.content[chosen]), Keys(self.keys.content[chosen]), self.claims[chosen])


def case_columns(session: Session, package_id: uuid.UUID) -> CaseColumns:
    """Return the cases of a package, empty before the freeze. No visibility check: for stages that answer for it."""
    session.flush()
    connection: Any = session.connection().connection.driver_connection
    with connection.cursor(binary=True) as cursor:
        ids, sizes, texts, claims = (content or b"" for content in cursor.execute(_READ, (package_id,)).fetchone())
    keys = _texts(np.frombuffer(texts, dtype=np.uint8), np.frombuffer(sizes, dtype=">i4").astype(np.int64))
    order = _order(keys)
    amounts = np.frombuffer(claims, dtype=">i8").astype(np.int64)
    return CaseColumns(Ids(np.frombuffer(ids, dtype="V16")[order]), Keys(keys[order]), amounts[order])


def _texts(content: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Lay texts that follow each other out in rows of the longest; a gather for each length and block of them."""
    longest = max(int(sizes.max(initial=0)), 1)
    starts = np.cumsum(sizes) - sizes
    rows = np.zeros((len(sizes), longest), dtype=np.uint8)
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        for start in range(0, len(chosen), BLOCK):
            part = chosen[start : start + BLOCK]
            rows[part, :size] = content[starts[part][:, None] + np.arange(size)]
    return rows.view(f"S{longest}")[:, 0]


def _order(keys: NDArray[np.bytes_]) -> Any:
    """Return the order of the keys; cases that came in it already, as most tapes do, are not sorted again."""
    if bool((keys[:-1] <= keys[1:]).all()):
        return slice(None)
    return np.argsort(keys, kind="stable")
