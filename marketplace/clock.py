"""Time: the clock is read once at the edge and handed down as `at`; everything below is a function of it.

Instants are aware and UTC, dates are calendar dates, intervals are half-open. The one exception is a bid, whose time
is PostgreSQL's `clock_timestamp()` taken after the auction row is locked.
"""

import functools
import re
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from marketplace.errors import Invalid

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class NotAnInstant(Invalid):
    """The text is no RFC 3339 instant with a zone."""

    code = "not_an_instant"

    def __init__(self, text: object) -> None:
        super().__init__(f"{str(text)[:40]!r} is not an instant: 2026-03-02T09:00:00.000Z, always with a zone.")


class NotADate(Invalid):
    """The text is no calendar date."""

    code = "not_a_date"

    def __init__(self, text: object) -> None:
        super().__init__(f"{str(text)[:40]!r} is not a date: 2026-03-02.")


class Clock(Protocol):
    """Whoever knows what time it is."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands where it was set: for replays and tests."""

    def __init__(self, at: datetime) -> None:
        self.at = aware(at)

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self.at


def aware(at: datetime) -> datetime:
    """Return `at` in UTC; a naive value is a programming error (ValueError)."""
    if at.tzinfo is None:
        raise ValueError(f"naive datetime {at!r}")
    return at.astimezone(UTC)


def parse_instant(text: object) -> datetime:
    """Read an RFC 3339 instant with a zone; raise `NotAnInstant`."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise NotAnInstant(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAnInstant(text) from None


@functools.lru_cache(maxsize=4096)
def format_instant(at: datetime) -> str:
    """Write an instant as RFC 3339 with milliseconds and Z, cutting finer digits."""
    return aware(at).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_date(text: object) -> date:
    """Read `YYYY-MM-DD`; raise `NotADate`."""
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise NotADate(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotADate(text) from None


def local_date(at: datetime, zone: str) -> date:
    """Return the calendar day of an instant in a named zone."""
    return aware(at).astimezone(ZoneInfo(zone)).date()
