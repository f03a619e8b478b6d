"""Checking a tape: every cell of every row, by column, so that 100,000 rows take seconds.

A row is good when none of its cells is at fault. A fault names row, header, what was found, what is allowed and a code;
personal values are not repeated in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from marketplace.cases.domain import cells
from marketplace.cases.domain.cells import Cleaned, Fault, Terms
from marketplace.cases.domain.columns import DEFAULTS, FIELDS, Field, Kind
from marketplace.cases.domain.mapping import ColumnMapping, Layout
from marketplace.cases.domain.masking import hidden

FAULTS_SCHEMA: Final = {
    "row": pl.UInt32,
    "column": pl.String,
    "found": pl.String,
    "allowed": pl.String,
    "code": pl.String,
}
MAX_FOUND: Final = 80
_COLLATERAL: Final = ("kind", "description", "value_minor", "prior_liens_minor", "registered_cap_minor", "city")
_AMOUNTS: Final = {
    "principal": "principal_minor", "interest": "interest_minor", "other": "other_minor",
    "credit_limit": "credit_limit_minor", "collateral_value": "collateral_value_minor",
    "prior_liens": "collateral_prior_liens_minor", "registered_cap": "collateral_registered_cap_minor",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """The good rows with typed values (amounts in minor units), and the faults of the others."""

    good: pl.DataFrame
    faults: pl.DataFrame
    bad_rows: int


@dataclass(slots=True)
class _Sheet:
    """One slice of a tape while it is checked."""

    rows: pl.DataFrame
    layout: Layout
    mapping: ColumnMapping
    terms: Terms
    cleaned: Cleaned
    values: dict[str, pl.Series] = field(default_factory=dict)
    faults: list[pl.DataFrame] = field(default_factory=list)

    def header(self, name: str) -> str:
        position = self.layout.position.get(name)
        return FIELDS[name].headers[0] if position is None else self.layout.header[position]

    def raw(self, position: int) -> pl.Series:
        return self.cleaned.frame[f"c{position}"]

    def unsafe(self, positions: Iterable[int | None], text: pl.Series) -> list[Fault]:
        """Look for unsafe cells only where the first look found some."""
        found = any(f"c{position}" in self.cleaned.suspicious for position in positions)
        return cells.unsafe(text) if found else []

    def text(self, name: str) -> pl.Series:
        position = self.layout.position.get(name)
        height = self.rows.height
        given = (
            pl.Series(name, [None] * height, dtype=pl.String) if position is None else self.raw(position).alias(name)
        )
        constant = self.mapping.constants.get(name)
        return given if constant is None else given.fill_null(constant)

    def blame(self, header: str, text: pl.Series, faults: Iterable[Fault], *, personal: bool = False) -> None:
        """Note the faults of a column, the first of each cell."""
        seen = pl.Series([False] * len(text))
        for fault in faults:
            cut = fault.cells & ~seen
            seen = seen | fault.cells
            if cut.any():
                found = text.filter(cut).fill_null("")
                shown = [hidden(cell) for cell in found] if personal else [cell[:MAX_FOUND] for cell in found]
                self.faults.append(_faults(self.rows["row"].filter(cut), header, shown, fault.allowed, fault.code))


def _faults(rows: pl.Series, header: str, found: list[str], allowed: str, code: str) -> pl.DataFrame:
    frame = pl.DataFrame({"row": rows, "found": found}, schema_overrides={"row": pl.UInt32, "found": pl.String})
    return frame.with_columns(column=pl.lit(header), allowed=pl.lit(allowed), code=pl.lit(code)).select(
        list(FAULTS_SCHEMA)
    )


def check(rows: pl.DataFrame, layout: Layout, *, mapping: ColumnMapping, terms: Terms) -> Checked:
    """Check a slice of rows; pure, and the same whatever the slices are."""
    used = sorted({*layout.position.values(), *(position for less in layout.less.values() for position in less)})
    cleaned = cells.clean(rows.select([f"c{position}" for position in used]))
    sheet = _Sheet(rows, layout, mapping, terms, cleaned)
    for described in FIELDS.values():
        _read(sheet, described)
    _take_off(sheet)
    _require(sheet)
    faults = pl.concat(sheet.faults) if sheet.faults else pl.DataFrame(schema=FAULTS_SCHEMA)
    bad = faults["row"].unique()
    good = pl.DataFrame({"row": rows["row"], **sheet.values}).filter(~pl.col("row").is_in(bad.implode()))
    return Checked(good, faults.sort("row", maintain_order=True), len(bad))


def _read(sheet: _Sheet, described: Field) -> None:
    text = sheet.text(described.name)
    name = described.name
    faults = sheet.unsafe([sheet.layout.position.get(name)], text)
    if described.kind is Kind.IDENTITY:
        frame, more = cells.identities(text, terms=sheet.terms)
        for column in frame.columns:
            suffix = {"number": "identity_number", "kind": "identity_kind"}.get(column, column)
            sheet.values[name.replace("identity_number", suffix)] = frame[column]
    elif text.null_count() == len(text):
        sheet.values[_AMOUNTS.get(name, name)], more = cells.nothing(described, len(text)), []
    else:
        values, more = cells.read(described, text, mapping=sheet.mapping, terms=sheet.terms)
        sheet.values[_AMOUNTS.get(name, name)] = values
    sheet.blame(sheet.header(name), text, [*faults, *more], personal=described.personal)


def _take_off(sheet: _Sheet) -> None:
    """Subtract the columns that the mapping takes off an amount."""
    for name, positions in sheet.layout.less.items():
        column = _AMOUNTS[name]
        for position in positions:
            text = sheet.raw(position)
            taken, faults = cells.amounts(text, currency=sheet.terms.currency, mapping=sheet.mapping)
            sheet.blame(sheet.layout.header[position], text, [*sheet.unsafe([position], text), *faults])
            sheet.values[column] = sheet.values[column] - taken.fill_null(0)
        below = (sheet.values[column] < 0).fill_null(value=False)
        sheet.blame(
            sheet.header(name), sheet.text(name), [Fault(below, "negative_amount", "at least what is taken off")]
        )


def _require(sheet: _Sheet) -> None:
    """Fill what an empty cell means, and blame the cells that must not be empty."""
    values = sheet.values
    for name in (name for name, described in FIELDS.items() if described.required):
        text = sheet.text(name)
        sheet.blame(sheet.header(name), text, [Fault(text.is_null(), "missing", "a value is required")])
    company = (values["customer_type"].is_null()) & (values["borrower_identity_kind"] == "company_code")
    values["customer_type"] = values["customer_type"].set(company, "company")
    for name, default in DEFAULTS.items():
        values[name] = values[name].fill_null(default)
    values["written_off"] = values["written_off"] == "true"
    for name in ("interest_minor", "other_minor"):
        values[name] = values[name].fill_null(0)
    values["province"] = values["province"].fill_null(values["borrower_province"])
    _require_days(sheet)
    guaranteed = values["guarantor_identity_number"].is_not_null() | values["guarantor_phone"].is_not_null()
    nameless = guaranteed & values["guarantor_name"].is_null()
    sheet.blame(sheet.header("guarantor_name"), sheet.text("guarantor_name"), [Fault(nameless, "missing", "a name")])
    described = [f"collateral_{name}" for name in _COLLATERAL]
    values["has_collateral"] = (
        pl.DataFrame(values).select(pl.any_horizontal(pl.col(described).is_not_null())).to_series()
    )


def _require_days(sheet: _Sheet) -> None:
    """Days past due are given, or counted from the default date to the date of the tape."""
    values = sheet.values
    counted = (pl.Series([sheet.terms.as_of_on]) - values["default_on"]).dt.total_days()
    text = sheet.text("days_past_due")
    missing = text.is_null() & sheet.text("default_on").is_null()
    values["days_past_due"] = values["days_past_due"].fill_null(counted)
    sheet.blame(
        sheet.header("days_past_due"), text, [Fault(missing, "missing", "days past due or the date of default")]
    )


def repeated_keys(rows: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Return the faults of rows whose case key stood further up already."""
    position = layout.position.get("case_key")
    if position is None:
        return pl.DataFrame(schema=FAULTS_SCHEMA)
    keys = cells.clean(rows.select(key=f"c{position}")).frame.with_columns(rows["row"]).drop_nulls()
    again = keys.with_columns(first=pl.col("row").first().over("key")).filter(pl.col("row") != pl.col("first"))
    return again.select(
        pl.col("row").cast(pl.UInt32),
        column=pl.lit(layout.header[position]),
        found=pl.col("key").str.slice(0, MAX_FOUND),
        allowed=pl.lit("each case once; it stands in row ") + pl.col("first").cast(pl.String),
        code=pl.lit("case_repeated"),
    )
