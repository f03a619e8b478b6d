"""The client-money check that stops payouts, control totals, corrections by two persons, the books as files."""

import io
import uuid
from datetime import timedelta

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.actor import SYSTEM
from settlement import client_money, ledger, periods
from settlement.domain.ledger import CHART
from tests.conftest import NOW
from tests.settlement.money.test_ledger import DAY, post


@pytest.fixture
def finance(api, people):
    return api.as_(people.finance)


@given(
    parts=st.dictionaries(
        st.sampled_from([name for name in CHART if name not in {"bank", "unexplained"}]), st.integers(-(10**12), 10**12)
    )
)
def test_books_that_add_up_and_a_bank_that_agrees_leave_no_difference(parts) -> None:
    """Σ = 0, the lines of bank and Stripe are their accounts: then nothing is missing, whatever else moved."""
    bank = -sum(parts.values())
    lines = {"bank": bank, "bank_lines": bank, "stripe_lines": parts.get("stripe", 0)}
    figures = client_money.add_up(parts | lines)
    assert figures.difference == 0
    assert client_money.add_up(parts | lines | {"bank_lines": bank - 7}).difference == -7


def test_the_check_stops_payouts_and_lets_them_go(finance, sessions, statement, people, clock) -> None:
    paper = statement()
    paper.line(100_00, "nothing we know")
    line = finance.ok("POST", "/bank-statements", 201, **paper.upload())["items"][0]["lines"][0]
    order = finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "back"})
    assert finance.ok("POST", "/client-money-checks", 201)["items"][0]["passed"] is True
    with sessions.begin() as session:
        wrong = post(session, 5, "bank", "commission", at=clock.now())
    failed = finance.ok("POST", "/client-money-checks", 201)["items"][0]
    assert (failed["passed"], failed["difference"]["amount"], failed["own"]["amount"]) == (False, "-0.05", "0.05")
    path = f"/payment-orders/{order['id']}"
    refused = finance.as_(people.admin).post(f"{path}/approve")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "client_money_check_failed")
    with sessions.begin() as session:
        ledger.reverse(session, entry_id=wrong.id, reason="x", value_on=DAY, actor=SYSTEM, at=clock.now())
    assert finance.as_(people.admin).post(f"{path}/approve").status_code == 409, "until somebody checks again"
    with sessions.begin() as session:
        assert [row.passed for row in client_money.check_due(session, clock.now())] == [True]
        assert client_money.check_due(session, clock.now()) == [], "once a day while it passes"
        assert client_money.check_due(session, clock.now() + timedelta(days=1)) != []
    finance.as_(people.admin).ok("POST", f"{path}/approve")
    with sessions.begin() as session:
        post(session, 5, "unexplained:" + line["id"], "bank", at=clock.now())
    assert finance.ok("POST", "/client-money-checks", 201)["items"][0]["unexplained"]["amount"] == "0.05"
    assert finance.post(f"{path}/send").status_code == 409
    assert finance.get("/payment-orders/pain001.xml").status_code == 409
    history = finance.ok("GET", "/client-money-checks?currency=CNY")["items"]
    assert [row["passed"] for row in history] == [False, True, True, False, True]


def test_control_totals_name_the_account_that_differs(finance, sessions, statement) -> None:
    paper = statement()
    paper.line(100_00, "nothing we know")
    line = finance.ok("POST", "/bank-statements", 201, **paper.upload())["items"][0]["lines"][0]
    finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "back"})
    found = finance.ok("GET", "/ledger/control-totals")
    assert found["agrees"] is True
    assert {row["name"] for row in found["items"]} >= {"bank", "in_payment"}
    with sessions.begin() as session:
        post(session, 7, "bank", f"in_payment:{uuid.uuid4()}")
    found = finance.ok("GET", "/ledger/control-totals")
    differences = {row["name"]: row["difference"]["amount"] for row in found["items"]}
    assert (found["agrees"], differences["bank"], differences["in_payment"]) == (False, "0.07", "0.07")


def test_a_correction_takes_two_persons_above_the_limit(finance, api, people, sessions) -> None:
    lines = [
        {"account": f"unexplained:{uuid.uuid4()}", "amount": {"amount": "-5.00", "currency": "CNY"}},
        {"account": "bank_charges", "amount": {"amount": "5.00", "currency": "CNY"}},
    ]
    body = {"lines": lines, "value_on": "2026-03-01", "reason": "the bank's fee of March"}
    proposed = finance.ok("POST", "/ledger-corrections", 201, json=body)
    assert (proposed["state"], proposed["four_eyes"], proposed["entry_id"]) == ("proposed", True, None)
    path = f"/ledger-corrections/{proposed['id']}"
    assert finance.post(f"{path}/approve").get_json()["code"] == "same_person"
    posted = api.as_(people.admin).ok("POST", f"{path}/approve")
    assert (posted["state"], posted["decided_by"]) == ("posted", people.admin.actor.name)
    assert api.as_(people.admin).post(f"{path}/approve").status_code == 409
    limit = {"limit": {"amount": "5.00", "currency": "CNY"}}
    assert finance.post("/ledger-correction-limits", json=limit).status_code == 403
    api.as_(people.admin).ok("POST", "/ledger-correction-limits", 201, json=limit)
    reverse = f"/ledger-entries/{posted['entry_id']}/reverse"
    done = finance.ok("POST", reverse, 201, json={"reason": "was April's"})
    assert (done["state"], done["four_eyes"], done["value_on"]) == ("posted", False, "2026-03-01")
    assert finance.post(reverse, json={"reason": "again"}).get_json()["code"] == "already_reversed"
    again = finance.post(f"/ledger-entries/{done['entry_id']}/reverse", json={"reason": "x"})
    assert again.get_json()["code"] == "already_reversed"
    with sessions() as session:
        assert ledger.balance(session, "bank_charges", currency="CNY") == 0
    assert [row["state"] for row in finance.ok("GET", "/ledger-corrections")["items"]] == ["posted", "posted"]


def test_hands_stay_off_control_accounts_and_two_wishes_are_one_too_many(finance, people, api, sessions) -> None:
    def lines(debit: str, credit: str, currency: str = "CNY") -> dict:
        amounts = [(debit, "1.00", "CNY"), (credit, "-1.00", currency)]
        return {
            "lines": [{"account": key, "amount": {"amount": text, "currency": unit}} for key, text, unit in amounts],
            "value_on": "2026-03-01",
            "reason": "x",
        }

    assert finance.post("/ledger-corrections", json=lines("bank", "vat")).get_json()["code"] == "control_account"
    assert finance.post("/ledger-corrections", json=lines("vat", "commission", "EUR")).status_code == 422
    assert finance.post("/ledger-corrections", json=lines("vat", "nothing")).status_code == 422
    with sessions.begin() as session:
        untouchable = post(session, 5, "bank", "commission").id
        entry = post(session, 5, "bank_charges", "commission").id
    path = f"/ledger-entries/{untouchable}/reverse"
    assert finance.post(path, json={"reason": "x"}).get_json()["code"] == "control_account"
    first = finance.ok("POST", f"/ledger-entries/{entry}/reverse", 201, json={"reason": "x"})
    second = finance.post(f"/ledger-entries/{entry}/reverse", json={"reason": "y"})
    assert (second.status_code, second.get_json()["code"]) == (409, "correction_under_way")
    api.as_(people.admin).ok("POST", f"/ledger-corrections/{first['id']}/reject", json={"reason": "no"})
    finance.ok("POST", f"/ledger-entries/{entry}/reverse", 201, json={"reason": "y"})
    assert finance.post(f"/ledger-entries/{uuid.uuid4()}/reverse", json={"reason": "y"}).status_code == 404
    for person in (people.auditor, people.seller, people.compliance):
        assert api.as_(person).post(f"/ledger-entries/{entry}/reverse", json={"reason": "y"}).status_code == 403


def test_a_statement_of_account_runs_on_over_its_pages(finance, sessions) -> None:
    with sessions.begin() as session:
        for number in range(5):
            post(session, number + 1, "bank", "commission", value_on=DAY - timedelta(days=number), at=NOW)
    path = "/ledger-accounts/bank/statement?currency=CNY&limit=2"
    balances, cursor, opening = [], "", "0.00"
    for _ in range(3):
        page = finance.ok("GET", path + cursor)
        assert page["opening"]["amount"] == opening
        balances += [row["balance"]["amount"] for row in page["rows"]]
        opening, cursor = page["closing"]["amount"], f"&cursor={page['next']}"
    assert (balances, page["next"]) == (["0.01", "0.03", "0.06", "0.10", "0.15"], None)
    by_value = finance.ok(
        "GET", "/ledger-accounts/bank/statement?currency=CNY&by=value&from_on=2026-03-01&to_on=2026-03-01"
    )
    assert (by_value["opening"]["amount"], len(by_value["rows"]), by_value["closing"]["amount"]) == ("0.12", 1, "0.14")
    assert finance.get("/ledger-accounts/bank/statement?currency=CNY&cursor=x").status_code == 422
    assert finance.get("/ledger-accounts/nothing/statement?currency=CNY").status_code == 422


def test_the_books_as_files(finance, sessions) -> None:
    with sessions.begin() as session:
        post(session, 1_234_56, "bank", "commission", at=NOW)
        client_money.check(session, actor=SYSTEM, at=NOW)
    balance = finance.ok("GET", "/ledger/trial-balance?posted_on=2026-03-02")
    assert [(row["name"], row["balance"]["amount"]) for row in balance["rows"]] == [
        ("bank", "1234.56"),
        ("commission", "-1234.56"),
    ]
    assert balance["totals"][0]["balance"]["amount"] == "0.00"
    for path in (
        "/ledger/trial-balance/file?",
        "/ledger-accounts/bank/statement/file?currency=CNY&",
        "/client-money-checks/file?",
    ):
        text = finance.get(f"{path}format=csv&language=zh").data.decode("utf-8-sig")
        assert "1234.56" in text
        book = openpyxl.load_workbook(io.BytesIO(finance.get(f"{path}format=xlsx").data))
        assert 1234.56 in [cell.value for row in book.active.iter_rows() for cell in row]
        pdf = finance.get(f"{path}format=pdf&language=zh").data
        assert pdf.startswith(b"%PDF")
    assert finance.get("/ledger/trial-balance/file?format=doc").status_code == 422


def test_days_are_closed_over_the_api_and_heads_are_public(finance, api, people, sessions, clock) -> None:
    with sessions.begin() as session:
        post(session, 5, "bank", "commission", at=clock.now())
    early = finance.post("/ledger/closed-days", json={"through_on": "2026-03-02"})
    assert (early.status_code, early.get_json()["code"]) == (409, "day_not_over")
    clock.advance(hours=8)
    closed = finance.ok("POST", "/ledger/closed-days", 201, json={})["items"]
    assert [(day["day"], day["entry_count"]) for day in closed] == [("2026-03-02", 1)]
    heads = api.ok("GET", "/ledger/heads")["items"]
    assert heads[0]["hash"] == closed[0]["hash"]
    assert "entry_count" not in heads[0]
    assert api.as_(people.auditor).ok("GET", "/ledger/closed-days")["items"] == closed
    found = api.as_(people.auditor).ok("GET", "/ledger/verification")
    assert (found["agrees"], found["days"], found["head_hash"]) == (True, 1, closed[0]["hash"])
    assert api.get("/ledger/verification").status_code == 401


def test_the_command_verifies_and_says_what_differs(app, sessions, clock) -> None:
    with sessions.begin() as session:
        post(session, 5, "bank", "commission", at=clock.now())
        periods.close_days(session, actor=SYSTEM, at=clock.now() + timedelta(days=1))
    result = app.test_cli_runner().invoke(args=["ledger", "verify"])
    assert (result.exit_code, "1 days, 1 entries agree" in result.output) == (0, True)
