"""Money changed over HTTP: two bank lines, two persons, gain and loss."""

import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.settlement.money.test_money_api import books_are_square, take_in


def changed(api, people, statement, *, sold: int = 700_00, bought: int = 100_00) -> dict:
    """The bank took yuan and brought euros; finance says that the two are one change."""
    out, into = statement(), statement("EUR")
    out.line(-sold, "购汇", name="bank", account="")
    into.line(bought, "FX", name="bank", account="")
    sold_line = take_in(api, people, out)[0]["lines"][0]["id"]
    bought_line = take_in(api, people, into)[0]["lines"][0]["id"]
    return {"sold_line_id": sold_line, "bought_line_id": bought_line, "reason": "to pay a seller in euros"}


def result(api, people) -> str:
    accounts = api.as_(people.auditor).ok("GET", "/ledger-accounts?prefix=fx_result")["items"]
    return accounts[0]["balance"]["amount"] if accounts else "0.00"


def test_a_change_is_posted_by_a_second_person_and_valued(api, people, sessions, statement) -> None:
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    body = changed(api, people, statement)
    wrong = {**body, "sold_line_id": body["bought_line_id"]}
    assert finance.post("/currency-changes", json=wrong).get_json()["code"] == "nothing_changed"
    assert finance.post("/currency-changes", json={**body, "sold_line_id": str(uuid.uuid4())}).status_code == 404
    proposed = finance.ok("POST", "/currency-changes", 201, json=body)
    assert (proposed["sold"]["amount"], proposed["bought"]["currency"]) == ("700.00", "EUR")
    checks = finance.ok("POST", "/client-money-checks", 201)["items"]
    assert [one["passed"] for one in checks] == [False, True], "yuan have left without an order so far"
    same = finance.post(f"/currency-changes/{proposed['id']}/approve")
    assert (same.status_code, same.get_json()["code"]) == (403, "same_person")
    posted = admin.ok("POST", f"/currency-changes/{proposed['id']}/approve")
    assert posted["state"] == "posted"
    assert admin.post(f"/currency-changes/{proposed['id']}/approve").status_code == 409
    assert finance.ok("GET", "/statement-lines?open=true")["items"] == []
    assert {one["finding"] for one in finance.ok("GET", "/statement-lines")["items"]} == {"changed"}
    checks = finance.ok("POST", "/client-money-checks", 201)["items"]
    assert all(one["passed"] for one in checks), checks

    value = {"home": "CNY", "value_on": "2026-03-02", "rates": [{"currency": "EUR", "rate": "7.20"}]}
    assert finance.ok("POST", "/revaluations/preview", json=value)["gain"]["amount"] == "20.00"
    missing = finance.post("/revaluations/preview", json={**value, "rates": []})
    assert (missing.status_code, missing.get_json()["code"]) == (422, "rate_missing")
    asked = finance.ok("POST", "/revaluations", 201, json={**value, "reason": "month end"})
    other = finance.ok("POST", "/revaluations", 201, json={**value, "reason": "month end, again"})
    assert finance.post(f"/revaluations/{asked['id']}/approve").get_json()["code"] == "same_person"
    gained = admin.ok("POST", f"/revaluations/{asked['id']}/approve")
    assert (gained["gain"]["amount"], gained["state"]) == ("20.00", "posted")
    twice = admin.post(f"/revaluations/{other['id']}/approve")
    assert (twice.status_code, twice.get_json()["code"]) == (409, "revalued_already")
    admin.ok("POST", f"/revaluations/{other['id']}/reject", json={"reason": "done"})
    assert result(api, people) == "-20.00", "income is a credit"
    lower = {**value, "value_on": "2026-03-03", "rates": [{"currency": "EUR", "rate": "6.90"}], "reason": "next day"}
    lost = admin.ok("POST", f"/revaluations/{finance.ok('POST', '/revaluations', 201, json=lower)['id']}/approve")
    assert lost["gain"]["amount"] == "-30.00"
    assert result(api, people) == "10.00"
    books_are_square(sessions)
    for attack in (
        "UPDATE currency_changes SET decided_by_id = proposed_by_id",
        "UPDATE revaluations SET decided_by_id = proposed_by_id",
    ):
        with sessions.begin() as session, pytest.raises(IntegrityError) as refused:
            session.execute(text(attack))
        assert "four_eyes" in str(refused.value)


def test_what_was_matched_meanwhile_is_not_changed(api, people, sessions, statement) -> None:
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    body = changed(api, people, statement)
    proposed = finance.ok("POST", "/currency-changes", 201, json=body)
    finance.ok("POST", f"/statement-lines/{body['bought_line_id']}/refund", 201, json={"reason": "a mistake"})
    late = admin.post(f"/currency-changes/{proposed['id']}/approve")
    assert (late.status_code, late.get_json()["code"]) == (409, "lines_changed")
    assert finance.ok("POST", f"/currency-changes/{proposed['id']}/reject", json={"reason": "x"})["state"] == "rejected"
    (row,) = finance.ok("GET", "/currency-changes")["items"]
    assert row["decided_by"] == proposed["proposed_by"], "whoever proposed it may take it back"
    books_are_square(sessions)
