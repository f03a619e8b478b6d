"""Every public bank statement file: read as other programs read it and proven, or refused for its reason."""

import dataclasses
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.errors import Invalid
from settlement.domain.csv_profiles import PROFILES, UnknownProfile, profile_named
from settlement.domain.reading import read_statements, recognise
from settlement.domain.statements import (
    MAX_BYTES,
    ParsedStatement,
    StatementFormat,
    StatementUnproven,
    StatementUnreadable,
    admit,
)
from tests.conftest import SHARED_DATA

FOLDER = SHARED_DATA / "bank_statements"
NO_BALANCE = "there is no balance"
NOT_A_STATEMENT = "there is no statement in it"
REFUSED = {
    "mt940/betterplace__currency_in_25.sta": NO_BALANCE,
    "mt940/betterplace__empty_86.sta": NO_BALANCE,
    "mt940/betterplace__empty_entry_date.sta": NO_BALANCE,
    "mt940/betterplace__empty_line.sta": NO_BALANCE,
    "mt940/betterplace__missing_crlf_at_end.sta": "which account",
    "mt940/cmxl__account_balance_credit.sta": "which account",
    "mt940/cmxl__account_balance_debit.sta": "which account",
    "mt940/cmxl__account_identification_iban.sta": NO_BALANCE,
    "mt940/cmxl__account_identification_legacy.sta": NO_BALANCE,
    "mt940/cmxl__available_balance.sta": NO_BALANCE,
    "mt940/cmxl__closing_balance.sta": "which account",
    "mt940/cmxl__reference.sta": NO_BALANCE,
    "mt940/cmxl__statement_line.sta": NO_BALANCE,
    "mt940/cmxl__statement_number.sta": NO_BALANCE,
    "mt940/self-provided__account_identification.sta": NO_BALANCE,
    "mt940/self-provided__empty_non_swift.sta": NO_BALANCE,
    "mt940/self-provided__mt942.sta": "a report is no booked statement",
    "mt940/self-provided__multiline.sta": "what begins at line 38 has no balance",
    "mt940/self-provided__sparkassen.sta": NO_BALANCE,
    "camt/camt052.v1.xml": "a report is no booked statement",
    "camt/camt052.v2.other-account.xml": "a report is no booked statement",
    "camt/camt052.v2.with-account-name.xml": "neither a booking nor a value date",
    "camt/camt052.v2.xml": "a report is no booked statement",
    "camt/camt052.v4.xml": "a report is no booked statement",
    "camt/camt052.v6.Amt-zero.xml": "a report is no booked statement",
    "camt/camt052.v8.xml": "a report is no booked statement",
    "camt/camt053.v2.wrong.xml": NOT_A_STATEMENT,
    "camt/camt054.v2.with-account-name.xml": "neither a booking nor a value date",
    "camt/camt054.v2.xml": "a notification is no booked statement",
    "camt/camt054.v8-with-financial-institution.xml": "neither a booking nor a value date",
    "camt/camt054.v8.xml": "a notification is no booked statement",
    "ofx/ofxparse__account_listing_aggregation.ofx": "only lists accounts",
    "ofx/ofxparse__bank_small.ofx": NOT_A_STATEMENT,
    "ofx/ofxparse__date_missing.ofx": "line 1: '' is not a date",
    "ofx/ofxparse__empty_balance.ofx": "ledger balance: there is no amount",
    "ofx/ofxparse__error_message.ofx": "General Server Error",
    "ofx/ofxparse__fidelity-savings.ofx": "more decimals than USD",
    "ofx/ofxparse__ofx-v102-empty-tags.ofx": "CURDEF is empty",
    "ofx/ofxparse__signon_fail.ofx": "password was incorrect",
    "ofx/ofxparse__signon_success.ofx": NOT_A_STATEMENT,
    "ofx/ofxparse__signon_success_no_message.ofx": NOT_A_STATEMENT,
    "ofx/oca__test_ofx_wrong.ofx": "CURDEF is empty",
    "qif/oca__test_qif.qif": "it is QIF",
    "csv/oca__original_currency_no_header.csv": "no row names",
}
"""Files of which nothing may be stored, each with words of the reason."""

UNPROVEN = {
    "mt940/jejik__abnamro.sta": "the closing balance is",
    "mt940/jejik__ing.sta": "the closing balance is",
    "mt940/jejik__postfinance.sta": "the closing balance is",
    "mt940/jejik__rabobank.sta": "the closing balance is",
    "mt940/mBank__with_newline_in_tnr.sta": "the closing balance is",
    "mt940/self-provided__details_60-63.sta": "the closing balance is",
    "mt940/self-provided__malformed_details.sta": "the closing balance is",
    "mt940/self-provided__whitespace.sta": "the closing balance is",
    "camt/camt053.v2.five.decimals.xml": "the closing balance is 27.05",
    "camt/camt053.v2.minimal.ultimate.xml": "closing balance is in SEK",
    "camt/camt053.v2.minimal.xml": "closing balance is in SEK",
    "camt/camt053.v2.with-party-ids.xml": "closing balance is in SEK",
    "camt/camt053.v3.xml": "closing balance is in SEK",
    "camt/camt053.v8.xml": "closing balance is in SEK",
    "csv/oca__meta_data_separated_credit_debit.csv": "the closing balance is 31070.11",
    "csv/oca__sample_statement_credit_card_inverse_sign_en.csv": "line 1 is in USD",
    "csv/oca__sample_statement_en.csv": "line 1 is in USD",
}
"""Files that can be read and contradict themselves, the ten edited MT940 statements of the README among them."""

NOTHING_TO_PROVE = {
    "mt940/self-provided__gv_codes.sta",
    "camt/camt053.v2.with-account-name.xml",
    "camt/camt53.only-Dt-with-DtTm.xml",
    "ofx/ofxparse__anzcc.ofx",
    "ofx/ofxparse__checking.ofx",
    "ofx/ofxparse__multiple_accounts.ofx",
    "ofx/oca__test_ofx.ofx",
    "csv/oca__empty_statement_en.csv",
    "csv/oca__original_currency.csv",
    "csv/oca__original_currency_empty.csv",
}
"""Sound, but without both balances: only the chain of our own account can prove them, else they are not stored."""

PROFILE = {
    "csv/oca__meta_data_separated_credit_debit.csv": "oca_fr/1",
    "csv/oca__sample_statement_credit_card_inverse_sign_en.csv": "oca_us_card/1",
}


def manifest() -> list[dict]:
    path = FOLDER / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else []


def read(name: str) -> list[ParsedStatement]:
    """Read a file as finance would: the CSV samples by their layout, their account and currency given."""
    profile = dataclasses.replace(profile_named(PROFILE.get(name, "oca_us/1")), account="1", currency="EUR")
    return read_statements((FOLDER / name).read_bytes(), written_in=None, profile=profile)


ROWS = manifest()
FILES = [pytest.param(row, id=row["file"]) for row in ROWS] or [
    pytest.param(None, marks=pytest.mark.skip(reason=f"real data absent: {FOLDER}"))
]


@pytest.mark.parametrize("row", FILES)
def test_a_file_is_proven_or_refused_for_its_reason(row) -> None:
    name = row["file"]
    if name in REFUSED:
        with pytest.raises(StatementUnreadable, match=REFUSED[name]):
            admit_all(name)
        return
    statements = read(name)
    if name in UNPROVEN:
        with pytest.raises(StatementUnproven, match=UNPROVEN[name]):
            admit_all(name)
    else:
        assert all(admit_all(name)) == (name not in NOTHING_TO_PROVE)
    if name.startswith("mt940/"):
        compare_with_tags(statements, row)
        compare_with_mt940(statements, name)
    elif name.startswith("ofx/"):
        compare_with_ofxparse(statements, name)


def admit_all(name: str) -> list[bool]:
    return [admit(statement) for statement in read(name)]


def proves(statement: ParsedStatement) -> bool:
    try:
        return admit(statement)
    except StatementUnproven:
        return False


def compare_with_tags(statements: list[ParsedStatement], row: dict) -> None:
    """The independent reading of the raw tags: balances, number and sum of lines, whether they agree."""
    full = [one for one in statements if one.opening is not None and one.closing is not None]
    assert sum(len(one.lines) for one in statements) == row["transactions"]
    assert len(full) == len(row["statements"])
    for ours, theirs in zip(full, row["statements"], strict=True):
        assert ours.currency == theirs["currency"]
        assert Decimal(ours.opening.text) == Decimal(theirs["opening"])
        assert Decimal(ours.closing.text) == Decimal(theirs["closing"])
        assert sum((Decimal(line.amount.text) for line in ours.lines), Decimal(0)) == Decimal(theirs["sum_tx"])
        assert len(ours.lines) == theirs["n_tx"]
        assert proves(ours) == theirs["balances"]


def compare_with_mt940(statements: list[ParsedStatement], name: str) -> None:
    """What the package mt-940 read of each line, in order; it reads a reversed credit (RC) as money in, so no signs."""
    expected = FOLDER / "expected" / f"{name.removeprefix('mt940/')}.mt940lib.json"
    theirs = json.loads(expected.read_text())["transactions"]
    ours = [line for statement in statements for line in statement.lines]
    assert len(ours) == len(theirs)
    for line, other in zip(ours, theirs, strict=True):
        assert abs(Decimal(line.amount.text)) == abs(Decimal(other["amount"]["amount"]))
        assert line.value_on.isoformat() == other["date"]
        if other.get("entry_date"):
            assert line.booked_on.strftime("%m-%d") == other["entry_date"][5:]
        assert line.bank_reference == " ".join((other.get("bank_reference") or "").split())
        if line.counterparty_name and other.get("applicant_name"):
            theirs_name = " ".join(other["applicant_name"].split())
            assert theirs_name.replace(" ", "").endswith(line.counterparty_name.replace(" ", ""))


def compare_with_ofxparse(statements: list[ParsedStatement], name: str) -> None:
    expected = FOLDER / "expected" / f"{name.removeprefix('ofx/')}.ofxparse.json"
    theirs = json.loads(expected.read_text())
    assert len(statements) == len(theirs)
    for ours, other in zip(statements, theirs, strict=True):
        assert (ours.account, ours.currency.lower()) == (other["account_id"], other["currency"])
        assert ours.closing is not None
        assert Decimal(ours.closing.text) == Decimal(other["balance"])
        for line, transaction in zip(ours.lines, other["transactions"], strict=True):
            assert Decimal(line.amount.text) == Decimal(transaction["amount"])
            assert line.booked_on.isoformat() == transaction["date"][:10]
            assert line.bank_reference == transaction["id"]
            assert line.counterparty_name == transaction["payee"]
            assert line.remittance == " ".join(transaction["memo"].split())


@pytest.mark.skipif(not ROWS, reason=f"real data absent: {FOLDER}")
def test_the_truth_of_the_readme() -> None:
    """76 of the 86 MT940 statements with both balances add up, and exactly ten do not."""
    full = []
    for row in ROWS:
        name = row["file"]
        if name.startswith("mt940/") and row["statements"]:
            full += [one for one in read(name) if one.opening is not None and one.closing is not None]
    assert len(full) == 86
    assert sum(proves(one) for one in full) == 76
    assert REFUSED.keys() | UNPROVEN.keys() | NOTHING_TO_PROVE <= {row["file"] for row in ROWS}


BAI2 = b"""01,122099999,123456789,260302,0200,1,65,,2/
02,031001234,122099999,1,260302,2359,,2/
03,0123456789,,010,+4350000,,,040,2830000,,/
88,072,1020000,,,074,500000,,,015,4500000,,/
16,115,200000,S,100000,50000,50000,B1,C1,DP-1 text, with comma/ and slash
88,more
16,455,50000,V,260303,0000,,C2/
49,13450000,6/
98,13450000,1,8/
99,13450000,1,10/"""


def test_bai2_is_read_with_its_totals() -> None:
    (statement,) = read_statements(BAI2, written_in=None)
    assert admit(statement)
    assert statement.format is StatementFormat.BAI2
    first, second = statement.lines
    assert (first.amount.text, first.remittance) == ("2000.00", "DP-1 text, with comma/ and slash more")
    assert (first.bank_reference, first.end_to_end_id) == ("B1", "C1")
    assert (second.amount.text, second.value_on.isoformat()) == ("-500.00", "2026-03-03")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"16,455,50000,V,260303,0000,,C2/\n", b"", "control total of the account 6789"),
        (b"16,455,50000", b"16,455,50001", "control total of the account 6789"),
        (b"49,13450000,6/", b"49,13450000,7/", "number of records of the account"),
        (b"98,13450000,1,", b"98,13450000,2,", "count of the group"),
        (b"99,13450000,1,10/", b"99,13450000,1,11/", "number of records of the file"),
        (b"99,13450000,1,10/", b"", "before its file trailer"),
        (b"16,455,50000", b"16,455,5e4", "not an amount"),
        (b"98,13450000,1,8/\n", b"97,1/\n", "no record of BAI2"),
        (b"49,13450000,6/", b"03,1,,010,1,,/", "inside another"),
        (b"260302,2359", b"26x302,2359", "no date"),
    ],
)
def test_a_broken_bai2_is_refused(old, new, reason) -> None:
    with pytest.raises(Invalid, match=reason):
        read_statements(BAI2.replace(old, new), written_in=None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04rest", "ZIP"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"\xd0\xcf\x11\xe0", "Excel"),
        (b"!Type:Bank\nD1/1/26", "QIF"),
        (b"<OFX><!ENTITY a 'b'>", "entities"),
        (b"<OFX>" + b"<A>" * 100, "nested too deeply"),
        (b"<OFX><!-- kept -->" + b"<!--" * 1_000_000, "a comment in it has no end"),
        (b":20:X\n:25:1\n:60F:C260302EUR1,00\n:61:nonsense\n:62F:C260302EUR1,00\n", "line 4"),
        (b":20:X\n:25:1\n:60F:C261302EUR1,00\n:62F:C260302EUR1,00\n", "line 3: '261302' is not a date"),
        (b":20:X\n:25:1\n:60F:C260302XXX1,00\n:62F:C260302EUR1,00\n", "'XXX' is not a currency"),
        (b":20:X\n:25:1\n:60F:C260302JPY1,50\n:62F:C260302JPY1,50\n", "more decimals than JPY"),
    ],
)
def test_what_is_no_statement_is_named(content, reason) -> None:
    with pytest.raises(StatementUnreadable, match=reason):
        read_statements(content, written_in=None)


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(StatementUnreadable, match="larger than"):
        read_statements(b"<" * (MAX_BYTES + 1), written_in=None)


@given(
    st.sampled_from([b"", b"01,1,1,260302/\n02,1,1,1,260302/\n", b":20:1\n:60F:", b"<OFX>", b"\xef\xbb\xbf"]),
    st.binary(max_size=300),
)
def test_any_bytes_are_read_or_refused_by_every_reader(head, tail) -> None:
    for form in StatementFormat:
        try:
            read_statements(head + tail, written_in=form)
        except Invalid:
            continue
    assert recognise(head + tail) in StatementFormat


def test_layouts_are_named_with_their_version() -> None:
    assert all(name.partition("/")[2].isdigit() for name in PROFILES)
    with pytest.raises(UnknownProfile):
        profile_named("icbc/99")
    content = (
        "凭证号,交易时间,借/贷,借方发生额,贷方发生额,对方行号,摘要,用途,对方单位名称,余额\n"
        "1,2026-03-02 10:11:12,贷,,500.00,102,保证金,,华信资产,500.00\n"
    ).encode("gb18030")
    (statement,) = read_statements(
        content, written_in=None, profile=dataclasses.replace(profile_named("icbc/1"), account="6222")
    )
    assert admit(statement)
    assert (statement.lines[0].counterparty_name, statement.currency) == ("华信资产", "CNY")
