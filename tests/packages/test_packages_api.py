import csv
import hashlib
import io
import uuid
from decimal import Decimal

import pytest
from python_calamine import CalamineWorkbook

from demo import tape as demo_tape


@pytest.fixture
def frozen(deliver, package, freeze):
    deliver(demo_tape.make_tape(300))
    return freeze(package())


def _read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_frozen_package_says_what_its_tape_adds_up_to(api, people, frozen):
    rows = _read(demo_tape.make_tape(300))
    principal = sum(Decimal(row["未偿本金"]) for row in rows)
    interest = sum(Decimal(row["未偿利息"]) for row in rows)
    header = frozen["header"]
    assert frozen["state"] == "frozen"
    assert (header["principal"], header["interest"]) == (str(principal), str(interest))
    assert header["principal_and_interest"] == str(principal + interest)
    assert header["loans"] == 300
    assert header["borrowers"] == len({row["证件号码"] for row in rows})
    for counts in ("grades", "written_off", "securities", "litigations"):
        assert sum(header[counts].values()) == 300
    assert header["weighted_age"] is not None
    cases = api.as_(people.seller).ok("GET", "/cases?state=bundled&limit=200")["items"]
    assert len(cases) == 200


def test_the_strata_of_each_dimension_add_up(api, people, frozen):
    strata = api.as_(people.seller).ok("GET", f"/packages/{frozen['id']}/strata")["items"]
    for dimension in ("security", "days_past_due", "litigation", "size", "province"):
        cells = [cell for cell in strata if cell["dimension"] == dimension]
        assert sum(cell["loans"] for cell in cells) == 300
        assert str(sum(Decimal(cell["principal"]["amount"]) for cell in cells)) == frozen["header"]["principal"]


def test_the_tape_has_the_hash_of_its_version_and_no_identity(api, people, frozen):
    client = api.as_(people.seller)
    content = client.get(f"/packages/{frozen['id']}/tape.csv").data
    version = client.ok("GET", f"/packages/{frozen['id']}/tape-versions")["items"][0]
    assert version["sha256"] == hashlib.sha256(content).hexdigest()
    assert (version["number"], version["rows"], version["size"]) == (1, 300, len(content))
    source = _read(demo_tape.make_tape(300))
    text = content.decode()
    assert not any(row["证件号码"] in text or row["手机号"] in text for row in source)
    book = client.get(f"/packages/{frozen['id']}/tape.xlsx").data
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    assert len(rows) == 301
    assert rows[1][4] == _read(content)[0]["principal"]


def test_outsiders_get_a_masked_tape(session, frozen):
    from marketplace.packages import service

    content = service.masked_tape(session, uuid.UUID(frozen["id"]))
    rows, source = _read(content), _read(demo_tape.make_tape(300))
    assert len(rows) == 300
    assert all(row["borrower"][1:] == "*" and len(row["borrower"]) == 2 for row in rows)
    text = content.decode()
    for row in source:
        for private in (row["合同编号"], row["证件号码"], row["手机号"], row["未偿本金"]):
            assert private not in text


def test_nobody_else_sees_a_package(api, people, frozen):
    for who in (people.other_seller,):
        for path in ("", "/strata", "/tape.csv", "/tape.xlsx", "/tape-versions"):
            assert api.as_(who).get(f"/packages/{frozen['id']}{path}").status_code == 404
        assert api.as_(who).post(f"/packages/{frozen['id']}/cancel", json={"reason": "x"}).status_code == 404
    assert api.as_(people.buyer).get(f"/packages/{frozen['id']}").status_code == 403
    assert api.as_(people.auditor).get(f"/packages/{frozen['id']}").status_code == 200
    assert api.as_(people.auditor).post(f"/packages/{frozen['id']}/cancel", json={"reason": "x"}).status_code == 403


def test_a_cancelled_package_lets_its_cases_go(api, people, frozen, package, freeze):
    client = api.as_(people.seller)
    assert client.ok("POST", f"/packages/{frozen['id']}/cancel", json={"reason": "重新分包"})["state"] == "cancelled"
    assert client.ok("GET", "/cases?state=bundled")["items"] == []
    again = freeze(package())
    assert again["header"]["loans"] == 300
    assert again["header"] == frozen["header"]
    refused = client.post(f"/packages/{frozen['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "illegal_move")


def test_a_filter_takes_only_what_fits(api, people, deliver, package, freeze):
    deliver(demo_tape.make_tape(300))
    mortgaged = freeze(package(securities=["mortgaged"]))
    assert set(mortgaged["header"]["securities"]) == {"mortgaged"}
    small = freeze(
        package(
            amount_max={"amount": "20000.00", "currency": "CNY"},
            days_past_due_min=361,
            provinces=["广东"],
            products=["信用卡"],
        )
    )
    rows = _read(api.as_(people.seller).get(f"/packages/{small['id']}/tape.csv").data)
    assert rows
    for row in rows:
        assert Decimal(row["principal"]) + Decimal(row["interest"]) <= 20_000
        assert int(row["days_past_due"]) >= 361
        assert (row["province"], row["product"]) == ("广东", "信用卡")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a", "filter": {"amount_min": {"amount": "1.00", "currency": "USD"}}}, "/filter/amount_min"),
        ({"name": "a", "filter": {"amount_min": {"amount": "-1", "currency": "CNY"}}}, "/filter/amount_min"),
        ({"name": "a", "filter": {"amount_min": {"amount": "NaN", "currency": "CNY"}}}, "/filter/amount_min"),
        ({"name": "a", "filter": {"days_past_due_min": 1.5}}, "/filter/days_past_due_min"),
        ({"name": "a", "filter": {"securities": ["gold"]}}, "/filter/securities/0"),
        ({"name": "a", "filter": {"colour": "red"}}, "/filter/colour"),
        ({"name": "a", "currency": "XXX"}, "/currency"),
    ],
)
def test_bad_packages_are_refused_by_name(api, people, body, pointer):
    answer = api.as_(people.seller).post("/packages", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_contradicting_bounds_are_refused(api, people):
    body = {"name": "a", "filter": {"days_past_due_min": 10, "days_past_due_max": 9}}
    answer = api.as_(people.seller).post("/packages", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "criteria_contradict")


def test_a_freeze_needs_cases_and_a_day_that_fits(deliver, package, freeze):
    empty = package()
    assert freeze(empty, status=409)["code"] == "nothing_to_freeze"
    deliver(demo_tape.make_tape(5))
    assert freeze(empty, status=422, cut_off_on="2027-01-01")["code"] == "cut_off_of_the_future"
    assert freeze(empty, status=409, cut_off_on="2026-01-30")["code"] == "balances_after_cut_off"
    assert freeze(empty)["header"]["loans"] == 5


def test_listing_and_selling_move_the_cases(session, people, frozen, clock, api):
    from marketplace.errors import Conflict
    from marketplace.packages import service

    package_id, at = uuid.UUID(frozen["id"]), clock.now()
    with pytest.raises(Conflict):
        service.sell_package(session, package_id, actor=people.admin.actor, at=at)
    service.list_package(session, package_id, actor=people.seller.actor, at=at)
    service.unlist_package(session, package_id, actor=people.seller.actor, at=at)
    service.list_package(session, package_id, actor=people.seller.actor, at=at)
    service.sell_package(session, package_id, actor=people.admin.actor, at=at)
    session.commit()
    client = api.as_(people.seller)
    assert client.ok("GET", f"/packages/{package_id}")["state"] == "sold"
    assert client.ok("GET", "/cases?state=bundled")["items"] == []
    assert len(client.ok("GET", "/cases?state=sold&limit=200")["items"]) == 200
    assert client.post(f"/packages/{package_id}/cancel", json={"reason": "x"}).status_code == 409


def test_the_header_reads_back_as_money(session, frozen):
    from marketplace.packages import service

    package = service.require_package(session, uuid.UUID(frozen["id"]))
    header = service.header(package)
    assert header.document() == frozen["header"]
    assert header.principal + header.interest == header.principal_and_interest


def test_frozen_figures_cannot_be_changed(session, frozen):
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    for statement in (
        "UPDATE package_cases SET principal_minor = 1",
        "DELETE FROM package_cases",
        "UPDATE tape_versions SET sha256 = ''",
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            session.execute(text(statement))
        session.rollback()
