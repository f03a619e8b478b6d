"""Own accounts and the exception queue over HTTP: chains, payers, suggestions, four eyes, the way back."""

import io
import threading
import time
import uuid

import openpyxl
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from marketplace.actor import SYSTEM
from settlement import own_accounts, receipt_keys, targets
from settlement.bank_models import OwnAccount
from tests.conftest import NOW
from tests.settlement.money.conftest import DEPOSIT, PAPER, Statement, accept, propose_third_party, register
from tests.settlement.money.test_money_api import books_are_square, covered, findings, take_in

YUAN = {"amount": "0.00", "currency": "CNY"}


def own_account(number: str, **changes) -> dict:
    values = {"bank_name": "建设银行", "holder": "平台", "number": number, "opening": YUAN, "four_eyes_above": YUAN}
    return values | changes


def send(api, people, content: bytes, path: str = "/bank-statements", **form):
    data = {"file": (io.BytesIO(content), "x"), **form}
    return api.as_(people.finance).post(path, data=data, content_type="multipart/form-data")


def test_only_statements_of_our_accounts_that_follow_each_other(api, people, sessions, heads) -> None:
    finance = api.as_(people.finance)
    stranger = send(api, people, Statement("999", "CNY", {}).content)
    assert (stranger.status_code, stranger.get_json()["code"]) == (409, "account_not_ours")
    made = finance.ok(
        "POST", "/own-accounts", 201, json=own_account("6222-0300", opening={"amount": "10.00", "currency": "CNY"})
    )
    assert (made["opening"]["amount"], made["number"]) == ("10.00", "6222-0300")
    again = finance.post("/own-accounts", json=own_account("62220300"))
    assert (again.status_code, again.get_json()["code"]) == (409, "account_registered")
    assert api.as_(people.compliance).post("/own-accounts", json=own_account("1")).status_code == 403
    assert len(api.as_(people.auditor).ok("GET", "/own-accounts")["items"]) == 3

    mine = {("62220300", "CNY"): 1000}
    first, second, third = (Statement("62220300", "CNY", mine) for _ in range(3))
    first.line(500, "one")
    first_content = first.content
    second.line(700, "two")
    second_content = second.content
    third.line(900, "three")
    gap = send(api, people, third.content)
    assert (gap.status_code, gap.get_json()["code"]) == (409, "statement_gap")
    assert "the account stood at 10.00 CNY" in gap.get_json()["detail"]
    assert send(api, people, second_content).status_code == 409
    for content in (first_content, second_content, third.content):
        assert send(api, people, content).status_code == 201
    overlapping = Statement("62220300", "CNY", {("62220300", "CNY"): 1500})
    overlapping.lines = [*second.lines, *third.lines]
    overlapping.line(11, "four")
    answer = send(api, people, overlapping.content)
    assert answer.status_code == 201, answer.text
    assert answer.get_json()["items"][0]["statement"]["new_line_count"] == 1
    with sessions() as session:
        account = session.query(OwnAccount).filter_by(number="6222-0300").one()
        assert own_accounts.link_of(session, account).head.minor == 3111
    books_are_square(sessions)


MT940 = """:20:{reference}
:25:62220500
:28C:{number}/1
:60F:C260302CNY{opening}
:61:2603020302C{amount}NTRFNONREF//B{reference}
:86:{text}
:62F:C260302CNY{closing}
"""


def test_a_bank_that_numbers_its_statements_leaves_none_out(api, people, sessions) -> None:
    with sessions.begin() as session:
        register(session, "62220500", numbered=True)

    def paper(number: str, opening: int, reference: str) -> bytes:
        values = {"number": number, "opening": f"{opening},00", "closing": f"{opening + 1},00"}
        return MT940.format(**values, amount="1,00", reference=reference, text="x").encode()

    assert send(api, people, paper("7", 0, "R1")).status_code == 201
    skipped = send(api, people, paper("9", 1, "R2"))
    assert (skipped.status_code, skipped.get_json()["code"]) == (409, "statement_gap")
    unnumbered = send(api, people, paper("x", 1, "R2"))
    assert "it has no number" in unnumbered.get_json()["detail"]
    read = send(api, people, paper("8", 1, "R2"))
    assert read.status_code == 201, read.text
    assert (read.get_json()["items"][0]["statement"]["format"], read.get_json()["items"][0]["statement"]["number"]) == (
        "mt940",
        8,
    )


def test_a_statement_without_balances_proves_nothing_and_a_check_stores_nothing(api, people, sessions, heads) -> None:
    bare = "账号,622202,币种,人民币\n交易日期,贷方金额,借方金额\n2026-03-02,5.00,\n".encode()
    refused = send(api, people, bare)
    assert (refused.status_code, refused.get_json()["code"]) == (422, "statement_unproven")
    checked = send(api, people, bare, "/bank-statements/check").get_json()["items"]
    assert [(one["proven"], one["problem"], one["line_count"]) for one in checked] == [(False, None, 1)]
    ofx = (
        b"<OFX><STMTRS><CURDEF>CNY<BANKACCTFROM><ACCTID>622202</BANKACCTFROM><BANKTRANLIST><STMTTRN>"
        b"<DTPOSTED>20260302<TRNAMT>5.00<FITID>F1</STMTTRN></BANKTRANLIST>"
        b"<LEDGERBAL><BALAMT>5.00</LEDGERBAL></STMTRS></OFX>"
    )
    wrong = send(api, people, ofx.replace(b"<BALAMT>5.00", b"<BALAMT>6.00"))
    assert "the account stood at 0.00, 1 lines bring it to 5.00" in wrong.get_json()["detail"]
    assert send(api, people, ofx).status_code == 201
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM statement_lines")).scalar_one() == 1
        assert session.execute(text("SELECT head_minor FROM bank_statements")).scalar_one() == 500


def test_a_third_party_waits_until_a_person_confirms_it_and_is_known_from_then_on(
    api, people, sessions, registration, statement
) -> None:
    first, second = registration(), registration()
    paper = statement()
    paper.line(DEPOSIT, first.reference, name="某某科技", account="777")
    line = take_in(api, people, paper)[0]["lines"][0]
    assert (line["finding"], line["open"]["amount"]) == ("third_party_payer", "100000.00")
    assert not covered(sessions, first)
    accept(api, people, line, first.reference)
    assert covered(sessions, first)
    later = statement()
    later.line(DEPOSIT, second.reference, name="某某科技", account="777")
    assert findings(take_in(api, people, later)) == ["exact"]
    other = registration(people.other_buyer)
    third = statement()
    third.line(DEPOSIT, other.reference, name="某某科技", account="777")
    assert findings(take_in(api, people, third)) == ["third_party_payer"]


def test_a_payment_of_a_third_party_needs_a_document_a_reason_and_two_persons(
    api, people, sessions, registration, statement
) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference, name="某某科技", account="777")
    line = take_in(api, people, paper)[0]["lines"][0]
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    url = f"/statement-lines/{line['id']}"
    for proof in ({}, {"reason": "its parent company"}):
        bare = finance.post(f"{url}/match", json={"reference": mine.reference, **proof})
        assert (bare.status_code, bare.get_json()["code"]) == (409, "third_party_undocumented")
    unknown = {"reference": mine.reference, "reason": "x", "document_id": str(uuid.uuid4())}
    assert finance.post(f"{url}/match", json=unknown).status_code == 404
    text_file = {"data": {"file": (io.BytesIO(b"hello"), "x.txt")}, "content_type": "multipart/form-data"}
    assert finance.post(f"{url}/documents", **text_file).get_json()["code"] == "document_unknown"
    proposal = propose_third_party(api, people, line, mine.reference)
    assert (proposal["third_party"], proposal["reason"]) == (True, "its parent company")
    assert not covered(sessions, mine)
    assert admin.get(f"/match-proposals/{proposal['id']}/document").data == PAPER
    assert api.as_(people.buyer).get(f"/match-proposals/{proposal['id']}/document").status_code == 403
    same = finance.post(f"/match-proposals/{proposal['id']}/approve")
    assert (same.status_code, same.get_json()["code"]) == (403, "same_person")
    admin.ok("POST", f"/match-proposals/{proposal['id']}/refuse", json={"reason": "unrelated"})
    assert not covered(sessions, mine)
    (waiting,) = finance.ok("GET", "/statement-lines?open=true&finding=third_party_payer")["items"]
    assert waiting["id"] == line["id"]
    order = finance.ok("POST", f"{url}/refund", 201, json={"reason": "returned to the sender"})
    assert (order["payee_name"], order["payee_account"]) == ("某某科技", "777")
    with sessions.begin() as session, pytest.raises(IntegrityError) as refused:
        session.execute(
            text(
                "INSERT INTO match_proposals SELECT uuidv7(), line_id, parts, amount_minor, currency, rung,"
                " proposed_by_id, proposed_by, proposed_at, true, NULL, '' FROM match_proposals"
            )
        )
    assert "third_party_documented" in str(refused.value)
    books_are_square(sessions)


def test_a_sub_account_is_enough(api, people, sessions, registration, statement) -> None:
    numbered = registration()
    with sessions.begin() as session:
        for number in ("6222 02-8888", "622202 8888"):
            receipt_keys.give_sub_account(session, reference=numbered.reference, number=number, actor=SYSTEM, at=NOW)
        with pytest.raises(receipt_keys.SubAccountTaken):
            receipt_keys.give_sub_account(session, reference=numbered.reference, number="1", actor=SYSTEM, at=NOW)
    paper = statement()
    row = paper.content.decode().replace("流水号", "流水号,虚拟账号")
    head = paper.heads["622202", "CNY"]
    row += f"\n2026-03-02,1.00,,{(head + 100) / 100:.2f},x,华信资产,6217000,N1,6222 028888\n"
    answer = send(api, people, row.encode())
    assert findings(answer.get_json()["items"]) == ["partial"], answer.text
    books_are_square(sessions)


def test_suggestions_are_chosen_by_a_person_and_taken_back(api, people, sessions, registration, statement) -> None:
    one, two = registration(deposit=300), registration(deposit=700)
    registration(people.other_buyer, deposit=1000)
    paper = statement()
    paper.line(1000, "forgot everything")
    line = take_in(api, people, paper)[0]["lines"][0]
    finance = api.as_(people.finance)
    best = finance.ok("GET", f"/statement-lines/{line['id']}/suggestions")["items"][0]
    assert (best["rung"], best["reasons"]) == ("several_items", ["amount_equal", "only_solution"])
    assert {part["reference"] for part in best["parts"]} == {one.reference, two.reference}
    parts = [{"reference": part["reference"], "amount": part["amount"]} for part in best["parts"]]
    url = f"/statement-lines/{line['id']}/match"
    for wrong in ([*parts, parts[0]], [{**parts[0], "amount": {"amount": "10.01", "currency": "CNY"}}], []):
        assert finance.post(url, json={"parts": wrong}).status_code == 422
    matched = finance.ok("POST", url, json={"parts": parts, "rung": best["rung"]})
    assert (matched["open"]["amount"], len(matched["matches"])) == ("0.00", 2)
    assert covered(sessions, one)
    assert covered(sessions, two)
    assert finance.get(f"/statement-lines/{line['id']}/suggestions").status_code == 409

    match = next(row for row in matched["matches"] if row["reference"] == one.reference)
    undone = finance.ok("POST", f"/matches/{match['id']}/unmatch", json={"reason": "wrong buyer"})
    assert (undone["finding"], undone["open"]["amount"], len(undone["matches"])) == ("unmatched", "3.00", 1)
    assert not covered(sessions, one)
    twice = finance.post(f"/matches/{match['id']}/unmatch", json={"reason": "again"})
    assert (twice.status_code, twice.get_json()["code"]) == (409, "match_stands")
    assert finance.post(f"/matches/{uuid.uuid4()}/unmatch", json={"reason": "x"}).status_code == 404
    again = finance.ok("POST", url, json={"reference": one.reference})
    assert again["open"]["amount"] == "0.00"
    assert covered(sessions, one)
    books_are_square(sessions)
    with sessions.begin() as session, pytest.raises(IntegrityError) as refused:
        session.execute(text("UPDATE match_reversals SET reason = 'other'"))
    assert "append-only" in str(refused.value)


def test_two_lines_for_one_deposit_and_four_eyes_above_the_limit(api, people, sessions, registration) -> None:
    with sessions.begin() as session:
        register(session, "62220400", four_eyes_above=register_limit(90_000))
    mine = registration()
    paper = Statement("62220400", "CNY", {})
    paper.line(DEPOSIT - 4_000_000, "first half")
    paper.line(4_000_000, "second half")
    lines = take_in(api, people, paper)[0]["lines"]
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    best = finance.ok("GET", f"/statement-lines/{lines[0]['id']}/suggestions")["items"][0]
    assert (best["rung"], len(best["parts"])) == ("several_lines", 2)
    url = f"/statement-lines/{lines[0]['id']}/match"
    waiting = finance.ok("POST", url, json={"parts": best["parts"], "rung": "several_lines"})
    (proposal,) = waiting["proposals"]
    assert (proposal["amount"]["amount"], waiting["open"]["amount"]) == ("100000.00", "60000.00")
    assert not covered(sessions, mine)
    same = finance.post(f"/match-proposals/{proposal['id']}/approve")
    assert (same.status_code, same.get_json()["code"]) == (403, "same_person")
    done = admin.ok("POST", f"/match-proposals/{proposal['id']}/approve")
    assert (done["open"]["amount"], done["proposals"]) == ("0.00", [])
    assert covered(sessions, mine)
    decided = admin.post(f"/match-proposals/{proposal['id']}/refuse", json={"reason": "late"})
    assert (decided.status_code, decided.get_json()["code"]) == (409, "proposal_decided")
    books_are_square(sessions)


def test_two_lines_are_held_in_one_order_whichever_side_they_are_matched_from(
    api, people, sessions, registration, statement
) -> None:
    """While somebody holds the first line, whoever matches both from the second does not hold the second meanwhile."""
    mine, paper = registration(), statement()
    paper.line(DEPOSIT - 4_000_000, "first half")
    paper.line(4_000_000, "second half")
    first, second = sorted(take_in(api, people, paper)[0]["lines"], key=lambda line: line["id"])
    parts = [{"line_id": one["id"], "reference": mine.reference, "amount": one["amount"]} for one in (first, second)]
    url, answers = f"/statement-lines/{second['id']}/match", []
    finance = api.as_(people.finance)
    matching = threading.Thread(target=lambda: answers.append(finance.post(url, json={"parts": parts})))
    held = "SELECT id FROM statement_lines WHERE id = :id FOR UPDATE"
    with sessions() as holder, sessions() as other:
        holder.execute(text(held), {"id": first["id"]})
        matching.start()
        for _ in range(100):
            if other.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first():
                break
            time.sleep(0.05)
        assert other.execute(text(held + " SKIP LOCKED"), {"id": second["id"]}).first() is not None
    matching.join(30)
    assert answers[0].status_code == 200, answers[0].text
    assert covered(sessions, mine)
    books_are_square(sessions)


def register_limit(yuan: int):
    return own_accounts.Money(yuan * 100, "CNY")


def test_the_queue_has_owners_ages_and_files(api, people, statement) -> None:
    paper = statement()
    paper.line(700, "=cmd()")
    paper.line(-300, "fee")
    paper.line(DEPOSIT, "DP-00000000")
    lines = take_in(api, people, paper)[0]["lines"]
    finance = api.as_(people.finance)
    taken = finance.ok("POST", f"/statement-lines/{lines[0]['id']}/assign", json={"note": "calls the bank"})
    assert (taken["owner"]["owner"], taken["owner"]["note"]) == ("Finance", "calls the bank")
    me = taken["owner"]["owner_id"]
    for stranger in (str(uuid.uuid4()),):
        wrong = finance.post(f"/statement-lines/{lines[1]['id']}/assign", json={"owner_id": stranger})
        assert (wrong.status_code, wrong.get_json()["code"]) == (422, "owner_unknown")
    finance.ok("POST", f"/statement-lines/{lines[1]['id']}/assign", json={"owner_id": me})

    def listed(query: str) -> int:
        return len(finance.ok("GET", f"/statement-lines?open=true&{query}")["items"])

    assert listed(f"owner_id={me}") == 2
    assert listed("finding=no_reference") == 2
    assert listed("finding=unknown_reference") == 1
    assert listed("account=622202") == 3
    assert listed("account=622203") == 0
    assert listed("older_than_days=0") == 3
    assert listed("older_than_days=36500") == 0
    csv = finance.get("/statement-lines/export.csv").text.splitlines()
    assert len(csv) == 4
    assert "'=cmd()" in csv[1]
    assert "Finance" in csv[1]
    sheet = openpyxl.load_workbook(io.BytesIO(finance.get("/statement-lines/export.xlsx").data)).active
    assert [sheet.cell(row, 5).value for row in (2, 3, 4)] == ["7.00", "-3.00", "100000.00"]
    assert api.as_(people.seller).get("/statement-lines/export.csv").status_code == 403


def test_a_day_is_closed_with_what_is_in_transit_and_why_it_differs(api, people, sessions, registration, clock) -> None:
    with sessions.begin() as session:
        account = register(session, "62220600", opening=register_limit(50))
    paper = Statement("62220600", "CNY", {("62220600", "CNY"): 5000})
    paper.line(700, "something")
    (item,) = take_in(api, people, paper)
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    order = finance.ok("POST", f"/statement-lines/{item['lines'][0]['id']}/refund", 201, json={"reason": "not ours"})
    admin.ok("POST", f"/payment-orders/{order['id']}/approve")
    finance.ok("POST", f"/payment-orders/{order['id']}/send")
    on = clock.now().date()
    day = finance.ok("GET", f"/own-accounts/{account.id}/day?on={on}")
    assert [day[name]["amount"] for name in ("bank", "ledger", "in_transit", "expected", "difference")] == [
        "57.00", "7.00", "7.00", "50.00", "50.00",
    ]  # fmt: skip
    assert [one["reason"] for one in day["differences"]] == ["opening_balance"]
    url = f"/own-accounts/{account.id}/day-closes"
    early = finance.post(url, json={"on": str(on)})
    assert (early.status_code, early.get_json()["code"]) == (409, "day_not_over")
    clock.advance(hours=8)
    closed = finance.ok("POST", url, 201, json={"on": str(on)})
    assert closed["close"]["explanation"] == "Balance before the first statement: 50.00 CNY"
    again = finance.post(url, json={"on": str(on)})
    assert (again.status_code, again.get_json()["code"]) == (409, "day_closed")


def test_a_large_file_is_a_job(api, people, sessions, registration, statement, work) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    started = send(api, people, paper.content, "/statement-imports")
    assert started.status_code == 202, started.text
    work()
    job = api.as_(people.finance).ok("GET", f"/jobs/{started.get_json()['job_id']}")
    assert (job["outcome"], job["result"]["new_line_count"]) == ("done", 1), job
    assert (job["done"], job["total"], job["note"]) == (1, 1, "matching")
    assert covered(sessions, mine)
    bad = send(api, people, b"PK\x03\x04", "/statement-imports")
    work()
    failed = api.as_(people.finance).ok("GET", f"/jobs/{bad.get_json()['job_id']}")
    assert (failed["outcome"], failed["problem"]["code"]) == ("failed", "statement_unreadable")


def test_the_number_of_queries_does_not_depend_on_the_lines(
    sessions, registration, statement, running, api, people
) -> None:
    executed: list[str] = []
    counts = []

    def listener(*args) -> None:
        executed.append(args[2])

    for size in (2, 12):
        executed.clear()
        paper = statement()
        for _ in range(size):
            paper.line(DEPOSIT, registration().reference)
        event.listen(running.engine, "before_cursor_execute", listener)
        assert set(findings(take_in(api, people, paper))) == {"exact"}
        event.remove(running.engine, "before_cursor_execute", listener)
        counts.append(len(executed))
    assert counts[1] <= counts[0] + 2, counts
    assert targets.payer_key("", "") == "name:?"
