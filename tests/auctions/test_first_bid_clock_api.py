"""The clock of the first bid over HTTP and PostgreSQL: the row, the log's order, closing and the bundle know it."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from auctions import service
from auctions.domain import verification
from tests.auctions.conftest import ENDS, OPENS, cny

MINUTE = timedelta(minutes=1)


def steer(stage, listing, deed):
    path = f"/auctions/{listing['auction_id']}/{deed}"
    return stage.api.as_(stage.people.compliance).ok("POST", path, json={"reason": "a complaint"})


def test_the_first_bid_brings_the_end_nearer_and_anyone_can_check_it(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, first_bid_clock_seconds=600, reserve_price=None)
    assert listing["format_terms"]["first_bid_clock_seconds"] == 600
    steer(stage, listing, "suspend")
    stage.at(OPENS + 2 * MINUTE)
    assert steer(stage, listing, "resume")["ends_at"] == "2026-03-02T13:01:00.000Z"
    stage.at(OPENS + 10 * MINUTE)
    first = stage.bid(listing, people.buyer, "100000.00").get_json()
    assert first["ends_at"] == "2026-03-02T12:20:00.000Z"
    assert stage.auction(listing)["ends_at"] == "2026-03-02T12:20:00.000Z"
    stage.at(OPENS + 20 * MINUTE - timedelta(milliseconds=1))
    assert stage.bid(listing, people.other_buyer, "105000.00").get_json()["ends_at"] == "2026-03-02T12:24:59.999Z"
    stage.at(OPENS + 25 * MINUTE - timedelta(milliseconds=1))
    assert stage.bid(listing, people.buyer, "110000.00").get_json()["code"] == "late"
    with stage.sessions.begin() as session:
        assert service.close_due(session, stage.clock.at) == 1
    path = f"/auctions/{listing['auction_id']}"
    result = stage.api.as_(people.buyer).ok("GET", f"{path}/result")
    assert (result["price"], result["ended_at"], result["extensions"]) == (
        cny("105000.00"), "2026-03-02T12:24:59.999Z", 1,
    )  # fmt: skip
    bundle = stage.api.as_(people.buyer).get(f"{path}/bundle").data
    assert verification.verify(bundle).findings == []


def test_postgresql_still_refuses_an_end_that_moves_earlier_without_a_clock(stage):
    people = stage.people
    listing = stage.live(people.buyer, reserve_price=None)
    steer(stage, listing, "suspend")
    steer(stage, listing, "resume")
    stage.bid(listing, people.buyer, "100000.00")
    entry = {
        "number": 4,
        "sequence": 2,
        "accepted": 2,
        "ends_at": "2026-03-02T12:30:00Z",
        "idempotency_digest": "\\x01",
    }
    copy = "INSERT INTO auction_events SELECT (jsonb_populate_record(e, cast(:entry AS jsonb))).* FROM auction_events e"
    with pytest.raises(DBAPIError, match="out of order"), stage.sessions.begin() as session:
        session.execute(text(f"{copy} WHERE number = 3"), {"entry": json.dumps(entry)})
    assert stage.auction(listing)["ends_at"] == "2026-03-02T13:00:00.000Z" == f"{ENDS:%Y-%m-%dT%H:%M:%S}.000Z"


def test_the_third_judicial_sale_is_planned_with_the_clock(stage):
    presets = stage.api.as_(stage.people.seller).ok("GET", "/presets")["presets"]
    newest = [row for row in presets if row["name"] == "judicial_cn"][-1]
    plan = newest["document"]["relisting"]["judicial"]["plan"]
    attempt = plan["attempts"][1]
    assert (attempt["format"], attempt["terms"]) == ("english", {"first_bid_clock_seconds": 86_400})
    draft = stage.draft(relisting_plan=plan)
    assert draft["relisting_plan"]["attempts"][1]["terms"] == {"first_bid_clock_seconds": 86_400}
