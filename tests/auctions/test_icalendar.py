"""Calendars against a strict reader of RFC 5545: titles of every length and script, and the life of a listing."""

import unicodedata
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from auctions.domain import icalendar
from auctions.domain.icalendar import Entry, Status
from marketplace.clock import format_instant
from tests.auctions import strict_calendar
from tests.auctions.conftest import ENDS, OPENS
from tests.auctions.strict_calendar import NotACalendar
from tests.auctions.test_listing_changes import LONG, patch

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CHINESE = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=220)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
NASTY = st.text(st.sampled_from('银行资产包甲乙丙A,;:\\"\n\r\t\x00\x7f\x85\u2028𠀀é 🏦n'), max_size=200)
TITLES = CHINESE | ANYTHING | NASTY
INSTANTS = st.integers(0, 180 * 365 * 86_400_000).map(lambda passed: AT + timedelta(milliseconds=passed))


def plain(title):
    """What a reader may expect of a title: line breaks of every kind as one, without other controls."""
    for line_break in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        title = title.replace(line_break, "\n")
    return "".join(char for char in title if char == "\n" or unicodedata.category(char) not in {"Cc", "Cs"})


def entry(title="资产包", **more):
    values = {
        "uid": f"{uuid.uuid4()}@auctions", "sequence": 1, "changed_at": AT, "starts_at": AT,
        "ends_at": AT + timedelta(hours=1), "summary": title,
    }  # fmt: skip
    return Entry(**(values | more))


@given(title=TITLES, words=TITLES, name=TITLES)
@example(title="东海银行" * 55, words="，；：、" * 40, name="拍卖")
@example(title="\ud800", words="a\\nb", name="")
def test_whatever_a_title_holds_it_is_read_as_it_was_meant(title, words, name):
    content = icalendar.write([entry(title, description=words)], name=name, at=AT)
    read = strict_calendar.read(content)
    assert read.values["NAME"] == read.values["X-WR-CALNAME"] == plain(name)
    (event,) = read.events
    assert event["SUMMARY"] == plain(title)
    assert event.get("DESCRIPTION", "") == plain(words)


@pytest.mark.parametrize("length", range(121))
@pytest.mark.parametrize("char", ["中", "é", "a", "🏦"])
def test_titles_of_every_length_fold_between_characters(length, char):
    (event,) = strict_calendar.read(icalendar.write([entry(char * length)], name="拍卖", at=AT)).events
    assert event["SUMMARY"] == char * length


@given(starts_at=INSTANTS, length=st.timedeltas(timedelta(0), timedelta(days=400)), sequence=st.integers(0, 2**31 - 1))
@example(starts_at=AT, length=timedelta(0), sequence=0)
@example(starts_at=AT + timedelta(milliseconds=999), length=timedelta(milliseconds=1), sequence=0)
def test_times_are_utc_and_an_event_ends_after_it_starts(starts_at, length, sequence):
    made = entry(starts_at=starts_at, ends_at=starts_at + length, sequence=sequence)
    (event,) = strict_calendar.read(icalendar.write([made], name="x", at=AT)).events
    assert event["DTSTART"] == starts_at.replace(microsecond=0)
    assert abs(event["DTEND"] - (starts_at + length)) <= timedelta(seconds=1)
    assert event["SEQUENCE"] == sequence


def test_each_status_is_written_and_many_events_are_one_calendar():
    made = [entry(status=status) for status in Status]
    assert [one["STATUS"] for one in strict_calendar.read(icalendar.write(made, name="x", at=AT)).events] == list(
        Status
    )


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (b"\r\nVERSION", b"\nVERSION", "CRLF"), (b"VERSION:2.0\r\n", b"", "VERSION"), (b"UID:", b"X:", "no place"),
        (b"SUMMARY:", b"SUMMARY:a,", "bare ,"), (b"SUMMARY:", b"SUMMARY:\\x", r"\\x"), (b"Z\r\n", b"\r\n", "UTC"),
        (b"SUMMARY:", b"SUMMARY:\xe4", "inside a character"), (b"SUMMARY:", b"SUMMARY:" + b"x" * 70, "octets"),
        (b"END:VEVENT\r\n", b"", "3.6"), (b"STATUS:CONFIRMED", b"STATUS:SURE", "SURE"),
        (b"\r\nUID", b"\r\n\r\nUID", "empty"),
    ],
)  # fmt: skip
def test_the_reader_is_strict(before, after, rule):
    content = icalendar.write([entry()], name="拍卖", at=AT)
    assert before in content
    with pytest.raises(NotACalendar, match=rule):
        strict_calendar.read(content.replace(before, after, 1))


class Calendar:
    """One listing's calendar as it is read again and again."""

    def __init__(self, stage, listing):
        self.stage, self.path = stage, f"/listings/{listing['id']}/calendar.ics"
        self.uids, self.sequence, self.changed_at = None, -1, None

    def events(self, *, changed=True):
        """Read it: the UIDs are as ever, SEQUENCE and LAST-MODIFIED have risen if and only if something changed."""
        answer = self.stage.api.as_(self.stage.people.buyer).get(self.path)
        assert answer.status_code == 200
        bidding, registration = sorted(strict_calendar.read(answer.data).events, key=lambda event: event["UID"])
        uids = (bidding["UID"], registration["UID"])
        assert self.uids in (None, uids)
        assert bidding["SEQUENCE"] == registration["SEQUENCE"]
        assert (bidding["SEQUENCE"] > self.sequence) is changed
        assert self.changed_at is None or bidding["LAST-MODIFIED"] >= self.changed_at
        self.uids, self.sequence, self.changed_at = uids, bidding["SEQUENCE"], bidding["LAST-MODIFIED"]
        return bidding, registration


@pytest.fixture
def for_weeks(stage):
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE user_sessions SET expires_at = expires_at + interval '400 days'"))


def test_a_corrected_listing_keeps_its_events_and_a_withdrawn_one_cancels_them(stage, for_weeks):
    listing = stage.publish(preset="dgf", **LONG)
    calendar = Calendar(stage, listing)
    calendar.events()
    calendar.events(changed=False)
    stage.at(stage.clock.at + timedelta(hours=1))
    corrected_at = stage.clock.at
    later = {"ends_at": format_instant(datetime.fromisoformat(LONG["ends_at"]) + timedelta(hours=2))}
    assert patch(stage, listing, title_zh="更正" * 60, **later).status_code == 200
    bidding, _ = calendar.events()
    assert "更正" * 60 in bidding["SUMMARY"]
    assert bidding["LAST-MODIFIED"] == corrected_at.replace(microsecond=0)
    assert format_instant(bidding["DTEND"]) == later["ends_at"]
    stage.api.as_(stage.people.seller).ok("POST", f"/listings/{listing['id']}/withdraw", json={"reason": "sold"})
    for event in calendar.events():
        assert event["STATUS"] == "CANCELLED"
    whole = strict_calendar.read(stage.api.as_(stage.people.buyer).get("/auctions.ics").data)
    assert {event["UID"]: event["STATUS"] for event in whole.events} == dict.fromkeys(calendar.uids, "CANCELLED")


def test_whatever_moves_the_end_is_a_change_that_calendars_see(stage, for_weeks):
    listing = stage.live(stage.people.buyer, stage.people.other_buyer, soft_close_window_seconds=300,
                         soft_close_extension_seconds=300)  # fmt: skip
    calendar, path = Calendar(stage, listing), f"/auctions/{listing['auction_id']}"
    bidding, registration = calendar.events()
    assert (bidding["DTSTART"], bidding["DTEND"], registration["DTEND"]) == (OPENS, ENDS, OPENS)
    stage.at(ENDS - timedelta(minutes=1))
    assert stage.bid(listing, stage.people.buyer, "120000.00").status_code == 201
    assert calendar.events()[0]["DTEND"] == ENDS + timedelta(minutes=4)
    reason = {"reason": "a complaint"}
    stage.api.as_(stage.people.compliance).ok("POST", f"{path}/suspend", json=reason)
    assert calendar.events()[0]["STATUS"] == "TENTATIVE"
    stage.at(ENDS + timedelta(hours=1))
    stage.api.as_(stage.people.compliance).ok("POST", f"{path}/resume", json=reason)
    bidding, _ = calendar.events()
    assert (bidding["STATUS"], bidding["DTEND"]) == ("CONFIRMED", ENDS + timedelta(hours=1, minutes=5))
