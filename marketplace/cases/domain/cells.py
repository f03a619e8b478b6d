"""Reading columns of cells: each function turns a column of text into values and says which cells cannot be read.

Amounts are exact: digits become integer minor units, floats never appear. What is refused is named by a stable code.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Context
from typing import Final

import polars as pl

from marketplace.cases.domain.columns import Field, Kind, normal, words
from marketplace.cases.domain.identity import PROVINCE_NAMES, is_company_code, read_resident_numbers
from marketplace.cases.domain.mapping import DATE_PATTERNS, ColumnMapping
from marketplace.money import EXPONENTS, exponent

MAX_WHOLE_DIGITS: Final = 15
"""Longest whole part of an amount: the total of a million such cases is checked again when a package is frozen."""

_SIGNS: Final = {"CNY": "¥|￥|RMB|CNY|人民币", "USD": r"US\$|\$|USD", "EUR": "€|EUR", "GBP": "£|GBP", "JPY": "¥|￥|JPY"}
_ANY_SIGN: Final = "[¥￥$€£]|" + "|".join(sorted(EXPONENTS))
_CURRENCY_WORDS: Final = {
    "人民币": "CNY",
    "RMB": "CNY",
    "元": "CNY",
    "美元": "USD",
    "欧元": "EUR",
    "英镑": "GBP",
    "日元": "JPY",
    "港币": "HKD",
}
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_FORMULA: Final = r"^(?:[=@]|#ERROR$|#(?:REF|N/A|VALUE|DIV/0|NAME|NUM|NULL)[!?]?$|[+\-]\s*[A-Za-z(])"
_OTHER_DOCUMENT: Final = r"^[A-Z0-9()（）\-]{5,20}$"
_FIFTEEN: Final = Context(prec=15)
_UNEVEN: Final = r"\s\s|[^\S ]"
_TYPES: Final = {Kind.AMOUNT: pl.Int64, Kind.COUNT: pl.Int64, Kind.DATE: pl.Date}
OLDEST: Final = date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Fault:
    """Cells of one column that cannot be read for the same reason."""

    cells: pl.Series
    code: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the sender said about the whole file."""

    currency: str
    as_of_on: date


Reading = tuple[pl.Series, list[Fault]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Columns of cells, cut and empty ones null; `suspicious` names those in which some cell is unsafe."""

    frame: pl.DataFrame
    suspicious: frozenset[str]


def clean(frame: pl.DataFrame) -> Cleaned:
    """Cut blanks at both ends, make every run of white space one blank, and an empty cell null."""
    names = frame.columns
    cut = frame.select(pl.all().str.strip_chars())
    cut = cut.select(pl.when(pl.all() != "").then(pl.all()))
    patterns = {"uneven": _UNEVEN, "unsafe": f"{_CONTROL}|{_FORMULA}"}
    seen = cut.select(
        pl.col(name).str.contains(pattern).any().alias(f"{kind} {name}")
        for name in names
        for kind, pattern in patterns.items()
    ).row(0, named=True)
    uneven = [name for name in names if seen[f"uneven {name}"]]
    even = cut.with_columns(pl.col(name).str.replace_all(r"\s+", " ") for name in uneven)
    return Cleaned(even, frozenset(name for name in names if seen[f"unsafe {name}"]))


def unsafe(text: pl.Series) -> list[Fault]:
    """Cells that no column takes: control characters, formulas, error values of spreadsheets."""
    return [
        Fault(_true(text.str.contains(_CONTROL)), "control_character", "text without control characters"),
        Fault(_true(text.str.contains(_FORMULA)), "formula", "a value, not a formula or an error"),
    ]


def nothing(field: Field, height: int) -> pl.Series:
    """Return the values of a column in which no cell is filled."""
    return pl.Series([None] * height, dtype=_TYPES.get(field.kind, pl.String))


def read(field: Field, text: pl.Series, *, mapping: ColumnMapping, terms: Terms) -> Reading:
    """Read one column by its kind; identity columns are read by `identities`."""
    match field.kind:
        case Kind.AMOUNT:
            reading = amounts(text, currency=terms.currency, mapping=mapping)
        case Kind.COUNT:
            reading = _counts(text, field.maximum)
        case Kind.DATE:
            reading = _dates(text, mapping=mapping, terms=terms)
        case Kind.CHOICE | Kind.FLAG:
            reading = _choices(field, text, mapping)
        case Kind.CURRENCY:
            reading = _currencies(text, terms.currency)
        case Kind.PHONE:
            reading = _phones(text)
        case _:
            given = _translated(text, mapping.values.get(field.name, {}))
            reading = _texts(given.replace(PROVINCE_NAMES) if field.kind is Kind.PROVINCE else given, field.maximum)
    return reading


def _true(mask: pl.Series) -> pl.Series:
    return mask.fill_null(value=False)


def _translated(text: pl.Series, table: object) -> pl.Series:
    return text.replace(dict(table)) if isinstance(table, dict) and table else text


def _texts(text: pl.Series, maximum: int) -> Reading:
    return text, [Fault(_true(text.str.len_chars() > maximum), "too_long", f"at most {maximum} characters")]


def amounts(text: pl.Series, *, currency: str, mapping: ColumnMapping) -> Reading:
    """Read amounts to minor units (Int64): digits, at most the currency's decimals, not negative.

    Thousands are cut only where they stand in groups of three; a sign of the currency itself may lead or follow.
    """
    decimals = exponent(currency)
    plain = _plain(text, currency, mapping)
    if mapping.binary_noise:
        plain = _without_noise(plain)
    parts = pl.DataFrame({"t": plain}).select(
        whole=pl.col("t").str.extract(r"^([0-9]+)(?:\.[0-9]+)?$", 1),
        fraction=pl.col("t").str.extract(r"^[0-9]+\.([0-9]+)$", 1).fill_null(""),
    )
    whole, fraction = parts["whole"].str.strip_chars_start("0"), parts["fraction"]
    number = whole.is_not_null()
    long = number & (whole.str.len_chars() > MAX_WHOLE_DIGITS)
    fine = number & (fraction.str.len_chars() > decimals) & ~long
    minor = (whole + fraction.str.pad_end(decimals, "0")).set(long | fine, None)
    minor = minor.set(minor == "", "0").cast(pl.Int64)
    bad = text.is_not_null() & ~number
    negative = bad & _true(plain.str.contains(r"^(?:[-−][0-9]|\([0-9.,]+\)$)"))
    foreign = bad & ~negative & _true(text.str.contains(_ANY_SIGN)) & ~_true(plain.str.contains(r"^[^0-9]*$"))
    allowed = f"an amount of {currency}: digits with at most {decimals} decimals"
    return minor, [
        Fault(negative, "negative_amount", "zero or more"),
        Fault(foreign, "wrong_currency", f"amounts in {currency}"),
        Fault(bad & ~negative & ~foreign, "not_an_amount", allowed),
        Fault(long, "amount_too_large", f"at most {MAX_WHOLE_DIGITS} digits before the decimals"),
        Fault(fine, "too_many_decimals", allowed),
    ]


def _plain(text: pl.Series, currency: str, mapping: ColumnMapping) -> pl.Series:
    """Cut the currency's sign and the thousands, and write the decimal separator as a point."""
    sign = _SIGNS.get(currency, currency)
    point, comma = re.escape(mapping.decimal_separator), re.escape(mapping.thousands_separator)
    plain = text.str.replace(rf"^(-?)(?:{sign})\s*", "$1").str.replace(
        rf"\s*(?:{sign}|{'元' if currency == 'CNY' else sign})$", ""
    )
    if mapping.thousands_separator:
        grouped = _true(plain.str.contains(rf"^-?[0-9]{{1,3}}(?:{comma}[0-9]{{3}})+(?:{point}[0-9]+)?$"))
        if grouped.any():
            cut = plain.str.replace_all(mapping.thousands_separator, "", literal=True)
            plain = plain.zip_with(~grouped, cut)
    if mapping.decimal_separator != ".":
        stray = _true(plain.str.contains(".", literal=True))
        plain = plain.str.replace(mapping.decimal_separator, ".", literal=True).zip_with(~stray, plain)
    return plain


def _without_noise(plain: pl.Series) -> pl.Series:
    """Round what a program printed of a binary float to the 15 digits that a float carries."""
    noisy = _true(plain.str.contains(r"^[0-9]+\.[0-9]{9,}$"))
    if not noisy.any():
        return plain
    rounded = [format(_FIFTEEN.create_decimal(text).normalize(), "f") for text in plain.filter(noisy)]
    return plain.scatter(noisy.arg_true(), rounded)


def _counts(text: pl.Series, maximum: int) -> Reading:
    value = text.str.extract(r"^([0-9]{1,9})(?:\.0)?$", 1).cast(pl.Int64)
    value = value.set(_true(value > maximum), None)
    return value, [Fault(text.is_not_null() & value.is_null(), "not_a_count", f"a whole number from 0 to {maximum}")]


def _dates(text: pl.Series, *, mapping: ColumnMapping, terms: Terms) -> Reading:
    day = text.str.replace(r"[ T]0{1,2}:00(?::00(?:\.0+)?)?$", "")
    value = pl.Series(name=text.name, values=[None] * len(text), dtype=pl.Date)
    for pattern in DATE_PATTERNS[mapping.date_format]:
        open_cells = value.is_null() & day.is_not_null()
        if not open_cells.any():
            break
        value = value.zip_with(value.is_not_null(), day.str.to_date(pattern, strict=False))
    value = value.set(_true(value < OLDEST), None)
    late = _true(value > terms.as_of_on)
    return value, [
        Fault(text.is_not_null() & value.is_null(), "not_a_date", f"a date written {mapping.date_format.value}"),
        Fault(late, "after_the_tape", f"a date not after {terms.as_of_on}"),
    ]


def _choices(field: Field, text: pl.Series, mapping: ColumnMapping) -> Reading:
    table = words(field) | {normal(word): value for word, value in mapping.values.get(field.name, {}).items()}
    seen = text.drop_nulls().unique()
    known = {word: table[normal(word)] for word in seen if normal(word) in table}
    value = text.replace_strict(known, default=None, return_dtype=pl.String)
    allowed = sorted({*words(field).values()})
    return value, [Fault(text.is_not_null() & value.is_null(), "not_a_choice", "one of " + ", ".join(allowed))]


def _currencies(text: pl.Series, currency: str) -> Reading:
    code = text.str.to_uppercase().replace(_CURRENCY_WORDS)
    return code, [Fault(_true(code != currency), "wrong_currency", currency)]


def _phones(text: pl.Series) -> Reading:
    number = text.str.replace_all(r"[ \-()（）]", "")
    return number, [
        Fault(
            ~_true(number.str.contains(r"^\+?[0-9]{5,15}$")) & number.is_not_null(),
            "not_a_phone_number",
            "5 to 15 digits",
        )
    ]


def identities(text: pl.Series, *, terms: Terms) -> tuple[pl.DataFrame, list[Fault]]:
    """Read identity numbers: `number`, `kind`, `birth_year`, `sex`, `province`.

    On a tape in CNY a number of 15 digits or more is a resident number or a company code and must be a right one; other
    documents (passports, permits) have a letter and at most 20 characters. Elsewhere any such text is taken as it is.
    """
    number = text.str.to_uppercase().str.replace_all(" ", "")
    resident = read_resident_numbers(number, as_of_on=terms.as_of_on)
    valid = resident["valid"]
    company = _companies(number, _true(number.str.len_chars() == 18) & ~valid)  # noqa: PLR2004 - GB 32100
    other = _true(number.str.contains(_OTHER_DOCUMENT)) & ~valid & ~company
    if terms.currency == "CNY":
        other &= _true(number.str.contains("[A-Z]")) & ~_true(number.str.contains(r"[0-9]{15}"))
    kind = pl.select(
        pl.when(valid).then(pl.lit("resident_id")).when(company).then(pl.lit("company_code"))
        .when(other).then(pl.lit("other")).otherwise(pl.lit("none"))
    ).to_series()  # fmt: skip
    bad = number.is_not_null() & (kind == "none")
    frame = resident.select("birth_year", "sex", "province").with_columns(number=number, kind=kind)
    fault = Fault(
        bad,
        "not_an_identity_number",
        "a resident number or company code with a right check character, or another document",
    )
    return frame, [fault]


def _companies(number: pl.Series, candidates: pl.Series) -> pl.Series:
    right = {text for text in number.filter(candidates).unique() if is_company_code(text)}
    return candidates & _true(number.is_in(list(right)))
