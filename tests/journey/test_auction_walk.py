"""The whole life of a sale over HTTP, by the API alone, on a clock of the test.

Rectified, suspended, a bidder removed, awarded, prolonged, failed twice, re-listed by its plan, and sold in the third
attempt by the clock that the first bid starts.
"""

import io
from datetime import datetime, timedelta

import pytest

from auctions.domain import verification
from tests.journey.walk import Walk, cny, instant

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
OPENS = datetime.fromisoformat("2026-03-12T09:00:00+00:00")
ENDS = OPENS + timedelta(hours=2)
PLAN = {
    "publish": True,
    "notice_days": 20,
    "attempts": [
        {"format": "english", "start": "0.8", "step": "0.5", "deposit": "0.8"},
        {
            "format": "english", "start": "0.8", "step": "0.5", "deposit": "0.8", "duration_seconds": 60 * 86_400,
            "terms": {"first_bid_clock_seconds": 86_400},
        },
    ],
}  # fmt: skip


@pytest.fixture
def walk(api, people, sessions, clock, work, tick, monkeypatch):
    made = Walk.of(api, people, sessions, clock, work, tick)
    made.prepare(monkeypatch)
    return made


def test_the_whole_life_of_a_sale(walk):
    publish_and_rectify(walk)
    bid_under_all_rules(walk)
    award_and_prolong(walk)
    fail_twice(walk)
    second_attempt_without_a_bid(walk)
    sold_by_the_clock_of_the_first_bid(walk)


def publish_and_rectify(walk):
    """The preset's window of two working days is open, then shut."""
    terms = {
        "package_id": walk.package_id, "preset": "dgf", "title_zh": "走查一期", "title_en": "Walk", "awards": 3,
        "start_price": cny("100000.00"), "reserve_price": cny("110000.00"), "deposit": cny("20000.00"),
        "increment": {"kind": "fixed", "amount": "5000.00"}, "registration_closes_at": instant(OPENS),
        "opens_at": instant(OPENS), "ends_at": instant(ENDS), "relisting_plan": PLAN,
    }  # fmt: skip
    draft = walk.do("seller", "POST", "/listings", 201, json=terms)
    walk.listing = walk.do("seller", "POST", f"/listings/{draft['id']}/publish")
    assert walk.listing["rectifiable_until"] == "2026-03-04T22:00:00.000Z"
    walk.at(datetime.fromisoformat("2026-03-04T21:59:59.999+00:00"))
    walk.listing = rectify(walk, 200, start_price=cny("90000.00"))
    walk.at(walk.clock.at + timedelta(milliseconds=1))
    refused = rectify(walk, 409, start_price=cny("80000.00"))
    assert (refused["code"], refused["until"]) == ("terms_fixed", "2026-03-04T22:00:00.000Z")


def rectify(walk, status, **terms):
    path, headers = f"/listings/{walk.listing['id']}", {"If-Match": f'"{walk.listing["version"]}"'}
    answer = walk.api.as_(walk.people.seller).patch(path, json=terms, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def bid_under_all_rules(walk):
    """A deposit one cent short, the pace, a repeated key, a digit too many, a fair suspension, a removed leader."""
    walk.register("buyer", "other_buyer", "third_buyer", short="third_buyer")
    walk.at(OPENS - timedelta(milliseconds=1))
    walk.bid("buyer", "90000.00", 409, "not_open")
    walk.at(OPENS)
    walk.bid("third_buyer", "90000.00", 403, "deposit_not_held")
    walk.statement((1, f"保证金 {walk.references['third_buyer']}", "third_buyer"))
    walk.work()
    first = walk.bid("buyer", "90000.00", key="first")
    walk.bid("other_buyer", "95000.00")
    walk.bid("buyer", "100000.00", 429, "too_fast")
    assert walk.bid("buyer", "90000.00", key="first")["receipt"] == first["receipt"]
    walk.at(OPENS + SECOND)
    walk.bid("buyer", "1000000.00", 409, "confirmation_required")
    walk.bid("buyer", "100000.00")
    walk.bid("third_buyer", "120000.00")
    walk.at(ENDS - 10 * MINUTE)
    assert walk.steer("suspend")["state"] == "suspended"
    walk.bid("buyer", "125000.00", 409, "suspended")
    walk.at(ENDS + 50 * MINUTE)
    assert walk.steer("resume")["ends_at"] == instant(ENDS + 60 * MINUTE)
    walk.bid("other_buyer", "125000.00")
    assert walk.auction()["price"] == cny("125000.00")
    walk.at(ENDS + 51 * MINUTE)
    walk.bid("buyer", "130000.00")
    walk.at(ENDS + 52 * MINUTE)
    walk.bid("third_buyer", "140000.00")
    removed = walk.steer("void", registration_id=walk.registrations["third_buyer"])
    assert removed["price"] == cny("130000.00")
    walk.bid("third_buyer", "150000.00", 409, "voided")


def award_and_prolong(walk):
    """Protocol before its deadline; two prolongations with document and reason, the third refused."""
    assert walk.auction()["ends_at"] == instant(ENDS + 60 * MINUTE)
    result = walk.close(ENDS + 60 * MINUTE)
    shown = [(row["price"]["amount"], row["state"]) for row in result["awards"]]
    assert shown == [("130000.00", "pending"), ("125000.00", "waiting")]
    bundle = walk.api.as_(walk.people.buyer).get(f"/auctions/{walk.listing['auction_id']}/bundle").data
    assert verification.verify(bundle).findings == []
    award = result["awards"][0]["id"]
    walk.refused("seller", f"/awards/{award}/fail", 403, "default_too_early",
                 json={"reason": "x", "cause": "buyer_defaulted"})  # fmt: skip
    confirmed = walk.do("seller", "POST", f"/awards/{award}/confirm-protocol")
    assert confirmed["state"] == "protocol_confirmed"
    due = [prolong(walk, award, number)["due_at"] for number in (1, 2)]
    assert due == sorted(due)
    walk.refused("seller", f"/awards/{award}/prolong", 422, "request_invalid", data=paper(3))
    walk.refused("seller", f"/awards/{award}/prolong", 409, "no_prolongation", data=paper(2))


def paper(number):
    return {"file": (io.BytesIO(b"%PDF decision"), "decision.pdf"), "number": str(number), "reason": "bank holiday"}


def prolong(walk, award, number):
    return walk.do("seller", "POST", f"/awards/{award}/prolong", 201, data=paper(number))


def fail_twice(walk):
    """The winner defaults, the runner-up is awarded at its own price and lets the protocol's deadline pass."""
    awards = walk.do("auditor", "GET", f"/auctions/{walk.listing['auction_id']}/result")["awards"]
    body = {"reason": "不付款", "cause": "buyer_defaulted"}
    walk.do("admin", "POST", f"/awards/{awards[0]['id']}/fail", json=body)
    walk.work()
    promoted = walk.do("seller", "GET", f"/awards/{awards[1]['id']}")
    assert (promoted["state"], promoted["price"]) == ("pending", cny("125000.00"))
    limit = datetime.fromisoformat(promoted["protocol_due_at"])
    walk.at(limit + timedelta(hours=1))
    walk.refused("seller", f"/awards/{awards[1]['id']}/confirm-protocol", 409, "deadline_passed")
    walk.tick()
    failed = walk.do("seller", "GET", f"/awards/{awards[1]['id']}")
    assert (failed["state"], failed["failure_cause"]) == ("failed", "deadline_passed")


def second_attempt_without_a_bid(walk):
    """The plan announces the next attempt by itself: scaled from the rectified start; the defaulter is barred."""
    second = walk.next_listing()
    assert (second["state"], second["attempt"], second["format"]) == ("published", 2, "english")
    assert (second["start_price"], second["deposit"]) == (cny("72000.00"), cny("16000.00"))
    assert second["increment"] == {"kind": "fixed", "amount": "2500.00"}
    walk.refused("buyer", f"/listings/{second['id']}/registrations", 403, "barred_after_default")
    result = walk.close(datetime.fromisoformat(second["ends_at"]))
    assert (result["outcome"], result["awards"]) == ("unsold", [])


def sold_by_the_clock_of_the_first_bid(walk):
    """Sixty days, ended a day after the first bid; soft close within it; anyone recomputes the result."""
    third = walk.next_listing()
    opens, ends = (datetime.fromisoformat(third[name]) for name in ("opens_at", "ends_at"))
    assert (third["attempt"], ends - opens) == (3, 60 * DAY)
    assert (third["start_price"], third["format_terms"]["first_bid_clock_seconds"]) == (cny("72000.00"), 86_400)
    walk.refused("buyer", f"/listings/{third['id']}/registrations", 403, "barred_after_default")
    walk.register("other_buyer", "third_buyer")
    walk.at(opens + 3 * DAY)
    assert walk.auction()["ends_at"] == instant(ends)
    assert walk.bid("other_buyer", "88000.00")["ends_at"] == instant(opens + 4 * DAY)
    walk.at(opens + 4 * DAY - SECOND)
    assert walk.bid("third_buyer", "90500.00")["ends_at"] == instant(opens + 4 * DAY - SECOND + 3 * MINUTE)
    walk.at(opens + 4 * DAY - SECOND + 3 * MINUTE)
    walk.bid("other_buyer", "95000.00", 409, "late")
    result = walk.close(walk.clock.at)
    assert (result["outcome"], result["price"], result["extensions"]) == ("sold", cny("90500.00"), 1)
    bundle = walk.api.as_(walk.people.buyer).get(f"/auctions/{third['auction_id']}/bundle").data
    assert verification.verify(bundle).findings == []


def test_a_listing_is_withdrawn_with_a_reason_and_a_judicial_sale_names_the_law_that_refuses_it(walk):
    terms = {
        "package_id": walk.package_id, "preset": "judicial_cn", "title_zh": "一拍", "start_price": cny("1000.00"),
        "deposit": cny("10.00"), "increment": {"kind": "fixed", "amount": "100.00"},
        "registration_closes_at": instant(OPENS), "opens_at": instant(OPENS), "ends_at": instant(ENDS),
        "first_bid_clock_seconds": 86_400,
    }  # fmt: skip
    draft = walk.do("seller", "POST", "/listings", 201, json=terms)
    path = f"/listings/{draft['id']}"
    refused = walk.refused("seller", f"{path}/publish", 409, "listing_not_ready")
    articles = {row["code"]: row["source"]["article"] for row in refused["errors"]}
    assert articles == {
        "start_below_appraisal_share": "10", "notice_too_short": "12", "deposit_outside_range": "17",
        "bidding_time_too_short": "20", "first_bid_clock_differs": "20",
    }  # fmt: skip
    assert all("2016" in row["source"]["law"]["en"] for row in refused["errors"])
    assert walk.api.as_(walk.people.seller).post(f"{path}/withdraw", json={"reason": " "}).status_code == 422
    assert walk.do("seller", "POST", f"{path}/withdraw", json={"reason": "改期"})["state"] == "withdrawn"
    walk.refused("seller", f"{path}/publish", 409, "illegal_move")
