"""Strict marshmallow fields and the base schema: what goes in is exact or refused, what goes out is canonical."""

import decimal
import enum
import functools
import re
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import marshmallow as ma
from flask_smorest.fields import Upload

from marketplace.clock import format_instant, parse_date, parse_instant
from marketplace.errors import Failure
from marketplace.money import EXPONENTS, Money

__all__ = [
    "Amount",
    "Choice",
    "Count",
    "Day",
    "Flag",
    "Id",
    "Instant",
    "PageArgs",
    "Rate",
    "ReasonIn",
    "Schema",
    "Text",
    "Upload",
    "page_of",
]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RATE = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?", re.ASCII)
MAX_COUNT: Final = 2**53 - 1
UUID_LENGTH: Final = 36


class Schema(ma.Schema):
    """Base: unknown keys are refused, keys keep their order."""

    class Meta:
        """Marshmallow's options."""

        unknown = ma.RAISE


class Text(ma.fields.String):
    """A string of 1 to `maximum` characters without control characters or lone surrogates, blanks cut at both ends."""

    def __init__(self, *, maximum: int = 200, minimum: int = 1, pattern: str | None = None, **kwargs: Any) -> None:
        super().__init__(validate=ma.validate.Length(min=minimum, max=maximum), **kwargs)
        self.pattern = pattern
        if pattern:
            self.metadata = {"pattern": f"^{pattern}$", **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return self._checked(value)

    def _checked(self, value: str) -> str:
        if _CONTROL.search(value):
            raise ma.ValidationError("Control characters are not allowed.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ma.ValidationError("Not valid Unicode text.") from None
        value = value.strip()
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ma.ValidationError(f"Must match {self.pattern}.")
        return value


class Amount(ma.fields.Field[Money]):
    """`{"amount": "1234.56", "currency": "CNY"}` to and from `Money`; not negative unless `signed`."""

    def __init__(self, *, signed: bool = False, positive: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signed = signed
        self.positive = positive

    def _serialize(self, value: Money | None, attr: str | None, obj: Any, **kwargs: Any) -> dict[str, str] | None:
        return None if value is None else {"amount": value.text, "currency": value.currency}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Money:
        if not isinstance(value, dict) or set(value) != {"amount", "currency"}:
            raise ma.ValidationError('Must be {"amount": "1234.56", "currency": "CNY"}.')
        try:
            money = Money.parse(value["amount"], value["currency"])
        except Failure as failure:
            raise ma.ValidationError(failure.detail) from None
        if (money.minor < 0 and not self.signed) or (self.positive and money.minor <= 0):
            raise ma.ValidationError("Must be greater than zero." if self.positive else "Must not be negative.")
        return money


class Rate(ma.fields.Field[Decimal]):
    """An exact decimal as a string, within bounds, both inclusive."""

    def __init__(self, *, minimum: str = "0", maximum: str = "1", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum, self.maximum = Decimal(minimum), Decimal(maximum)

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value, "f")

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Decimal:
        if not isinstance(value, str) or not _RATE.fullmatch(value):
            raise ma.ValidationError('Must be a decimal number as a string, such as "0.05".')
        try:
            rate = Decimal(value)
        except decimal.InvalidOperation:
            raise ma.ValidationError('Must be a decimal number as a string, such as "0.05".') from None
        if not self.minimum <= rate <= self.maximum:
            raise ma.ValidationError(f"Must be from {self.minimum} to {self.maximum}.")
        return rate


class Instant(ma.fields.Field[datetime]):
    """RFC 3339 with a zone; written in UTC with milliseconds and Z."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_instant(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            return parse_instant(value)
        except Failure as failure:
            raise ma.ValidationError(failure.detail) from None


class Day(ma.fields.Field[date]):
    """`YYYY-MM-DD`."""

    def _serialize(self, value: date | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        try:
            return parse_date(value)
        except Failure as failure:
            raise ma.ValidationError(failure.detail) from None


class Choice(ma.fields.Field[enum.StrEnum]):
    """One value of an enum, by its value."""

    def __init__(self, kind: type[enum.StrEnum], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def _serialize(self, value: enum.StrEnum | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.value

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> enum.StrEnum:
        try:
            return self.kind(value) if isinstance(value, str) else self.kind("")
        except ValueError:
            raise ma.ValidationError(
                "Must be one of: " + ", ".join(member.value for member in self.kind) + "."
            ) from None


class Count(ma.fields.Integer):
    """A JSON integer within bounds, both inclusive; with `from_text` (query strings, forms) its digits."""

    def __init__(self, *, minimum: int = 0, maximum: int = MAX_COUNT, from_text: bool = False, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=ma.validate.Range(min=minimum, max=maximum), **kwargs)
        self.from_text = from_text

    def _validated(self, value: Any) -> Any:
        if self.from_text and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,16}", value, re.ASCII):
            value = int(value)
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Flag(ma.fields.Boolean):
    """true or false; with `from_text` (query strings, forms) the words."""

    def __init__(self, *, from_text: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_text = from_text

    truthy = {True, "true"}  # noqa: RUF012 - marshmallow's own hook
    falsy = {False, "false"}  # noqa: RUF012 - marshmallow's own hook

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool) and not (self.from_text and isinstance(value, str)):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


class Id(ma.fields.UUID):
    """A UUID in its usual form."""

    def _validated(self, value: Any) -> uuid.UUID:
        if not isinstance(value, uuid.UUID) and not (isinstance(value, str) and len(value) == UUID_LENGTH):
            raise self.make_error("invalid_uuid")
        return super()._validated(value)


class JobAsked(Schema):
    """Work for many things goes on as a job; `job_id` is watched under /jobs."""

    job_id = Id(required=True)


class ReasonIn(Schema):
    """Why; kept in the audit record."""

    reason = Text(maximum=500, required=True)


class PageArgs(Schema):
    """Query of every list."""

    cursor = Text(maximum=64, load_default=None, metadata={"description": "`next` of the page before."})
    limit = Count(minimum=1, maximum=200, load_default=50, from_text=True)


@functools.cache
def page_of(schema: type[ma.Schema]) -> type[ma.Schema]:
    """Return the schema of a page `{items, next}` of things, newest first."""
    return Schema.from_dict(
        {
            "items": ma.fields.List(ma.fields.Nested(schema), required=True),
            "next": ma.fields.String(allow_none=True, required=True),
        },
        name=schema.__name__.removesuffix("Out") + "Page",
    )


def document(plugin: Any) -> None:
    """Teach the OpenAPI generator what these fields look like."""
    plugin.converter.add_attribute_function(_describe)
    for field in (Amount, Rate, Instant, Day, Choice):
        plugin.map_to_openapi_type(field, "string", None)


def _describe(_converter: Any, field: ma.fields.Field[Any], **_: Any) -> dict[str, Any]:
    nullable = field.allow_none
    if isinstance(field, Amount):
        return {
            "type": ["object", "null"] if nullable else "object",
            "properties": {
                "amount": {"type": "string", "pattern": "^-?[0-9]{1,19}(\\.[0-9]{1,3})?$", "examples": ["1234.56"]},
                "currency": {"type": "string", "enum": sorted(EXPONENTS)},
            },
            "required": ["amount", "currency"],
            "additionalProperties": False,
        }
    if isinstance(field, Rate):
        return _text(nullable, pattern=f"^{_RATE.pattern}$")
    if isinstance(field, Instant):
        return _text(nullable, format="date-time")
    if isinstance(field, Day):
        return _text(nullable, format="date")
    if isinstance(field, Choice):
        values: list[Any] = [member.value for member in field.kind]
        return _text(nullable, enum=[*values, None] if nullable else values)
    return {}


def _text(nullable: bool, **more: Any) -> dict[str, Any]:  # noqa: FBT001 - private
    return {"type": ["string", "null"] if nullable else "string", **more}
