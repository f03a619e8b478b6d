"""Working days of the markets: a versioned table of holidays and make-up working days, and arithmetic over it.

The tables are data (`data/calendars.json`), each year with its source. A year whose official notice is not out yet is
`provisional`; a year that no table covers is refused, never guessed. Not here: opening hours, and times of day.
"""

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from auctions.domain.canonical import fingerprint
from marketplace import documents
from marketplace.clock import aware
from marketplace.errors import Conflict, Invalid

MAX_DAYS: Final = 10_000
"""So many working days at most are counted in one step."""

_TABLE: Final = Path(__file__).with_name("data") / "calendars.json"
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5
_SUNDAY: Final = 6


class UnknownCalendar(Invalid):
    """There is no calendar of that name."""

    code = "unknown_calendar"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no calendar {name[:40]!r}.", allowed=sorted(CALENDARS))


class YearNotInCalendar(Conflict):
    """The table of a calendar does not reach the year; its holidays are not known to us and are not guessed."""

    code = "year_not_in_calendar"

    def __init__(self, calendar: str, year: int) -> None:
        super().__init__(
            f"The calendar {calendar!r} does not reach the year {year}; its table must be brought up to date.",
            calendar=calendar,
            year=year,
        )


@dataclass(frozen=True, slots=True)
class Year:
    """What departs from Monday to Friday in one year, and by which authority."""

    holidays: frozenset[date]
    working: frozenset[date]
    provisional: bool
    source: str
    grade: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working days of a market. `document` is its data as published; `hash` that of the data."""

    name: str
    title_zh: str
    title_en: str
    document: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Fingerprint of the calendar's data."""
        return fingerprint(self.document)

    def year(self, number: int) -> Year:
        """Return one year; raise `YearNotInCalendar`."""
        return _year(self.name, number)


def load() -> tuple[str, dict[str, Calendar]]:
    """Read the table: its version and the calendars by name."""
    table = documents.parse(_TABLE.read_bytes())
    rows = (Calendar(row["name"], row["title"]["zh"], row["title"]["en"], row) for row in table["calendars"])
    return table["version"], {calendar.name: calendar for calendar in rows}


_VERSION, _CALENDARS = load()
VERSION: Final = _VERSION
"""Version of the whole table."""

CALENDARS: Final[Mapping[str, Calendar]] = _CALENDARS


def calendar(name: str) -> Calendar:
    """Return a calendar by its name; raise `UnknownCalendar`."""
    found = CALENDARS.get(name)
    if found is None:
        raise UnknownCalendar(name)
    return found


@functools.lru_cache(maxsize=1024)
def _year(name: str, number: int) -> Year:
    data = CALENDARS[name].document
    if data["kind"] == "table":
        row = next((row for row in data["years"] if row["year"] == number), None)
        if row is None:
            raise YearNotInCalendar(name, number)
        return Year(
            holidays=frozenset(day for first, last in row["holidays"] for day in _span(first, last)),
            working=frozenset(date.fromisoformat(day) for day in row["working"]),
            provisional=row["provisional"],
            source=row["source"],
            grade=row["grade"],
        )
    if not data["first_year"] <= number <= data["last_year"]:
        raise YearNotInCalendar(name, number)
    # a holiday on Saturday, 1 January is observed in the year before
    holidays = frozenset(day for near in (number, number + 1) for day in _computed(data, near) if day.year == number)
    return Year(holidays, frozenset(), provisional=False, source=data["source"], grade=data["grade"])


def _span(first: str, last: str) -> list[date]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [start + timedelta(days=count) for count in range((end - start).days + 1)]


def _computed(data: Mapping[str, Any], year: int) -> list[date]:
    fixed = [date(year, month, day) for month, day in data["fixed"]]
    if data["observed"]:
        fixed = [_observed(day) for day in fixed]
    moving = [easter(year) + timedelta(days=offset) for offset in data["easter"]]
    return fixed + moving + [_nth_weekday(year, *rule) for rule in data["weekdays"]]


def _observed(day: date) -> date:
    shift = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _nth_weekday(year: int, month: int, weekday: int, count: int) -> date:
    """Return the `count`th weekday (Monday 0) of a month, -1 the last."""
    if count < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - _DAY
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def is_working_day(day: date, calendar_name: str) -> bool:
    """Whether a day is worked; raise `UnknownCalendar`, `YearNotInCalendar`."""
    year = calendar(calendar_name).year(day.year)
    return day in year.working or (day.weekday() < _SATURDAY and day not in year.holidays)


def is_provisional(day: date, calendar_name: str) -> bool:
    """Whether the day's year rests on the statute alone, because its notice is not in the table yet."""
    return calendar(calendar_name).year(day.year).provisional


def add_working_days(day: date, count: int, calendar_name: str) -> date:
    """Return the `count`th working day after `day`, which itself is never counted; `day` for a count of zero.

    Raises `UnknownCalendar`, `YearNotInCalendar`; a negative or immense count is a programming error (ValueError).
    """
    if not 0 <= count <= MAX_DAYS:
        raise ValueError(f"from 0 to {MAX_DAYS} working days")
    calendar(calendar_name)
    while count:
        day += _DAY
        count -= is_working_day(day, calendar_name)
    return day


def working_days_between(first: date, last: date, calendar_name: str) -> int:
    """Return how many working days lie after `first`, up to and with `last`; zero when `last` is not later."""
    days = (first + timedelta(days=count) for count in range(1, (last - first).days + 1))
    return sum(is_working_day(day, calendar_name) for day in days)


def deadline(at: datetime, *, working_days: int, calendar_name: str, zone: str) -> datetime:
    """Return the instant by which something must be done: the end of the `working_days`th working day after `at`.

    Days are those of `zone`; the end of a day is the first instant of the next (a half-open interval), also where the
    clock is changed at midnight.
    """
    day = aware(at).astimezone(ZoneInfo(zone)).date()
    return start_of_day(add_working_days(day, working_days, calendar_name) + _DAY, zone)


def start_of_day(day: date, zone: str) -> datetime:
    """Return the first instant of a calendar day in a zone, in UTC; where midnight is skipped, the first after it."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    # read across a gap, midnight with the offset before the change is the very instant of the change
    return midnight.astimezone(dt.UTC)
