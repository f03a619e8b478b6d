"""Rectification of a published listing, re-listing by plan, and calendars, over the API."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions import relisting
from marketplace.clock import format_instant
from tests.auctions.conftest import ENDS, OPENS, cny, terms

DAY = timedelta(days=1)
WEEK_LATER = OPENS + 7 * DAY
LONG = {
    "registration_closes_at": format_instant(WEEK_LATER), "opens_at": format_instant(WEEK_LATER),
    "ends_at": format_instant(WEEK_LATER + timedelta(hours=1)),
}  # fmt: skip
PLAN = {
    "publish": True, "notice_days": 1,
    "attempts": [
        {"format": "english", "start": "0.5"},
        {"format": "hybrid_dutch", "start": "0.5", "terms": {
            "steps": {"count": 81, "seconds": 300, "drop_rate": "0.01"}, "sealed_seconds": 600,
            "best_bid_seconds": 300, "pause_seconds": 20,
        }},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def for_weeks(stage):
    """Sessions end after a day; the stories here take weeks."""
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE user_sessions SET expires_at = expires_at + interval '400 days'"))


def patch(stage, listing, who=None, **body):
    shown = stage.api.as_(stage.people.seller).get(f"/listings/{listing['id']}")
    return stage.api.as_(who or stage.people.seller).patch(
        f"/listings/{listing['id']}", json=body, headers={"If-Match": shown.headers["ETag"]}
    )


def fixed(answer):
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (409, "terms_fixed"), problem
    return problem


def names(stage, name):
    with stage.sessions() as session:
        query = text("SELECT payload FROM outbox_events WHERE name = :name ORDER BY id")
        return list(session.execute(query, {"name": name}).scalars())


def test_dgf_may_be_rectified_in_its_first_two_working_days(stage):
    listing = stage.publish(preset="dgf", **LONG)  # published on Monday, 2 March, 11:00 in Kyiv
    assert listing["rectifiable_until"] == "2026-03-04T22:00:00.000Z"
    before = stage.auction(listing)
    answer = patch(stage, listing, start_price=cny("90000.00"), title_en="Corrected")
    assert (answer.status_code, answer.get_json()["start_price"]) == (200, cny("90000.00"))
    after = stage.auction(listing)
    assert after["rules"]["start_price"] == "90000.00"
    assert after["rules_hash"] != before["rules_hash"]
    assert after["reserve_commitment"] != before["reserve_commitment"]
    versions = stage.api.as_(stage.people.buyer).ok("GET", f"/listings/{listing['id']}/announcements")["items"]
    assert [row["document"]["version"] for row in versions] == [2, 1]
    assert [row["document"]["rules_hash"] for row in versions] == [after["rules_hash"], before["rules_hash"]]
    assert [row["listing_id"] for row in names(stage, "listing.rectified")] == [listing["id"]]
    # not the deposit, and nothing that would leave it unfit
    assert "start_price" in fixed(patch(stage, listing, deposit=cny("1.00")))["allowed"]
    unfit = patch(stage, listing, title_zh=None).get_json()
    assert (unfit["code"], unfit["errors"][0]["code"]) == ("listing_not_ready", "title_missing")
    stage.at(OPENS.replace(day=4, hour=21, minute=59))
    assert patch(stage, listing, title_en="In time").status_code == 200
    stage.at(OPENS.replace(day=4, hour=22))
    over = fixed(patch(stage, listing, title_en="Late"))
    assert (over["allowed"], over["until"]) == (["withdraw"], "2026-03-04T22:00:00.000Z")


def test_a_market_without_rectification_and_one_that_is_relied_on(stage):
    plain = stage.publish(**LONG)
    assert plain["rectifiable_until"] is None
    assert fixed(patch(stage, plain, title_en="x"))["allowed"] == ["withdraw"]
    dgf = stage.publish(preset="dgf", **LONG)
    buyer = stage.api.as_(stage.people.buyer)
    registration = buyer.ok("POST", f"/listings/{dgf['id']}/registrations", 201, json={"undertakes_no_resale": False})
    assert patch(stage, dgf, title_en="Nobody has paid yet").status_code == 200
    stage.cover(registration["id"])
    assert "deposit is held" in fixed(patch(stage, dgf, title_en="x"))["detail"]


def failed(stage, listing, tick):
    stage.at(stage.clock.at)
    listed = stage.api.as_(stage.people.seller).ok("GET", f"/listings/{listing['id']}")
    ends = stage.auction(listed)["ends_at"]
    stage.at(OPENS.fromisoformat(ends))
    tick()
    return stage.api.as_(stage.people.seller).ok("GET", "/listings")["items"]


def test_a_failed_attempt_is_followed_by_the_next_of_its_plan(stage, tick):
    first = stage.publish(relisting_plan=PLAN)
    second, _ = failed(stage, first, tick)
    assert (second["state"], second["attempt"], second["previous_listing_id"]) == ("published", 2, first["id"])
    assert (second["start_price"], second["deposit"]) == (cny("50000.00"), cny("10000.00"))
    assert second["increment"] == {"kind": "fixed", "amount": "2500.00"}
    assert second["opens_at"] == format_instant(OPENS + 2 * DAY)
    third, *_ = failed(stage, second, tick)
    assert (third["format"], third["attempt"], third["state"]) == ("hybrid_dutch", 3, "published")
    assert third["start_price"] == cny("50000.00")
    assert third["format_terms"]["steps"]["drop"] == "500.00"
    assert len(failed(stage, third, tick)) == 3  # the plan is at its end
    with stage.sessions.begin() as session:  # a message that is delivered twice makes nothing twice
        ids = {name: uuid.UUID(first[key]) for name, key in (("listing_id", "id"), ("package_id", "package_id"))}
        assert relisting.make_next_attempt(session, **ids, at=stage.clock.at) is None
    planned = names(stage, "listing.planned")
    assert [row["previous_listing_id"] for row in planned] == [first["id"], second["id"]]
    by_hand = stage.api.as_(stage.people.seller).ok("POST", "/listings", 201, json={"package_id": first["package_id"]})
    assert (by_hand["attempt"], by_hand["previous_listing_id"], by_hand["plan_step"]) == (4, third["id"], 0)


def test_a_planned_draft_waits_for_its_seller_who_may_not_leave_the_plan(stage, tick):
    first = stage.publish(relisting_plan=PLAN | {"publish": False})
    draft, _ = failed(stage, first, tick)
    assert draft["state"] == "draft"
    refused = patch(stage, draft, start_price=cny("1.00"), title_en="x")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "plan_fixed")
    assert patch(stage, draft, title_en="Second sale").status_code == 200
    published = stage.api.as_(stage.people.seller).ok("POST", f"/listings/{draft['id']}/publish")
    assert published["relisting_plan"]["publish"] is False


def test_a_withdrawn_listing_is_not_followed_by_its_plan(stage, work):
    listing = stage.publish(relisting_plan=PLAN)
    stage.api.as_(stage.people.seller).ok("POST", f"/listings/{listing['id']}/withdraw", json={"reason": "改期"})
    work()
    assert len(stage.api.as_(stage.people.seller).ok("GET", "/listings")["items"]) == 1


def test_the_second_judicial_sale_is_held_to_the_first(stage, tick):
    first = stage.publish(reserve_price=None)
    failed(stage, first, tick)
    again = terms(preset="judicial_cn", start_price=cny("79999.99"), deposit=cny("8000.00"), reserve_price=None)
    body = {"package_id": first["package_id"]} | again
    draft = stage.api.as_(stage.people.seller).ok("POST", "/listings", 201, json=body)
    gaps = stage.api.as_(stage.people.seller).ok("GET", f"/listings/{draft['id']}/readiness")["missing"]
    floor = next(gap for gap in gaps if gap["code"] == "start_below_share_of_first_sale")
    assert floor["source"]["article"] == "26"
    assert "80000.00 CNY" in floor["detail"]


def test_auctions_are_a_calendar_for_the_signed_in_and_by_secret_link(stage):
    listing, people, api = stage.publish(title_zh="资产包；甲,乙" + "长" * 60), stage.people, stage.api
    assert api.get("/auctions.ics").status_code == 401
    assert api.get("/auctions.ics?token=cal_nonsense").status_code == 401
    shown = api.as_(people.buyer).get("/auctions.ics")
    assert (shown.status_code, shown.mimetype) == (200, "text/calendar")
    unfolded = shown.data.replace(b"\r\n ", b"").decode()
    assert f"UID:{listing['id']}-bidding@auctions\r\n" in unfolded
    assert "DTSTART:20260302T120000Z\r\nDTEND:20260302T130000Z\r\n" in unfolded
    assert "资产包；甲\\,乙长" in unfolded
    assert all(len(line) <= 75 for line in shown.data.split(b"\r\n"))
    one = api.as_(people.buyer).get(f"/listings/{listing['id']}/calendar.ics")
    assert one.data.count(b"BEGIN:VEVENT") == 2
    issued = api.as_(people.buyer).ok("POST", "/calendar-feeds", 201, json={"name": "手机"})
    linked = api.get(issued["path"])
    assert linked.data == shown.data
    assert "100000" not in linked.text
    # the token is no credential of the API, and of its owner's alone to revoke
    token = issued["path"].partition("token=")[2]
    assert api.as_(token).get("/listings").status_code == 401
    revoke = f"/calendar-feeds/{issued['feed']['id']}/revoke"
    assert api.as_(people.other_buyer).post(revoke).status_code == 404
    assert api.as_(people.buyer).post(revoke).status_code == 204
    assert api.get(issued["path"]).status_code == 401
    assert api.as_(people.buyer).ok("GET", "/calendar-feeds")["items"] == []


def test_a_link_ends_with_its_year_and_with_its_user(stage):
    api, people = stage.api, stage.people
    paths = [api.as_(people.buyer).ok("POST", "/calendar-feeds", 201, json={"name": str(n)})["path"] for n in range(2)]
    assert [api.get(path).status_code for path in paths] == [200, 200]
    stage.at(stage.clock.at + 365 * DAY)
    assert api.get(paths[0]).status_code == 401
    stage.at(ENDS)
    assert api.get(paths[0]).status_code == 200
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE users SET state = 'disabled' WHERE login = :login"), {"login": "buyer"})
    assert api.get(paths[1]).status_code == 401
