"""Assignment notices: a paper for every borrower, written once, sent, come back, delivered with proof."""

import io

import pypdf
import pytest

from settlement import assignment_notices
from tests.console.conftest import Visitor
from tests.settlement.deals.test_adjustments import approve, propose

BODY = {"channel": "registered_mail", "on": "2026-03-03", "proof": "EMS 1"}


def written(sale):
    """A settled deal whose borrowers each have a notice; its path and the notices by case."""
    deal = sale.sell()
    path = f"/deals/{deal['id']}/assignment-notices"
    job = sale.api.as_(sale.people.seller).ok("POST", path, 202)
    sale.work()
    status = sale.api.as_(sale.people.seller).ok("GET", f"/jobs/{job['id']}")
    assert (status["done"], status["total"], status["result"]) == (5, 5, {"written": 5})
    items = sale.api.as_(sale.people.buyer).ok("GET", path)["items"]
    return path, {row["case_key"]: row for row in items}


def test_every_borrower_is_told_once_by_name(sale):
    path, notices = written(sale)
    assert sorted(notices) == ["LN1", "LN10", "LN2", "LN3", "LN4"]
    seller = sale.api.as_(sale.people.seller)
    seller.ok("POST", path, 202)
    sale.work()
    assert len(seller.ok("GET", path)["items"]) == 5
    buyer = sale.api.as_(sale.people.buyer)
    paper = buyer.post(f"/assignment-notices/{notices['LN3']['id']}/paper").data
    text = pypdf.PdfReader(io.BytesIO(paper)).pages[0].extract_text()
    assert "张三3" in text
    assert "LN3" in text
    assert sale.sql("SELECT count(*) FROM audit_records WHERE verb = 'reveal_identities'") == [(5,)]
    assert sale.sql("SELECT count(*) FROM audit_records WHERE verb = 'read'") == [(1,)]


def test_a_notice_is_sent_comes_back_is_sent_again_and_delivered_with_proof(sale):
    _, notices = written(sale)
    seller = sale.api.as_(sale.people.seller)
    at = f"/assignment-notices/{notices['LN1']['id']}"
    early = seller.post(f"{at}/deliver", json={"on": "2026-03-04", "proof": "signed"})
    assert early.get_json()["code"] == "illegal_move"
    assert seller.ok("POST", f"{at}/send", json=BODY)["state"] == "sent"
    assert seller.ok("POST", f"{at}/return", json={"reason": "moved away"})["state"] == "returned"
    again = seller.ok("POST", f"{at}/send", json={**BODY, "channel": "notary", "on": "2026-03-10"})
    assert (again["channel"], again["sent_on"]) == ("notary", "2026-03-10")
    wrong = seller.post(f"{at}/deliver", json={"on": "2026-03-09", "proof": "signed"})
    assert (wrong.status_code, wrong.get_json()["code"]) == (422, "delivered_before_sent")
    done = seller.ok("POST", f"{at}/deliver", json={"on": "2026-03-11", "proof": "signed by the borrower"})
    assert (done["state"], done["delivered_on"]) == ("delivered", "2026-03-11")
    path = f"/deals/{done['deal_id']}/assignment-notices"
    assert [row["id"] for row in seller.ok("GET", path, query_string={"state": "delivered"})["items"]] == [done["id"]]


def test_the_paper_of_a_sending_that_came_back_proves_nothing_of_the_next(sale):
    _, notices = written(sale)
    seller = sale.api.as_(sale.people.seller)
    at = f"/assignment-notices/{notices['LN1']['id']}"
    seller.ok("POST", f"{at}/send", json=BODY)
    paper = {"data": {"file": (io.BytesIO(b"%PDF-1.7 receipt"), "receipt.pdf")}, "content_type": "multipart/form-data"}
    assert seller.ok("POST", f"{at}/proof", **paper)["proof_file_id"] is not None
    seller.ok("POST", f"{at}/return", json={"reason": "moved away"})
    again = seller.ok("POST", f"{at}/send", json={**BODY, "on": "2026-03-10", "proof": "EMS 2"})
    assert again["proof_file_id"] is None
    assert seller.post(f"{at}/proof-paper").status_code == 404
    assert sale.sql("SELECT count(*) FROM stored_files WHERE name = 'receipt.pdf'") == [(1,)]


@pytest.mark.parametrize("who", ["other_buyer", "other_seller"])
def test_nobody_else_sees_a_notice(sale, who):
    path, notices = written(sale)
    api = sale.api.as_(getattr(sale.people, who))
    assert api.get(path).status_code == 404
    assert api.post(f"/assignment-notices/{notices['LN1']['id']}/paper").status_code == 404
    assert (
        sale.api.as_(sale.people.buyer).post(f"/assignment-notices/{notices['LN1']['id']}/send", json=BODY).status_code
        == 403
    )


def test_nobody_is_told_before_the_cases_have_passed(sale):
    sale.award()
    sale.work()
    refused = sale.api.as_(sale.people.seller).post(f"/deals/{sale.deal()['id']}/assignment-notices")
    assert refused.get_json()["code"] == "title_not_passed"


def send_and_deliver(sale, notice):
    seller = sale.api.as_(sale.people.seller)
    seller.ok("POST", f"/assignment-notices/{notice['id']}/send", json=BODY)
    body = {"on": "2026-03-04", "proof": "EMS 1, signed"}
    return seller.ok("POST", f"/assignment-notices/{notice['id']}/deliver", json=body)


def test_the_proof_of_delivery_stands_among_the_contacts_of_the_case(sale):
    _, notices = written(sale)
    done = send_and_deliver(sale, notices["LN1"])
    contacts = sale.api.as_(sale.people.seller).ok("GET", f"/cases/{done['case_id']}/contact-records")["items"]
    (found,) = [(row["channel"], row["allowed"], row["outcome"]["note"]) for row in contacts]
    assert found[:2] == ("letter", True)
    assert "EMS 1, signed" in found[2]
    assert "2026-03-04" in found[2]


def test_a_borrower_that_was_told_is_told_of_the_way_back_and_another_one_nothing(sale, monkeypatch):
    path, notices = written(sale)
    deal = sale.deal()
    send_and_deliver(sale, notices["LN1"])
    approve(sale, propose(sale, deal, "removal", cases=[("LN1", None), ("LN2", None)]))
    seller = sale.api.as_(sale.people.seller)
    late = seller.post(f"/assignment-notices/{notices['LN2']['id']}/send", json=BODY)
    assert late.get_json()["code"] == "case_went_back"
    for _ in range(2):
        seller.ok("POST", path, 202)
        sale.work()
    (back,) = [row for row in seller.ok("GET", path)["items"] if row["kind"] == "reassignment"]
    assert (back["case_key"], back["state"]) == ("LN1", "written")
    paper = seller.post(f"/assignment-notices/{back['id']}/paper").data
    text = pypdf.PdfReader(io.BytesIO(paper)).pages[0].extract_text()
    assert "债权回转通知书" in text
    table = seller.get(f"{path}/export.csv").data.decode()
    told = [line.split(",")[1:3] for line in table.splitlines() if line.startswith("LN1,")]
    assert told == [["assignment", "delivered"], ["reassignment", "written"]]
    monkeypatch.setattr(assignment_notices, "MAX_ROWS", len(table.splitlines()) - 2)
    cut = seller.get(f"{path}/export.csv")
    assert (cut.status_code, cut.get_json()["code"]) == (409, "too_many_notices")
    page = Visitor(sale.api.app, sale.people.seller.token, "zh").get(path)
    assert page.text.count("债权回转通知书") == 1
    assert send_and_deliver(sale, back)["state"] == "delivered"
