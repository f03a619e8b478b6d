"""Edges of taking in statements and matching, against the database: what is stored, learned, shown and refused."""

import hashlib
import uuid

import pytest
from sqlalchemy import text

from marketplace import tasks
from settlement.domain.references import find_references
from tests.settlement.money.conftest import DEPOSIT, Statement, accept, register
from tests.settlement.money.test_bank_api import MT940, register_limit, send
from tests.settlement.money.test_money_api import books_are_square, covered, findings, take_in

WIRE = "no reference"


def stored(sessions) -> list[int]:
    with sessions() as session:
        return list(session.execute(text("SELECT amount_minor FROM statement_lines ORDER BY id")).scalars())


def line_outside_the_books(sessions) -> str:
    """A fault of ours, put into the table by hand: a line of 3.00 without an entry; returns its id."""
    line_id = str(uuid.uuid4())
    copied = (
        "INSERT INTO statement_lines SELECT (jsonb_populate_record(l, jsonb_build_object('id', CAST(:id AS text),"
        " 'position', 99, 'occurrence', 99, 'amount_minor', 300))).* FROM statement_lines l"
    )
    with sessions.begin() as session:
        session.execute(text(copied), {"id": line_id})
    return line_id


def test_an_equal_wire_in_the_second_statement_of_a_day_is_stored_and_downloads_again_add_nothing(
    api, people, sessions, statement
) -> None:
    """The bank gives no ids; morning and afternoon bring the same 5.00, and each file comes again with other bytes."""
    morning, afternoon, whole = statement(), statement(), statement()
    whole.opening = 0
    for paper in (morning, whole, whole):
        paper.line(500, WIRE, number="-")
    take_in(api, people, morning)
    afternoon.line(500, WIRE, number="-")
    (second,) = take_in(api, people, afternoon)
    assert second["statement"]["new_line_count"] == 1
    assert stored(sessions) == [500, 500]
    for paper in (morning, afternoon, whole):
        (again,) = send(api, people, paper.content + b"\n").get_json()["items"]
        assert again["statement"]["new_line_count"] == 0
    third = statement()
    third.opening = 1000
    third.line(500, WIRE, number="-")
    third.line(700, WIRE, number="-")
    (more,) = take_in(api, people, third)
    assert more["statement"]["new_line_count"] == 2
    assert stored(sessions) == [500, 500, 500, 700]
    books_are_square(sessions)


def test_a_statement_downloaded_again_when_the_account_stands_where_it_opened_adds_nothing(
    api, people, sessions, statement
) -> None:
    """5.00 in and out again: the balance is what it was before, and says nothing about the first statement."""
    first, back, new = statement(), statement(), statement()
    first.line(500, WIRE, number="-")
    take_in(api, people, first)
    back.line(-500, WIRE, number="-")
    take_in(api, people, back)
    (again,) = send(api, people, first.content + b"\n").get_json()["items"]
    assert again["statement"]["new_line_count"] == 0
    new.opening = 0
    new.line(500, WIRE, number="-")
    new.line(300, WIRE, number="-")
    (other,) = take_in(api, people, new)
    assert other["statement"]["new_line_count"] == 2, "another statement that opens there is new"
    assert stored(sessions) == [500, -500, 500, 300]
    books_are_square(sessions)


def test_of_two_statements_in_a_file_a_bad_second_leaves_nothing(api, people, sessions, heads) -> None:
    def day(number: int, opening: int, closing: int) -> str:
        page = MT940.format(
            reference=f"R{number}", number=number, opening=f"{opening},00", closing=f"{closing},00", amount="1,00",
            text="x",
        )  # fmt: skip
        return page.replace("62220500", "622202") + "-\n"

    bad = send(api, people, (day(1, 0, 1) + day(2, 1, 3)).encode())
    assert (bad.status_code, bad.get_json()["code"]) == (422, "statement_unproven")
    with sessions() as session:
        for table in ("statement_lines", "bank_statements", "stored_files", "entries"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
    assert send(api, people, (day(1, 0, 1) + day(2, 1, 2)).encode()).status_code == 201
    assert stored(sessions) == [100, 100]


def test_a_line_in_another_currency_in_the_second_statement_refuses_the_first_too(api, people, sessions, heads) -> None:
    """Its figures add up, so that only the proof of the statement itself sees it."""

    def statement(number: int, currency: str) -> str:
        balance = (
            '<Bal><Tp><CdOrPrtry><Cd>{}</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'
        )
        return (
            f"<Stmt><Id>S{number}</Id><Acct><Id><Othr><Id>622202</Id></Othr></Id><Ccy>CNY</Ccy></Acct>"
            f"{balance.format('OPBD', number - 1)}{balance.format('CLBD', number)}"
            f'<Ntry><Amt Ccy="{currency}">1</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>'
            f"<BookgDt><Dt>2026-03-02</Dt></BookgDt><AcctSvcrRef>B{number}</AcctSvcrRef></Ntry></Stmt>"
        )

    def message(currency: str) -> bytes:
        head = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
        return f"{head}{statement(1, 'CNY')}{statement(2, currency)}</BkToCstmrStmt></Document>".encode()

    mixed = send(api, people, message("EUR"))
    assert (mixed.status_code, mixed.get_json()["code"]) == (422, "statement_unproven")
    assert stored(sessions) == []
    assert send(api, people, message("CNY")).status_code == 201
    assert stored(sessions) == [100, 100]


def test_the_raw_file_is_kept_by_its_hash(api, people, sessions, statement, running) -> None:
    paper = statement()
    paper.line(500, WIRE)
    take_in(api, people, paper)
    with sessions() as session:
        found = session.execute(
            text("SELECT f.sha256 FROM bank_statements b JOIN stored_files f USING (sha256) WHERE f.id = b.file_id")
        ).scalar_one()
    assert found == hashlib.sha256(paper.content).hexdigest()
    assert running.files.get(found) == paper.content


def test_a_line_of_nothing_is_stored_and_asks_nobody(api, people, sessions, statement) -> None:
    paper = statement()
    paper.line(0, "interest of nothing")
    paper.line(500, WIRE)
    assert findings(take_in(api, people, paper)) == ["zero", "no_reference"]
    (waiting,) = api.as_(people.finance).ok("GET", "/statement-lines?open=true")["items"]
    assert waiting["amount"]["amount"] == "5.00"
    zero = api.as_(people.finance).ok("GET", "/statement-lines?finding=zero")["items"][0]
    refused = api.as_(people.finance).post(f"/statement-lines/{zero['id']}/match", json={"reference": "DP-00000000"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "nothing_to_match")
    books_are_square(sessions)


@pytest.mark.parametrize(
    ("numbers", "years", "answers"),
    [
        (("7/1", "7/2", "8/1"), (26, 26, 26), (201, 201, 201)),
        (("7/1", "7/3"), (26, 26), (201, 409)),
        (("7/1", "7/1"), (26, 26), (201, 409)),
        (("7/1", "6/1"), (26, 26), (201, 409)),
        (("7/1", "1/1", "2/1"), (26, 27, 27), (201, 201, 201)),
        (("7/1", "1/1"), (26, 26), (201, 409)),
        (("7/1", "2/1"), (26, 27), (201, 409)),
    ],
)
def test_the_sequence_of_a_bank_that_numbers(api, people, sessions, numbers, years, answers) -> None:
    with sessions.begin() as session:
        register(session, "62220500", numbered=True)
    for at, (number, year, answer) in enumerate(zip(numbers, years, answers, strict=True)):
        page = MT940.format(
            reference=f"R{at}", number="#", opening=f"{at},00", closing=f"{at + 1},00", amount="1,00", text="x"
        )
        page = page.replace("#/1", number).replace("260302", f"{year}0302")
        assert send(api, people, page.encode()).status_code == answer, number


def test_neither_a_wrong_check_character_nor_a_known_payer_decides_by_itself(
    api, people, sessions, registration, statement
) -> None:
    """The payer and the amount are those of the one open deposit; the reference has one character wrong."""
    first, mine = registration(), registration()
    paper = statement()
    paper.line(DEPOSIT, first.reference, account="6217000")
    take_in(api, people, paper)
    wrong = mine.reference[:-1] + ("0" if mine.reference[-1] != "0" else "1")
    assert find_references(wrong) == []
    later = statement()
    later.line(DEPOSIT, f"保证金 {wrong}", account="6217000")
    (item,) = take_in(api, people, later)
    assert findings([item]) == ["no_reference"]
    assert not covered(sessions, mine)
    url = f"/statement-lines/{item['lines'][0]['id']}/suggestions"
    best = api.as_(people.finance).ok("GET", url)["items"][0]
    assert (best["parts"][0]["reference"], best["rung"]) == (mine.reference, "similar_name")


def test_a_reference_in_full_width_characters_is_enough(api, people, sessions, registration, statement) -> None:
    mine = registration()
    wide = "".join(chr(ord(char) + 0xFEE0) for char in mine.reference)
    paper = statement()
    paper.line(DEPOSIT, f"保证金（{wide}）", name="华信资产（有限公司）")
    assert findings(take_in(api, people, paper)) == ["exact"]
    assert covered(sessions, mine)


def test_nothing_is_learned_from_what_a_rule_matched(api, people, sessions, registration, statement) -> None:
    """The name decides while no account is known; the account that came with it is not known from then on."""
    first, second = registration(), registration()
    paper, later = statement(), statement()
    paper.line(DEPOSIT, first.reference, account="777")
    assert findings(take_in(api, people, paper)) == ["exact"]
    later.line(DEPOSIT, second.reference, name="某某科技", account="777")
    assert findings(take_in(api, people, later)) == ["third_party_payer"]


def test_nothing_is_learned_from_a_match_taken_back_or_a_proposal_turned_down(
    api, people, sessions, registration, statement
) -> None:
    first, second = registration(), registration()
    paper, later, last = statement(), statement(), statement()
    paper.line(DEPOSIT, first.reference, name="某某科技", account="777")
    line = take_in(api, people, paper)[0]["lines"][0]
    accept(api, people, line, first.reference)
    finance = api.as_(people.finance)
    matched = finance.ok("GET", f"/statement-lines?statement_id={line['statement_id']}")["items"][0]
    finance.ok("POST", f"/matches/{matched['matches'][0]['id']}/unmatch", json={"reason": "not theirs"})
    later.line(DEPOSIT, second.reference, name="某某科技", account="777")
    assert findings(take_in(api, people, later)) == ["third_party_payer"]
    last.line(DEPOSIT, second.reference, account="")
    assert findings(take_in(api, people, last)) == ["exact"]
    books_are_square(sessions)


def test_whom_one_buyer_confirmed_is_nobody_to_another_in_the_same_file(
    api, people, sessions, registration, statement
) -> None:
    first, second, other = registration(), registration(), registration(people.other_buyer)
    paper, later = statement(), statement()
    paper.line(DEPOSIT, first.reference, name="某某科技", account="777")
    accept(api, people, take_in(api, people, paper)[0]["lines"][0], first.reference)
    for one in (second, other):
        later.line(DEPOSIT, one.reference, name="某某科技", account="777")
    assert findings(take_in(api, people, later)) == ["exact", "third_party_payer"]


@pytest.mark.parametrize(("limit", "waits"), [(100_000, False), (99_999, True)])
def test_four_eyes_are_asked_for_above_the_limit_and_not_at_it(
    api, people, sessions, registration, limit, waits
) -> None:
    with sessions.begin() as session:
        register(session, "62220400", four_eyes_above=register_limit(limit))
    mine = registration()
    paper = Statement("62220400", "CNY", {})
    paper.line(DEPOSIT, WIRE)
    line = take_in(api, people, paper)[0]["lines"][0]
    url = f"/statement-lines/{line['id']}/match"
    answer = api.as_(people.finance).ok("POST", url, json={"reference": mine.reference})
    assert bool(answer["proposals"]) is waits
    assert covered(sessions, mine) is not waits


def test_the_last_owner_counts_and_the_age_is_in_the_file(api, people, statement) -> None:
    paper = statement()
    paper.line(700, WIRE)
    content = paper.content.decode().replace("2026-03-02", "2026-02-21").encode()
    line = send(api, people, content).get_json()["items"][0]["lines"][0]
    url = f"/statement-lines/{line['id']}/assign"
    finance = api.as_(people.finance)
    first = finance.ok("POST", url, json={})["owner"]["owner_id"]
    second = str(people.admin.actor.user_id)
    finance.ok("POST", url, json={"owner_id": second})
    assert finance.ok("GET", f"/statement-lines?open=true&owner_id={first}")["items"] == []
    (mine,) = finance.ok("GET", f"/statement-lines?open=true&owner_id={second}")["items"]
    assert mine["owner"]["owner_id"] == second
    head, row = (one.split(",") for one in finance.get("/statement-lines/export.csv").text.splitlines())
    assert row[head.index("age_days")] == "9"
    assert row[head.index("owner")] == people.admin.actor.name
    assert len(finance.ok("GET", "/statement-lines?open=true&older_than_days=9")["items"]) == 1
    assert finance.ok("GET", "/statement-lines?open=true&older_than_days=10")["items"] == []


def test_what_the_bank_books_a_day_later_was_in_transit_on_the_day(api, people, sessions, statement, clock) -> None:
    paper, out = statement(), statement()
    paper.line(700, WIRE)
    line = take_in(api, people, paper)[0]["lines"][0]
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    order = finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "not ours"})
    admin.ok("POST", f"/payment-orders/{order['id']}/approve")
    finance.ok("POST", f"/payment-orders/{order['id']}/send")
    out.line(-700, order["reference"])
    content = out.content.decode().replace("2026-03-02,,7.00", "2026-03-03,,7.00").encode()
    assert findings(send(api, people, content).get_json()["items"]) == ["order"]
    account = finance.ok("GET", "/own-accounts")["items"]
    account_id = next(one["id"] for one in account if one["opening"]["currency"] == "CNY")
    days = [finance.ok("GET", f"/own-accounts/{account_id}/day?on=2026-03-0{on}") for on in (2, 3)]
    assert [day["in_transit"]["amount"] for day in days] == ["7.00", "0.00"]
    assert [day["expected"]["amount"] for day in days] == ["0.00", "0.00"]
    assert [day["differences"] for day in days] == [[], []]


def test_a_day_with_a_line_outside_the_books_closes_only_with_words(api, people, sessions, statement, clock) -> None:
    paper = statement()
    paper.line(700, WIRE)
    take_in(api, people, paper)
    lost = line_outside_the_books(sessions)
    finance = api.as_(people.finance)
    account_id = next(
        one["id"] for one in finance.ok("GET", "/own-accounts")["items"] if one["opening"]["currency"] == "CNY"
    )
    clock.advance(hours=8)
    day = finance.ok("GET", f"/own-accounts/{account_id}/day?on=2026-03-02")
    assert [(one["reason"], one["amount"]["amount"], one["line_id"]) for one in day["differences"]] == [
        ("line_not_in_books", "3.00", lost)
    ]
    url = f"/own-accounts/{account_id}/day-closes"
    silent = finance.post(url, json={"on": "2026-03-02"})
    assert (silent.status_code, silent.get_json()["code"]) == (409, "difference_unexplained")
    closed = finance.ok("POST", url, 201, json={"on": "2026-03-02", "explanation": "the bank books it twice"})
    assert closed["close"]["explanation"] == "the bank books it twice"


def test_the_clock_checks_client_money_every_day_and_until_it_passes(
    api, people, sessions, statement, clock, running
) -> None:
    paper = statement()
    paper.line(700, WIRE)
    take_in(api, people, paper)

    def run() -> list[bool]:
        tasks.perform(running, "settlement.check_client_money")
        with sessions() as session:
            rows = session.execute(text("SELECT passed FROM client_money_checks ORDER BY id"))
            return list(rows.scalars())

    assert run() == [True]
    assert run() == [True], "once a day"
    clock.advance(days=1)
    assert run() == [True, True]
    line_outside_the_books(sessions)
    clock.advance(days=1)
    assert run() == [True, True, False]
    assert run() == [True, True, False, False], "again each time while it fails"
