"""iCalendar (RFC 5545): a small writer for read-only calendars of events with an instant of beginning and end.

Lines end in CRLF and are folded at 75 octets of UTF-8, never inside a character; text is escaped; times are UTC.
"""

import enum
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

PRODUCT: Final = "-//marketplace//auctions//EN"
MEDIA_TYPE: Final = "text/calendar"
_OCTETS: Final = 75
_DROPPED: Final = frozenset({"Cc", "Cs"})
"""Categories of Unicode that have no place in a value: controls, and halves of surrogate pairs, which UTF-8 has not."""

_SHORTEST: Final = timedelta(seconds=1)


class Status(enum.StrEnum):
    """How sure an event is; `TENTATIVE` while its end is not known."""

    TENTATIVE = "TENTATIVE"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Entry:
    """One VEVENT. `uid` stays and `sequence` rises with every change, so that a calendar replaces an earlier copy.

    An event that is over as soon as it starts is written as one second long: DTEND is later than DTSTART.
    """

    uid: str
    sequence: int
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime
    summary: str
    description: str = ""
    status: Status = Status.CONFIRMED


def write(entries: Iterable[Entry], *, name: str, at: datetime) -> bytes:
    """Return a VCALENDAR of the entries as of `at`."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{escape(name)}",
        f"X-WR-CALNAME:{escape(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    ]
    for entry in entries:
        lines += _event(entry, at=at)
    lines.append("END:VCALENDAR")
    return b"".join(fold(line) for line in lines)


def _event(entry: Entry, *, at: datetime) -> list[str]:
    lines = [
        "BEGIN:VEVENT",
        f"UID:{entry.uid}",
        f"SEQUENCE:{entry.sequence}",
        f"DTSTAMP:{_utc(at)}",
        f"LAST-MODIFIED:{_utc(entry.changed_at)}",
        f"DTSTART:{_utc(entry.starts_at)}",
        f"DTEND:{_utc(max(entry.ends_at, entry.starts_at + _SHORTEST))}",
        f"SUMMARY:{escape(entry.summary)}",
    ]
    if entry.description:
        lines.append(f"DESCRIPTION:{escape(entry.description)}")
    lines += [f"STATUS:{entry.status.value}", "TRANSP:TRANSPARENT", "END:VEVENT"]
    return lines


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def escape(text: str) -> str:
    """Return a value of type TEXT: backslash, semicolon, comma and line breaks escaped, other controls dropped.

    Breaks are also U+0085, U+2028 and U+2029, at which some readers would split the line.
    """
    plain = text.replace("\r\n", "\n")
    for line_break in "\r\x85\u2028\u2029":
        plain = plain.replace(line_break, "\n")
    escaped = plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return "".join(char for char in escaped if unicodedata.category(char) not in _DROPPED)


def fold(line: str) -> bytes:
    """Return a content line in octets: at most 75 in each physical line, continued by CRLF and a blank."""
    parts: list[bytes] = []
    current = b""
    for char in line:
        octets = char.encode()
        if len(current) + len(octets) > _OCTETS:
            parts.append(current)
            current = b" "
        current += octets
    return b"\r\n".join([*parts, current]) + b"\r\n"
