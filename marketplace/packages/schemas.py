"""What the packages' routes take in and give out."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

from marketplace.cases.domain.case import CustomerType, Grade, Litigation, Security
from marketplace.cases.domain.criteria import Criteria
from marketplace.cases.schemas import MAX_DAYS, MinorAmount, currency
from marketplace.documents import BadDocument
from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, Schema, Text
from marketplace.money import Money
from marketplace.packages.domain.package import Dimension, PackageState


class PackageFilterIn(Schema):
    """Which cases; every bound is inclusive, an empty list means any. Amounts are principal + interest."""

    days_past_due_min = Count(maximum=MAX_DAYS)
    days_past_due_max = Count(maximum=MAX_DAYS)
    amount_min = Amount()
    amount_max = Amount()
    products = ma.fields.List(Text(maximum=60), validate=ma.validate.Length(max=100))
    securities = ma.fields.List(Choice(Security))
    litigations = ma.fields.List(Choice(Litigation))
    grades = ma.fields.List(Choice(Grade))
    provinces = ma.fields.List(Text(maximum=40), validate=ma.validate.Length(max=100))
    customer_type = Choice(CustomerType)
    written_off = Flag()
    tape_id = Id()


class PackageIn(Schema):
    """A package to be bundled from the open cases of one currency that fit the filter."""

    name = Text(maximum=120, required=True)
    currency = currency(load_default="CNY")
    filter = ma.fields.Nested(PackageFilterIn, load_default=dict)
    remark = Text(maximum=2000, minimum=0, load_default="", metadata={"description": "备注 of the announcement"})

    @ma.post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn the filter into `criteria`."""
        criteria = criteria_of(data.pop("filter"), currency=data["currency"], pointer="/filter")
        return {**data, "criteria": criteria}


def criteria_of(chosen: Mapping[str, Any], *, currency: str, pointer: str) -> Criteria:
    """Return what `PackageFilterIn` loaded as criteria; raise `BadDocument` for an amount in another currency."""
    values: dict[str, Any] = {}
    for name, value in chosen.items():
        if isinstance(value, Money):
            if value.currency != currency:
                raise BadDocument(f"{pointer}/{name}", value.currency, f"an amount in {currency}")
            values[name] = value.minor
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Criteria(**values)


class FreezeIn(Schema):
    """The day whose balances count."""

    cut_off_on = Day(required=True)


class PackageOut(Schema):
    """A package. `header` is empty before the freeze; its amounts are texts in `currency`.

    `origin_id` is the package whose unsold lots became this one; `job_id`, watched under /jobs, freezes it.
    """

    id = Id(required=True)
    organisation_id = Id(required=True)
    origin_id = Id(required=True, allow_none=True)
    name = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    filter = ma.fields.Dict(required=True, attribute="criteria")
    remark = ma.fields.String(required=True)
    state = Choice(PackageState, required=True)
    cut_off_on = Day(required=True, allow_none=True)
    frozen_at = Instant(required=True, allow_none=True)
    header = ma.fields.Dict(required=True)
    job_id = Id(required=True, allow_none=True)
    created_at = Instant(required=True)


class TapeVersionOut(Schema):
    """One issue of a package's tape; `sha256` is that of its CSV."""

    number = ma.fields.Integer(required=True)
    cut_off_on = Day(required=True)
    sha256 = ma.fields.String(required=True)
    rows = ma.fields.Integer(required=True)
    size = ma.fields.Integer(required=True)
    created_at = Instant(required=True)


class TapeVersionsOut(Schema):
    """Every issue of a package's tape, oldest first."""

    items = ma.fields.List(ma.fields.Nested(TapeVersionOut), required=True)


class StratumOut(Schema):
    """One cell of a package along one dimension."""

    dimension = Choice(Dimension, required=True)
    value = ma.fields.String(required=True)
    loans = ma.fields.Integer(required=True)
    principal = MinorAmount("principal", required=True)
    interest = MinorAmount("interest", required=True)
    other = MinorAmount("other", required=True)


class StrataOut(Schema):
    """The strata of a package; the cells of each dimension add up to the header."""

    items = ma.fields.List(ma.fields.Nested(StratumOut), required=True)
