"""A column mapping: how one seller's files are read. Immutable once saved, so that an import can be repeated.

`columns` gives the header of each field, `less` headers whose amounts are taken off a field (outstanding = disbursed −
repaid), `values` translates words of a choice column, `constants` fills fields that have no column or an empty cell.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marketplace.cases.domain.columns import FIELDS, HEADERS, Kind, normal
from marketplace.errors import Invalid
from marketplace.money import exponent


class Encoding(enum.StrEnum):
    """How the bytes of a text file are read. `auto`: byte order mark, then UTF-8, then GB18030."""

    AUTO = "auto"
    UTF_8 = "utf-8"
    GB18030 = "gb18030"
    LATIN_1 = "latin-1"
    UTF_16 = "utf-16"


class DateFormat(enum.StrEnum):
    """How dates are written. ISO dates are always read; `auto` also reads the other year-first forms."""

    AUTO = "auto"
    ISO = "YYYY-MM-DD"
    SLASHES = "YYYY/MM/DD"
    COMPACT = "YYYYMMDD"
    DAY_FIRST = "DD/MM/YYYY"
    MONTH_FIRST = "MM/DD/YYYY"
    DOTS = "DD.MM.YYYY"
    MONTH_NAME = "DD-MON-YY"


DATE_PATTERNS: Final[dict[DateFormat, tuple[str, ...]]] = {
    DateFormat.AUTO: ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日"),
    DateFormat.ISO: ("%Y-%m-%d",),
    DateFormat.SLASHES: ("%Y-%m-%d", "%Y/%m/%d"),
    DateFormat.COMPACT: ("%Y-%m-%d", "%Y%m%d"),
    DateFormat.DAY_FIRST: ("%Y-%m-%d", "%d/%m/%Y"),
    DateFormat.MONTH_FIRST: ("%Y-%m-%d", "%m/%d/%Y"),
    DateFormat.DOTS: ("%Y-%m-%d", "%d.%m.%Y"),
    DateFormat.MONTH_NAME: ("%Y-%m-%d", "%d-%b-%y"),
}
"""Two-digit years 69 to 99 are of the 1900s, 00 to 68 of the 2000s (POSIX)."""


class MappingInvalid(Invalid):
    """The mapping names fields or rules that do not exist; `errors` say which."""

    code = "mapping_invalid"


class HeaderMismatch(Invalid):
    """The file's header row does not fit the mapping; `errors` name each column."""

    code = "header_mismatch"


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How to read a file. `None` for `columns` means: by the headers that the market uses."""

    columns: Mapping[str, str] | None = None
    less: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    currency: str | None = None
    date_format: DateFormat = DateFormat.AUTO
    decimal_separator: str = "."
    thousands_separator: str = ","
    encoding: Encoding = Encoding.AUTO
    sheet: str | None = None
    binary_noise: bool = False
    """The file holds printed binary floats (`3955.380000000001`): amounts count to 15 significant digits."""

    def check(self) -> None:
        """Raise `MappingInvalid` naming every fault."""
        errors = [*self._unknown(), *self._contradictions()]
        if errors:
            raise MappingInvalid("The mapping cannot work; see errors.", errors=errors)
        if self.currency is not None:
            exponent(self.currency)

    def _unknown(self) -> list[dict[str, Any]]:
        errors = []
        for part in ("columns", "less", "values", "constants"):
            for name in getattr(self, part) or {}:
                if name not in FIELDS:
                    errors.append(_error(f"/{part}/{name}", name, "one of " + ", ".join(FIELDS)))
                elif part == "less" and FIELDS[name].kind is not Kind.AMOUNT:
                    errors.append(_error(f"/{part}/{name}", name, "an amount"))
                elif part == "values" and FIELDS[name].kind not in {Kind.CHOICE, Kind.FLAG, Kind.PROVINCE, Kind.TEXT}:
                    errors.append(_error(f"/{part}/{name}", name, "a choice, flag, province or text"))
        return errors

    def _contradictions(self) -> list[dict[str, Any]]:
        errors = []
        if self.decimal_separator == self.thousands_separator:
            errors.append(_error("/thousands_separator", self.thousands_separator, "not the decimal separator"))
        known = set(self.columns) if self.columns is not None else set(FIELDS)
        errors += [_error(f"/less/{name}", name, "a field with a column") for name in self.less if name not in known]
        errors += [
            _error(f"/columns/{name}", "nothing", "this field is required")
            for name, field in FIELDS.items()
            if field.required and name not in known and name not in self.constants
        ]
        return errors


def _error(pointer: str, found: str, allowed: str) -> dict[str, Any]:
    return {"pointer": pointer, "found": found[:80], "allowed": allowed}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each field stands in one file: positions of its columns."""

    header: tuple[str, ...]
    position: Mapping[str, int]
    less: Mapping[str, tuple[int, ...]]


def lay_out(header: Sequence[str], mapping: ColumnMapping) -> Layout:
    """Find every field in a header row; raise `HeaderMismatch` when a header is twice or a required one missing."""
    positions: dict[str, int] = {}
    errors: list[dict[str, Any]] = []
    for index, text in enumerate(header):
        if text and text in positions:
            errors.append(_error(f"column {index + 1}", text, "each header once"))
        positions[text] = index
    for index, text in enumerate(header):
        positions.setdefault(normal(text), index)
    positions.pop("", None)
    found = _by_default(header, errors) if mapping.columns is None else _by_mapping(mapping.columns, positions, errors)
    less = {
        name: tuple(_by_mapping(dict(enumerate(headers)), positions, errors).values())
        for name, headers in mapping.less.items()
    }
    errors += _missing(found, mapping)
    if errors:
        raise HeaderMismatch("The header row does not fit; see errors.", errors=errors[:50])
    return Layout(tuple(header), found, less)


def _missing(found: Mapping[str, int], mapping: ColumnMapping) -> list[dict[str, Any]]:
    given = {*found, *mapping.constants}
    errors = [
        _error(name, "no such column", "one of " + ", ".join(FIELDS[name].headers))
        for name in FIELDS
        if FIELDS[name].required and name not in given
    ]
    if not {"days_past_due", "default_on"} & given:
        errors.append(_error("days_past_due", "no such column", "days past due or the date of default"))
    return errors


def _by_default(header: Sequence[str], errors: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, text in enumerate(header):
        name = HEADERS.get(normal(text))
        if name is None:
            continue
        if name in found:
            errors.append(_error(f"column {index + 1}", text, f"one column for {name}"))
        found[name] = index
    return found


def _by_mapping(
    columns: Mapping[Any, str], positions: Mapping[str, int], errors: list[dict[str, Any]]
) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for name, header in columns.items():
        index = positions.get(header.strip(), positions.get(normal(header)))
        if index is None:
            errors.append(_error(str(name), "no such column", header))
        else:
            found[name] = index
    return found
