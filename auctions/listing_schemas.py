"""What the routes of listings take in and give out."""

from datetime import datetime
from typing import Any, Final

import marshmallow as ma

from auctions.catalogue import ListingPage, ListingView
from auctions.domain import wall_times
from auctions.domain.format_terms import NAMES, FormatName
from auctions.domain.lifecycles import ListingState
from auctions.domain.presets import Preset
from auctions.domain.reading import MAX_COUNT, MAX_SECONDS
from auctions.domain.terms import AssetKind
from auctions.domain.wall_times import AmbiguousLocalTime
from marketplace.clock import format_instant, parse_instant
from marketplace.errors import Failure
from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema, Text

_MOMENT: Final = {
    "oneOf": [
        {"type": "string", "format": "date-time"},
        {
            "type": "object",
            "properties": {"local": {"type": "string"}, "zone": {"type": "string"}},
            "required": ["local", "zone"],
            "additionalProperties": False,
            "example": {"local": "2026-03-02T09:00:00", "zone": "Asia/Shanghai"},
        },
        {"type": "null"},
    ]
}


class Moment(ma.fields.Field[datetime]):
    """An instant, RFC 3339 with a zone; or a time as clocks of a zone show it: `{"local": …, "zone": …}`.

    A local time that does not exist or happens twice is refused with both readings (`local_time_missing`, `…_twice`).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata=_MOMENT, **kwargs)

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else format_instant(value)

    def _deserialize(self, value: Any, attr: str | None, *_: Any, **__: Any) -> datetime:
        try:
            if not isinstance(value, dict):
                return parse_instant(value)
            if set(value) != {"local", "zone"}:
                raise ma.ValidationError('Must be {"local": "2026-03-02T09:00:00", "zone": "Asia/Shanghai"}.')
            return wall_times.instant(value["local"], value["zone"])
        except AmbiguousLocalTime as failure:
            failure.errors = [{"pointer": f"/{attr}", "detail": failure.detail, "candidates": failure.candidates}]
            raise
        except Failure as failure:
            raise ma.ValidationError(failure.detail) from None


class PriorityIn(Schema):
    """An organisation with a pre-emption right; rank 1 is the best."""

    organisation_id = Id(required=True)
    rank = Count(required=True, minimum=1, maximum=MAX_COUNT)


class TermsIn(Schema):
    """Terms of a draft; what is not given stays as it is, null empties a term. Amounts in the package's currency.

    Which terms a format needs, and which it has none of, is told by `readiness` and by refusals with a pointer.
    """

    preset = Text(maximum=40, metadata={"description": "A name of /presets; brings its defaults."})
    format = Choice(FormatName)
    asset_kind = Choice(AssetKind)
    zone = Text(maximum=64, metadata={"description": "Zone whose days and clocks count; default that of the preset."})
    title_zh = Text(maximum=200, allow_none=True)
    title_en = Text(maximum=200, allow_none=True)
    description = Text(maximum=5000, allow_none=True)
    start_price = Amount(positive=True, allow_none=True)
    reserve_price = Amount(allow_none=True, metadata={"description": "Hidden; null means none."})
    increment = ma.fields.Dict(
        allow_none=True,
        metadata={
            "description": "fixed, percent or bands, as in a replay file; amounts as strings.",
            "example": {"kind": "fixed", "amount": "50000.00"},
        },
    )
    grid = Flag(allow_none=True)
    deposit = Amount(allow_none=True)
    registration_closes_at = Moment(allow_none=True)
    opens_at = Moment(allow_none=True)
    ends_at = Moment(allow_none=True)
    soft_close_window_seconds = Count(maximum=MAX_SECONDS)
    soft_close_extension_seconds = Count(maximum=MAX_SECONDS)
    soft_close_base = Text(maximum=10, allow_none=True, metadata={"description": "bid (default) or end."})
    hard_end_at = Moment(allow_none=True)
    minimum_bidders = Count(minimum=1, maximum=MAX_COUNT)
    minimum_raises = Count(maximum=MAX_COUNT, allow_none=True)
    awards = Count(minimum=1, maximum=MAX_COUNT, allow_none=True)
    cycle_seconds = Count(minimum=1, maximum=MAX_SECONDS, allow_none=True)
    first_bid_clock_seconds = Count(
        minimum=1,
        maximum=MAX_SECONDS,
        allow_none=True,
        metadata={"description": "english, proxy: the first accepted bid ends the auction so much later (变卖)."},
    )
    steps = ma.fields.Dict(
        allow_none=True,
        metadata={"example": {"count": 81, "seconds": 300, "drop": "10000.00", "pause_seconds": 30}},
    )
    sealed_seconds = Count(minimum=1, maximum=MAX_SECONDS, allow_none=True)
    best_bid_seconds = Count(minimum=1, maximum=MAX_SECONDS, allow_none=True)
    pause_seconds = Count(maximum=MAX_SECONDS, allow_none=True)
    round_seconds = Count(minimum=1, maximum=MAX_SECONDS, allow_none=True)
    stop_at = Moment(allow_none=True)
    attempt_interval_seconds = Count(
        maximum=60, metadata={"description": "Least time between two accepted attempts of a registration; default 1."}
    )
    confirm_above_percent = Count(
        minimum=1,
        maximum=MAX_COUNT,
        allow_none=True,
        metadata={"description": "A bid so far above the least one asks for a second confirmation; default 100."},
    )
    lots = ma.fields.List(ma.fields.Dict(), allow_none=True, metadata={"example": [{"lot": "L1", "reserve": "100.00"}]})
    unsold_lots_count = Text(maximum=20, allow_none=True, metadata={"description": "nothing or at_reserve."})
    exclusive_bids_per_bidder = Flag(allow_none=True)
    priority = ma.fields.List(ma.fields.Nested(PriorityIn), allow_none=True, validate=ma.validate.Length(max=100))
    relisting_plan = ma.fields.Dict(
        allow_none=True,
        metadata={
            "description": "What follows a failed attempt, fixed in advance; factors of this listing's amounts.",
            "example": {"publish": True, "attempts": [{"format": "english", "start": "0.5"}]},
        },
    )


class ListingIn(TermsIn):
    """A new draft."""

    package_id = Id(required=True)


class TermsOut(Schema):
    """A listing in a list: what its reader may see of its terms; those in `hidden_terms` are null."""

    id = Id(required=True)
    package_id = Id(required=True)
    auction_id = Id(required=True, allow_none=True)
    state = Choice(ListingState, required=True)
    version = Count(required=True)
    preset = ma.fields.String(required=True)
    format = Choice(FormatName, required=True)
    asset_kind = Choice(AssetKind, required=True)
    zone = ma.fields.String(required=True)
    attempt = Count(required=True)
    previous_listing_id = Id(required=True, allow_none=True)
    currency = ma.fields.String(required=True)
    title_zh = ma.fields.String(required=True, allow_none=True)
    title_en = ma.fields.String(required=True, allow_none=True)
    description = ma.fields.String(required=True, allow_none=True)
    start_price = Amount(required=True, allow_none=True)
    increment = ma.fields.Dict(required=True, allow_none=True)
    deposit = Amount(required=True, allow_none=True)
    registration_closes_at = Instant(required=True, allow_none=True)
    opens_at = Instant(required=True, allow_none=True)
    ends_at = Instant(required=True, allow_none=True)
    soft_close_window_seconds = Count(required=True)
    soft_close_extension_seconds = Count(required=True)
    hard_end_at = Instant(required=True, allow_none=True)
    minimum_bidders = Count(required=True)
    attempt_interval_seconds = Count(required=True)
    confirm_above_percent = Count(required=True, allow_none=True)
    format_terms = ma.fields.Dict(required=True, metadata={"description": "Terms of this format: " + ", ".join(NAMES)})
    hidden_terms = ma.fields.List(ma.fields.String(), required=True)
    created_at = Instant(required=True)
    published_at = Instant(required=True, allow_none=True)

    @ma.pre_dump
    def flatten(self, view: ListingView, **_: Any) -> dict[str, Any]:
        """Put the row's values and what belongs to it side by side."""
        values = {name: getattr(view.row, name) for name in self.fields if hasattr(view.row, name)}
        values["auction_id"] = view.auction and view.auction.id
        values["hidden_terms"] = sorted(view.hidden)
        values |= dict.fromkeys(view.hidden)
        if isinstance(view, ListingPage):
            values |= self._page(view)
            if not view.shows_reserve:
                del values["reserve_price"]
        return values

    @staticmethod
    def _page(view: ListingPage) -> dict[str, Any]:
        auction = view.auction
        return {
            "seller_name": view.seller_name,
            "strata": view.strata,
            "header": view.header.document() if view.header else None,
            "rules_hash": auction and auction.rules_hash,
            "reserve_commitment": auction and auction.reserve_commitment,
            "announcement_hash": view.announcement and view.announcement.hash,
            "rectifiable_until": view.rectifiable_until,
            "priority": view.priority,
        }


class StratumOut(Schema):
    """One cell of the package along a dimension."""

    dimension = ma.fields.String(required=True)
    value = ma.fields.String(required=True)
    loans = Count(required=True)
    principal = Amount(required=True)
    interest = Amount(required=True)


class PriorityOut(Schema):
    """A holder of a pre-emption right; the code is drawn at publication."""

    organisation_id = Id(required=True)
    rank = Count(required=True)
    bidder_code = ma.fields.String(required=True, allow_none=True)


class ListingOut(TermsOut):
    """A listing with the header and strata of its package. `reserve_price` only for the seller and the auditor."""

    seller_organisation_id = Id(required=True)
    seller_name = ma.fields.String(required=True)
    reserve_price = Amount(allow_none=True)
    rules_hash = ma.fields.String(required=True, allow_none=True)
    reserve_commitment = ma.fields.String(required=True, allow_none=True)
    announcement_hash = ma.fields.String(required=True, allow_none=True)
    rectifiable_until = Instant(required=True, allow_none=True)
    relisting_plan = ma.fields.Dict(required=True, allow_none=True)
    plan_step = Count(required=True)
    planned_lot = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The lot of the plan's first listing that this one sells by itself."},
    )
    priority = ma.fields.List(
        ma.fields.Nested(PriorityOut),
        required=True,
        allow_none=True,
        metadata={"description": "null for whoever is neither seller nor operator."},
    )
    header = ma.fields.Dict(required=True, allow_none=True)
    strata = ma.fields.List(ma.fields.Nested(StratumOut), required=True)


class CatalogueArgs(PageArgs):
    """A page of the catalogue, or what was found."""

    q = Text(maximum=200, load_default=None, metadata={"description": "Words that a published listing must have."})


class MissingOut(Schema):
    """One thing that stands in the way of publishing; `source` names the law or rule, with its grade."""

    code = ma.fields.String(required=True)
    detail = ma.fields.String(required=True)
    source = ma.fields.Dict(required=True, allow_none=True)


class ReadinessOut(Schema):
    """Whether a listing can be published now."""

    ready = Flag(required=True)
    missing = ma.fields.List(ma.fields.Nested(MissingOut), required=True)


class AnnouncementOut(Schema):
    """One version of an announcement; the hash is that of the document's canonical JSON (RFC 8785)."""

    hash = ma.fields.String(required=True)
    document = ma.fields.Dict(required=True)


class AnnouncementsOut(Schema):
    """Every version of an announcement, newest first."""

    items = ma.fields.List(ma.fields.Nested(AnnouncementOut), required=True)


class PresetOut(Schema):
    """One version of a preset: its data with sources, and the hash that an announcement freezes."""

    name = ma.fields.String(required=True)
    version = Count(required=True)
    valid_from = Day(required=True)
    valid_until = Day(required=True, allow_none=True)
    in_force = Flag(required=True)
    hash = ma.fields.String(required=True)
    document = ma.fields.Dict(required=True)


class WorkingCalendarOut(Schema):
    """A calendar of working days: its data with sources."""

    name = ma.fields.String(required=True)
    hash = ma.fields.String(required=True)
    document = ma.fields.Dict(required=True)


class PresetsOut(Schema):
    """Every version of every preset, and the calendars of working days that they count by."""

    presets = ma.fields.List(ma.fields.Nested(PresetOut), required=True)
    calendars = ma.fields.List(ma.fields.Nested(WorkingCalendarOut), required=True)
    calendars_version = ma.fields.String(required=True)


class CalendarFeedIn(Schema):
    """A new calendar link."""

    name = Text(maximum=100, required=True)


class CalendarFeedOut(Schema):
    """A calendar link."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    created_at = Instant(required=True)
    expires_at = Instant(required=True)


class IssuedFeedOut(Schema):
    """A new calendar link with its address, which cannot be shown again."""

    feed = ma.fields.Nested(CalendarFeedOut, required=True)
    path = ma.fields.String(required=True)


class CalendarFeedsOut(Schema):
    """One's calendar links."""

    items = ma.fields.List(ma.fields.Nested(CalendarFeedOut), required=True)


class CalendarArgs(Schema):
    """The token of a calendar link; without one the request must be signed in."""

    token = Text(maximum=100, load_default=None)


def shown_preset(preset: Preset, *, in_force: bool) -> dict[str, Any]:
    """Return a preset as `PresetOut` writes it."""
    names = ("name", "version", "valid_from", "valid_until", "hash", "document")
    return {name: getattr(preset, name) for name in names} | {"in_force": in_force}
