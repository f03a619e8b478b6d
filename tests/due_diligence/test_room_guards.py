"""The forgotten guard: every route of due diligence, asked by every outsider, is refused and changes nothing."""

import io
import itertools

import pytest
from flask import Flask

from tests.due_diligence.papers import text_pdf

pytestmark = pytest.mark.usefixtures("quick_children")

JSON = {
    "POST /rooms": {"access": "invited"},
    "POST /rooms/{room}/close": {"reason": "x"},
    "POST /rooms/{room}/agreement-versions": {"text_zh": "一", "text_en": "a"},
    "POST /rooms/{room}/agreement/accept": {"sha256": "0" * 64},
    "POST /rooms/{room}/folders": {"name": "x"},
    "POST /rooms/{room}/grants": {},
    "POST /grants/{grant}/revoke": {"reason": "x"},
    "POST /documents/{document}/withdraw": {"reason": "x"},
}
PLAIN = {
    "POST /rooms/{room}/open",
    "POST /rooms/{room}/reopen",
    "POST /rooms/{room}/documents",
    "POST /documents/{document}/versions",
    "POST /documents/{document}/links",
    "POST /rooms/{room}/tape-links",
    "GET /rooms",
    "GET /rooms/{room}",
    "GET /rooms/{room}/agreement",
    "GET /rooms/{room}/standing",
    "GET /rooms/{room}/grants",
    "GET /rooms/{room}/index",
    "GET /rooms/{room}/disclosures",
    "GET /rooms/{room}/disclosures/export",
    "GET /documents/{document}",
    "GET /links/{token}",
}
ROUTES = sorted({*JSON, *PLAIN})
OUTSIDERS = ["nobody", "other_seller", "valuer", "other_buyer", "revoked", "third_buyer"]
SELLERS_OWN = {
    "POST /rooms", "POST /rooms/{room}/close", "POST /rooms/{room}/agreement-versions", "POST /rooms/{room}/folders",
    "POST /rooms/{room}/grants", "POST /grants/{grant}/revoke", "POST /documents/{document}/withdraw",
    "POST /rooms/{room}/open", "POST /rooms/{room}/reopen", "POST /rooms/{room}/documents",
    "POST /documents/{document}/versions", "GET /rooms/{room}/grants", "GET /rooms/{room}/disclosures",
    "GET /rooms/{room}/disclosures/export",
}  # fmt: skip
READERS = {"admin", "auditor"}


@pytest.fixture
def private(house, people, make_package):
    """A room by invitation with a document; `buyer` is invited and has a link, `revoked` (other_buyer) was invited."""
    seller = house.as_(people.seller)
    body = {"package_id": make_package(), "access": "invited"}
    house.room_id = seller.ok("POST", "/rooms", 201, json=body)["id"]
    house.open()
    document = house.document()
    grants = {}
    for who in (people.buyer, people.other_buyer):
        invitation = {"organisation_id": str(who.organisation_id)}
        grants[who.login] = seller.ok("POST", f"/rooms/{house.room_id}/grants", 201, json=invitation)["id"]
        house.accept(who)
    token = house.link(people.buyer, document["id"]).json["token"]
    seller.ok("POST", f"/grants/{grants['other-buyer']}/revoke", json={"reason": "x"})
    return {"room": house.room_id, "document": document["id"], "grant": grants["buyer"], "token": token}


def _ask(house, who, route, ids):
    method, path = route.split(" ")
    body = JSON.get(route)
    more = {}
    if route in {"POST /rooms/{room}/documents", "POST /documents/{document}/versions"}:
        data = {"file": (io.BytesIO(text_pdf()), "a.pdf")}
        more["data"] = data | ({"title": "x"} if "room" in path else {})
    elif body is not None:
        extra = {"package_id": house.package_id} if route == "POST /rooms" else {}
        if path.endswith("/grants"):
            extra = {"organisation_id": str(house.people.third_buyer.organisation_id)}
        more["json"] = body | extra
    return house.as_(who).request(method, path.format(**ids), **more)


def _snapshot(session):
    session.rollback()
    tables = ("rooms", "folders", "documents", "document_versions", "grants", "agreement_versions",
              "agreement_acceptances", "marked_copies", "download_links", "disclosures", "audit_records")  # fmt: skip
    rows = [session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables]
    states = session.connection().exec_driver_sql("SELECT string_agg(state, ',' ORDER BY id) FROM rooms").scalar()
    return rows, states


def test_no_route_tells_an_outsider_anything(house, people, private, session):
    before = _snapshot(session)
    told = []
    for route, outsider in itertools.product(ROUTES, OUTSIDERS):
        who = None if outsider == "nobody" else getattr(people, {"revoked": "other_buyer"}.get(outsider, outsider))
        answer = _ask(house, who, route, private)
        if route == "GET /rooms" and who is not None and answer.status_code == 200:
            assert private["room"] not in answer.text, outsider
            continue
        expected = {401} if who is None else {403, 404}
        if answer.status_code not in expected:
            told.append((route, outsider, answer.status_code, answer.text[:80]))
    assert told == []
    assert _snapshot(session) == before


def test_a_buyer_inside_does_none_of_the_sellers_deeds(house, people, private, session):
    before = _snapshot(session)
    for route in sorted(SELLERS_OWN):
        assert _ask(house, people.buyer, route, private).status_code in {403, 404}, route
    assert _snapshot(session) == before


def test_those_who_only_read_change_nothing_and_open_no_links(house, people, private, session):
    before = _snapshot(session)
    for route, name in itertools.product(ROUTES, sorted(READERS)):
        answer = _ask(house, getattr(people, name), route, private)
        own = route in {"GET /rooms/{room}/standing", "GET /links/{token}"}
        expected = {200} if route.startswith("GET") and not own else {403, 404}
        assert answer.status_code in expected, (route, name, answer.text)
    assert _snapshot(session) == before


def test_the_matrix_knows_every_route(app: Flask):
    known = {
        f"{method} {rule.rule.removeprefix('/api/v1')}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("due_diligence.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    shape = {"<uuid:room_id>": "{room}", "<uuid:document_id>": "{document}", "<uuid:grant_id>": "{grant}",
             "<string(maxlength=64):token>": "{token}"}  # fmt: skip
    for old, new in shape.items():
        known = {route.replace(old, new) for route in known}
    assert known == set(ROUTES)


@pytest.mark.parametrize("who", ["buyer_analyst", "other_buyer", "third_buyer", "seller"])
def test_a_link_is_of_one_organisation(house, people, private, who):
    answer = house.as_(getattr(people, who)).get(f"/links/{private['token']}")
    assert answer.status_code == (200 if who == "buyer_analyst" else 403 if who == "seller" else 404)


def test_before_the_room_opens_no_buyer_knows_of_it(house, people):
    assert house.as_(people.buyer).ok("GET", "/rooms")["items"] == []
    for path in ("", "/index", "/agreement", "/standing"):
        assert house.as_(people.buyer).get(f"/rooms/{house.room_id}{path}").status_code == 404
