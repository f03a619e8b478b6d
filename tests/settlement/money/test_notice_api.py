"""Payment notices over HTTP: references, cent tails, expiry, third parties, papers, and what is unapplied."""

import io
from datetime import date, timedelta

import openpyxl
import pypdf
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from settlement import ledger, receipt_keys, unapplied
from tests.conftest import NOW
from tests.settlement.money.conftest import DEPOSIT, register
from tests.settlement.money.test_money_api import books_are_square, covered, findings, take_in

TODAY = date(2026, 3, 2)


def notice_of(api, person, registration, **body) -> dict:
    return api.as_(person).ok("POST", f"/registrations/{registration.id}/payment-notices", 201, json=body)


def test_a_bidder_gets_one_notice_and_its_reference_pays_the_deposit(
    api, people, sessions, registration, statement
) -> None:
    mine = registration()
    statement()
    notice = notice_of(api, people.buyer, mine)
    assert notice_of(api, people.buyer, mine)["id"] == notice["id"]
    assert (notice["amount"]["amount"], notice["tail"]["amount"], notice["status"]) == ("100000.00", "0.00", "open")
    assert (notice["account_number"], notice["account_holder"]) == ("622202", "市场运营方")
    assert notice["printed_reference"].startswith("RF")
    stranger = api.as_(people.other_buyer)
    assert stranger.post(f"/registrations/{mine.id}/payment-notices", json={}).status_code == 404
    assert stranger.get(f"/payment-notices/{notice['id']}").status_code == 404
    assert stranger.ok("GET", "/payment-notices")["items"] == []
    terms = api.as_(people.buyer).post(f"/registrations/{mine.id}/payment-notices", json={"sub_account": "1"})
    assert (terms.status_code, terms.get_json()["code"]) == (403, "terms_by_finance")

    first, second = statement(), statement()
    first.line(DEPOSIT - 100, f"保证金 {notice['printed_reference'].lower()}")
    assert findings(take_in(api, people, first)) == ["partial"]
    half = api.as_(people.buyer).ok("GET", f"/payment-notices/{notice['id']}")
    assert (half["status"], half["received"]["amount"]) == ("part_paid", "99999.00")
    assert notice_of(api, people.buyer, mine)["id"] == notice["id"]
    second.line(100, f"{notice['reference']} {mine.reference}")
    assert findings(take_in(api, people, second)) == ["completes"], "two references of one thing are one"
    assert covered(sessions, mine)
    paid = api.as_(people.buyer).ok("GET", f"/payment-notices/{notice['id']}")
    assert (paid["status"], paid["received"]["amount"]) == ("paid", "100000.00")
    nothing = api.as_(people.buyer).post(f"/registrations/{mine.id}/payment-notices", json={})
    assert (nothing.status_code, nothing.get_json()["code"]) == (409, "nothing_due")
    books_are_square(sessions)


def test_a_cent_tail_alone_pays_and_is_held_and_goes_back_with_the_deposit(
    api, people, sessions, registration, statement
) -> None:
    mine, other, third = registration(), registration(people.other_buyer), registration()
    statement()
    one = notice_of(api, people.buyer, mine, cent_tail=True)
    two = notice_of(api, people.other_buyer, other, cent_tail=True)
    notice_of(api, people.finance, third)
    assert (one["amount"]["amount"], two["amount"]["amount"]) == ("100000.01", "100000.02")
    paper = statement()
    paper.line(DEPOSIT + 2, "保证金", name="浙江地方资产", account="")
    paper.line(DEPOSIT + 1, "保证金")
    paper.line(DEPOSIT, "保证金")
    assert findings(take_in(api, people, paper)) == ["exact", "exact", "no_reference"]
    assert covered(sessions, mine)
    assert covered(sessions, other)
    (deposit,) = api.as_(people.other_buyer).ok("GET", "/deposits")["items"]
    assert deposit["held"]["amount"] == "100000.02", "the cents are held with it"
    finance = api.as_(people.finance)
    (order,) = finance.ok("POST", f"/registrations/{other.id}/release-deposit", json={"reason": "lost"})["items"]
    assert order["amount"]["amount"] == "100000.02"
    totals = finance.ok("GET", "/ledger/control-totals")
    assert totals["agrees"], totals
    books_are_square(sessions)


def test_a_tail_of_somebody_else_is_no_match(api, people, sessions, registration, statement) -> None:
    mine = registration()
    statement()
    notice = notice_of(api, people.buyer, mine, cent_tail=True)
    paper = statement()
    paper.line(DEPOSIT + 1, "no reference", name="浙江地方资产", account="999")
    line = take_in(api, people, paper)[0]["lines"][0]
    assert (line["finding"], line["open"]["amount"]) == ("third_party_payer", notice["amount"]["amount"])
    assert not covered(sessions, mine)


def test_a_tail_rests_and_a_void_notice_decides_nothing(api, people, sessions, registration, statement, clock) -> None:
    mine, other = registration(), registration()
    statement()
    finance = api.as_(people.finance)
    one = notice_of(api, people.buyer, mine, cent_tail=True)
    gone = finance.ok("POST", f"/payment-notices/{one['id']}/cancel", json={"reason": "asked too early"})
    assert (gone["status"], gone["cancelled_because"]) == ("cancelled", "asked too early")
    again = finance.post(f"/payment-notices/{one['id']}/cancel", json={"reason": "x"})
    assert (again.status_code, again.get_json()["code"]) == (409, "notice_cancelled")
    two = notice_of(api, people.buyer, other, cent_tail=True)
    assert two["amount"]["amount"] == "100000.02", "a cancelled amount rests before it is given out again"
    paper = statement()
    paper.line(DEPOSIT + 1, "no reference")
    paper.line(DEPOSIT + 1, one["reference"])
    assert findings(take_in(api, people, paper)) == ["no_reference", "notice_void"]
    left = finance.ok("GET", "/statement-lines?open=true&finding=notice_void")["items"]
    best = finance.ok("GET", f"/statement-lines/{left[0]['id']}/suggestions")["items"][0]
    assert (best["rung"], best["parts"][0]["reference"]) == ("reference_other_amount", mine.reference)
    finance.ok("POST", f"/statement-lines/{left[0]['id']}/match", json={"reference": one["reference"]})
    assert covered(sessions, mine)

    dated = finance.ok(
        "POST",
        f"/payment-notices/{two['id']}/reissue",
        201,
        json={"reason": "another tail", "cent_tail": True, "due_on": "2026-03-02", "expires_on": "2026-03-02"},
    )
    assert (dated["replaces_id"], dated["amount"]["amount"]) == (two["id"], "100000.03")
    late = finance.post(f"/payment-notices/{dated['id']}/reissue", json={"reason": "x", "due_on": "2026-03-01"})
    assert (late.status_code, late.get_json()["code"]) == (422, "notice_dates_invalid")
    clock.advance(hours=8)  # midnight in Shanghai
    assert finance.ok("GET", f"/payment-notices/{dated['id']}")["status"] == "expired"
    paper = statement()
    paper.line(100, two["reference"])
    assert findings(take_in(api, people, paper)) == ["partial"], (
        "the bank booked it on the last day; both are understood"
    )
    with sessions() as session:
        named = receipt_keys.named_by(session, [two["reference"], dated["reference"]])
        assert {one.subject for one in named.values()} == {other.reference}
        assert named[dated["reference"]].until == TODAY


def test_a_notice_as_paper_in_both_languages(api, people, registration, statement) -> None:
    mine = registration()
    statement()
    notice = notice_of(api, people.finance, mine, cent_tail=True, sub_account="6222 02-8888")
    for language, words in (("zh", ["付款通知书", "唯一尾数", "市场运营方"]), ("en", ["Payment notice", "Cent tail"])):
        answer = api.as_(people.buyer).get(f"/payment-notices/{notice['id']}/notice.pdf?language={language}")
        assert answer.status_code == 200
        page = pypdf.PdfReader(io.BytesIO(answer.data)).pages[0].extract_text()
        for word in [*words, notice["printed_reference"], "100000.01", "6222 02-8888", mine.reference]:
            assert word in page, (word, page)


def test_postgresql_keeps_notices_as_they_are(api, people, sessions, registration, statement) -> None:
    mine = registration()
    statement()
    notice_of(api, people.buyer, mine)
    attacks = [
        "UPDATE payment_notices SET asked_minor = 1",
        "DELETE FROM payment_notices",
        "TRUNCATE payment_notices CASCADE",
        "INSERT INTO payment_tolerances VALUES (uuidv7(), 'deposit', 'CNY', 1, 0, '2026-01-01', now(), 'x')",
    ]
    for attack in attacks:
        with sessions.begin() as session, pytest.raises(IntegrityError):
            session.execute(text(attack))


def test_our_account_comes_first(api, people, sessions, registration, statement) -> None:
    euro, mine = registration(currency="USD"), registration()
    statement()
    refused = api.as_(people.buyer).post(f"/registrations/{euro.id}/payment-notices", json={})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "no_own_account")
    with sessions.begin() as session:
        wrong = register(session, "777", "EUR").id
    answer = api.as_(people.finance).post(
        f"/registrations/{mine.id}/payment-notices", json={"own_account_id": str(wrong)}
    )
    assert answer.get_json()["code"] == "no_own_account"


def test_unapplied_cash_has_an_age_and_adds_up_to_the_books(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT + 5, mine.reference)
    paper.line(700, "nobody knows")
    take_in(api, people, paper)
    paper = statement()
    paper.lines.append((900, f"{TODAY + timedelta(days=20)},9.00,,{{}},new,华信资产,6217000,L9"))
    take_in(api, people, paper)
    with sessions() as session:
        later = unapplied.report(session, at=NOW + timedelta(days=20))
    assert [(one.age_days, one.open.text, one.finding) for one in later.items] == [
        (20, "0.05", "overpayment"),
        (20, "7.00", "no_reference"),
        (0, "9.00", "no_reference"),
    ]
    assert [(one.from_days, one.to_days, one.count, one.total.text) for one in later.buckets] == [
        (0, 7, 1, "9.00"),
        (8, 30, 2, "7.05"),
        (31, 90, 0, "0.00"),
        (91, None, 0, "0.00"),
    ]
    report = api.as_(people.auditor).ok("GET", "/unapplied-cash")
    assert [one["count"] for one in report["buckets"]] == [3, 0, 0, 0]
    with sessions() as session:
        held = sum(-row.balance_minor for row in ledger.balances(session, prefix="unapplied"))
    assert report["totals"] == [{"amount": f"{held / 100:.2f}", "currency": "CNY"}]
    finance = api.as_(people.finance)
    sheet = openpyxl.load_workbook(io.BytesIO(finance.get("/unapplied-cash/file?format=xlsx").data)).active
    assert sheet.max_row == 1 + 3 + 4 + 1
    assert "16.05" in finance.get("/unapplied-cash/file?format=csv&language=zh").text
    assert finance.get("/unapplied-cash/file?format=pdf").data.startswith(b"%PDF-")


def test_tolerances_are_versions_and_none_is_for_deposits(api, people) -> None:
    admin = api.as_(people.admin)

    def body(purpose: str, day: str = "2026-03-03", under: str = "1.00", over: str = "2.00") -> dict:
        amounts = {name: {"amount": value, "currency": "CNY"} for name, value in (("under", under), ("over", over))}
        return {"purpose": purpose, "valid_from_on": day, **amounts}

    made = admin.ok("POST", "/payment-tolerances", 201, json=body("balance"))
    assert made["under"]["amount"] == "1.00"
    assert admin.post("/payment-tolerances", json=body("deposit")).get_json()["code"] == "deposit_tolerated"
    early = admin.post("/payment-tolerances", json=body("balance", "2026-03-02"))
    assert early.get_json()["code"] == "tolerance_starts_in_the_past"
    assert api.as_(people.finance).post("/payment-tolerances", json=body("balance")).status_code == 403
    assert [one["id"] for one in api.as_(people.buyer).ok("GET", "/payment-tolerances")["items"]] == [made["id"]]
