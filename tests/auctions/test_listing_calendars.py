"""Working days, deadlines and wall times: against known days, and by properties against a plain reference."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctions.domain import calendars, icalendar, wall_times
from marketplace.errors import Invalid

BERLIN = "Europe/Berlin"
ZONES = [BERLIN, "Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]
NAMES = ["cn", "target", "us", "weekdays"]
DAYS = st.dates(date(2024, 1, 1), date(2027, 6, 30))


@pytest.mark.parametrize(
    ("year", "easter"),
    [(1818, (3, 22)), (2000, (4, 23)), (2008, (3, 23)), (2024, (3, 31)), (2025, (4, 20)), (2026, (4, 5)),
     (2038, (4, 25)), (2049, (4, 18)), (2076, (4, 19))],
)  # fmt: skip
def test_easter(year, easter):
    assert calendars.easter(year) == date(year, *easter)


@given(st.integers(1583, 4099))
def test_easter_is_a_sunday_between_its_limits(year):
    day = calendars.easter(year)
    assert day.weekday() == 6
    assert date(year, 3, 22) <= day <= date(year, 4, 25)


@pytest.mark.parametrize(
    ("calendar", "day", "worked"),
    [
        ("cn", "2026-02-14", True),  # a Saturday made up for the Spring Festival
        ("cn", "2026-02-16", False),
        ("cn", "2026-02-23", False),
        ("cn", "2026-02-28", True),
        ("cn", "2025-10-08", False),
        ("cn", "2025-10-11", True),
        ("cn", "2024-02-09", True),  # New Year's eve: rest is encouraged, not a holiday
        ("target", "2026-04-03", False),  # Good Friday
        ("target", "2026-04-06", False),
        ("target", "2026-05-01", False),
        ("target", "2026-12-24", True),
        ("target", "2027-12-27", True),  # nothing is made good when a holiday falls on a weekend
        ("us", "2026-11-26", False),
        ("us", "2026-07-03", False),  # 4 July is a Saturday
        ("us", "2027-12-31", False),  # observed for Saturday, 1 January 2028
        ("us", "2026-05-25", False),
        ("weekdays", "2026-12-25", True),
    ],
)
def test_known_days(calendar, day, worked):
    assert calendars.is_working_day(date.fromisoformat(day), calendar) is worked


@pytest.mark.parametrize(("year", "days"), [(2024, 251), (2025, 248), (2026, 248)])
def test_as_many_working_days_as_the_notices_leave(year, days):
    new_year = date(year, 1, 1)  # a holiday, and the first day that the tables reach
    assert calendars.working_days_between(new_year, date(year, 12, 31), "cn") == days


@given(DAYS, st.integers(0, 60), st.sampled_from(NAMES))
def test_adding_working_days_is_counting_them(day, count, calendar):
    reached = calendars.add_working_days(day, count, calendar)
    assert calendars.working_days_between(day, reached, calendar) == count
    assert count == 0 or calendars.is_working_day(reached, calendar)
    worked = [day + timedelta(days=n) for n in range(1, 200)]
    reference = [one for one in worked if calendars.is_working_day(one, calendar)]
    assert reached == ([day, *reference])[count]


@given(DAYS, st.integers(0, 30), st.integers(0, 30), st.sampled_from(NAMES))
def test_adding_twice_is_adding_the_sum(day, first, second, calendar):
    halfway = calendars.add_working_days(day, first, calendar)
    assert calendars.add_working_days(halfway, second, calendar) == calendars.add_working_days(
        day, first + second, calendar
    )


def test_a_year_without_a_table_is_refused_and_one_without_a_notice_marked():
    with pytest.raises(calendars.YearNotInCalendar) as caught:
        calendars.add_working_days(date(2028, 12, 29), 1, "cn")
    assert caught.value.values["year"] == 2029
    assert calendars.is_provisional(date(2027, 3, 1), "cn")
    assert not calendars.is_provisional(date(2026, 3, 1), "cn")
    with pytest.raises(calendars.UnknownCalendar):
        calendars.is_working_day(date(2026, 1, 1), "mars")


def test_every_year_of_a_table_names_its_source_and_moves_only_weekends():
    for row in calendars.calendar("cn").document["years"]:
        year = calendars.calendar("cn").year(row["year"])
        assert row["source"]
        assert all(day.weekday() >= 5 for day in year.working)
        assert all(day.year == row["year"] for day in year.holidays | year.working)
        assert not year.holidays & year.working


def test_a_deadline_is_the_end_of_its_last_day_by_the_clocks_of_the_zone():
    late_on_friday = datetime(2026, 9, 30, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai; the next day the holidays begin
    end = calendars.deadline(late_on_friday, working_days=2, calendar_name="cn", zone="Asia/Shanghai")
    assert end == datetime(2026, 10, 9, 16, 0, tzinfo=UTC)
    a_minute_later = calendars.deadline(
        late_on_friday + timedelta(minutes=1), working_days=2, calendar_name="cn", zone="Asia/Shanghai"
    )
    assert a_minute_later == end
    assert calendars.start_of_day(date(2025, 9, 7), "America/Santiago") == datetime(2025, 9, 7, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("local", "code", "readings"),
    [
        ("2026-03-29T02:30:00", "local_time_missing", ["2026-03-29T00:30:00.000Z", "2026-03-29T01:30:00.000Z"]),
        ("2026-03-29T02:00:00", "local_time_missing", ["2026-03-29T00:00:00.000Z", "2026-03-29T01:00:00.000Z"]),
        ("2026-10-25T02:30:00", "local_time_twice", ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]),
        ("2026-10-25T02:59:59.999", "local_time_twice", ["2026-10-25T00:59:59.999Z", "2026-10-25T01:59:59.999Z"]),
    ],
)
def test_a_local_time_with_two_readings_names_both(local, code, readings):
    with pytest.raises(wall_times.AmbiguousLocalTime) as caught:
        wall_times.instant(local, BERLIN)
    assert caught.value.code == code
    assert [row["instant"] for row in caught.value.candidates] == readings
    assert all(reading in caught.value.detail for reading in readings)


@pytest.mark.parametrize("local", ["2026-03-29T01:59:59.999", "2026-03-29T03:00:00", "2026-10-25T03:00:00"])
def test_the_borders_of_a_change_are_plain(local):
    assert (
        wall_times.instant(local, BERLIN).astimezone(ZoneInfo(BERLIN)).replace(tzinfo=None).isoformat()[:19]
        == local[:19]
    )


@given(st.integers(0, 10 * 366 * 86_400), st.sampled_from(ZONES))
def test_an_instant_is_shown_as_the_local_time_it_came_from(seconds, zone):
    naive = datetime.fromisoformat("2020-01-01T00:00:00") + timedelta(seconds=seconds)
    try:
        at = wall_times.instant(naive.isoformat(), zone)
    except wall_times.LocalTimeTwice as failure:
        shown = {datetime.fromisoformat(row["shown_as"]).replace(tzinfo=None) for row in failure.candidates}
        assert shown == {naive}
    except wall_times.LocalTimeMissing as failure:
        shown = [datetime.fromisoformat(row["shown_as"]).replace(tzinfo=None) for row in failure.candidates]
        assert shown[0] < naive < shown[1]
    else:
        assert at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Europe", "localtime", "", None, 7, "Europe/Nowhere", "EST5EDT"])
def test_only_zones_by_place(zone):
    with pytest.raises(Invalid, match="is no zone"):
        wall_times.instant("2026-03-02T09:00:00", zone)


@pytest.mark.parametrize(
    "local", ["2026-02-30T09:00:00", "2026-03-02T09:00:00Z", "2026-03-02", "", None, "0000-01-01T00:00"]
)
def test_only_local_times(local):
    with pytest.raises(wall_times.NotALocalTime):
        wall_times.instant(local, BERLIN)


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_a_folded_line_unfolds_to_itself_and_is_never_too_long(line):
    written = icalendar.fold(icalendar.escape(line))
    assert written.endswith(b"\r\n")
    assert all(len(part) <= 75 and part.decode() is not None for part in written[:-2].split(b"\r\n"))
    unfolded = written[:-2].replace(b"\r\n ", b"").decode()
    assert unfolded == icalendar.escape(line)
    assert "\n" not in unfolded


def test_text_is_escaped_as_rfc_5545_says():
    assert icalendar.escape("a\\b;c,d\r\ne\nf\x00") == "a\\\\b\\;c\\,d\\ne\\nf"
