from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import uscc

from demo import tape as demo_tape
from marketplace.cases.domain import cells, checking, identity, masking
from marketplace.cases.domain.cells import Terms
from marketplace.cases.domain.columns import FIELDS, HEADERS, normal, words
from marketplace.cases.domain.criteria import Criteria
from marketplace.cases.domain.mapping import (
    ColumnMapping,
    DateFormat,
    HeaderMismatch,
    MappingInvalid,
    lay_out,
)
from marketplace.errors import Failure
from marketplace.money import Money

AS_OF = date(2026, 1, 31)
TERMS = Terms("CNY", AS_OF)
FEW = settings(deadline=None, max_examples=40)
BORN = st.dates(date(1900, 1, 1), AS_OF)


@st.composite
def numbers(draw):
    body = f"{draw(st.sampled_from(sorted(identity.PROVINCES)))}{draw(st.integers(0, 9999)):04d}"
    body += f"{draw(BORN):%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return body + identity.check_character(body)


@FEW
@given(st.lists(numbers() | st.text(max_size=20) | st.from_regex(r"[0-9]{17}[0-9Xx]", fullmatch=True), max_size=20))
def test_columns_and_single_numbers_are_read_alike(given_numbers):
    read = identity.read_resident_numbers(pl.Series(given_numbers, dtype=pl.String), as_of_on=AS_OF)
    for number, (valid, year, sex, province) in zip(given_numbers, read.rows(), strict=True):
        if number != number.strip():
            continue
        person = identity.read_resident_number(number, as_of_on=AS_OF)
        assert valid == (person is not None)
        if person is not None:
            assert (year, sex, province) == (person.birth_on.year, person.sex, person.province)


@FEW
@given(numbers(), st.integers(0, 17), st.integers(1, 9))
def test_a_mistyped_digit_is_noticed(number, position, by):
    if number[position] == "X":
        return
    typed = number[:position] + str((int(number[position]) + by) % 10) + number[position + 1 :]
    assert identity.read_resident_number(typed, as_of_on=AS_OF) is None


def test_nobody_is_born_after_the_tape():
    body = f"440106{AS_OF + timedelta(days=1):%Y%m%d}001"
    assert identity.read_resident_number(body + identity.check_character(body), as_of_on=AS_OF) is None


@pytest.mark.parametrize("number", ["91110000600037341L", "91350100M000100Y43"])
def test_company_codes(number):
    assert identity.is_company_code(number)
    assert not identity.is_company_code(number[:-1] + ("0" if number[-1] != "0" else "1"))


def test_demo_identities_are_right_and_impossible():
    number = demo_tape.resident_number("44", 7, date(1990, 2, 3), 12)
    person = identity.read_resident_number(number, as_of_on=AS_OF)
    assert (person.birth_on, person.sex, person.province) == (date(1990, 2, 3), "female", "广东")
    assert number[2:4] == "98"
    assert uscc.is_valid(demo_tape.company_code(123_456))


AMOUNT_TEXTS = st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{0,4})?", fullmatch=True) | st.text(
    alphabet="0123456789.,-+eE NaInf¥$元=（)", max_size=14
)


def _read_amounts(texts, currency="CNY", **rules):
    column = cells.clean(pl.DataFrame({"a": pl.Series(texts, dtype=pl.String)})).frame["a"]
    values, faults = cells.amounts(column, currency=currency, mapping=ColumnMapping(**rules))
    return column, values, faults


@FEW
@given(st.lists(AMOUNT_TEXTS, min_size=1, max_size=20), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_every_amount_is_read_exactly_or_blamed_once(texts, currency):
    column, values, faults = _read_amounts(texts, currency, thousands_separator="")
    for index, text in enumerate(column):
        blamed = [fault.code for fault in faults if fault.cells[index]]
        if text is None:
            assert (values[index], blamed) == (None, [])
        elif values[index] is None:
            assert len(blamed) == 1
        else:
            assert blamed == []
            assert values[index] >= 0
        try:
            money = Money.parse(text, currency) if text else None
        except Failure:
            continue
        if (
            money is not None
            and not text.startswith("-")
            and len(text.partition(".")[0].lstrip("0")) <= cells.MAX_WHOLE_DIGITS
        ):
            assert values[index] == money.minor


@pytest.mark.parametrize(
    ("text", "rules", "minor"),
    [
        ("1,234,567.89", {}, 123_456_789),
        ("¥ 1,234.5", {}, 123_450),
        ("1234.50元", {}, 123_450),
        ("1.234.567,89", {"decimal_separator": ",", "thousands_separator": "."}, 123_456_789),
        ("1 234,5", {"decimal_separator": ",", "thousands_separator": " "}, 123_450),
        ("0.1", {}, 10),
        ("007", {}, 700),
        ("3955.380000000001", {"binary_noise": True}, 395_538),
        ("269.29000000000002", {"binary_noise": True}, 26_929),
    ],
)
def test_ways_to_write_an_amount(text, rules, minor):
    _, values, faults = _read_amounts([text], **rules)
    assert values.to_list() == [minor]
    assert not any(fault.cells.any() for fault in faults)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("-5", "negative_amount"),
        ("(1,234.00)", "negative_amount"),
        ("1.234", "too_many_decimals"),
        ("100.000", "too_many_decimals"),
        ("3955.380000000001", "too_many_decimals"),
        ("9" * 20, "amount_too_large"),
        ("NaN", "not_an_amount"),
        ("inf", "not_an_amount"),
        ("1e5", "not_an_amount"),
        ("1,23", "not_an_amount"),
        ("1,2345", "not_an_amount"),
        ("12.", "not_an_amount"),
        ("１２", "not_an_amount"),
        ("abc", "not_an_amount"),
        ("$5.00", "wrong_currency"),
        ("5 EUR", "wrong_currency"),
    ],
)
def test_what_is_no_amount(text, code):
    _, values, faults = _read_amounts([text])
    assert values.to_list() == [None]
    assert [fault.code for fault in faults if fault.cells.any()] == [code]


def _check(text, mapping=None, terms=TERMS):
    mapping = mapping or ColumnMapping()
    header, *lines = [line.split("|") for line in text.strip().splitlines()]
    columns = {f"c{i}": [line[i] or None for line in lines] for i in range(len(header))}
    rows = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_row_index("row", offset=2)
    return checking.check(rows, lay_out(header, mapping), mapping=mapping, terms=terms)


def test_a_row_is_good_or_every_fault_of_it_is_named():
    checked = _check("case_key|borrower|principal|interest|days_past_due|grade\nA|张伟|1.00||5|损失\n|=x|-1|x|1.5|坏")
    assert checked.good["case_key"].to_list() == ["A"]
    assert checked.bad_rows == 1
    found = {(column, code) for _, column, _, _, code in checked.faults.rows()}
    assert found == {
        ("case_key", "missing"),
        ("borrower", "formula"),
        ("principal", "negative_amount"),
        ("interest", "not_an_amount"),
        ("days_past_due", "not_a_count"),
        ("grade", "not_a_choice"),
    }
    assert "=x" not in checked.faults["found"].to_list(), "personal values are not repeated in reports"


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\x7f", "\u202e", "\u2066"])
def test_control_characters_are_refused_in_every_cell(char):
    checked = _check(
        f"case_key|borrower|principal|days_past_due\nA{char}B|张|1|1\nB|张{char}|1|1\nC|张|1{char}|1\nD|张|1|1"
    )
    assert checked.good["case_key"].to_list() == ["D"]
    assert set(checked.faults["code"]) == {"control_character"}


@settings(deadline=None, max_examples=4)
@given(st.integers(1, 7))
def test_slices_do_not_matter(size):
    text = demo_tape.make_tape(20, bad_rows=True).decode().splitlines()
    header = text[0].split(",")
    lines = [line.split(",") for line in text[1:]]
    columns = {f"c{i}": [line[i] or None for line in lines] for i in range(len(header))}
    rows = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_row_index("row", offset=2)
    layout, mapping = lay_out(header, ColumnMapping()), ColumnMapping()
    whole = checking.check(rows, layout, mapping=mapping, terms=TERMS)
    parts = [checking.check(part, layout, mapping=mapping, terms=TERMS) for part in rows.iter_slices(size)]
    assert pl.concat([part.good for part in parts]).equals(whole.good)
    assert pl.concat([part.faults for part in parts]).equals(whole.faults)


def test_days_are_counted_from_the_default_when_not_given():
    checked = _check("case_key|borrower|principal|default date\nA|张|1|2026-01-01\nB|张|1|\nC|张|1|2026-02-01")
    assert checked.good.select("case_key", "days_past_due").rows() == [("A", 30)]
    assert sorted(checked.faults["code"]) == ["after_the_tape", "missing"]


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        (DateFormat.AUTO, "2024年01月05日"),
        (DateFormat.AUTO, "2024/1/5"),
        (DateFormat.AUTO, "20240105"),
        (DateFormat.AUTO, "2024-01-05 00:00:00"),
        (DateFormat.DAY_FIRST, "05/01/2024"),
        (DateFormat.MONTH_FIRST, "01/05/2024"),
        (DateFormat.DOTS, "05.01.2024"),
        (DateFormat.MONTH_NAME, "05-jan-24"),
        (DateFormat.MONTH_NAME, "2024-01-05"),
    ],
)
def test_ways_to_write_a_date(format_, text):
    checked = _check(f"case_key|borrower|principal|default date\nA|张|1|{text}", ColumnMapping(date_format=format_))
    assert checked.good["default_on"].to_list() == [date(2024, 1, 5)]


@pytest.mark.parametrize("text", ["2024-02-30", "05/01/2024", "1899-12-31", "45000", "yesterday", "2024-01-05x"])
def test_what_is_no_date(text):
    checked = _check(f"case_key|borrower|principal|days_past_due|default date\nA|张|1|1|{text}")
    assert checked.faults["code"].to_list() == ["not_a_date"]


def test_amounts_are_taken_off_and_constants_fill_gaps():
    mapping = ColumnMapping(
        columns={"case_key": "id", "borrower_name": "id", "principal": "paid out", "product": "kind"},
        less={"principal": ["repaid"]},
        constants={"days_past_due": "400", "product": "loan"},
        values={"product": {"x": "credit card"}},
    )
    mapping.check()
    checked = _check("id|paid out|repaid|kind\nA|100|40.5|x\nB|100||\nC|1|2|", mapping)
    assert checked.good.select("case_key", "principal_minor", "product", "days_past_due").rows() == [
        ("A", 5950, "credit card", 400),
        ("B", 10_000, "loan", 400),
    ]
    assert checked.faults.row(0)[1:] == ("paid out", "1", "at least what is taken off", "negative_amount")


def test_default_headers_know_no_field_twice():
    given_headers = [normal(header) for field in FIELDS.values() for header in (field.name, *field.headers)]
    assert len(set(given_headers) - set(HEADERS)) == 0
    for header, name in HEADERS.items():
        others = [field.name for field in FIELDS.values() if header in {normal(other) for other in field.headers}]
        assert others in ([], [name]), header


def test_every_choice_is_understood_by_value_and_in_chinese():
    for field in FIELDS.values():
        if field.choices is not None:
            table = words(field)
            assert set(table.values()) == {member.value for member in field.choices}


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (["case_key", "case_key", "borrower", "principal", "dpd"], "column 2"),
        (["借据号", "合同编号", "borrower", "principal", "dpd"], "column 2"),
        (["borrower", "principal", "dpd"], "case_key"),
        (["case_key", "borrower", "principal"], "days_past_due"),
    ],
)
def test_a_header_that_does_not_fit_is_explained(header, named):
    with pytest.raises(HeaderMismatch) as caught:
        lay_out(header, ColumnMapping())
    assert named in {error["pointer"] for error in caught.value.errors}


def test_a_mapping_that_cannot_work_is_explained():
    mapping = ColumnMapping(
        columns={"case_key": "a", "colour": "b"}, less={"product": ["x"], "other": ["y"]}, thousands_separator="."
    )
    with pytest.raises(MappingInvalid) as caught:
        mapping.check()
    assert {error["pointer"] for error in caught.value.errors} == {
        "/columns/colour",
        "/less/product",
        "/less/other",
        "/thousands_separator",
        "/columns/principal",
        "/columns/borrower_name",
    }


@FEW
@given(st.text(min_size=1, max_size=10), st.text(alphabet="0123456789", max_size=15))
def test_masks_keep_what_they_may(name, phone):
    assert masking.mask_name(name) == name[0] + "*"
    masked = masking.mask_phone(phone)
    assert masked == "***" if len(phone) < 11 else masked == f"{phone[:3]}****{phone[-4:]}"


@FEW
@given(st.integers(0, 10**12))
def test_an_amount_lies_in_its_band(minor):
    low, _, high = masking.amount_band(minor, decimals=2).partition("-")
    assert int(low) * 100 <= minor
    assert not high or minor < int(high) * 100


@FEW
@given(
    st.builds(
        Criteria,
        days_past_due_min=st.none() | st.integers(0, 10),
        amount_max=st.none() | st.integers(0, 10),
        products=st.lists(st.text(max_size=3)).map(tuple),
        written_off=st.none() | st.booleans(),
        tape_id=st.none() | st.uuids(),
    )
)
def test_criteria_survive_being_stored(criteria):
    assert Criteria.of_document(criteria.document()) == criteria
