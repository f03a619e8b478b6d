"""What a sale page tells beside the figures: the market's rules with their sources, the plan, lots, papers, the seal.

Values for the templates of a listing and of a result; everything in them is what `auctions` shows to this reader.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from auctions import service as auctions
from console import language
from console.language import mark
from marketplace.actor import Actor
from marketplace.errors import NotFound
from marketplace.money import Money

RULES: Final[Mapping[str, str]] = {
    "format_allowed": mark("The manner of bidding is one that the market allows."),
    "start_to_appraisal": mark("The start price is at least %(percent)s%% of a valid appraisal."),
    "reserve_is_start": mark("The start price is the reserve."),
    "start_to_previous": mark("The start price is at least %(percent)s%% of that of the sale before."),
    "notice": mark("Announced %(rights)s days before (movables %(movables)s, real estate %(real_estate)s)."),
    "deposit_to_start": mark("The deposit is %(low)s%% to %(high)s%% of the start price."),
    "bidding_time": mark("Bidding is open for at least %(hours)s hours."),
    "soft_close": mark("A bid in the last %(window_seconds)s seconds moves the end by %(extension_seconds)s seconds."),
    "cycle": mark("A delay cycle lasts %(seconds)s seconds."),
    "first_bid_clock": mark("The first bid starts a clock of %(hours)s hours, which ends the sale."),
    "one_bidder_suffices": mark("One bidder at the start price suffices."),
}
_NO_CLOCK: Final = mark("Bidding lasts until its announced end: no bid brings it nearer.")


_MINUTES: Final = mark("Bidding is open for at least %(minutes)s minutes.")


@dataclass(frozen=True, slots=True)
class Rule:
    """One legal check of a market in words, and the law or practice that it is of; `article` may be empty.

    `attempts`: to which attempts of a sale it applies, empty for all.
    """

    text: str
    law: str
    article: str
    attempts: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a re-listing plan: its format, and its start price where it is known."""

    number: int
    format: str
    share: str
    start: Money | None


@dataclass(frozen=True, slots=True)
class Sale:
    """A listing beside its terms. `attempts` are those after the first, `made` says how many there were already."""

    preset: str
    rules: Sequence[Rule]
    attempts: Sequence[Attempt]
    lots: auctions.LotsPage
    attempt: int


def sale_of(session: Session, row: auctions.Listing, *, hidden: frozenset[str], actor: Actor, at: datetime) -> Sale:
    """Return what a listing's page tells beside its terms."""
    preset = auctions.preset_of(session, row, at=at)
    checks = [check for check in preset.checks if row.attempt in check.get("attempts", [row.attempt])]
    return Sale(
        preset=title_of_preset(preset),
        rules=[rule_of(check) for check in checks],
        attempts=() if "start_price" in hidden else _attempts(row),
        lots=auctions.show_lots(session, row.id, actor=actor),
        attempt=row.attempt,
    )


def title_of_preset(preset: auctions.Preset) -> str:
    """Return the name of a market in the reader's language."""
    return _in_language(preset.document["title"])


def rules_of(preset: auctions.Preset) -> list[Rule]:
    """Return every legal check of a market in words."""
    return [rule_of(check) for check in preset.checks]


def _in_language(texts: Mapping[str, str]) -> str:
    return texts["zh" if language.chosen() == "zh" else "en"]


def rule_of(check: Mapping[str, Any]) -> Rule:
    """Return one legal check of a market in words, with its source."""
    values = {name: value for name, value in check.items() if not isinstance(value, dict)} | check.get("days", {})
    for share in ("rate", "low", "high"):
        if share in check:
            values["percent" if share == "rate" else share] = percent(check[share])
    seconds = check.get("seconds", 0)
    values |= {"hours": (seconds or 0) // 3600, "minutes": (seconds or 0) // 60}
    source, sentence = check["source"], RULES[check["kind"]]
    if seconds is None:
        sentence = _NO_CLOCK
    elif check["kind"] == "bidding_time" and seconds % 3600:
        sentence = _MINUTES
    attempts = ", ".join(str(number) for number in check.get("attempts", ()))
    return Rule(language.gettext(sentence) % values, _in_language(source["law"]), source["article"], attempts)


def percent(rate: str) -> str:
    """Return a share of one as a percentage without trailing zeros."""
    whole, _, rest = rate.partition(".")
    digits = rest.ljust(2, "0")
    head = str(int(whole + digits[:2]))
    tail = digits[2:].rstrip("0")
    return f"{head}.{tail}" if tail else head


def _attempts(row: auctions.Listing) -> list[Attempt]:
    plan = row.relisting_plan
    start = row.start_price if row.plan_step == 0 else None
    found = [] if plan is None else plan["attempts"][row.plan_step :]
    return [
        Attempt(
            number=row.attempt + place,
            format=one["format"],
            share=percent(one["start"]),
            start=None if start is None else auctions.planned_start(start, one["start"]),
        )
        for place, one in enumerate(found, start=1)
    ]


@dataclass(frozen=True, slots=True)
class Papers:
    """What follows a result: the awards' files as far as the reader is concerned, the seal, lots without a buyer."""

    files: Sequence[auctions.AwardFile]
    sealing: auctions.SealingView | None
    unsold: Sequence[str]


def papers_of(session: Session, result: auctions.Result, *, actor: Actor, at: datetime) -> Papers:
    """Return what follows a result."""
    files = [
        auctions.award_file(session, award.row.id, actor=actor, at=at)
        for award in result.awards
        if award.organisation_id is not None
    ]
    lots = auctions.show_lots(session, result.listing_id, actor=actor).lots
    sold = {name for award in result.awards if award.row.state not in _GONE for name in award.row.lots}
    return Papers(files, sealing_of(session, result.auction_id), [lot.name for lot in lots if lot.name not in sold])


_GONE: Final = frozenset({auctions.AwardState.FAILED, auctions.AwardState.RELEASED})


def sealing_of(session: Session, auction_id: uuid.UUID) -> auctions.SealingView | None:
    """Return how the bids of an auction are sealed, None for open bids."""
    try:
        return auctions.view_sealing(session, auction_id=auction_id)
    except NotFound:
        return None
