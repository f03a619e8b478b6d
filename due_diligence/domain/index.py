"""Index numbers of a room: `1`, `1.2`, `1.2.3`. Folders and documents of one folder share one gapless count.

A number is given once, by position of creation, and never changes or returns: a withdrawn document keeps its own.
"""

from typing import Final

from marketplace.errors import Conflict

MAX_DEPTH: Final = 8
"""Levels of an index number."""
MAX_CHILDREN: Final = 10_000
"""Entries of one folder."""


class IndexFull(Conflict):
    """The folder has too many entries, or lies too deep for another level."""

    code = "index_full"

    def __init__(self) -> None:
        super().__init__(f"A folder holds at most {MAX_CHILDREN} entries, an index at most {MAX_DEPTH} levels.")


def child(parent: str, position: int) -> str:
    """Return the number of the entry at `position` (from 1) under `parent` ("" for the room); raise `IndexFull`."""
    number = f"{parent}.{position}" if parent else str(position)
    if position < 1 or position > MAX_CHILDREN or number.count(".") >= MAX_DEPTH:
        raise IndexFull
    return number


def order(number: str) -> tuple[int, ...]:
    """Return the sort key of a number: 1.2 comes before 1.10."""
    return tuple(int(part) for part in number.split("."))
