"""The legal checks of a preset: each a function of terms and facts, its figures and its source from the preset's data.

A check says nothing about a term that is not given yet (`terms.missing` does), nor about one that the format does not
have. Legal floors round up, legal caps round down. Each refusal names its source.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from auctions.domain import wall_times
from auctions.domain.format_terms import FormatName
from auctions.domain.presets import Preset
from auctions.domain.terms import Missing, Terms
from marketplace.clock import aware, format_instant
from marketplace.money import Money, Rounding


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks know beside the terms. Amounts in minor units; None where there is no such thing."""

    appraisal_minor: int | None
    previous_start_minor: int | None
    published_at: datetime


Check = Mapping[str, Any]
Judge = Callable[[Terms, Check, Facts, Preset], str | None]


def judge(terms: Terms, preset: Preset, facts: Facts) -> list[Missing]:
    """Return every check of a preset that the terms do not pass, with the source of each."""
    found = []
    for check in preset.checks:
        if terms.attempt not in check.get("attempts", [terms.attempt]):
            continue
        sentence = _JUDGES[check["kind"]](terms, check, facts, preset)
        if sentence is not None:
            found.append(Missing(check["code"], f"{sentence} ({cited(check['source'])})", check["source"]))
    return found


def cited(source: Mapping[str, Any]) -> str:
    """Return a source as it stands in a sentence."""
    article = f", Art. {source['article']}" if source["article"] else ""
    return f"{source['law']['en']}{article}; grade {source['grade']}"


def floor_of(amount_minor: int, rate: str, currency: str) -> int:
    """Return a share of an amount as a legal floor: rounded up to minor units."""
    return Money(amount_minor, currency).portion(Decimal(rate), Rounding.UP).minor


def cap_of(amount_minor: int, rate: str, currency: str) -> int:
    """Return a share of an amount as a legal cap: rounded down to minor units."""
    return Money(amount_minor, currency).portion(Decimal(rate), Rounding.DOWN).minor


def earliest_opening(published_at: datetime, days: int, zone: str) -> datetime:
    """Return the first instant that is `days` full days later by the clocks of a zone."""
    there = wall_times.zone_of(zone)
    local = aware(published_at).astimezone(there).replace(tzinfo=None) + timedelta(days=days)
    # a time that happens twice counts when it is over, one that is skipped as the clocks read after the gap
    return max(local.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1))


def notice_days(preset: Preset, terms: Terms) -> int:
    """Return how many days before the opening the sale must be announced; zero when the preset asks for none."""
    days = [
        check["days"][terms.asset_kind.value]
        for check in preset.checks
        if check["kind"] == "notice" and terms.attempt in check["attempts"]
    ]
    return max(days, default=0)


def deposit_range(preset: Preset, start_minor: int, currency: str) -> tuple[int, int] | None:
    """Return the least and the largest deposit for a start price, None when the preset sets no range."""
    for check in preset.checks:
        if check["kind"] == "deposit_to_start":
            return floor_of(start_minor, check["low"], currency), cap_of(start_minor, check["high"], currency)
    return None


def _money(minor: int, terms: Terms) -> str:
    return str(Money(minor, terms.currency))


def _format_allowed(terms: Terms, check: Check, _facts: Facts, preset: Preset) -> str | None:
    allowed = check.get("by_attempt", {}).get(str(terms.attempt), preset.document["formats"])
    return None if terms.format.value in allowed else f"The format must be one of {', '.join(allowed)}."


def _start_to_appraisal(terms: Terms, check: Check, facts: Facts, _preset: Preset) -> str | None:
    return _start_floor(terms, check, facts.appraisal_minor, "the valid appraisal")


def _start_to_previous(terms: Terms, check: Check, facts: Facts, _preset: Preset) -> str | None:
    return _start_floor(terms, check, facts.previous_start_minor, "the start price of the sale before")


def _start_floor(terms: Terms, check: Check, basis: int | None, what: str) -> str | None:
    if terms.start_price_minor is None or basis is None:
        return None
    floor = floor_of(basis, check["rate"], terms.currency)
    if terms.start_price_minor >= floor:
        return None
    share = format(Decimal(check["rate"]) * 100, "f").rstrip("0").rstrip(".")
    return f"The start price must be at least {_money(floor, terms)}, {share} % of {what} rounded up."


def _reserve_is_start(terms: Terms, _check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if terms.reserve_minor is None or terms.reserve_minor == terms.start_price_minor:
        return None
    return "The start price is the reserve: leave the reserve empty, or give the same amount."


def _notice(terms: Terms, check: Check, facts: Facts, _preset: Preset) -> str | None:
    if terms.opens_at is None:
        return None
    days = check["days"][terms.asset_kind.value]
    earliest = earliest_opening(facts.published_at, days, terms.zone)
    if terms.opens_at >= earliest:
        return None
    kind = terms.asset_kind.value.replace("_", " ")
    return (
        f"Attempt {terms.attempt} for {kind} must be announced {days} full days before: published at "
        f"{format_instant(facts.published_at)}, bidding may open from {format_instant(earliest)}."
    )


def _deposit_to_start(terms: Terms, check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if terms.start_price_minor is None or terms.deposit_minor is None:
        return None
    low = floor_of(terms.start_price_minor, check["low"], terms.currency)
    high = cap_of(terms.start_price_minor, check["high"], terms.currency)
    if low <= terms.deposit_minor <= high:
        return None
    return f"The deposit must be from {_money(low, terms)} to {_money(high, terms)}."


def _bidding_time(terms: Terms, check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if terms.opens_at is None or terms.ends_at is None or not terms.takes("ends_at"):
        return None
    clock = terms.format_terms.get("first_bid_clock_seconds", check["seconds"])
    if min(terms.ends_at - terms.opens_at, timedelta(seconds=clock)) >= timedelta(seconds=check["seconds"]):
        return None
    return f"Bidding must be open for at least {check['seconds']} seconds."


def _soft_close(terms: Terms, check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if not terms.takes("soft_close"):
        return None
    wanted = (check["window_seconds"], check["extension_seconds"], "bid", None)
    base = terms.format_terms.get("soft_close_base", "bid")
    if wanted == (terms.soft_close_window_seconds, terms.soft_close_extension_seconds, base, terms.hard_end_at):
        return None
    return (
        f"A bid in the last {wanted[0]} seconds must move the end to its own time and {wanted[1]} seconds, "
        "as often as it happens, without a hard end."
    )


def _cycle(terms: Terms, check: Check, _facts: Facts, _preset: Preset) -> str | None:
    given = terms.format_terms.get("cycle_seconds")
    if terms.format is not FormatName.TWO_PHASE or given in {None, check["seconds"]}:
        return None
    return f"A delay cycle must last {check['seconds']} seconds."


def _first_bid_clock(terms: Terms, check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if not terms.takes("first_bid_clock_seconds"):
        return None
    if terms.format_terms.get("first_bid_clock_seconds") == check["seconds"]:
        return None
    if check["seconds"] is None:
        return f"Attempt {terms.attempt} is an auction until its announced end: no clock that the first bid starts."
    return f"The first bid must start a clock of {check['seconds']} seconds, which ends the sale."


def _one_bidder_suffices(terms: Terms, _check: Check, _facts: Facts, _preset: Preset) -> str | None:
    if terms.minimum_bidders == 1 and not terms.format_terms.get("minimum_raises"):
        return None
    return "One bid at or above the start price must suffice: one bidder, no raises."


_JUDGES: Final[Mapping[str, Judge]] = {
    "format_allowed": _format_allowed,
    "start_to_appraisal": _start_to_appraisal,
    "start_to_previous": _start_to_previous,
    "reserve_is_start": _reserve_is_start,
    "notice": _notice,
    "deposit_to_start": _deposit_to_start,
    "bidding_time": _bidding_time,
    "soft_close": _soft_close,
    "cycle": _cycle,
    "first_bid_clock": _first_bid_clock,
    "one_bidder_suffices": _one_bidder_suffices,
}
KINDS: Final = tuple(_JUDGES)
"""The kinds of check that the data of a preset may name."""
