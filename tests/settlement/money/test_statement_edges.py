"""Edges of statements and matching: layouts, reversals, zeros, overlaps without ids, limits of combinations."""

import dataclasses
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money
from settlement.domain.account_chain import Link, follow, repeated
from settlement.domain.bank_csv import CsvProfile, parse_csv
from settlement.domain.camt import parse_camt
from settlement.domain.combinations import combinations_to
from settlement.domain.csv_profiles import profile_named
from settlement.domain.ladder import Movement, OpenItem, OpenItems, Reason, Rung, suggest
from settlement.domain.mt940 import parse_mt940
from settlement.domain.names import likeness, same_name
from settlement.domain.statements import (
    LineIdentity,
    ParsedLine,
    ParsedStatement,
    StatementFormat,
    StatementUnproven,
    admit,
    identify,
)

DAY = date(2026, 3, 2)

LAYOUTS = {
    "icbc/1": (
        "凭证号,交易时间,借方发生额,贷方发生额,摘要,对方单位名称,对方账号,余额",
        'V1,2026-03-02 10:11:12,,"1,500.00",保证金,华信资产,6217,1500.00',
        "V2,2026-03-02 10:12:12,400.00,,退款,金投资产,6218,1100.00",
    ),
    "abc/1": (
        "交易时间,收入金额,支出金额,本次余额,对方户名,对方账号,交易用途,流水号",
        '20260302 101112,"1,500.00",,1500.00,华信资产,6217,保证金,V1',
        "20260302 101212,,400.00,1100.00,金投资产,6218,退款,V2",
    ),
    "boc/1": (
        "交易日期,起息日期,交易货币,交易金额,交易后余额,付款人名称,付款人账号,交易流水号,附言",
        "20260302,20260302,人民币,1500.00,1500.00,华信资产,6217,V1,保证金",
        "20260302,20260302,CNY,-400.00,1100.00,金投资产,6218,V2,退款",
    ),
    "ccb/1": (
        "记账日期,币种,借方发生额,贷方发生额,余额,对方户名,对方账号,账户明细编号-交易流水号,摘要",
        "20260302,人民币元,0.00,1500.00,1500.00,华信资产,6217,V1,保证金",
        "20260302,人民币元,400.00,0.00,1100.00,金投资产,6218,V2,退款",
    ),
    "cmb/1": (
        "交易日,起息日,借方金额,贷方金额,余额,摘要,流水号,收(付)方名称,收(付)方账号",
        "2026-03-02,2026-03-02,,1500.00,1500.00,保证金,V1,华信资产,6217",
        "2026-03-02,2026-03-02,400.00,,1100.00,退款,V2,金投资产,6218",
    ),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_chinese_layout_reads_all_it_names(layout, encoding) -> None:
    profile = dataclasses.replace(profile_named(layout), account="6222")
    statement = parse_csv("\r\n".join(LAYOUTS[layout]).encode(encoding), profile)
    assert admit(statement)
    assert [line.amount.text for line in statement.lines] == ["1500.00", "-400.00"]
    assert (statement.currency, statement.opening, statement.closing) == (
        "CNY", Money(0, "CNY"), Money(110_000, "CNY"),
    )  # fmt: skip
    for line, name, account in zip(statement.lines, ("华信资产", "金投资产"), ("6217", "6218"), strict=True):
        assert (line.counterparty_name, line.counterparty_account, line.booked_on) == (name, account, DAY)
        assert line.remittance in {"保证金", "退款"}
    assert [line.bank_reference for line in statement.lines] == ["V1", "V2"]


def test_a_red_entry_goes_the_other_way_in_either_column() -> None:
    """红字: minus in 贷 takes money in back, minus in 借 takes money out back."""
    content = (
        "账号,6222,币种,人民币\n交易日期,借方金额,贷方金额,余额\n"
        "2026-03-02,,100.00,100.00\n2026-03-02,,-100.00,0.00\n2026-03-02,-7.00,,7.00\n"
    ).encode()
    statement = parse_csv(content)
    assert admit(statement)
    assert [line.amount.minor for line in statement.lines] == [10_000, -10_000, 700]


@pytest.mark.parametrize(
    ("credit", "debit"), [("0.00", ""), ("", "0.00"), ("0.00", "0.00"), ("-0.00", ""), ("０．００", "")]
)
def test_a_line_of_nothing_is_a_line_of_nothing(credit, debit) -> None:
    rows = f"账号,6222,币种,人民币\n交易日期,贷方金额,借方金额,余额\n2026-03-02,{credit},{debit},5.00\n"
    statement = parse_csv(rows.encode())
    assert admit(statement)
    assert [line.amount.minor for line in statement.lines] == [0]


def test_two_currencies_in_one_file_are_refused_at_the_first_line_of_the_other() -> None:
    rows = "账号,6222\n交易日期,交易金额,币种\n2026-03-02,1.00,人民币\n2026-03-02,1.00,美元\n2026-03-02,1.00,欧元\n"
    with pytest.raises(StatementUnproven, match="line 2 is in USD") as refused:
        admit(parse_csv(rows.encode()))
    assert refused.value.errors[0]["line"] == 2


def test_the_first_bad_line_is_named_by_its_number() -> None:
    rows = ["账号,6222,币种,人民币", "交易日期,贷方金额,借方金额,余额"]
    rows += [f"2026-03-02,1.00,,{balance}" for balance in ("1.00", "2.00", "3.01", "4.00", "5.02")]
    with pytest.raises(StatementUnproven, match=r"after line 3 the balance is 3\.00 CNY") as refused:
        admit(parse_csv("\n".join(rows).encode(), CsvProfile()))
    assert refused.value.errors[0]["line"] == 3


REVERSAL = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>S</Id>
<Acct><Id><Othr><Id>6222</Id></Othr></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">10</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{closing}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Ntry><Amt Ccy="EUR">4</Amt><CdtDbtInd>{way}</CdtDbtInd>{reversal}<Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-03-02</Dt></BookgDt><NtryDtls><TxDtls><RltdPties>
<Dbtr><Pty><Nm>The Debtor</Nm></Pty></Dbtr><DbtrAcct><Id><Othr><Id>D1</Id></Othr></Id></DbtrAcct>
<Cdtr><Pty><Nm>The Creditor</Nm></Pty></Cdtr><CdtrAcct><Id><Othr><Id>C1</Id></Othr></Id></CdtrAcct>
</RltdPties></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"""


@pytest.mark.parametrize(
    ("way", "reversal", "amount", "other"),
    [
        ("CRDT", "", 400, "Debtor"),
        ("DBIT", "", -400, "Creditor"),
        ("CRDT", "<RvslInd>false</RvslInd>", 400, "Debtor"),
        ("CRDT", "<RvslInd>true</RvslInd>", 400, "Creditor"),
        ("DBIT", "<RvslInd>1</RvslInd>", -400, "Debtor"),
    ],
)
def test_a_reversed_entry_goes_as_marked_and_names_whom_the_first_one_named(way, reversal, amount, other) -> None:
    """Money of ours that comes back comes from whom we paid; debtor and creditor stay those of the first entry."""
    content = REVERSAL.format(way=way, reversal=reversal, closing=(1000 + amount) // 100)
    (statement,) = parse_camt(content.encode())
    assert admit(statement)
    (line,) = statement.lines
    assert (line.amount.minor, line.counterparty_name) == (amount, f"The {other}")
    assert line.counterparty_account == other[0] + "1"


@pytest.mark.parametrize(("mark", "amount"), [("C", 400), ("D", -400), ("RC", -400), ("RD", 400), ("C", 0)])
def test_swift_marks_of_reversal(mark, amount) -> None:
    text = "4,00" if amount else "0,00"
    lines = [
        ":20:X", ":25:6222", ":28C:1/1", ":60F:C260302EUR10,00", f":61:2603020302{mark}{text}NTRFNONREF//B1", ":86:x",
        f":62F:C260302EUR{(1000 + amount) // 100},00",
    ]  # fmt: skip
    (statement,) = parse_mt940("\n".join(lines).encode())
    assert admit(statement)
    assert [line.amount.minor for line in statement.lines] == [amount]


def movement(amount: int, **changes) -> Movement:
    values = {"line": "L1", "currency": "CNY", "incoming": True, "booked_on": DAY, "payer_account": "1"} | changes
    return Movement(amount_minor=amount, **values)


def items(amounts: list[int]) -> OpenItems:
    mine = frozenset({"1"})
    return OpenItems([OpenItem(f"I{at:02}", one, "CNY", True, accounts=mine) for at, one in enumerate(amounts)])


FORTY = [1_000_000 + 2**at for at in range(5)] + [400_000 + at for at in range(35)]
"""The first five alone add up to what they do in five parts: any other part is too small."""


def test_exactly_five_of_exactly_forty_is_found_and_is_the_only_one() -> None:
    target = sum(FORTY[:5])
    (only,) = suggest(movement(target), items(FORTY))
    assert (only.rung, [part.reference for part in only.parts]) == (Rung.SEVERAL_ITEMS, [f"I0{at}" for at in range(5)])
    assert Reason.ONLY_SOLUTION in only.reasons
    assert combinations_to(target, FORTY).solutions == ((0, 1, 2, 3, 4),)


def test_six_parts_are_no_solution_and_forty_one_are_too_many() -> None:
    assert suggest(movement(6 * 7), items([7] * 6)) == []
    assert combinations_to(6 * 7, [7] * 6).solutions == ()
    (refused,) = suggest(movement(sum(FORTY[:5])), items([*FORTY, 5]))
    assert (refused.parts, refused.reasons) == ((), (Reason.TOO_MANY_ITEMS,))


def others(amounts: list[int]) -> list[Movement]:
    return [movement(one, line=f"M{at:02}") for at, one in enumerate(amounts)]


def test_five_lines_of_forty_others_pay_one_item_and_six_do_not() -> None:
    target = sum(FORTY[:5])
    found = suggest(movement(FORTY[0]), items([target]), others([*FORTY[1:], 1]))
    assert [one.rung for one in found] == [Rung.SEVERAL_LINES]
    assert [part.line for part in found[0].parts] == ["L1", "M00", "M01", "M02", "M03"]
    assert Reason.ONLY_SOLUTION in found[0].reasons
    assert suggest(movement(7), items([6 * 7]), others([7] * 5)) == []
    (refused,) = suggest(movement(FORTY[0]), items([target]), others([*FORTY, 1]))
    assert (refused.rung, refused.parts) == (Rung.SEVERAL_LINES, ())


def test_two_ways_to_pay_one_item_or_two_items_are_both_shown_and_none_is_the_only_one() -> None:
    for open_items, more in ((items([100]), others([60, 60])), (items([100, 101]), others([60, 61]))):
        found = suggest(movement(40), open_items, more)
        assert len(found) == 2
        assert all(one.rung is Rung.SEVERAL_LINES for one in found)
        assert all(Reason.SEVERAL_SOLUTIONS in one.reasons for one in found)


def test_another_payers_lines_are_never_added() -> None:
    assert suggest(movement(40), items([100]), [movement(60, line="M", payer_account="2")]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("华信资产管理（上海）有限公司", "华信资产管理(上海)有限公司"),
        ("Ｈｕａｘｉｎ　资产", "HUAXIN资产"),
        ("华信·资产　管理", "华信资产管理"),
    ],
)
def test_full_width_names_are_the_half_width_ones(one, other) -> None:
    assert same_name(one, other)
    assert likeness(one, other) == 100


def paper(opening: int | None, lines: list[tuple[int, date, str]], **changes) -> ParsedStatement:
    rows = tuple(ParsedLine(Money(minor, "CNY"), on, on, "保证金", bank_reference=own) for minor, on, own in lines)
    values = {
        "format": StatementFormat.CSV, "kind": "statement", "account": "A", "currency": "CNY", "reference": "",
        "from_on": None, "to_on": None, "opening": opening if opening is None else Money(opening, "CNY"),
        "closing": None if opening is None else Money(opening + sum(one for one, *_ in lines), "CNY"), "lines": rows,
    } | changes  # fmt: skip
    return ParsedStatement(**values)


def told(statement: ParsedStatement, stored: set[LineIdentity], head: int, newest_on: date | None = DAY) -> list[bool]:
    mine = identify("A", statement.lines)
    return repeated(statement, mine, stored=stored, head=Money(head, "CNY"), newest_on=newest_on)


def test_an_equal_wire_in_a_second_statement_of_the_day_is_a_second_wire() -> None:
    wire = (500, DAY, "")
    stored = set(identify("A", paper(0, [wire]).lines))
    assert told(paper(500, [wire]), stored, 500) == [False], "it opens where the account stands"
    assert told(paper(0, [wire]), stored, 500) == [True], "it opens where the first one did"
    assert told(paper(0, [wire, wire]), stored, 500) == [True, False]
    assert told(paper(None, [wire], closing=Money(1000, "CNY")), stored, 500) == [False]
    assert told(paper(None, [wire]), stored, 500) == [True], "no balance says otherwise"
    later = DAY + timedelta(days=1)
    assert told(paper(500, [wire]), stored, 500, newest_on=later) == [True], "a statement of before, sent again"
    other = (300, DAY, "")
    both = set(identify("A", paper(0, [wire, other]).lines))
    assert told(paper(500, [other, wire]), both, 800) == [True, False], "it begins inside what is known"


def test_a_line_with_the_banks_own_id_is_never_a_second_one() -> None:
    wire = (500, DAY, "B-1")
    stored = set(identify("A", paper(0, [wire]).lines))
    assert told(paper(500, [wire]), stored, 500) == [True]
    assert told(paper(500, [(500, DAY, "NONREF")]), set(identify("A", paper(0, [(500, DAY, "")]).lines)), 500) == [
        False
    ]


@given(
    amounts=st.lists(st.integers(1, 2), min_size=1, max_size=14),
    cuts=st.lists(st.tuples(st.integers(0, 14), st.integers(1, 6)), max_size=8),
)
def test_whatever_windows_a_bank_sends_every_line_is_taken_once(amounts, cuts) -> None:
    """Equal wires of one day without ids: each window that begins no later than the account stands adds its tail."""
    stored: set[LineIdentity] = set()
    link, taken = Link(Money(0, "CNY")), 0
    for start, length in cuts:
        first = min(start, taken)
        window = [(one, DAY, "") for one in amounts[first : first + length]]
        statement = paper(sum(amounts[:first]), window)
        mine = identify("A", statement.lines)
        seen = repeated(statement, mine, stored=stored, head=link.head, newest_on=DAY if stored else None)
        assert seen.count(False) == max(first + len(window) - taken, 0)
        new = [line for line, known in zip(statement.lines, seen, strict=True) if not known]
        known_minor = sum(line.amount.minor for line in statement.lines) - sum(line.amount.minor for line in new)
        link = follow(link, statement, known_minor=known_minor, new_count=len(new), numbered=False)
        taken += len(new)
        stored = set(identify("A", paper(0, [(one, DAY, "") for one in amounts[:taken]]).lines))
    assert link.head.minor == sum(amounts[:taken])


def test_the_same_line_with_another_text_is_the_same_by_the_banks_id() -> None:
    """Banks add to the text of a line from one file to the next; id, amount and day stay."""
    first = ParsedLine(Money(500, "CNY"), DAY, DAY, "保证金", bank_reference="B-1")
    fuller = dataclasses.replace(first, remittance="保证金 DP-7K3M9Q2X 华信", counterparty_name="华信资产")
    assert identify("A", [first]) == identify("A", [fuller])
    for other in (
        dataclasses.replace(first, amount=Money(501, "CNY")),
        dataclasses.replace(first, booked_on=DAY + timedelta(days=1)),
        dataclasses.replace(first, bank_reference="B-2"),
    ):
        assert identify("A", [first]) != identify("A", [other])


@pytest.mark.parametrize("mark", ["EC", "ED"])
def test_expected_mt940_entries_are_pending_and_never_count(mark) -> None:
    lines = [
        ":20:X", ":25:6222", ":28C:1/1", ":60F:C260302EUR10,00", f":61:2603020302{mark}4,00NTRFNONREF", ":86:expected",
        ":61:2603020302C1,00NTRFNONREF", ":86:booked", ":62F:C260302EUR11,00",
    ]  # fmt: skip
    (statement,) = parse_mt940("\n".join(lines).encode())
    assert admit(statement)
    assert (statement.pending, [line.remittance for line in statement.lines]) == (1, ["booked"])
