"""Readers of statements: real files against another program's reading, proofs, identities, hostile input."""

import contextlib
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money, exponent
from settlement.domain.bank_csv import Column, CsvProfile, DateOrder, parse_csv
from settlement.domain.camt import parse_camt
from settlement.domain.statements import (
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnproven,
    StatementUnreadable,
    identify,
    prove,
)

WITHOUT_DATE = {
    "camt052.v2.with-account-name",
    "camt054.v2.with-account-name",
    "camt054.v8-with-financial-institution",
}
"""Booked entries without any date: they cannot be posted, so they are refused with that reason."""

UNPROVEN = {
    "camt053.v2.five.decimals": "come to 27.00, the closing balance is 27.05",
    "camt053.v2.minimal": "closing balance is in SEK",
    "camt053.v2.minimal.ultimate": "closing balance is in SEK",
    "camt053.v2.with-party-ids": "closing balance is in SEK",
    "camt053.v3": "closing balance is in SEK",
    "camt053.v8": "closing balance is in SEK",
}


def money_of(node: dict) -> Money:
    return Money(int(node["getAmount"]), node["getCurrency"]["getCode"])


def day_of(node: dict | None) -> date | None:
    return node and date.fromisoformat(node["0"][:10])


def records_of(document: dict) -> list[dict]:
    """The records of genkgo's dump; a record met first inside an entry is written out there only."""
    records = document["getRecords"]
    if any(isinstance(record, str) for record in records):
        return [entry["getRecord"] for entry in document["getEntries"]]
    return records


def compare(statement: ParsedStatement, record: dict, entries: list[dict]) -> None:
    """All that both programs read: account, id, balances; of entries amount, dates, references, parties, texts."""
    assert statement.account == record["getAccount"]["getIdentification"]
    assert statement.reference == record["getId"]
    balances = {balance["getType"]: money_of(balance["getAmount"]) for balance in record.get("getBalances", [])}
    assert statement.opening == balances.get("opening", balances.get("previously_closed"))
    assert statement.closing == balances.get("closing")
    booked = [entry for entry in entries if entry["getStatus"] == "BOOK"]
    assert statement.pending == len(entries) - len(booked)
    assert len(statement.lines) == len(booked)
    for line, entry in zip(statement.lines, booked, strict=True):
        assert line.amount == money_of(entry["getAmount"])
        booked_on, value_on = day_of(entry["getBookingDate"]), day_of(entry["getValueDate"])
        assert line.booked_on == (booked_on or value_on)
        assert line.value_on == (value_on or booked_on)
        detail = entry["getTransactionDetail"] or {}
        assert line.bank_reference == (
            entry["getAccountServicerReference"]
            or (detail.get("getReference") or {}).get("getAccountServicerReference")
            or ""
        )
        if len(entry["getTransactionDetails"] or []) > 1:
            continue
        assert line.end_to_end_id == ((detail.get("getReference") or {}).get("getEndToEndId") or "")
        message = (detail.get("getRemittanceInformation") or {}).get("getMessage") or ""
        assert " ".join(message.split()) in line.remittance
        side = "Debtor" if line.amount.minor >= 0 else "Creditor"
        for party in detail.get("getRelatedParties") or []:
            if isinstance(party, dict) and party["getRelatedPartyType"]["__CLASS__"].endswith(f"\\{side}"):
                assert line.counterparty_name == (party["getRelatedPartyType"]["getName"] or "")
                assert line.counterparty_account == ((party["getAccount"] or {}).get("getIdentification") or "")


def test_real_camt_files_agree_with_another_reader(shared_data) -> None:
    folder = shared_data / "bank_statements"
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder}")
    agreed, refused = [], []
    for path in sorted((folder / "camt").glob("*.xml")):
        expected = folder / "expected" / f"{path.stem}.genkgo.json"
        if not expected.exists():
            with pytest.raises(StatementUnreadable, match="no statement"):
                parse_camt(path.read_bytes())
            continue
        if path.stem in WITHOUT_DATE:
            with pytest.raises(StatementUnreadable, match="neither a booking nor a value date"):
                parse_camt(path.read_bytes())
            refused.append(path.stem)
            continue
        document = json.loads(expected.read_text())
        records = records_of(document)
        statements = parse_camt(path.read_bytes())
        assert len(statements) == len(records), path.stem
        for statement, record in zip(statements, records, strict=True):
            compare(statement, record, document["getEntries"])
        agreed.append(path.stem)
        for statement in statements:
            if path.stem in UNPROVEN:
                with pytest.raises(StatementUnproven, match=UNPROVEN[path.stem]):
                    prove(statement)
            else:
                prove(statement)
    assert len(agreed) == 16
    assert len(refused) == 3


CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt><GrpHdr/><Stmt><Id>S1</Id>
<Acct><Id><Othr><Id>6222</Id></Othr></Id><Ccy>CNY</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">10.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
{entries}</Stmt></BkToCstmrStmt></Document>"""
ENTRY = (
    '<Ntry><Amt Ccy="CNY">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts>{status}</Sts>'
    "<BookgDt><Dt>2026-03-02</Dt></BookgDt>{details}</Ntry>"
)


def camt(*entries: str, closing: str = "10.00", version: str = "02") -> bytes:
    return CAMT.format(entries="".join(entries), closing=closing, version=version).encode()


def entry(amount: str, way: str = "CRDT", status: str = "BOOK", details: str = "") -> str:
    return ENTRY.format(amount=amount, way=way, status=status, details=details)


@pytest.mark.parametrize("version", [f"{number:02d}" for number in range(1, 14)])
def test_every_version_and_a_proof_to_the_cent(version) -> None:
    status = "<Cd>BOOK</Cd>" if version >= "07" else "BOOK"
    content = camt(entry("5.00", status=status), entry("2.50", "DBIT", status), closing="12.50", version=version)
    (statement,) = parse_camt(content)
    assert prove(statement)
    (wrong,) = parse_camt(camt(entry("5.00", status=status), closing="15.01", version=version))
    with pytest.raises(StatementUnproven):
        prove(wrong)


def test_pending_entries_never_count() -> None:
    (statement,) = parse_camt(camt(entry("5.00", status="PDNG"), entry("1.00", status="INFO")))
    assert statement.pending == 2
    assert prove(statement)


def detail(amount: str, text: str, currency: str = "CNY") -> str:
    return f'<TxDtls><Amt Ccy="{currency}">{amount}</Amt><RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>'


def test_a_batch_is_split_when_its_parts_add_up() -> None:
    parts = "<NtryDtls>" + detail("3.00", "one") + detail("2.00", "two") + "</NtryDtls>"
    (statement,) = parse_camt(camt(entry("5.00", details=parts), closing="15.00"))
    assert [(line.amount.text, line.remittance) for line in statement.lines] == [("3.00", "one"), ("2.00", "two")]
    (whole,) = parse_camt(camt(entry("6.00", details=parts), closing="16.00"))
    assert [(line.amount.text, line.remittance) for line in whole.lines] == [("6.00", "one two")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "not allowed"),
        (
            b"<!DOCTYPE l [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]><l>&c;</l>",
            "not allowed",
        ),
        (b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>", "not allowed"),
        (b"<x>", "not well-formed"),
        (b"", "not well-formed"),
        (b"\xff\xfe\x00<", "not well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><x/>', "not well-formed"),
        (b"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pain.001.001.09'/>", "not a camt"),
        (camt(entry("1e5")), "not an amount|does not"),
        (camt(entry("NaN")), "not an amount"),
        (camt(entry("1.005")), "more decimals"),
        (camt(entry("-1.00")), "has no sign"),
        (camt(entry("99999999999999999999")), "not an amount"),
        (camt(entry("1.00", "BOTH")), "CdtDbtInd"),
    ],
)
def test_hostile_or_broken_xml_is_refused_with_the_place(content, reason) -> None:
    if reason.startswith("not an amount|"):
        (statement,) = parse_camt(content)
        assert statement.lines[0].amount.minor == 10_000_000
        return
    with pytest.raises(StatementUnreadable, match=reason):
        parse_camt(content)


CHINESE = """账号：,6222020200112233445,币种,人民币,,,,
交易日期,贷方金额,借方金额,余额,摘要,对方户名,对方账号,流水号
2026-03-02,"1,000.00",,1000.00,保证金 DP-00000000,华信资产,6217,L1
20260303 10:11:12,,400.00,600.00,退款,金投资产,6218,L2
合计,1000.00,400.00,,,,,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_chinese_export(encoding, newest_first) -> None:
    rows = CHINESE.splitlines()
    if newest_first:
        rows[2], rows[3] = rows[3], rows[2]
    statement = parse_csv("\n".join(rows).encode(encoding))
    assert prove(statement)
    assert (statement.account, statement.currency) == ("6222020200112233445", "CNY")
    assert (statement.opening, statement.closing) == (Money(0, "CNY"), Money(60_000, "CNY"))
    first, second = statement.lines
    assert first == ParsedLine(
        amount=Money(100_000, "CNY"),
        booked_on=date(2026, 3, 2),
        value_on=date(2026, 3, 2),
        remittance="保证金 DP-00000000",
        counterparty_name="华信资产",
        counterparty_account="6217",
        bank_reference="L1",
        balance=Money(100_000, "CNY"),
    )
    assert second.amount == Money(-40_000, "CNY")


def test_an_english_export_with_directions_and_labels() -> None:
    content = b"""Account number: DE89370400440532013000;;;
Currency: EUR;;;
Opening balance;100,50;;
Date;D/C;Amount;Description
02.03.2026;C;1.000,00;deposit
03.03.2026;D;0,50;fee
Closing balance;1.100,00;;
"""
    statement = parse_csv(content, CsvProfile(date_order=DateOrder.DMY, decimal_comma=True))
    assert prove(statement)
    assert [line.amount.text for line in statement.lines] == ["1000.00", "-0.50"]
    assert statement.account == "DE89370400440532013000"


def test_a_profile_names_other_columns() -> None:
    content = "记账日,进账,出账,说明\n2026-03-02,5.00,,甲\n"
    profile = CsvProfile(
        columns={Column.DATE: "记账日", Column.CREDIT: "进账", Column.DEBIT: "出账", Column.REMITTANCE: "说明"},
        account="1",
        currency="CNY",
    )
    assert parse_csv(content.encode(), profile).lines[0].remittance == "甲"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no row names"),
        (b"a,b\n1,2\n", "no row names"),
        (b"\xff\xff\xff", "neither UTF-8 nor GB18030"),
        (b"date,amount\0", "no text"),
        (b"date,amount\n2026-03-02,1.00\n", "currency"),
        (b"date,amount,currency\n2026-03-02,1.005,CNY\n", "row 2: .* more decimals"),
        (b"date,amount,currency\n2026-03-02,1e3,CNY\n", "row 2: .* not an amount"),
        (b"date,amount,currency\n2026-03-02,NaN,CNY\n", "row 2: .* not an amount"),
        (b"date,amount,currency\n2026-02-30,1.00,CNY\n", "row 2: .* not a date"),
        (b"date,amount,currency\n03/02/2026,1.00,CNY\n", "row 2: .* not a date"),
        (b"date,credit,debit,currency\n2026-03-02,1.00,2.00,CNY\n", "row 2: money comes in and goes out"),
        (b"date,amount,currency\n2026-03-02,1.00,CNY\n", "which account"),
        (b'date,amount,currency\n"2026-03-02,1.00,CNY\n', "row "),
    ],
)
def test_broken_tables_are_refused_with_the_row(content, reason) -> None:
    with pytest.raises(StatementUnreadable, match=reason):
        parse_csv(content)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content) -> None:
    for reader in (parse_camt, parse_csv):
        with contextlib.suppress(StatementUnreadable):
            reader(content)


def test_a_wrong_running_balance_is_named() -> None:
    with pytest.raises(StatementUnproven, match="after line 2"):
        prove(parse_csv(CHINESE.replace("600.00", "600.01").encode()))


LINES = st.lists(
    st.builds(
        ParsedLine,
        amount=st.integers(-3, 3).map(lambda minor: Money(minor, "CNY")),
        booked_on=st.dates(date(2026, 3, 1), date(2026, 3, 2)),
        value_on=st.just(date(2026, 3, 2)),
        remittance=st.sampled_from(["", "a", "b"]),
        bank_reference=st.sampled_from(["", "R1", "NONREF"]),
    ),
    max_size=12,
)


@given(lines=LINES, cut=st.integers(0, 12))
def test_equal_lines_stay_several_and_a_repeated_file_adds_none(lines, cut) -> None:
    identities = identify("A", lines)
    assert len(set(identities)) == len(lines)
    assert identify("A", lines) == identities
    assert set(identify("A", lines[:cut])) <= set(identities)
    assert not set(identify("B", lines)) & set(identities)


@given(
    amounts=st.lists(st.integers(-(10**12), 10**12), max_size=20),
    opening=st.integers(-(10**12), 10**12),
    off=st.integers(-2, 2),
    currency=st.sampled_from(["CNY", "JPY", "KWD"]),
)
def test_a_statement_proves_itself_or_is_refused(amounts, opening, off, currency) -> None:
    day = date(2026, 3, 2)
    statement = ParsedStatement(
        format=StatementFormat.CSV,
        kind="statement",
        account="A",
        currency=currency,
        reference="",
        from_on=None,
        to_on=None,
        opening=Money(opening, currency),
        closing=Money(opening + sum(amounts) + off, currency),
        lines=tuple(ParsedLine(Money(amount, currency), day, day) for amount in amounts),
    )
    if off:
        with pytest.raises(StatementUnproven):
            prove(statement)
    else:
        assert prove(statement)
    assert Decimal(statement.opening.text).scaleb(exponent(currency)) == opening
