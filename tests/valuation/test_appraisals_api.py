"""An appraisal from the request to the acceptance, over the API."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from valuation import service

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def test_the_whole_way(api, people, desk, frozen, session, clock):
    appraisal = desk.submitted()
    assert appraisal["state"] == "submitted"
    assert appraisal["value"] == {"amount": "400000.01", "currency": "CNY"}
    assert len(appraisal["signers"]) == 2
    accepted = desk.seller(appraisal, "accept")
    assert accepted["state"] == "accepted"
    found = service.accepted_appraisal(session, uuid.UUID(frozen["id"]), at=clock.now())
    assert str(found.id) == appraisal["id"]
    report = api.as_(people.seller).get(f"/appraisals/{appraisal['id']}/report")
    assert (report.status_code, report.data, report.mimetype) == (200, PDF, "application/pdf")
    verbs = session.scalars(
        text("SELECT verb FROM audit_records WHERE subject_id = :id ORDER BY id"), {"id": appraisal["id"]}
    ).all()
    assert verbs == ["request", "engage", "attach_report", "submit", "accept"]
    announced = session.scalars(
        text("SELECT payload->>'value_minor' FROM outbox_events WHERE name = 'appraisal.accepted'")
    )
    assert announced.all() == ["40000001"]


def test_an_acceptance_counts_only_while_it_is_valid(desk, frozen, session, clock):
    desk.seller(desk.submitted(), "accept")
    package_id = uuid.UUID(frozen["id"])
    clock.advance(days=335)  # 2027-01-31
    assert service.accepted_appraisal(session, package_id, at=clock.now()) is not None
    assert service.accepted_appraisal(session, package_id, at=clock.now() + timedelta(days=2)) is None


def test_a_full_appraisal_goes_before_an_advisory_one(desk, frozen, session, clock):
    full = desk.seller(desk.submitted(), "accept")
    desk.seller(desk.submitted(kind="advisory", valued_on="2026-03-01"), "accept")
    found = service.accepted_appraisal(session, uuid.UUID(frozen["id"]), at=clock.now())
    assert str(found.id) == full["id"]


def test_everything_missing_is_named_at_once(desk):
    problem = desk.valuer(desk.engaged(), "submit", {}, 422)
    assert problem["code"] == "submission_incomplete"
    assert [error["pointer"] for error in problem["errors"]] == [
        "/report", "/kind", "/methods", "/inspection_statement", "/scope", "/signers", "/value", "/valued_on",
        "/valid_until_on",
    ]  # fmt: skip


def test_one_method_will_do_when_it_is_justified(desk):
    appraisal = desk.submitted(methods=["cost"], methods_justification="其他方法不适用。")
    assert appraisal["methods"] == ["cost"]


def test_a_returned_submission_is_worked_on_again(desk):
    appraisal = desk.seller(desk.submitted(), "return", body={"reason": "请补充方法说明"})
    assert appraisal["state"] == "engaged"
    again = desk.valuer(appraisal, "submit", desk.submission | {"value": {"amount": "1.00", "currency": "CNY"}})
    assert again["value"]["amount"] == "1.00"
    assert desk.seller(again, "reject", body={"reason": "不认可"})["state"] == "rejected"


def test_illegal_moves_are_conflicts(desk):
    appraisal = desk.request()
    assert desk.seller(appraisal, "accept", 409)["code"] == "illegal_move"
    assert desk.report(appraisal, status=409)["code"] == "not_being_written_now"
    declined = desk.valuer(appraisal, "decline", {"reason": "人手不足"})
    assert declined["state"] == "declined"
    assert desk.valuer(appraisal, "engage", desk.engagement, 409)["code"] == "illegal_move"


def test_a_valuer_with_a_conflict_is_not_engaged(desk):
    problem = desk.valuer(desk.request(), "engage", desk.engagement | {"no_conflicts": False}, 409)
    assert problem["code"] == "conflict_declared"


def test_only_a_licensed_valuer_that_is_not_the_seller_can_be_asked(desk, people):
    assert desk.request(409, valuer_organisation_id=str(people.seller.organisation_id))["code"] == "not_independent"
    assert desk.request(409, valuer_organisation_id=str(people.buyer.organisation_id))["code"] == "valuer_not_licensed"
    assert desk.request(404, valuer_organisation_id=str(uuid.uuid4()))["code"] == "not_found"


def test_only_a_frozen_package_is_valued(api, people, desk, package):
    draft = package()
    body = {"valuer_organisation_id": str(people.valuer.organisation_id), "purpose": "转让定价"}
    client = api.as_(people.seller)
    assert client.ok("POST", f"/packages/{draft['id']}/appraisals", 409, json=body)["code"] == "package_not_frozen"
    assert client.ok("POST", f"/packages/{draft['id']}/valuations", 409, json={})["code"] == "package_not_frozen"


@pytest.mark.parametrize("content", [b"PK\x03\x04zip renamed to pdf", b"", b"%PDF-1.7 cut off"])
def test_a_report_is_a_whole_pdf(desk, content):
    assert desk.report(desk.engaged(), content, 422)["code"] == "not_a_pdf"


def test_nobody_else_sees_an_appraisal(api, people, desk, frozen):
    appraisal = desk.submitted()
    for outsider in (people.buyer, people.other_seller, people.buyer_analyst):
        client = api.as_(outsider)
        assert client.get(f"/appraisals/{appraisal['id']}").status_code == 404
        assert client.get(f"/appraisals/{appraisal['id']}/report").status_code == 404
        assert client.ok("GET", "/appraisals")["items"] == []
        assert client.ok("GET", f"/packages/{frozen['id']}/appraisals")["items"] == []
    assert api.as_(people.other_seller).post(f"/appraisals/{appraisal['id']}/accept").status_code == 404
    assert api.as_(people.buyer).get(f"/packages/{frozen['id']}/value-opinions").status_code == 403
    assert api.as_(people.other_seller).get(f"/packages/{frozen['id']}/value-opinions").status_code == 404
    for insider in (people.seller, people.valuer, people.admin, people.auditor):
        assert api.as_(insider).ok("GET", f"/appraisals/{appraisal['id']}")["id"] == appraisal["id"]
    assert api.as_(people.auditor).post(f"/appraisals/{appraisal['id']}/accept").status_code == 403


def test_the_seller_does_not_read_a_report_before_it_is_submitted(api, people, desk):
    appraisal = desk.report(desk.engaged())
    assert api.as_(people.seller).get(f"/appraisals/{appraisal['id']}/report").status_code == 404
    assert api.as_(people.valuer).get(f"/appraisals/{appraisal['id']}/report").status_code == 200


def test_the_valuer_gets_the_masked_tape_while_engaged(api, people, desk):
    appraisal = desk.request()
    client = api.as_(people.valuer)
    assert client.get(f"/appraisals/{appraisal['id']}/tape.csv").status_code == 409
    desk.valuer(appraisal, "engage", desk.engagement)
    tape = client.get(f"/appraisals/{appraisal['id']}/tape.csv")
    assert tape.status_code == 200
    assert "张伟" not in tape.data.decode()
    assert api.as_(people.seller).get(f"/appraisals/{appraisal['id']}/tape.csv").status_code == 403


def test_the_same_request_twice_is_one_appraisal(api, people, frozen):
    body = {"valuer_organisation_id": str(people.valuer.organisation_id), "purpose": "转让定价"}
    path = f"/packages/{frozen['id']}/appraisals"
    first, second = (api.as_(people.seller).post(path, json=body, key="once").get_json() for _ in range(2))
    assert first == second
    assert len(api.as_(people.seller).ok("GET", path)["items"]) == 1
