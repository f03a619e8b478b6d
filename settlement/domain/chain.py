"""The hash chain over closed days: a frozen, versioned canonical form, so that anybody can recompute it. Pure.

Version 1. A day is a sequence of lines, each ended by LF: first its head, then each entry in order of its id (bytes).
A line is JSON (RFC 8785: keys sorted, no spaces, UTF-8) whose values are strings, null, or lists of them:

    {"day", "number", "previous", "version"}
    {"currency", "description", "id", "lines": [[line, account, amount in minor units], …], "posted_at", "posted_by",
     "posted_on", "reverses_id", "source_id", "source_kind", "value_on"}

`posted_at` is UTC with microseconds and Z. The day's hash is SHA-256 over all of it; `previous` is the hash of the day
before, 64 zeros for the first. What was written once in version 1 is never written otherwise: a change is version 2.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

VERSION: Final = 1
"""Version in which days are sealed now."""

FIRST: Final = "0" * 64
"""What the first closed day has before it."""


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry as it is sealed; `lines`: (line, key of the account, minor units) in order of the line."""

    id: uuid.UUID
    source_kind: str
    source_id: uuid.UUID
    description: str
    currency: str
    value_on: date
    posted_on: date
    posted_at: datetime
    posted_by: str
    reverses_id: uuid.UUID | None
    lines: Sequence[tuple[int, str, int]]


class DaySeal:
    """The hash of one day under computation: entries are added in order of their id, `hash` is taken at the end."""

    def __init__(self, *, day: date, number: int, previous: str, version: int = VERSION) -> None:
        if version != VERSION:
            raise ValueError(f"no canonical form of version {version}")
        self.day = day
        self.entries = self.lines = 0
        self._last: uuid.UUID | None = None
        head = {"version": str(version), "day": day.isoformat(), "number": str(number), "previous": previous}
        self._hash = hashlib.sha256(canonical(head))

    def add(self, entry: SealedEntry) -> None:
        """Take in the next entry; its id is above the one before (ValueError)."""
        if self._last is not None and entry.id <= self._last:
            raise ValueError("entries are sealed in order of their id")
        self._last = entry.id
        self.entries += 1
        self.lines += len(entry.lines)
        self._hash.update(canonical(form(entry)))

    @property
    def hash(self) -> str:
        """SHA-256 of what was taken in, hexadecimal."""
        return self._hash.hexdigest()


def form(entry: SealedEntry) -> dict[str, Any]:
    """Return version 1 of an entry: strings only, so that no reader rounds a number."""
    return {
        "id": str(entry.id),
        "source_kind": entry.source_kind,
        "source_id": str(entry.source_id),
        "description": entry.description,
        "currency": entry.currency,
        "value_on": entry.value_on.isoformat(),
        "posted_on": entry.posted_on.isoformat(),
        "posted_at": entry.posted_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "posted_by": entry.posted_by,
        "reverses_id": None if entry.reverses_id is None else str(entry.reverses_id),
        "lines": [[str(line), account, str(amount)] for line, account, amount in entry.lines],
    }


def canonical(document: dict[str, Any]) -> bytes:
    """Return the RFC 8785 form of a document of strings, with its LF."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"
