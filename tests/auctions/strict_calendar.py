"""A strict reader of iCalendar (RFC 5545), written from its grammar and not from our writer: refuses, never repairs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

NAME = re.compile(r"[A-Z0-9-]+")
PARAMETER = re.compile(r'([A-Z0-9-]+)=("[^"\x00-\x08\x0a-\x1f\x7f]*"|[^";:,\x00-\x08\x0a-\x1f\x7f]*)')
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
UTC_TIME = re.compile(r"\d{8}T\d{6}Z")
ONCE = {
    "VCALENDAR": {"VERSION", "PRODID", "CALSCALE", "METHOD", "NAME", "X-WR-CALNAME", "REFRESH-INTERVAL"},
    "VEVENT": {
        "UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "STATUS", "TRANSP",
    },
}  # fmt: skip
REQUIRED = {"VCALENDAR": {"VERSION", "PRODID"}, "VEVENT": {"UID", "DTSTAMP", "DTSTART"}}
TEXTS = {"NAME", "X-WR-CALNAME", "SUMMARY", "DESCRIPTION", "PRODID", "UID"}
TIMES = {"DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND"}
CLOSED = {
    "VERSION": {"2.0"}, "CALSCALE": {"GREGORIAN"}, "METHOD": {"PUBLISH"}, "TRANSP": {"OPAQUE", "TRANSPARENT"},
    "STATUS": {"TENTATIVE", "CONFIRMED", "CANCELLED"},
}  # fmt: skip


class NotACalendar(AssertionError):
    """The bytes break a rule of RFC 5545, which is named."""


@dataclass(frozen=True)
class Calendar:
    """What was read: the calendar's own values, and its events."""

    values: dict
    events: list


def refuse(condition, rule):
    if condition:
        raise NotACalendar(rule)


def read(content):
    """Read exactly one calendar object."""
    lines = [_line(text) for text in _unfolded(content)]
    values, rest = _component("VCALENDAR", lines)
    refuse(rest, "3.4: one object, nothing after it")
    events = values.pop("VEVENT", [])
    refuse(not events, "3.6: at least one component")
    uids = [event["UID"] for event in events]
    refuse(len(set(uids)) != len(uids), "3.8.4.7: a UID is globally unique")
    return Calendar(values, events)


def _unfolded(content):
    refuse(not content.endswith(b"\r\n"), "3.1: content lines end in CRLF")
    physical = content[:-2].split(b"\r\n")
    logical = []
    for line in physical:
        refuse(b"\r" in line or b"\n" in line, "3.1: CR and LF only as CRLF")
        refuse(len(line) > 75, f"3.1: a line of {len(line)} octets")
        refuse(not line, "3.1: an empty line")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise NotACalendar("3.1: folded inside a character of UTF-8") from None
        if text[0] in " \t":
            refuse(not logical, "3.1: a continuation of nothing")
            logical[-1] += text[1:]
        else:
            logical.append(text)
    return logical


def _line(text):
    refuse(CONTROL.search(text), f"3.1: a control character in {text[:40]!r}")
    name = NAME.match(text)
    refuse(name is None, f"3.1: no name in {text[:40]!r}")
    place, parameters = name.end(), {}
    while text[place : place + 1] == ";":
        found = PARAMETER.match(text, place + 1)
        refuse(found is None, f"3.2: no parameter in {text[:40]!r}")
        parameters[found[1]] = found[2]
        place = found.end()
    refuse(text[place : place + 1] != ":", f"3.1: no colon in {text[:40]!r}")
    return name[0], parameters, text[place + 1 :]


def _component(kind, lines):
    refuse(not lines or lines[0] != ("BEGIN", {}, kind), f"3.6: BEGIN:{kind}")
    values, rest = {}, lines[1:]
    while rest and rest[0][0] != "END":
        if rest[0][0] == "BEGIN":
            refuse(kind != "VCALENDAR" or rest[0][2] != "VEVENT", f"3.6: {rest[0][2]} inside {kind}")
            event, rest = _component("VEVENT", rest)
            values.setdefault("VEVENT", []).append(event)
            continue
        name, parameters, value = rest[0]
        refuse("VEVENT" in values, "3.4: properties come before components")
        refuse(name not in ONCE[kind], f"{name} has no place in {kind}")
        refuse(name in values, f"3.6: {name} twice")
        refuse(parameters and name != "REFRESH-INTERVAL", f"a parameter of {name}")
        values[name] = _value(name, parameters, value)
        rest = rest[1:]
    refuse(not rest or rest[0] != ("END", {}, kind), f"3.6: END:{kind}")
    refuse(not REQUIRED[kind] <= values.keys(), f"3.6: {sorted(REQUIRED[kind] - values.keys())} required in {kind}")
    if kind == "VEVENT":
        refuse("DTEND" in values and values["DTEND"] <= values["DTSTART"], "3.8.2.2: DTEND is later than DTSTART")
    return values, rest[1:]


def _value(name, parameters, value):
    if name in TIMES:
        refuse(not UTC_TIME.fullmatch(value), f"3.3.5: {name} is no time in UTC")
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if name in TEXTS:
        return _text(value)
    if name == "SEQUENCE":
        refuse(not re.fullmatch(r"\d{1,10}", value) or int(value) > 2**31 - 1, "3.3.8: SEQUENCE is an integer")
        return int(value)
    if name == "REFRESH-INTERVAL":
        refuse(parameters != {"VALUE": "DURATION"} or not re.fullmatch(r"PT\d+[HMS]", value), "RFC 7986, 5.7")
        return value
    refuse(value not in CLOSED[name], f"{name}:{value}")
    return value


def _text(value):
    text, place = "", 0
    while place < len(value):
        char = value[place]
        refuse(char in ";,", f"3.3.11: a bare {char}")
        if char == "\\":
            escaped = value[place + 1 : place + 2]
            refuse(escaped not in {"\\", ";", ",", "n", "N"}, f"3.3.11: \\{escaped}")
            text += "\n" if escaped in "nN" else escaped
            place += 2
        else:
            text += char
            place += 1
    return text
