"""Columns of a bulk statement as binary arrays of PostgreSQL, each made in one piece (its documentation, array_send).

The driver converts a list value by value and type by type; for thousands of rows that was most of what a bulk
statement cost. Not for values of a few: a plain list reads better there. Placeholders carry a cast: `%s::uuid[]`.
"""

import struct
import uuid
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_UUID, _TEXT, _BIGINT, _DATE = 2950, 25, 20, 1082
_NULL: Final = (-1).to_bytes(4, "big", signed=True)
_SIXTEEN: Final = (16).to_bytes(4, "big")
_EIGHT: Final = (8).to_bytes(4, "big")
_FOUR: Final = (4).to_bytes(4, "big")
_EPOCH: Final = date(2000, 1, 1).toordinal()


class Array:
    """A whole array in the form that PostgreSQL receives it in."""

    __slots__ = ("content",)

    def __init__(self, element: int, items: Sequence[bytes], *, nulls: bool = False) -> None:
        head = struct.pack(">iiIii", 1, int(nulls), element, len(items), 1)
        self.content = head + b"".join(items) if items else struct.pack(">iiI", 0, 0, element)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> Buffer:
        """Give the driver what is made already."""
        return obj.content


psycopg.adapters.register_dumper(Array, _ArrayDumper)


def uuids(values: Iterable[uuid.UUID | None]) -> Array:
    """Return `uuid[]`."""
    items = [_NULL if value is None else _SIXTEEN + value.bytes for value in values]
    return Array(_UUID, items, nulls=_NULL in items)


def texts(values: Iterable[str]) -> Array:
    """Return `text[]`; few distinct values are encoded once each."""
    known: dict[str, bytes] = {}
    items = []
    for value in values:
        item = known.get(value)
        if item is None:
            content = value.encode()
            item = known[value] = len(content).to_bytes(4, "big") + content
        items.append(item)
    return Array(_TEXT, items)


def bigints(values: Iterable[int]) -> Array:
    """Return `bigint[]`."""
    return Array(_BIGINT, [_EIGHT + value.to_bytes(8, "big", signed=True) for value in values])


def dates(values: Iterable[date]) -> Array:
    """Return `date[]`: days since 2000."""
    return Array(_DATE, [_FOUR + (value.toordinal() - _EPOCH).to_bytes(4, "big", signed=True) for value in values])
