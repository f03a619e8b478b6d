"""Listings over the API: every format, what it needs, what it refuses, presets and their checks, times, visibility."""

import types
from datetime import timedelta

import pytest

from auctions.domain import terms as domain
from auctions.domain.canonical import fingerprint
from marketplace.clock import format_instant
from tests.auctions.conftest import ENDS, OPENS, cny, terms

STEPS = {"count": 5, "seconds": 60, "drop": "10000.00", "pause_seconds": 30}
FIXED = {"kind": "fixed", "amount": "5000.00"}
COMMON = ("title_zh", "deposit", "registration_closes_at", "opens_at")
FORMATS = {
    "english": {"grid": True, "minimum_raises": 1, "awards": 3, "soft_close_base": "end", "hard_end_at": ENDS},
    "proxy": {"reserve_price": cny("120000.00")},
    "two_phase": {"cycle_seconds": 180, "reserve_price": None},
    "sealed_first_price": {"increment": None, "reserve_price": cny("100000.01")},
    "sealed_second_price": {"increment": None, "awards": 2},
    "dutch": {"increment": None, "ends_at": None, "reserve_price": None, "steps": STEPS},
    "hybrid_dutch": {
        "increment": None, "ends_at": None, "reserve_price": None, "steps": STEPS, "sealed_seconds": 600,
        "best_bid_seconds": 300, "pause_seconds": 20,
    },
    "gong": {
        "ends_at": None, "reserve_price": None, "pause_seconds": 20, "round_seconds": 180,
        "stop_at": OPENS + timedelta(hours=8),
    },
    "package": {
        "start_price": None, "increment": None, "reserve_price": None, "unsold_lots_count": "at_reserve",
        "lots": [{"lot": "一", "reserve": "100"}, {"lot": "二", "reserve": "50.5"}], "exclusive_bids_per_bidder": True,
    },
}  # fmt: skip


def given(name):
    values = terms(format=name) | FORMATS[name]
    plain = {key: format_instant(value) if hasattr(value, "tzinfo") else value for key, value in values.items()}
    return {key: value for key, value in plain.items() if value is not None}


def draft(stage, status=201, **body):
    body = {"package_id": str(stage.package())} | body
    answer = stage.api.as_(stage.people.seller).post("/listings", json=body)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def missing(stage, listing):
    return stage.api.as_(stage.people.seller).ok("GET", f"/listings/{listing['id']}/readiness")["missing"]


def publish(stage, listing):
    return stage.api.as_(stage.people.seller).ok("POST", f"/listings/{listing['id']}/publish")


def registered(stage, listing, who):
    path = f"/listings/{listing['id']}/registrations"
    return stage.api.as_(who).ok("POST", path, 201, json={"undertakes_no_resale": True})


def test_a_listing_is_published_in_every_format(stage):
    for name in FORMATS:
        published_in(stage, name)


def published_in(stage, name):
    listing = draft(stage, **given(name))
    if name == "package":
        assert [gap["code"] for gap in missing(stage, listing)] == ["lots_without_cases"]
        stage.cut(listing)
    assert missing(stage, listing) == []
    published = publish(stage, listing)
    auction = stage.auction(published)
    rules = auction["rules"]
    assert rules["format"] == published["format"] == name
    assert auction["rules_hash"] == published["rules_hash"] == fingerprint(rules)
    assert "reserve_price" not in rules
    end = format_instant(domain.scheduled_end(rules))
    assert auction["ends_at"] == end
    if "ends_at" not in rules:
        assert published["ends_at"] == end
    for key in set(FORMATS[name]) & set(rules) - {"hard_end_at", "stop_at", "ends_at", "lots"}:
        assert rules[key] == FORMATS[name][key]
    if name == "package":
        assert rules["lots"] == [{"lot": "一", "reserve": "100.00"}, {"lot": "二", "reserve": "50.50"}]


def test_readiness_names_each_key_that_a_format_needs(stage):
    for name in FORMATS:
        lacking_in(stage, name)


def lacking_in(stage, name):
    body = {key: value for key, value in given(name).items() if key in COMMON}
    listing = draft(stage, format=name, **body)
    codes = {gap["code"] for gap in missing(stage, listing)}
    optional = {"awards", "grid", "minimum_raises", "soft_close_base", "hard_end_at", "exclusive_bids_per_bidder"}
    optional |= {"reserve_price"} | ({"increment"} if name.startswith("sealed") else set())
    needed = set(given(name)) - set(COMMON) - optional - {"format", "title_en", "description"}
    assert codes == {f"{key}_missing" for key in needed}


FOREIGN = [
    ("english", "cycle_seconds", 180), ("english", "steps", STEPS), ("proxy", "grid", True),
    ("sealed_first_price", "soft_close_window_seconds", 300), ("dutch", "reserve_price", cny("1.00")),
    ("dutch", "ends_at", format_instant(ENDS)), ("package", "start_price", cny("1.00")),
    ("two_phase", "hard_end_at", format_instant(ENDS)), ("gong", "minimum_bidders", 2),
]  # fmt: skip
WRONG = [
    ("dutch", {"steps": STEPS | {"drop": "1.001"}}, "/steps/drop"),
    ("dutch", {"steps": STEPS | {"more": 1}}, "/steps/more"),
    ("package", {"lots": [{"lot": "L", "reserve": "1"}, {"lot": "L", "reserve": "1"}]}, "/lots/1/lot"),
    ("package", {"unsold_lots_count": "never"}, "/unsold_lots_count"),
    ("english", {"relisting_plan": {"attempts": []}}, "/relisting_plan/attempts"),
    ("english", {"preset": "nowhere"}, "/preset"),
]


def test_wrong_terms_are_refused_at_their_place(stage):
    for name, key, value in FOREIGN:
        refused = draft(stage, 422, format=name, **{key: value})
        assert (refused["code"], refused["errors"][0]["pointer"]) == ("bad_document", f"/{key}")
        assert name in refused["errors"][0]["allowed"]
    for name, body, pointer in WRONG:
        assert draft(stage, 422, format=name, **body)["errors"][0]["pointer"] == pointer
    # only the engine sees that eleven prices fall from 100,000 to nothing
    below_zero = given("dutch") | {"steps": STEPS | {"count": 11}}
    assert [gap["code"] for gap in missing(stage, draft(stage, **below_zero))] == ["rules_invalid"]


def test_another_format_drops_the_terms_that_mean_nothing_in_it(stage):
    settings = {"attempt_interval_seconds": 5, "confirm_above_percent": None}
    listing = draft(stage, **given("two_phase"), **settings)
    assert {name: listing[name] for name in settings} == settings
    answer = stage.api.as_(stage.people.seller).patch(
        f"/listings/{listing['id']}", json={"format": "english"}, headers={"If-Match": '"1"'}
    )
    assert (answer.status_code, answer.get_json()["format_terms"]) == (200, {})


def test_a_preset_brings_its_defaults_and_its_checks_with_their_sources(stage, monkeypatch):
    stage.appraised = True
    monkeypatch.setattr(
        "valuation.service.accepted_appraisal", lambda *_, **__: types.SimpleNamespace(value_minor=200_000_00)
    )
    listing = draft(stage, **terms(preset="judicial_cn", start_price=cny("139999.99"), reserve_price=None))
    assert (listing["preset"], listing["zone"], listing["asset_kind"]) == ("judicial_cn", "Asia/Shanghai", "rights")
    gaps = {gap["code"]: gap for gap in missing(stage, listing)}
    assert set(gaps) == {"start_below_appraisal_share", "notice_too_short", "bidding_time_too_short"}
    assert gaps["start_below_appraisal_share"]["source"]["article"] == "10"
    refused = stage.api.as_(stage.people.seller).post(f"/listings/{listing['id']}/publish").get_json()
    assert refused["code"] == "listing_not_ready"
    assert {row["source"]["grade"] for row in refused["errors"]} == {"P"}
    opens = stage.clock.at + timedelta(days=30)
    times = {
        "registration_closes_at": format_instant(opens), "opens_at": format_instant(opens),
        "ends_at": format_instant(opens + timedelta(days=1)), "start_price": cny("140000.00"),
    }  # fmt: skip
    path = f"/listings/{listing['id']}"
    stage.api.as_(stage.people.seller).patch(path, json=times, headers={"If-Match": '"1"'})
    published = publish(stage, listing)
    shown = stage.api.as_(stage.people.buyer).ok("GET", f"{path}/announcements")["items"]
    assert [row["hash"] for row in shown] == [published["announcement_hash"]]
    document = shown[0]["document"]
    assert fingerprint(document) == shown[0]["hash"]
    assert document["preset"]["version"] == 2
    assert document["rules_hash"] == published["rules_hash"]
    listed = stage.api.as_(stage.people.buyer).ok("GET", "/presets")
    frozen = [row for row in listed["presets"] if row["name"] == "judicial_cn"][-1]
    assert frozen["hash"] == fingerprint(frozen["document"]) == document["preset"]["hash"]
    china = next(row for row in listed["calendars"] if row["name"] == "cn")
    assert china["hash"] == document["calendar"]["hash"]


def test_since_november_2025_only_the_registered_see_the_start_price_of_yindeng(stage):
    body = given("two_phase") | {"preset": "yindeng_cn"}
    listing = publish(stage, draft(stage, **body))
    people, path = stage.people, f"/listings/{listing['id']}"

    def seen(who):
        shown = stage.api.as_(who).ok("GET", path)
        listed = stage.api.as_(who).ok("GET", "/listings")["items"][0]
        found = stage.api.as_(who).ok("GET", "/listings?q=消费贷款")["items"][0]
        auction = stage.api.as_(who).ok("GET", f"/auctions/{listing['auction_id']}")
        assert shown["start_price"] == listed["start_price"] == found["start_price"]
        assert ("start_price" in auction["rules"]) is (auction["minimum_next"] is not None)
        assert ("start_price" in auction["rules"]) is (shown["start_price"] is not None)
        return shown["start_price"], shown["hidden_terms"]

    hidden, everything = (None, ["start_price"]), (cny("100000.00"), [])
    assert seen(people.buyer) == hidden
    for who in (people.seller, people.auditor, people.admin):
        assert seen(who) == everything
    registration = registered(stage, listing, people.buyer)
    assert seen(people.buyer) == hidden
    stage.api.as_(people.compliance).ok("POST", f"/registrations/{registration['id']}/approve")
    assert seen(people.buyer) == everything
    assert seen(people.other_buyer) == hidden


def test_times_may_be_given_as_the_clocks_of_a_zone_show_them(stage):
    listing = draft(stage, opens_at={"local": "2026-03-29T03:30:00", "zone": "Europe/Berlin"})
    assert listing["opens_at"] == "2026-03-29T01:30:00.000Z"
    for local, code in (("2026-03-29T02:30:00", "local_time_missing"), ("2026-10-25T02:30:00", "local_time_twice")):
        refused = draft(stage, 422, opens_at={"local": local, "zone": "Europe/Berlin"})
        assert refused["code"] == code
        assert refused["errors"][0]["pointer"] == "/opens_at"
        assert len(refused["errors"][0]["candidates"]) == 2
    for wrong in ({"local": "2026-03-29T03:30:00"}, {"local": "x", "zone": "UTC"}, {"local": "x", "zone": "Mars"}, 5):
        refused = draft(stage, 422, opens_at=wrong)
        assert (refused["code"], refused["errors"][0]["pointer"]) == ("request_invalid", "/opens_at")


@pytest.mark.parametrize("term", ["registration_closes_at", "opens_at", "ends_at", "hard_end_at", "stop_at"])
def test_every_time_of_a_listing_refuses_what_the_clocks_skip_or_show_twice(stage, term):
    more = {"format": "gong"} if term == "stop_at" else {}
    for local, code in (("2026-03-29T02:30:00", "local_time_missing"), ("2026-10-25T02:30:00", "local_time_twice")):
        body = {"package_id": str(stage.package()), term: {"local": local, "zone": "Europe/Berlin"}} | more
        refused = stage.api.as_(stage.people.seller).ok("POST", "/listings", 422, json=body)
        assert (refused["code"], refused["errors"][0]["pointer"]) == (code, f"/{term}")


def test_holders_of_priority_rights_have_a_bidder_code_before_they_register(stage):
    people = stage.people
    holder = {"organisation_id": str(people.other_buyer.organisation_id), "rank": 1}
    seller = {"organisation_id": str(people.seller.organisation_id), "rank": 1}
    assert draft(stage, 422, priority=[seller])["errors"][0]["pointer"] == "/priority/0/organisation_id"
    assert draft(stage, 422, priority=[holder, holder])["errors"][0]["pointer"] == "/priority"
    assert draft(stage, 422, format="proxy", priority=[holder])["errors"][0]["pointer"] == "/priority"
    listing = publish(stage, draft(stage, **terms(priority=[holder])))
    rules = stage.auction(listing)["rules"]
    code = listing["priority"][0]["bidder_code"]
    assert rules["priority"] == [{"bidder": code, "rank": 1}]
    assert stage.api.as_(people.buyer).ok("GET", f"/listings/{listing['id']}")["priority"] is None
    assert registered(stage, listing, people.other_buyer)["bidder_code"] == code
    assert registered(stage, listing, people.buyer)["bidder_code"] != code
