"""What the cases' routes take in and give out."""

from typing import Any

import marshmallow as ma

from marketplace.cases.domain.case import (
    CaseState,
    CustomerType,
    Grade,
    IdentityKind,
    Litigation,
    ObligorRole,
    OnError,
    Security,
    Sex,
    TapeState,
)
from marketplace.cases.domain.columns import FIELDS
from marketplace.cases.domain.criteria import Criteria
from marketplace.cases.domain.mapping import ColumnMapping, DateFormat, Encoding
from marketplace.fields import Amount, Choice, Count, Day, Flag, Id, Instant, PageArgs, Schema, Text, Upload
from marketplace.money import EXPONENTS, Money

MAX_DAYS = 36_500


class MinorAmount(Amount):
    """An amount out of a row's `…_minor` column and its currency."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(attribute=f"{name}_minor", dump_only=True, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> dict[str, str] | None:
        money = None if value is None else Money(value, obj.currency)
        return super()._serialize(money, attr, obj, **kwargs)


def currency(**options: Any) -> Text:
    """Field for a currency that the market trades in."""
    field = Text(minimum=3, maximum=3, **options)
    field.validators.append(ma.validate.OneOf(sorted(EXPONENTS)))
    return field


def _by_field(value: ma.fields.Field[Any]) -> ma.fields.Dict:
    return ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.OneOf(list(FIELDS))),
        values=value,
        validate=ma.validate.Length(max=60),
    )


class MappingIn(Schema):
    """A column mapping: how files of one kind are read."""

    name = Text(maximum=80, required=True)
    columns = ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.OneOf(list(FIELDS))),
        values=Text(maximum=200),
        load_default=None,
        allow_none=True,
        metadata={"description": "Field: header. Left out: by the headers that the market uses."},
    )
    less = _by_field(ma.fields.List(Text(maximum=200), validate=ma.validate.Length(min=1, max=10)))
    values = _by_field(
        ma.fields.Dict(keys=Text(maximum=200), values=Text(maximum=200), validate=ma.validate.Length(max=500))
    )
    constants = _by_field(Text(maximum=200))
    currency = currency(load_default=None, allow_none=True)
    date_format = Choice(DateFormat, load_default=DateFormat.AUTO)
    decimal_separator = ma.fields.String(load_default=".", validate=ma.validate.OneOf([".", ","]))
    thousands_separator = ma.fields.String(load_default=",", validate=ma.validate.OneOf(["", ",", ".", " ", "'"]))
    encoding = Choice(Encoding, load_default=Encoding.AUTO)
    sheet = Text(maximum=31, load_default=None, allow_none=True)
    binary_noise = Flag(load_default=False)

    @ma.post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return `name` and `rules`."""
        return {"name": data.pop("name"), "rules": ColumnMapping(**data)}


class MappingOut(Schema):
    """A saved column mapping."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    name = ma.fields.String(required=True)
    rules = ma.fields.Dict(required=True)
    created_at = Instant(required=True)


class TapeFileIn(Schema):
    """The file of a tape."""

    file = Upload(required=True, metadata={"description": "CSV (UTF-8, GB18030) or XLSX"})


class TapeTermsIn(Schema):
    """What the sender says of the file."""

    mapping_id = Id(load_default=None)
    on_error = Choice(OnError, load_default=OnError.KEEP_GOOD)
    currency = currency(required=True)
    as_of_on = Day(required=True)


class TapeOut(Schema):
    """A tape and what became of it; `job_id` is watched under /jobs."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    mapping_id = Id(required=True, allow_none=True)
    job_id = Id(required=True, allow_none=True)
    file_name = ma.fields.String(required=True)
    sha256 = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    as_of_on = Day(required=True)
    on_error = Choice(OnError, required=True)
    state = Choice(TapeState, required=True)
    rows = ma.fields.Integer(required=True)
    bad_rows = ma.fields.Integer(required=True)
    errors = ma.fields.Integer(required=True)
    added = ma.fields.Integer(required=True)
    updated = ma.fields.Integer(required=True)
    unchanged = ma.fields.Integer(required=True)
    problem = ma.fields.Dict(required=True, allow_none=True)
    created_at = Instant(required=True)
    finished_at = Instant(required=True, allow_none=True)


class CaseFilterArgs(Schema):
    """Query of the list and the export of cases; a repeated name means: one of them."""

    state = Choice(CaseState, load_default=None)
    days_past_due_min = Count(maximum=MAX_DAYS, load_default=None, from_text=True)
    days_past_due_max = Count(maximum=MAX_DAYS, load_default=None, from_text=True)
    product = ma.fields.List(Text(maximum=60), load_default=list)
    security = ma.fields.List(Choice(Security), load_default=list)
    litigation = ma.fields.List(Choice(Litigation), load_default=list)
    grade = ma.fields.List(Choice(Grade), load_default=list)
    province = ma.fields.List(Text(maximum=40), load_default=list)
    customer_type = Choice(CustomerType, load_default=None)
    written_off = Flag(load_default=None, from_text=True)
    tape_id = Id(load_default=None)

    @ma.post_load
    def make(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return `criteria`, `state` and what other schemas add."""
        several = {"product": "products", "security": "securities", "litigation": "litigations"}
        several |= {"grade": "grades", "province": "provinces"}
        criteria: dict[str, Any] = {plural: tuple(data.pop(name)) for name, plural in several.items()}
        single = ("days_past_due_min", "days_past_due_max", "customer_type", "written_off", "tape_id")
        criteria |= {name: data.pop(name) for name in single}
        return {**data, "criteria": Criteria(**criteria)}


class CaseListArgs(CaseFilterArgs, PageArgs):
    """Query of the list of cases."""


class CaseOut(Schema):
    """A case."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    tape_id = Id(required=True)
    row_number = ma.fields.Integer(required=True)
    case_key = ma.fields.String(required=True)
    product = ma.fields.String(required=True, allow_none=True)
    customer_type = Choice(CustomerType, required=True)
    principal = MinorAmount("principal", required=True)
    interest = MinorAmount("interest", required=True)
    other = MinorAmount("other", required=True)
    days_past_due = ma.fields.Integer(required=True)
    as_of_on = Day(required=True)
    default_on = Day(required=True, allow_none=True)
    originated_on = Day(required=True, allow_none=True)
    grade = Choice(Grade, required=True, allow_none=True)
    litigation = Choice(Litigation, required=True)
    written_off = Flag(required=True)
    security = Choice(Security, required=True)
    credit_limit = MinorAmount("credit_limit", required=True, allow_none=True)
    province = ma.fields.String(required=True, allow_none=True)
    city = ma.fields.String(required=True, allow_none=True)
    state = Choice(CaseState, required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class ObligorOut(Schema):
    """Who owes, masked."""

    id = Id(required=True)
    role = Choice(ObligorRole, required=True)
    masked_name = ma.fields.String(required=True)
    identity_kind = Choice(IdentityKind, required=True)
    birth_year = ma.fields.Integer(required=True, allow_none=True)
    sex = Choice(Sex, required=True, allow_none=True)
    province = ma.fields.String(required=True, allow_none=True)


class CollateralOut(Schema):
    """What secures a case."""

    id = Id(required=True)
    kind = ma.fields.String(required=True, allow_none=True)
    description = ma.fields.String(required=True, allow_none=True)
    value = MinorAmount("value", required=True, allow_none=True)
    prior_liens = MinorAmount("prior_liens", required=True, allow_none=True)
    registered_cap = MinorAmount("registered_cap", required=True, allow_none=True)
    city = ma.fields.String(required=True, allow_none=True)


class CaseFileOut(Schema):
    """A case with who owes and what secures it."""

    case = ma.fields.Nested(CaseOut, required=True)
    obligors = ma.fields.List(ma.fields.Nested(ObligorOut), required=True)
    collaterals = ma.fields.List(ma.fields.Nested(CollateralOut), required=True)


class IdentityOut(Schema):
    """Who an obligor is, in full."""

    role = Choice(ObligorRole, required=True)
    name = ma.fields.String(required=True)
    identity_kind = ma.fields.String(required=True)
    identity_number = ma.fields.String(required=True, allow_none=True)
    phone = ma.fields.String(required=True, allow_none=True)


class IdentitiesOut(Schema):
    """Every obligor of a case, in full."""

    obligors = ma.fields.List(ma.fields.Nested(IdentityOut), required=True)
