"""Plans for re-listing: what follows a failed attempt, fixed and hashed with the first announcement.

A plan names the attempts after the first, each with its format and factors. Factors are of the amounts of the listing
that the plan was fixed with, and every amount is rounded up to minor units; only a Dutch step down, which lowers the
price, is rounded down. The deposit is kept within the range of the preset.

Of a listing in lots the plan re-lists what found no buyer: the factor of the start scales each lot's reserve, the
deposit is first cut to the share that the lots have in all reserves. An attempt of another format sells each lot by
itself, from its scaled reserve, with the increment that the attempt names.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from auctions.domain import checks, format_terms, increments, wall_times
from auctions.domain.format_terms import FormatName
from auctions.domain.presets import Preset
from auctions.domain.reading import MAX_SECONDS
from auctions.domain.replay import FORMATS
from auctions.domain.terms import Missing, Terms
from marketplace.clock import format_instant, parse_instant
from marketplace.documents import Node
from marketplace.money import Money, Rounding

MAX_ATTEMPTS: Final = 12
NOTICE_DAYS: Final = 7
"""Days from a re-listing to its opening where neither plan nor preset asks for more."""

MAX_TITLE: Final = 200

_KEPT: Final = ("title_zh", "title_en", "description", "preset", "zone", "asset_kind")


@dataclass(frozen=True, slots=True)
class Base:
    """The amounts that the factors of a plan are of: those of the listing that the plan was fixed with.

    `lots`: the reserves of the lots that are offered again, in order; none of a listing without lots. A start price
    alone is None for several lots together.
    """

    start_price_minor: int | None
    reserve_minor: int | None
    deposit_minor: int
    increment: Mapping[str, Any] | None
    lots: Mapping[str, int] = field(default_factory=dict)


def read_plan(node: Node, currency: str) -> dict[str, Any]:
    """Return a plan in its canonical form; raise `BadDocument`.

    `{"publish": false, "notice_days": 7, "attempts": [{"format", "start", "step", "deposit", "duration_seconds"?,
    "terms"?}]}`. `publish` says whether the next attempt is announced at once, if nothing stands in its way, or waits
    as a draft. In `terms`, `steps.drop_rate` may stand for a drop as a share of the new start price. An attempt may
    have an `increment` of its own, which no factor scales. Lots that were sold apart are not sold together again.
    """
    members = node.object(["attempts"], ["publish", "notice_days"])
    rows = members["attempts"].list(minimum=1, maximum=MAX_ATTEMPTS)
    days = members["notice_days"]
    attempts = [_read_attempt(row, currency) for row in rows]
    for row, attempt, before in zip(rows[1:], attempts[1:], attempts, strict=False):
        if attempt["format"] == FormatName.PACKAGE and before["format"] != FormatName.PACKAGE:
            raise row.child("format").refuse("a format that sells each lot by itself, as the attempt before it does")
    return {
        "publish": members["publish"].boolean() if members["publish"].given else False,
        "notice_days": days.integer(1, 366) if days.given else NOTICE_DAYS,
        "attempts": attempts,
    }


def _read_attempt(node: Node, currency: str) -> dict[str, Any]:
    members = node.object(["format", "start"], ["step", "deposit", "duration_seconds", "terms", "increment"])
    name = FormatName(members["format"].one_of(list(FORMATS)))
    start = members["start"].rate(Decimal(0), Decimal(1))
    if not start:
        raise members["start"].refuse("a factor above 0, at most 1")
    attempt: dict[str, Any] = {"format": name.value, "start": format(start, "f")}
    for factor in ("step", "deposit"):
        given = members[factor]
        attempt[factor] = format(given.rate(Decimal(0), Decimal(1)), "f") if given.given else attempt["start"]
    if members["increment"].given:
        if members["step"].given:
            raise members["step"].refuse("no factor beside an increment of the attempt's own")
        attempt["increment"] = increments.read(members["increment"], currency).document(currency)
    if members["duration_seconds"].given:
        attempt["duration_seconds"] = members["duration_seconds"].integer(1, MAX_SECONDS)
    attempt["terms"] = _read_terms(members["terms"], name, currency) if members["terms"].given else {}
    return attempt


def _read_terms(node: Node, name: FormatName, currency: str) -> dict[str, Any]:
    taken = [term for term in format_terms.NAMES if format_terms.takes(name, term) and term not in {"stop_at", "lots"}]
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


def sells_apart(plan: Mapping[str, Any] | None, step: int) -> bool:
    """Whether the attempt after `step` of a listing's plan sells each lot by itself; False where there is none."""
    attempts = [] if plan is None else plan["attempts"]
    return step < len(attempts) and attempts[step]["format"] != FormatName.PACKAGE


def gaps(terms: Terms, plan: Mapping[str, Any]) -> list[Missing]:
    """Return why a plan could not be carried out for the listing that it is to be fixed with."""
    formats = [FormatName(attempt["format"]) for attempt in plan["attempts"]]
    in_lots = terms.format is FormatName.PACKAGE
    apart = in_lots and any(name is not FormatName.PACKAGE for name in formats)
    free = [lot["lot"] for lot in terms.format_terms.get("lots") or () if not Decimal(lot["reserve"])]
    stepless = any(
        "increment" in format_terms.required(name) and "increment" not in attempt and terms.increment is None
        for name, attempt in zip(formats, plan["attempts"], strict=True)
    )
    faults = {
        "plan_without_lots": (
            not in_lots and FormatName.PACKAGE in formats,
            "An attempt of the format package re-lists lots, which this listing does not have.",
        ),
        "plan_without_increment": (
            stepless,
            "An attempt of the plan needs an increment of its own: this listing has none that could be scaled.",
        ),
        "plan_lot_without_reserve": (
            apart and bool(free),
            f"To be sold by themselves these lots need a reserve above zero: {', '.join(free)}.",
        ),
    }
    return [Missing(code, detail) for code, (wrong, detail) in faults.items() if wrong]


def base_of(first: Terms, lots: Sequence[str], *, together: bool) -> Base:
    """Return what the factors of a plan are of, from the listing that it was fixed with and the lots offered again.

    The deposit for lots is their share of it by reserves, rounded up; all of it where all reserves are zero. One lot
    that is not offered `together` with others starts at its reserve.
    """
    assert first.deposit_minor is not None
    if first.format is not FormatName.PACKAGE:
        return Base(first.start_price_minor, first.reserve_minor, first.deposit_minor, first.increment)
    rows = first.format_terms["lots"]
    reserves = {row["lot"]: Money.parse(row["reserve"], first.currency).minor for row in rows}
    offered = {name: reserves[name] for name in lots}
    part, whole = sum(offered.values()), sum(reserves.values())
    deposit = -(-first.deposit_minor * part // whole) if whole else first.deposit_minor
    return Base(None if together else part, None, deposit, None, offered if together else {})


def next_terms(
    before: Terms, base: Base, attempt: Mapping[str, Any], *, preset: Preset, notice: int, at: datetime
) -> dict[str, Any]:
    """Return the terms of the next attempt by a plan, as values of a listing.

    `before` is the attempt that failed, `notice` the least days of notice of the plan; the preset may ask for more.
    Bidding opens at the same time of day as before, on the first day that keeps the notice when published at `at`.
    """
    name = FormatName(attempt["format"])
    alone = base.start_price_minor
    start = None if alone is None else _times(alone, attempt["start"], before.currency)
    announced = dataclasses.replace(before, attempt=before.attempt + 1)
    days = max(notice, checks.notice_days(preset, announced))
    values: dict[str, Any] = {name: getattr(before, name) for name in _KEPT}
    values |= {
        "format": name,
        "start_price_minor": start,
        "reserve_minor": _reserve(base, attempt, name, before.currency),
        "increment": attempt.get("increment") or _increment(base.increment, attempt["step"], before.currency),
        "deposit_minor": _deposit(base, attempt, start, preset, before.currency),
        "soft_close_window_seconds": before.soft_close_window_seconds,
        "soft_close_extension_seconds": before.soft_close_extension_seconds,
        "minimum_bidders": before.minimum_bidders,
        "format_terms": _format_terms(before, attempt, name, start) | _lots(base, attempt, before.currency),
    }
    return values | _times_of(before, attempt, name, days=days, at=at, values=values)


def titles_of_lot(titles: Mapping[str, Any], lot: str) -> dict[str, str]:
    """Return the titles of a listing that sells one lot by itself, cut to what a title may be long."""
    given = {name: titles[name] for name in ("title_zh", "title_en") if titles[name]}
    return {name: f"{title[: MAX_TITLE - len(lot) - 2]}: {lot}" for name, title in given.items()}


def planned_start(start: Money, factor: str) -> Money:
    """Return the start price of an attempt of a plan: a factor of the first one's, rounded up."""
    return Money(_times(start.minor, factor, start.currency), start.currency)


def _times(minor: int, factor: str, currency: str) -> int:
    return Money(minor, currency).portion(Decimal(factor), Rounding.UP).minor


def _reserve(base: Base, attempt: Mapping[str, Any], name: FormatName, currency: str) -> int | None:
    if base.reserve_minor is None or not format_terms.takes(name, "reserve_price"):
        return None
    return _times(base.reserve_minor, attempt["start"], currency)


def _lots(base: Base, attempt: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return the term `lots` with each reserve scaled; nothing for a listing that has no lots."""
    scaled = {name: _times(reserve, attempt["start"], currency) for name, reserve in base.lots.items()}
    rows = [{"lot": name, "reserve": Money(minor, currency).text} for name, minor in scaled.items()]
    return {"lots": rows} if rows else {}


def _deposit(base: Base, attempt: Mapping[str, Any], start: int | None, preset: Preset, currency: str) -> int:
    scaled = _times(base.deposit_minor, attempt["deposit"], currency)
    bounds = None if start is None else checks.deposit_range(preset, start, currency)
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


def _format_terms(before: Terms, attempt: Mapping[str, Any], name: FormatName, start: int | None) -> dict[str, Any]:
    given = dict(before.format_terms) if before.format is name else {}
    if "steps" in given:
        given["steps"] = given["steps"] | {"drop": _down(given["steps"]["drop"], attempt["step"], before.currency)}
    values = {term: value for term, value in (given | attempt["terms"]).items() if format_terms.takes(name, term)}
    steps = values.get("steps", {})
    if "drop_rate" in steps:
        assert start is not None
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
