"""The terms of a listing: what a seller offers, what is still missing before it can be published, the rules it fixes.

A draft may be incomplete; `missing` names everything at once. `rules_document` turns complete terms into the rules of
an auction as in the file format "auction replay", so that announcement, live decision and replay are one text.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from auctions.domain import format_terms, increments
from auctions.domain.canonical import fingerprint
from auctions.domain.format_terms import FormatName
from auctions.domain.replay import Rulebook, read_rules
from marketplace.clock import format_instant
from marketplace.documents import BadDocument, Node
from marketplace.money import CurrencyMismatch, Money

AWARDS: Final = 2
"""The winner and the runner-up are awarded, unless the terms say otherwise."""


class AssetKind(enum.StrEnum):
    """What is sold, as notice periods tell it apart. Claims are rights."""

    MOVABLES = "movables"
    REAL_ESTATE = "real_estate"
    RIGHTS = "rights"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a seller offers. Amounts in minor units of `currency`; None where the draft does not say yet."""

    currency: str
    title_zh: str | None = None
    title_en: str | None = None
    description: str | None = None
    start_price_minor: int | None = None
    reserve_minor: int | None = None
    increment: dict[str, Any] | None = None
    deposit_minor: int | None = None
    registration_closes_at: datetime | None = None
    opens_at: datetime | None = None
    ends_at: datetime | None = None
    soft_close_window_seconds: int = 300
    soft_close_extension_seconds: int = 300
    hard_end_at: datetime | None = None
    minimum_bidders: int = 1
    format: FormatName = FormatName.ENGLISH
    format_terms: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "plain"
    zone: str = "Asia/Shanghai"
    asset_kind: AssetKind = AssetKind.RIGHTS
    attempt: int = 1

    def takes(self, term: str) -> bool:
        """Whether a term means anything in the format of the listing."""
        return format_terms.takes(self.format, term)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What other packages say about the package of cases that is to be listed."""

    package_frozen: bool
    package_listed_elsewhere: bool
    header_complete: bool
    appraisal_accepted: bool
    room_open: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that stands in the way of publishing: a stable code and a sentence that says what to do.

    `source` names the law or rule where one demands it: `{"law": {"zh", "en"}, "article", "grade"}`.
    """

    code: str
    detail: str
    source: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return it as an error of a problem document."""
        found: dict[str, Any] = {"code": self.code, "detail": self.detail}
        return found if self.source is None else found | {"source": dict(self.source)}


def missing(terms: Terms, around: Surroundings, *, at: datetime) -> list[Missing]:
    """Return everything that stands in the way of publishing at `at`; empty when ready."""
    gaps = {
        "package_not_frozen": (not around.package_frozen, "Freeze the package at its cut-off date."),
        "package_already_listed": (around.package_listed_elsewhere, "Another listing of this package is published."),
        "header_incomplete": (not around.header_complete, "The header of the package has no loans or no principal."),
        "appraisal_missing": (not around.appraisal_accepted, "Accept an appraisal that is still valid."),
        "room_not_open": (not around.room_open, "Open the data room of the package."),
        "title_missing": (not terms.title_zh, "Give a Chinese title."),
        "deposit_missing": (terms.deposit_minor is None, "Give the deposit; zero is possible."),
    }
    found = [Missing(code, detail) for code, (lacking, detail) in gaps.items() if lacking]
    lacking = _lacking(terms)
    return found + lacking + _faults_of_times(terms, at=at) + ([] if lacking else _faults_of_rules(terms))


def _lacking(terms: Terms) -> list[Missing]:
    """Name every key that the format needs and the terms do not give: as `start_price_missing`, `steps_missing`."""
    given = _values(terms)
    return [
        Missing(f"{key}_missing", f"The format {terms.format.value} needs the term {key}.")
        for key in format_terms.required(terms.format)
        if given.get(key) is None
    ]


def _faults_of_times(terms: Terms, *, at: datetime) -> list[Missing]:
    closes, opens = terms.registration_closes_at, terms.opens_at
    ends = terms.ends_at if terms.takes("ends_at") else None
    faults = {
        "registration_closes_at_missing": (closes is None, "Say when registration closes."),
        "registration_closes_in_past": (closes is not None and closes <= at, "Registration must close in the future."),
        "opens_at_missing": (opens is None, "Say when bidding opens."),
        "opens_in_past": (opens is not None and opens <= at, "Bidding must open in the future."),
        "registration_closes_after_opening": (
            closes is not None and opens is not None and closes > opens,
            "Registration must close when bidding opens, or before.",
        ),
        "ends_before_opening": (
            ends is not None and opens is not None and ends <= opens,
            "Bidding must end after it opens.",
        ),
        "hard_end_before_end": (
            terms.hard_end_at is not None and ends is not None and terms.hard_end_at < ends,
            "The hard end must not lie before the end.",
        ),
    }
    return [Missing(code, detail) for code, (wrong, detail) in faults.items() if wrong]


def _faults_of_rules(terms: Terms) -> list[Missing]:
    """Let the engine read the rules: what only their combination shows, it names itself."""
    if terms.opens_at is None or (terms.ends_at is not None and terms.ends_at <= terms.opens_at):
        return []
    try:
        rules_document(terms)
    except BadDocument as failure:
        return [Missing("rules_invalid", failure.detail)]
    return []


def same_currency(amount: Money | None, currency: str) -> int | None:
    """Return the minor units of an amount; raise `CurrencyMismatch` when it is not in the package's currency."""
    if amount is None:
        return None
    if amount.currency != currency:
        raise CurrencyMismatch(amount.currency, currency)
    return amount.minor


def normal_increment(value: dict[str, Any], currency: str) -> dict[str, Any]:
    """Return an increment in its canonical form; raise `BadDocument` at `/increment…`."""
    return increments.read(Node(value, "/increment"), currency).document(currency)


def _values(terms: Terms) -> dict[str, Any]:
    """Return what the terms give for each key of rules, in the shape of a replay file; None where they do not say."""
    start = terms.start_price_minor
    return {
        "ends_at": None if terms.ends_at is None else format_instant(terms.ends_at),
        "start_price": None if start is None else Money(start, terms.currency).text,
        "increment": terms.increment,
        "soft_close": {
            "window_seconds": terms.soft_close_window_seconds,
            "extension_seconds": terms.soft_close_extension_seconds,
            "base": terms.format_terms.get("soft_close_base", "bid"),
            "hard_end": None if terms.hard_end_at is None else format_instant(terms.hard_end_at),
        },
        "minimum_bidders": terms.minimum_bidders,
        "awards": AWARDS,
    } | {name: value for name, value in terms.format_terms.items() if name != "soft_close_base"}


def rules_document(terms: Terms, *, priority: Sequence[tuple[str, int]] = ()) -> dict[str, Any]:
    """Return the public rules of complete terms: a replay file's `rules` without the reserve (committed apart).

    `priority` are bidder codes with their ranks. The engine reads the rules once; raises its `BadDocument`.
    """
    assert terms.opens_at is not None
    values = _values(terms) | {"priority": [{"bidder": code, "rank": rank} for code, rank in priority] or None}
    taken = format_terms.keys(terms.format)
    document = {"format": terms.format.value, "currency": terms.currency, "opens_at": format_instant(terms.opens_at)}
    document |= {name: value for name, value in values.items() if name in taken and value is not None}
    read(document)
    return document


def scheduled_end(document: dict[str, Any]) -> datetime:
    """Return when an auction ends if nobody ever bids: the engine's own answer, whatever the format."""
    return read(document).start().outcome(None).ends_at


def read(document: dict[str, Any]) -> Rulebook:
    """Read rules that were frozen earlier; the same reader as for documents from outside."""
    return read_rules(Node(document, "/rules"))


def with_reserve(document: dict[str, Any], reserve_minor: int | None) -> dict[str, Any]:
    """Return the complete rules: the public ones with the reserve."""
    currency = document["currency"]
    return document | {"reserve_price": None if reserve_minor is None else Money(reserve_minor, currency).text}


def commitment(*, salt: str, reserve_minor: int | None, currency: str) -> str:
    """Return the hash by which a reserve is fixed without being told; whoever learns salt and reserve can check it."""
    reserve = None if reserve_minor is None else Money(reserve_minor, currency).text
    return fingerprint({"currency": currency, "reserve_price": reserve, "salt": salt})
