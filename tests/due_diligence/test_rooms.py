"""The journey through a room over HTTP: making, filling, opening, promising, taking copies, and the record of it."""

import csv
import io
import threading

import openpyxl
import pytest

from due_diligence import service
from due_diligence.pdf import verify
from marketplace.packages.service import PackageState
from tests.due_diligence.papers import active, encrypted, many_pages, renamed_zip, signed, text_pdf

pytestmark = pytest.mark.usefixtures("quick_children")


def test_the_same_reader_gets_the_same_copy_and_each_link_is_recorded(house, people):
    house.open()
    document = house.document()
    house.accept(people.buyer)
    first, second = (house.link(people.buyer, document["id"]).json for _ in range(2))
    analyst = house.link(people.buyer_analyst, document["id"]).json
    assert first["sha256"] == second["sha256"]
    assert first["token"] != second["token"]
    assert analyst["sha256"] != first["sha256"]
    assert analyst["copy_number"] != first["copy_number"]
    record = house.as_(people.auditor).ok("GET", f"/rooms/{house.room_id}/disclosures")["items"]
    assert len(record) == 3
    assert {entry["reader_name"] for entry in record} == {"Buyer", "Buyer Analyst"}


def test_index_numbers_are_gapless_and_stay(house, people):
    seller = house.as_(people.seller)
    path = f"/rooms/{house.room_id}/folders"
    first = seller.ok("POST", path, 201, json={"name": "合同"})
    second = seller.ok("POST", path, 201, json={"name": "诉讼"})
    inner = seller.ok("POST", path, 201, json={"name": "判决", "parent_id": second["id"]})
    assert [folder["index_number"] for folder in (first, second, inner)] == ["1", "2", "2.1"]
    numbers = [house.document(folder_id=second["id"])["index_number"] for _ in range(2)]
    assert numbers == ["2.2", "2.3"]
    assert house.document(folder_id=inner["id"])["index_number"] == "2.1.1"
    last = house.document()
    assert last["index_number"] == "3"
    seller.ok("POST", f"/documents/{last['id']}/withdraw", json={"reason": "wrong file"})
    assert house.document()["index_number"] == "4"
    shown = seller.ok("GET", f"/rooms/{house.room_id}/index")
    assert [entry["index_number"] for entry in shown["documents"]] == ["2.1.1", "2.2", "2.3", "3", "4"]


def test_numbers_stay_gapless_in_a_race(house, people):
    def add() -> None:
        house.as_(people.seller).ok("POST", f"/rooms/{house.room_id}/folders", 201, json={"name": "x"})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/index")["folders"]
    assert [folder["index_number"] for folder in folders] == ["1", "2", "3", "4"]


def test_a_new_version_replaces_and_the_old_one_stays(house, people):
    house.open()
    document = house.document(text_pdf(text="first"))
    seller = house.as_(people.seller)

    def send(content: bytes):
        return seller.ok(
            "POST", f"/documents/{document['id']}/versions", 201, data={"file": (io.BytesIO(content), "b.pdf")}
        )

    assert len(send(text_pdf(text="first"))["versions"]) == 1, "the same bytes change nothing"
    assert [entry["number"] for entry in send(text_pdf(text="second"))["versions"]] == [1, 2]
    house.accept(people.buyer)
    assert house.link(people.buyer, document["id"]).json["code"] == "document_not_read"
    house.work()
    assert house.link(people.buyer, document["id"]).status_code == 201
    shown = house.as_(people.buyer).ok("GET", f"/documents/{document['id']}")
    assert [entry["number"] for entry in shown["versions"]] == [2]
    assert shown["versions"][0]["sha256"] is None


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(encrypted, "encrypted"), (lambda: many_pages(60_000), "too_many_pages"), (lambda: text_pdf()[:400], "malformed")],
)
def test_what_cannot_be_marked_is_explained_and_given_to_nobody(house, people, content, verdict):
    house.open()
    document = house.document(content())
    version = document["versions"][0]
    assert version["verdict"] == verdict
    assert version["deliverable"] is False
    assert "上传" in version["sentence"]["zh"]
    assert "pload" in version["sentence"]["en"]
    house.accept(people.buyer)
    answer = house.link(people.buyer, document["id"])
    assert (answer.status_code, answer.json["code"]) == (409, "document_not_deliverable")
    assert house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/disclosures")["items"] == []


@pytest.mark.parametrize("content", [signed, active])
def test_signed_and_active_files_are_given_as_inert_copies(house, people, content):
    house.open()
    document = house.document(content())
    assert document["versions"][0]["deliverable"]
    house.accept(people.buyer)
    link = house.link(people.buyer, document["id"]).json
    copy = house.as_(people.buyer).get(link["url"]).data
    for trace in (b"JavaScript", b"Launch", b"EmbeddedFile", b"evil", b"/Sig", b"/URI", b"OpenAction", b"/Annot"):
        assert trace not in copy


@pytest.mark.parametrize("content", [renamed_zip, lambda: b"", lambda: "保密".encode("gbk")])
def test_what_is_no_pdf_is_refused_and_nothing_is_stored(house, people, running, content):
    answer = house.upload(content())
    assert (answer.status_code, answer.json["code"]) == (422, "not_a_pdf")
    assert house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/index")["documents"] == []
    assert not [path for path in running.settings.files_path.rglob("*") if path.is_file()]


def test_too_large_an_upload_is_refused(house, monkeypatch):
    monkeypatch.setattr("due_diligence.documents.MAX_DOCUMENT_BYTES", 500)
    answer = house.upload(text_pdf())
    assert (answer.status_code, answer.json["code"]) == (413, "document_too_large")


def test_a_link_lives_five_minutes(house, people, clock):
    house.open()
    document = house.document()
    house.accept(people.buyer)
    link = house.link(people.buyer, document["id"]).json
    clock.advance(seconds=299)
    assert house.as_(people.buyer).get(link["url"]).status_code == 200
    clock.advance(seconds=1)
    answer = house.as_(people.buyer).get(link["url"])
    assert (answer.status_code, answer.json["code"]) == (404, "link_expired")


def _revoke(house, people):
    seller = house.as_(people.seller)
    grant = seller.ok("GET", f"/rooms/{house.room_id}/grants")["items"][0]
    seller.ok("POST", f"/grants/{grant['id']}/revoke", json={"reason": "leak"})


def _close(house, people):
    house.as_(people.seller).ok("POST", f"/rooms/{house.room_id}/close", json={"reason": "sold"})


def _new_text(house, people):
    text = {"text_zh": "更严格的保密协议。", "text_en": "Stricter."}
    house.as_(people.seller).ok("POST", f"/rooms/{house.room_id}/agreement-versions", json=text)


def _withdraw(house, people):
    index = house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/index")
    house.as_(people.seller).ok("POST", f"/documents/{index['documents'][0]['id']}/withdraw", json={"reason": "wrong"})


def _suspend(house, people):
    organisation = people.buyer.organisation_id
    house.as_(people.admin).ok("POST", f"/organisations/{organisation}/suspend", json={"reason": "x"})


def _licence_ends(house, people):
    path = f"/organisations/{people.buyer.organisation_id}/licences"
    licence = house.as_(people.admin).ok("GET", path)["items"][0]
    house.as_(people.admin).ok("POST", f"/licences/{licence['id']}/revoke", json={"reason": "x"})


@pytest.mark.parametrize(
    ("deed", "status"),
    [(_revoke, 404), (_close, 404), (_new_text, 403), (_withdraw, 404), (_suspend, 401), (_licence_ends, 404)],
)
def test_every_use_of_a_link_is_decided_anew(house, people, deed, status):
    house.open()
    document = house.document()
    house.accept(people.buyer)
    link = house.link(people.buyer, document["id"]).json
    deed(house, people)
    assert house.as_(people.buyer).get(link["url"]).status_code == status
    assert house.link(people.buyer, document["id"]).status_code == status


def test_a_revoked_buyer_stays_out_until_invited_and_promises_anew(house, people, session, clock):
    house.open()
    house.accept(people.buyer)
    in_force = {"package_id": house.package_id, "organisation_id": people.buyer.organisation_id}
    assert service.agreement_in_force(session, **in_force, at=clock.now())
    _revoke(house, people)
    assert not service.agreement_in_force(session, **in_force, at=clock.now())
    buyer, seller = house.as_(people.buyer), house.as_(people.seller)
    assert buyer.get(f"/rooms/{house.room_id}").status_code == 404
    assert buyer.ok("GET", "/rooms")["items"] == []
    body = {"organisation_id": str(people.buyer.organisation_id)}
    seller.ok("POST", f"/rooms/{house.room_id}/grants", 201, json=body)
    assert seller.post(f"/rooms/{house.room_id}/grants", json=body).json["code"] == "granted_already"
    assert buyer.ok("GET", f"/rooms/{house.room_id}/standing")["accepted"] is False
    house.accept(people.buyer)
    assert buyer.ok("GET", f"/rooms/{house.room_id}/standing")["accepted"] is True


def test_an_invited_room_is_unknown_to_others(house, people, make_package, api):
    seller = house.as_(people.seller)
    body = {"package_id": make_package(), "access": "invited"}
    house.room_id = seller.ok("POST", "/rooms", 201, json=body)["id"]
    house.open()
    invitation = {"organisation_id": str(people.other_buyer.organisation_id)}
    seller.ok("POST", f"/rooms/{house.room_id}/grants", 201, json=invitation)
    assert house.as_(people.buyer).get(f"/rooms/{house.room_id}").status_code == 404
    assert [room["id"] for room in house.as_(people.other_buyer).ok("GET", "/rooms")["items"]] == [house.room_id]
    house.accept(people.other_buyer)


def test_documents_are_shown_to_their_audience_only(house, people):
    house.open()
    house.accept(people.buyer)
    made = {kind: house.document(audience=kind, title=kind) for kind in ("buyers", "invited", "internal")}

    def seen(who):
        index = house.as_(who).ok("GET", f"/rooms/{house.room_id}/index")
        return {entry["title"] for entry in index["documents"]}

    assert seen(people.buyer) == {"buyers"}
    assert seen(people.seller) == {"buyers", "invited", "internal"}
    assert house.link(people.buyer, made["invited"]["id"]).status_code == 404
    assert house.as_(people.buyer).get(f"/documents/{made['internal']['id']}").status_code == 404
    invitation = {"organisation_id": str(people.buyer.organisation_id)}
    house.as_(people.seller).ok("POST", f"/rooms/{house.room_id}/grants", 201, json=invitation)
    house.accept(people.buyer)
    assert seen(people.buyer) == {"buyers", "invited"}


def test_the_agreement_is_accepted_once_by_a_person_and_as_it_was_read(house, people, clock):
    house.open()
    first = house.accept(people.buyer)
    assert house.accept(people.buyer)["id"] == first["id"]
    path = f"/rooms/{house.room_id}/agreement/accept"
    stale = house.as_(people.other_buyer).post(path, json={"sha256": "0" * 64})
    assert (stale.status_code, stale.json["code"]) == (409, "agreement_changed")
    assert house.as_(people.buyer_analyst).post(path, json={"sha256": first["sha256"]}).status_code == 403


def test_a_room_opens_only_with_an_agreement_and_a_frozen_package(house, people, make_package):
    seller = house.as_(people.seller)
    answer = seller.post(f"/rooms/{house.room_id}/open")
    assert (answer.status_code, answer.json["code"]) == (409, "agreement_missing")
    again = seller.post("/rooms", json={"package_id": house.package_id, "access": "invited"})
    assert (again.status_code, again.json["code"]) == (409, "room_exists")
    body = {"package_id": make_package(PackageState.DRAFT), "access": "invited"}
    draft = seller.ok("POST", "/rooms", 201, json=body)["id"]
    seller.ok("POST", f"/rooms/{draft}/agreement-versions", json={"text_zh": "协议", "text_en": "Agreement"})
    assert seller.post(f"/rooms/{draft}/open").json["code"] == "package_not_ready"


def test_the_masked_tape_goes_the_same_way(house, people):
    house.open()
    path = f"/rooms/{house.room_id}/tape-links"
    assert house.as_(people.buyer).post(path).json["code"] == "agreement_not_accepted"
    house.accept(people.buyer)
    link = house.as_(people.buyer).ok("POST", path, 201)
    answer = house.as_(people.buyer).get(link["url"])
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    record = house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/disclosures")["items"]
    assert record[0]["kind"] == "masked_tape"
    assert record[0]["copy_sha256"] == link["sha256"]


def test_the_record_is_exported_without_formulas(house, people):
    house.open()
    house.document(title="=HYPERLINK(1)")
    index = house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/index")
    house.accept(people.buyer)
    house.link(people.buyer, index["documents"][0]["id"])
    path = f"/rooms/{house.room_id}/disclosures/export"
    text = house.as_(people.auditor).get(path).data.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 2
    assert rows[1][5] == "'=HYPERLINK(1)"
    book = openpyxl.load_workbook(io.BytesIO(house.as_(people.compliance).get(f"{path}?format=xlsx").data))
    assert book.active is not None
    assert book.active["F2"].value == "=HYPERLINK(1)"
    assert book.active["F2"].data_type == "s"


@pytest.mark.parametrize("table", ["disclosures", "agreement_acceptances", "document_versions", "marked_copies"])
def test_evidence_cannot_be_changed(house, people, session, table):
    with pytest.raises(Exception, match="append-only"):
        session.connection().exec_driver_sql(f"DELETE FROM {table}")


def test_a_copy_whose_bytes_changed_in_the_store_is_not_given(house, people, running):
    house.open()
    document = house.document()
    house.accept(people.buyer)
    link = house.link(people.buyer, document["id"]).json
    path = running.settings.files_path / link["sha256"][:2] / link["sha256"]
    path.write_bytes(path.read_bytes() + b" ")
    answer = house.as_(people.buyer).get(link["url"])
    assert (answer.status_code, answer.json["code"]) == (503, "file_missing")


def test_no_mark_no_delivery(house, people, monkeypatch):
    house.open()
    document = house.document(text_pdf(text="unmarked"))
    house.accept(people.buyer)
    monkeypatch.setattr(verify, "answer", lambda *_: {"pages": 0, "fault": "mark"})
    answer = house.link(people.buyer, document["id"])
    assert (answer.status_code, answer.json["code"]) == (409, "not_marked")
    assert house.as_(people.seller).ok("GET", f"/rooms/{house.room_id}/disclosures")["items"] == []
