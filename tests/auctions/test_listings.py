"""Drafting, readiness, publishing, the catalogue, withdrawing."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions.domain import terms as domain
from auctions.domain.canonical import fingerprint
from marketplace.clock import format_instant
from marketplace.packages.domain.package import PackageState
from tests.auctions.conftest import ENDS, OPENS, cny, terms


def readiness(stage, listing):
    answer = stage.api.as_(stage.people.seller).ok("GET", f"/listings/{listing['id']}/readiness")
    return answer["ready"], {gap["code"] for gap in answer["missing"]}


def test_an_empty_draft_names_everything_at_once(stage):
    stage.room, stage.appraised = None, False
    seller = stage.api.as_(stage.people.seller)
    package = stage.package(state=PackageState.DRAFT, header={})
    draft = seller.ok("POST", "/listings", 201, json={"package_id": str(package)})
    everything = {
        "package_not_frozen", "header_incomplete", "appraisal_missing", "room_not_open", "title_missing",
        "start_price_missing", "increment_missing", "deposit_missing", "registration_closes_at_missing",
        "opens_at_missing", "ends_at_missing",
    }  # fmt: skip
    assert readiness(stage, draft) == (False, everything)
    refused = seller.post(f"/listings/{draft['id']}/publish")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "listing_not_ready")
    assert {error["code"] for error in refused.get_json()["errors"]} == everything


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"opens_at": "2026-03-01T00:00:00Z", "registration_closes_at": "2026-03-01T00:00:00Z"}, "opens_in_past"),
        ({"registration_closes_at": "2026-03-01T00:00:00Z"}, "registration_closes_in_past"),
        ({"registration_closes_at": format_instant(OPENS + timedelta(seconds=1))}, "registration_closes_after_opening"),
        ({"ends_at": format_instant(OPENS)}, "ends_before_opening"),
        ({"hard_end_at": format_instant(ENDS - timedelta(seconds=1))}, "hard_end_before_end"),
    ],
)
def test_times_are_in_order_and_in_the_future(stage, more, code):
    assert code in readiness(stage, stage.draft(**more))[1]


def test_editing_needs_the_version_and_ends_with_publishing(stage):
    seller, draft = stage.api.as_(stage.people.seller), stage.draft()
    path = f"/listings/{draft['id']}"
    shown = seller.get(path)
    edited = seller.patch(path, json={"title_en": None}, headers={"If-Match": shown.headers["ETag"]})
    assert (edited.status_code, edited.get_json()["title_en"], edited.get_json()["version"]) == (200, None, 2)
    stale = seller.patch(path, json={"title_en": "x"}, headers={"If-Match": shown.headers["ETag"]})
    assert (stale.status_code, stale.get_json()["code"]) == (412, "version_conflict")
    usd = seller.patch(
        path, json={"deposit": {"amount": "1.00", "currency": "USD"}}, headers={"If-Match": edited.headers["ETag"]}
    )
    assert (usd.status_code, usd.get_json()["code"]) == (422, "currency_mismatch")
    wrong = seller.patch(
        path, json={"increment": {"kind": "fixed", "amount": "0"}}, headers={"If-Match": edited.headers["ETag"]}
    )
    assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/increment/amount")
    published = seller.post(f"{path}/publish")
    fixed = seller.patch(path, json={"title_en": "x"}, headers={"If-Match": published.headers["ETag"]})
    assert (fixed.status_code, fixed.get_json()["code"]) == (409, "terms_fixed")


def test_who_sees_a_draft_and_who_the_reserve(stage):
    draft, people = stage.draft(), stage.people
    path = f"/listings/{draft['id']}"
    assert draft["reserve_price"] == cny("120000.00")
    for who in (people.buyer, people.other_seller, people.valuer):
        assert stage.api.as_(who).get(path).status_code == 404
        assert stage.api.as_(who).ok("GET", "/listings")["items"] == []
    assert stage.api.get(path).status_code == 401
    stage.api.as_(people.seller).ok("POST", f"{path}/publish")
    for who in (people.buyer, people.other_seller, people.admin, people.valuer):
        shown = stage.api.as_(who).get(path)
        assert "reserve_price" not in shown.get_json()
        assert "120000" not in shown.text
    for who in (people.seller, people.auditor):
        assert stage.api.as_(who).ok("GET", path)["reserve_price"] == cny("120000.00")


def test_publishing_lists_the_package_and_freezes_the_rules(stage):
    listing = stage.publish()
    assert listing["state"] == "published"
    assert listing["header"]["loans"] == 10
    auction = stage.auction(listing)
    assert auction["rules_hash"] == fingerprint(auction["rules"]) == listing["rules_hash"]
    assert "reserve_price" not in auction["rules"]
    assert (auction["state"], auction["price"], auction["minimum_next"]) == ("scheduled", None, cny("100000.00"))
    with stage.sessions() as session:
        state, salt = session.execute(
            text("SELECT p.state, a.reserve_salt FROM packages p JOIN auctions a ON a.package_id = p.id")
        ).one()
        names = set(session.execute(text("SELECT name FROM outbox_events")).scalars())
    assert state == "listed"
    assert domain.commitment(salt=salt, reserve_minor=12_000_000, currency="CNY") == auction["reserve_commitment"]
    assert "listing.published" in names


def test_one_published_listing_for_each_package(stage):
    seller = stage.api.as_(stage.people.seller)
    first = stage.draft()
    second = seller.ok("POST", "/listings", 201, json=terms(package_id=first["package_id"]))
    seller.ok("POST", f"/listings/{first['id']}/publish")
    refused = seller.post(f"/listings/{second['id']}/publish")
    assert refused.status_code == 409
    codes = {error["code"] for error in refused.get_json()["errors"]}
    assert codes == {"package_not_frozen", "package_already_listed"}


def test_the_catalogue_is_searched_in_chinese_and_english(stage):
    listing, buyer = stage.publish(), stage.api.as_(stage.people.buyer)
    for query in ("消费贷款", "donghai", "资产包一"):
        found = buyer.ok("GET", f"/listings?q={query}")["items"]
        assert [item["id"] for item in found] == [listing["id"]], query
        assert found[0]["auction_id"] == listing["auction_id"]
        assert "reserve_price" not in found[0]
    assert buyer.ok("GET", "/listings?q=船舶")["items"] == []
    assert [item["id"] for item in buyer.ok("GET", "/listings")["items"]] == [listing["id"]]


def test_only_the_own_package_and_only_by_its_seller(stage):
    package = str(stage.package())
    assert stage.api.as_(stage.people.other_seller).post("/listings", json={"package_id": package}).status_code == 404
    assert stage.api.as_(stage.people.buyer).post("/listings", json={"package_id": package}).status_code == 403
    draft = stage.draft()
    assert stage.api.as_(stage.people.other_seller).post(f"/listings/{draft['id']}/publish").status_code == 404


def test_withdrawing(stage, work):
    people, listing = stage.people, stage.publish()
    path = f"/listings/{listing['id']}/withdraw"
    withdrawn = stage.api.as_(people.seller).ok("POST", path, json={"reason": "改期"})
    assert withdrawn["state"] == "withdrawn"
    assert stage.auction(listing)["state"] == "withdrawn"
    assert stage.api.as_(people.buyer).ok("GET", "/listings?q=消费贷款")["items"] == []
    again = stage.api.as_(people.seller).post(path, json={"reason": "改期"})
    assert (again.status_code, again.get_json()["code"]) == (409, "illegal_move")
    with stage.sessions() as session:
        state, events = session.execute(
            text("SELECT state, (SELECT count(*) FROM outbox_events WHERE name = 'auction.failed') FROM packages")
        ).one()
    assert (state, events) == ("frozen", 1)


def test_once_open_only_the_operator_withdraws_and_once_over_nobody(stage):
    listing = stage.live()
    path, body = f"/listings/{listing['id']}/withdraw", {"reason": "court order"}
    refused = stage.api.as_(stage.people.seller).post(path, json=body)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "bidding_under_way")
    stage.at(ENDS)
    over = stage.api.as_(stage.people.admin).post(path, json=body)
    assert (over.status_code, over.get_json()["code"]) == (409, "auction_over")
    stage.at(ENDS - timedelta(milliseconds=1))
    assert stage.api.as_(stage.people.admin).ok("POST", path, json=body)["state"] == "withdrawn"
