"""What the routes of lots take in and give out."""

from typing import Any, Final

import marshmallow as ma

from auctions.domain.awards import FailureCause
from auctions.domain.lifecycles import AwardState
from auctions.domain.lots import LotState
from auctions.domain.package import MAX_LOTS
from auctions.lots import LotView
from marketplace.fields import Amount, Choice, Count, Flag, Id, Schema, Text, Upload
from marketplace.money import Money
from marketplace.packages.schemas import PackageFilterIn

MAX_KEYS: Final = 100_000
"""More keys than this are handed over as a file."""


class LotFilterIn(PackageFilterIn):
    """Which frozen cases; as for a package, but for the tape that they came from."""

    class Meta(PackageFilterIn.Meta):
        """Without the tape."""

        exclude = ("tape_id",)


class LotIn(Schema):
    """Which cases a lot takes: exactly one of `filter`, `case_keys`, `rest`."""

    lot = Text(maximum=60, required=True)
    filter = ma.fields.Nested(LotFilterIn)
    case_keys = ma.fields.List(Text(maximum=200), validate=ma.validate.Length(min=1, max=MAX_KEYS))
    rest = Flag(metadata={"description": "Only true: all that no other lot takes."})

    @ma.validates_schema
    def one_way(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a lot that is chosen in no way, or in two."""
        if len({"filter", "case_keys", "rest"}.intersection(data)) != 1 or data.get("rest") is False:
            raise ma.ValidationError("Give exactly one of filter, case_keys, rest.", "lot")


class LotsIn(Schema):
    """The lots of a draft; each case is in one of them at most."""

    lots = ma.fields.List(ma.fields.Nested(LotIn), required=True, validate=ma.validate.Length(min=1, max=MAX_LOTS))
    rest_not_for_sale = Flag(load_default=False)


class LotsFileIn(Schema):
    """A CSV file in UTF-8 with the columns `lot` and `case_key`."""

    file = Upload(required=True)


class LotsFormIn(Schema):
    """What goes with the file."""

    rest_not_for_sale = Flag(from_text=True, load_default=False)


class LotResultOut(Schema):
    """The latest award of a lot; its price is for all lots of the award together. `bidder` is a code."""

    bidder = ma.fields.String(required=True)
    price = Amount(required=True)
    lots = ma.fields.List(ma.fields.String(), required=True)
    award_state = Choice(AwardState, required=True)
    failure_cause = Choice(FailureCause, required=True, allow_none=True)


class LotOut(Schema):
    """A lot. The figures are null where `withheld`: too few persons owe in it (then only the seller sees them)."""

    lot = ma.fields.String(required=True)
    reserve = Amount(required=True, allow_none=True)
    withheld = Flag(required=True)
    loans = Count(required=True, allow_none=True)
    borrowers = Count(required=True, allow_none=True)
    principal = Amount(required=True, allow_none=True)
    interest = Amount(required=True, allow_none=True)
    other = Amount(required=True, allow_none=True)
    cases_hash = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "SHA-256 of the lot's row numbers in lots.csv, ascending, one a line."},
    )
    chosen = ma.fields.Dict(required=True, allow_none=True)
    state = Choice(
        LotState, required=True, allow_none=True, metadata={"description": "Of the lot by itself; null for `rest`."}
    )
    result = ma.fields.Nested(LotResultOut, required=True, allow_none=True)
    next_listing_id = Id(
        required=True,
        allow_none=True,
        metadata={"description": "The newest announcement of the lot's cases after this auction."},
    )

    @ma.pre_dump
    def flatten(self, view: LotView, **_: Any) -> dict[str, Any]:
        """Put names and figures side by side."""
        values: dict[str, Any] = dict.fromkeys(self.fields)
        values |= {
            "lot": view.name,
            "reserve": view.reserve,
            "withheld": view.figures is None,
            "cases_hash": view.cases_hash,
            "chosen": view.chosen,
        }
        if view.fate is not None:
            values |= {name: getattr(view.fate, name) for name in ("state", "result", "next_listing_id")}
        if view.figures is not None:
            values |= {"loans": view.figures.loans, "borrowers": view.figures.borrowers}
            for name in ("principal", "interest", "other"):
                values[name] = Money(getattr(view.figures, f"{name}_minor"), view.currency)
        return values


class LotsOut(Schema):
    """The lots of a listing; `rest` is what lies in none of them, null where nothing does."""

    lots = ma.fields.List(ma.fields.Nested(LotOut), required=True)
    rest = ma.fields.Nested(LotOut, required=True, allow_none=True)
    rest_not_for_sale = Flag(required=True)
