"""Plans for re-listing: what follows a failed attempt, fixed and hashed with the first announcement.

A plan names the attempts after the first, each with its format and factors. Factors are of the amounts of the listing
that the plan was fixed with, and every amount is rounded up to minor units; only a Dutch step down, which lowers the
price, is rounded down. The deposit is kept within the range of the preset.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from auctions.domain import checks, format_terms, wall_times
from auctions.domain.format_terms import FormatName
from auctions.domain.presets import Preset
from auctions.domain.reading import MAX_SECONDS
from auctions.domain.replay import FORMATS
from auctions.domain.terms import Terms
from marketplace.clock import format_instant, parse_instant
from marketplace.documents import Node
from marketplace.money import Money, Rounding

MAX_ATTEMPTS: Final = 12
NOTICE_DAYS: Final = 7
"""Days from a re-listing to its opening where neither plan nor preset asks for more."""

_KEPT: Final = ("title_zh", "title_en", "description", "preset", "zone", "asset_kind")


@dataclass(frozen=True, slots=True)
class Base:
    """The amounts that the factors of a plan are of: those of the listing that the plan was fixed with."""

    start_price_minor: int
    reserve_minor: int | None
    deposit_minor: int
    increment: Mapping[str, Any] | None


def read_plan(node: Node, currency: str) -> dict[str, Any]:
    """Return a plan in its canonical form; raise `BadDocument`.

    `{"publish": false, "notice_days": 7, "attempts": [{"format", "start", "step", "deposit", "duration_seconds"?,
    "terms"?}]}`. `publish` says whether the next attempt is announced at once, if nothing stands in its way, or waits
    as a draft. In `terms`, `steps.drop_rate` may stand for a drop as a share of the new start price.
    """
    members = node.object(["attempts"], ["publish", "notice_days"])
    rows = members["attempts"].list(minimum=1, maximum=MAX_ATTEMPTS)
    days = members["notice_days"]
    return {
        "publish": members["publish"].boolean() if members["publish"].given else False,
        "notice_days": days.integer(1, 366) if days.given else NOTICE_DAYS,
        "attempts": [_read_attempt(row, currency) for row in rows],
    }


def _read_attempt(node: Node, currency: str) -> dict[str, Any]:
    members = node.object(["format", "start"], ["step", "deposit", "duration_seconds", "terms"])
    name = FormatName(members["format"].one_of([name for name in FORMATS if name != FormatName.PACKAGE]))
    start = members["start"].rate(Decimal(0), Decimal(1))
    if not start:
        raise members["start"].refuse("a factor above 0, at most 1")
    attempt: dict[str, Any] = {"format": name.value, "start": format(start, "f")}
    for factor in ("step", "deposit"):
        given = members[factor]
        attempt[factor] = format(given.rate(Decimal(0), Decimal(1)), "f") if given.given else attempt["start"]
    if members["duration_seconds"].given:
        attempt["duration_seconds"] = members["duration_seconds"].integer(1, MAX_SECONDS)
    attempt["terms"] = _read_terms(members["terms"], name, currency) if members["terms"].given else {}
    return attempt


def _read_terms(node: Node, name: FormatName, currency: str) -> dict[str, Any]:
    taken = [term for term in format_terms.NAMES if format_terms.takes(name, term) and term != "stop_at"]
    members = node.object([], taken)
    read: dict[str, Any] = {}
    for term, member in members.items():
        if not member.given:
            continue
        if term == "steps" and isinstance(member.value, dict) and "drop_rate" in member.value:
            read[term] = _read_steps(member)
        else:
            read[term] = format_terms.read(term, member.value, currency, member.pointer)
    return read


def _read_steps(node: Node) -> dict[str, Any]:
    members = node.object(["count", "seconds", "drop_rate"], ["pause_seconds"])
    rate = members["drop_rate"].rate(Decimal(0), Decimal(1))
    return {
        "count": members["count"].integer(1, 1_000_000),
        "seconds": members["seconds"].integer(1, MAX_SECONDS),
        "drop_rate": format(rate, "f"),
        "pause_seconds": members["pause_seconds"].integer(0, MAX_SECONDS) if members["pause_seconds"].given else 0,
    }


def next_terms(
    before: Terms, base: Base, attempt: Mapping[str, Any], *, preset: Preset, notice: int, at: datetime
) -> dict[str, Any]:
    """Return the terms of the next attempt by a plan, as values of a listing.

    `before` is the attempt that failed, `notice` the least days of notice of the plan; the preset may ask for more.
    Bidding opens at the same time of day as before, on the first day that keeps the notice when published at `at`.
    """
    name = FormatName(attempt["format"])
    start = _times(base.start_price_minor, attempt["start"], before.currency)
    announced = dataclasses.replace(before, attempt=before.attempt + 1)
    days = max(notice, checks.notice_days(preset, announced))
    values: dict[str, Any] = {name: getattr(before, name) for name in _KEPT}
    values |= {
        "format": name,
        "start_price_minor": start,
        "reserve_minor": _reserve(base, attempt, name, before.currency),
        "increment": _increment(base.increment, attempt["step"], before.currency),
        "deposit_minor": _deposit(base, attempt, start, preset, before.currency),
        "soft_close_window_seconds": before.soft_close_window_seconds,
        "soft_close_extension_seconds": before.soft_close_extension_seconds,
        "minimum_bidders": before.minimum_bidders,
        "format_terms": _format_terms(before, attempt, name, start),
    }
    return values | _times_of(before, attempt, name, days=days, at=at, values=values)


def planned_start(start: Money, factor: str) -> Money:
    """Return the start price of an attempt of a plan: a factor of the first one's, rounded up."""
    return Money(_times(start.minor, factor, start.currency), start.currency)


def _times(minor: int, factor: str, currency: str) -> int:
    return Money(minor, currency).portion(Decimal(factor), Rounding.UP).minor


def _reserve(base: Base, attempt: Mapping[str, Any], name: FormatName, currency: str) -> int | None:
    if base.reserve_minor is None or not format_terms.takes(name, "reserve_price"):
        return None
    return _times(base.reserve_minor, attempt["start"], currency)


def _deposit(base: Base, attempt: Mapping[str, Any], start: int, preset: Preset, currency: str) -> int:
    scaled = _times(base.deposit_minor, attempt["deposit"], currency)
    bounds = checks.deposit_range(preset, start, currency)
    return scaled if bounds is None else min(max(scaled, bounds[0]), bounds[1])


def _increment(increment: Mapping[str, Any] | None, factor: str, currency: str) -> dict[str, Any] | None:
    """Scale the amounts of an increment; a percentage of a smaller price is smaller by itself."""
    if increment is None:
        return None

    def scaled(text: str) -> str:
        return Money(_times(Money.parse(text, currency).minor, factor, currency), currency).text

    if increment["kind"] == "bands":
        rows = [{"from": scaled(row["from"]), "amount": scaled(row["amount"])} for row in increment["bands"]]
        return {"kind": "bands", "bands": [row for place, row in enumerate(rows) if _first(rows, place)]}
    amounts = {name: scaled(increment[name]) for name in ("amount", "minimum") if name in increment}
    return dict(increment) | amounts


def _first(rows: list[dict[str, str]], place: int) -> bool:
    """Whether a band begins above the one before it; rounding may have laid two of them on one amount."""
    return place == 0 or Decimal(rows[place]["from"]) > Decimal(rows[place - 1]["from"])


def _format_terms(before: Terms, attempt: Mapping[str, Any], name: FormatName, start: int) -> dict[str, Any]:
    given = dict(before.format_terms) if before.format is name else {}
    if "steps" in given:
        given["steps"] = given["steps"] | {"drop": _down(given["steps"]["drop"], attempt["step"], before.currency)}
    values = {term: value for term, value in (given | attempt["terms"]).items() if format_terms.takes(name, term)}
    steps = values.get("steps", {})
    if "drop_rate" in steps:
        rate = Decimal(steps["drop_rate"])
        drop = Money(start, before.currency).portion(rate, Rounding.DOWN).text
        values["steps"] = {key: value for key, value in steps.items() if key != "drop_rate"} | {"drop": drop}
    return values


def _down(text: str, factor: str, currency: str) -> str:
    return Money.parse(text, currency).portion(Decimal(factor), Rounding.DOWN).text


def _times_of(
    before: Terms, attempt: Mapping[str, Any], name: FormatName, *, days: int, at: datetime, values: dict[str, Any]
) -> dict[str, Any]:
    assert before.opens_at is not None
    assert before.registration_closes_at is not None
    opens = next_opening(before.opens_at, at=at, days=days, zone=before.zone)
    lead = before.opens_at - before.registration_closes_at
    length = _length(before, attempt)
    times: dict[str, Any] = {"opens_at": opens, "registration_closes_at": max(opens - lead, at + (opens - at) / 2)}
    times["ends_at"] = opens + length if format_terms.takes(name, "ends_at") else None
    if before.hard_end_at is not None and format_terms.takes(name, "hard_end_at"):
        times["hard_end_at"] = max(before.hard_end_at - before.opens_at, length) + opens
    if "stop_at" in values["format_terms"]:
        length = parse_instant(values["format_terms"]["stop_at"]) - before.opens_at
        times["format_terms"] = values["format_terms"] | {"stop_at": format_instant(opens + length)}
    return times


def _length(before: Terms, attempt: Mapping[str, Any]) -> timedelta:
    assert before.opens_at is not None
    if "duration_seconds" in attempt:
        return timedelta(seconds=attempt["duration_seconds"])
    return (before.ends_at or before.opens_at + timedelta(days=1)) - before.opens_at


def next_opening(opened_at: datetime, *, at: datetime, days: int, zone: str) -> datetime:
    """Return the first instant with the local time of day of `opened_at` that is `days` full days after `at`.

    A time of day that is skipped or happens twice on that day is moved to the day after.
    """
    there = wall_times.zone_of(zone)
    earliest = checks.earliest_opening(at, days, zone)
    time_of_day = opened_at.astimezone(there).time()
    day = earliest.astimezone(there).date()
    while True:
        local = datetime.combine(day, time_of_day)
        first, last = (local.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == last >= earliest:
            return first
        day += timedelta(days=1)
