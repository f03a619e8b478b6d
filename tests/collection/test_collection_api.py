"""Receipts, contacts and levels over the API and in bulk."""

import threading
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from collection import service
from marketplace.actor import SYSTEM
from marketplace.money import Money


def pay(client, case, amount, status=201, *, key=None, on="2026-03-01"):
    body = {"amount": {"amount": amount, "currency": "CNY"}, "received_on": on}
    response = client.post(f"/cases/{case['id']}/receipts", json=body, key=key)
    assert response.status_code == status, response.text
    return response.get_json()


def applied(receipt):
    return {name: part["amount"] for name, part in receipt["applied"].items()}


def test_repayments_go_to_costs_interest_principal_and_reversals_are_rows(api, people, cases):
    client, case = api.as_(people.seller), cases["C1"]
    first = pay(client, case, "40.00")
    assert applied(first) == {"other": "10.00", "interest": "30.00", "principal": "0.00", "excess": "0.00"}
    second = pay(client, case, "1030.00")
    assert applied(second) == {"other": "0.00", "interest": "20.00", "principal": "1000.00", "excess": "10.00"}
    reversed_ = client.ok("POST", f"/receipts/{first['id']}/reverse", 201, json={"reason": "退票"})
    assert reversed_["amount"]["amount"] == "-40.00"
    again = client.ok("POST", f"/receipts/{first['id']}/reverse", 409, json={"reason": "退票"})
    assert again["code"] == "already_reversed"
    back = client.ok("POST", f"/receipts/{reversed_['id']}/reverse", 409, json={"reason": "?"})
    assert back["code"] == "not_reversible"
    third = pay(client, case, "40.00")
    assert applied(third) == {"other": "10.00", "interest": "30.00", "principal": "0.00", "excess": "0.00"}
    rows = client.ok("GET", f"/cases/{case['id']}/receipts")["items"]
    assert [row["amount"]["amount"] for row in rows] == ["40.00", "1030.00", "-40.00", "40.00"]
    assert [row["kind"] for row in rows] == ["repayment", "repayment", "reversal", "repayment"]


def test_money_is_applied_in_the_order_that_is_stored_for_the_case_or_for_the_seller(api, people, cases):
    client, case = api.as_(people.seller), cases["C1"]
    policy = {"sets": [["interest"], ["costs"], ["principal"]], "reason": "policy"}
    all_ = client.ok("POST", "/application-orders", 201, json=policy)
    assert applied(pay(client, case, "0.01"))["interest"] == "0.01"
    body = {"sets": [["principal"], ["interest", "costs"]], "reason": "agreed with the borrower"}
    mine = client.ok("POST", "/application-orders", 201, json={**body, "case_id": case["id"]})
    paid = applied(pay(client, case, "1030.00"))
    assert paid == {"other": "5.00", "interest": "25.00", "principal": "1000.00", "excess": "0.00"}
    assert [row["id"] for row in client.ok("GET", "/application-orders")["items"]] == [mine["id"], all_["id"]]
    bad = client.ok("POST", "/application-orders", 422, json={**body, "sets": [["costs"], ["interest"]]})
    assert bad["errors"][0]["pointer"] == "/sets"
    stranger = api.as_(people.other_seller)
    assert stranger.ok("GET", "/application-orders")["items"] == []
    assert stranger.post("/application-orders", json={**body, "case_id": case["id"]}).status_code == 404


def test_the_same_key_is_one_receipt_and_others_see_none(api, people, cases):
    client, case = api.as_(people.seller), cases["C1"]
    assert pay(client, case, "1.00", key="k") == pay(client, case, "1.00", key="k")
    assert len(client.ok("GET", f"/cases/{case['id']}/receipts")["items"]) == 1
    other = api.as_(people.other_seller)
    assert other.get(f"/cases/{case['id']}/receipts").status_code == 404
    pay(other, case, "1.00", 404)
    pay(api.as_(people.buyer), case, "1.00", 403)
    pay(client, case, "0.00", 422)
    pay(client, case, "1.00", 422, on="2026-03-03")
    dollars = {"amount": {"amount": "1.00", "currency": "USD"}, "received_on": "2026-03-01"}
    assert client.ok("POST", f"/cases/{case['id']}/receipts", 422, json=dollars)["code"] == "currency_mismatch"


def test_receipts_cannot_be_changed(api, people, cases, session):
    pay(api.as_(people.seller), cases["C1"], "1.00")
    for statement in ("UPDATE case_receipts SET amount_minor = 2", "DELETE FROM case_receipts"):
        with pytest.raises(DBAPIError):
            session.execute(text(statement))
        session.rollback()


def test_two_repayments_at_once_do_not_pay_the_same_cent(people, cases, sessions, clock):
    case_id, start = uuid.UUID(cases["C1"]["id"]), threading.Barrier(2)

    def run():
        with sessions.begin() as session:
            start.wait(timeout=10)
            service.record_repayment(
                session, case_id=case_id, amount=Money(1000, "CNY"), received_on=clock.now().date(), note="",
                actor=people.seller.actor, at=clock.now(),
            )  # fmt: skip

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        rows = service.receipts_of(session, case_id, actor=people.seller.actor)
        assert sorted((row.other_minor, row.interest_minor) for row in rows) == [(0, 1000), (1000, 0)]


def _proceeds(session, package_id, source_id, amounts, clock):
    return service.record_proceeds(
        session, package_id=package_id, source_kind="deal", source_id=source_id, amounts=amounts, currency="CNY",
        actor=SYSTEM, at=clock.now(),
    )  # fmt: skip


def test_proceeds_of_a_sale_come_once_for_each_case(api, people, cases, session, clock):
    package = api.as_(people.seller).ok("POST", "/packages", 201, json={"name": "第一期"})
    package_id, source_id = uuid.UUID(package["id"]), uuid.uuid4()
    amounts = [(uuid.UUID(case["id"]), 100 + number) for number, case in enumerate(cases.values())]
    assert _proceeds(session, package_id, source_id, amounts, clock) == 2
    assert _proceeds(session, package_id, source_id, amounts, clock) == 0
    assert _proceeds(session, package_id, uuid.uuid4(), amounts[:1], clock) == 1
    assert _proceeds(session, package_id, uuid.uuid4(), [], clock) == 0
    rows = service.receipts_of(session, amounts[0][0], actor=people.seller.actor)
    assert [(row.kind.value, row.amount_minor, row.package_id) for row in rows] == [("proceeds", 100, package_id)] * 2
    session.commit()
    receipt = api.as_(people.seller).ok("GET", f"/cases/{amounts[0][0]}/receipts")["items"][0]
    problem = api.as_(people.seller).ok("POST", f"/receipts/{receipt['id']}/reverse", 409, json={"reason": "?"})
    assert problem["code"] == "not_reversible"


def ask(client, case, status=201, **changes):
    body = {"relation": "obligor", "channel": "call", "number": "13812345678", **changes}
    return client.ok("POST", f"/cases/{case['id']}/contact-records", status, json=body)


def test_the_gate_is_asked_before_the_act_and_its_answer_kept(api, people, cases, clock, session):
    client, case = api.as_(people.seller_agent), cases["C1"]
    allowed = ask(client, case)
    assert (allowed["allowed"], allowed["number"], allowed["outcome"]) == (True, "138****5678", None)
    refused = ask(client, case, 403, relation="stranger")
    assert (refused["code"], refused["rule"]) == ("contact_refused", "stranger")
    clock.advance(hours=6)  # 23:00 in Shanghai
    assert ask(client, case, 403)["rule"] == "quiet_hours"
    assert ask(client, case, consent=True)["allowed"]
    shown = client.ok("GET", f"/cases/{case['id']}/contact-records")["items"]
    assert [row["rule"] for row in shown] == [None, "quiet_hours", "stranger", None]
    assert shown[2]["id"] == refused["contact_record_id"]
    stored = session.execute(text("SELECT number_fingerprint, number_masked FROM contact_records")).all()
    assert all(b"13812345678" not in row[0] for row in stored)


def test_unanswered_calls_to_a_number_are_counted(api, people, cases, clock):
    client, case = api.as_(people.seller_agent), cases["C1"]
    for _ in range(6):
        ask(client, case)
    assert ask(client, case, 403)["rule"] == "attempts_per_number"
    assert ask(client, case, number="13900000000")["allowed"]
    clock.advance(hours=7)  # midnight in Shanghai
    last = ask(client, case, consent=True)
    done = client.ok("POST", f"/contact-records/{last['id']}/outcome", 201, json={"answered": True, "note": "承诺还款"})
    assert done["outcome"]["answered"] is True
    again = client.ok("POST", f"/contact-records/{last['id']}/outcome", 409, json={"answered": False})
    assert again["code"] == "outcome_known"
    other = api.as_(people.other_seller)
    assert other.post(f"/contact-records/{last['id']}/outcome", json={"answered": True}).status_code == 404


def test_a_refused_contact_has_no_outcome_and_zones_are_real(api, people, cases):
    client, case = api.as_(people.seller_agent), cases["C1"]
    refused = ask(client, case, 403, relation="stranger")
    path = f"/contact-records/{refused['contact_record_id']}/outcome"
    assert client.ok("POST", path, 409, json={"answered": True})["code"] == "no_contact_was_made"
    assert ask(client, case, 422, zone="Mars/Olympus")["code"] == "unknown_zone"
    assert ask(client, case, 422, zone="../../etc/passwd")["code"] == "unknown_zone"


RULES = {
    "version": "2026-1",
    "criteria": [{"fact": "exposure", "bands": [{"from": "0", "score": 0}, {"from": "50000", "score": 10}]}],
    "levels": [{"from": "0", "level": "小额"}, {"from": "10", "level": "大额"}],
}


def test_levels_follow_the_rule_in_force(api, people, cases):
    client = api.as_(people.seller)
    first = client.ok("POST", "/cases/classify", 200)
    assert (first["rule_version"], first["cases"], first["changed"]) == ("house-1", 2, 2)
    assert client.ok("POST", "/cases/classify", 200)["changed"] == 0
    client.ok("POST", "/level-rules", 201, json={"rules": RULES})
    assert client.ok("POST", "/level-rules", 409, json={"rules": RULES})["code"] == "rule_version_taken"
    second = client.ok("POST", "/cases/classify", 200)
    assert (second["counts"], second["changed"]) == ({"小额": 1, "大额": 1}, 2)
    levels = client.ok("GET", f"/cases/{cases['C2']['id']}/levels")["items"]
    assert [(row["level"], row["rule_version"]) for row in levels] == [("大额", "2026-1"), ("二级", "house-1")]
    assert levels[0]["facts"] == {"exposure": "60000.00"}
    assert api.as_(people.other_seller).ok("POST", "/cases/classify", 200)["cases"] == 0
    unknown = {**RULES, "version": "2", "criteria": [{"fact": "shoe_size", "bands": [{"from": "0", "score": 0}]}]}
    assert client.ok("POST", "/level-rules", 422, json={"rules": unknown})["code"] == "unknown_facts"
    assert client.ok("POST", "/level-rules", 422, json={"rules": {}})["errors"][0]["pointer"] == "/version"


def test_the_preview_answers_as_the_command_line_does(api, people):
    document = {"compute": "payment_order", "inputs": {"payment": "1.00", "order": ["a"], "balances": {"a": "0.40"}}}
    client = api.as_(people.buyer)
    found = client.ok("POST", "/previews/compute", 200, json=document)
    assert found["result"] == {"applied": {"a": "0.40"}, "excess": "0.60"}
    problem = client.ok("POST", "/previews/compute", 422, json=document | {"more": 1})
    assert [error["pointer"] for error in problem["errors"]] == ["/more"]


def test_a_repayment_before_the_balances_does_not_count_against_them(api, people, cases):
    client, case = api.as_(people.seller), cases["C1"]
    pay(client, case, "10.00", on="2026-01-31")
    assert applied(pay(client, case, "10.00"))["other"] == "10.00"
