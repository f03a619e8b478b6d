"""Suspend, resume and void over HTTP: who may, what is told, and the pace of attempts with its header."""

from datetime import timedelta

from sqlalchemy import text

from auctions import service
from tests.auctions.conftest import ENDS, cny


def steer(stage, listing, deed, who, **body):
    path = f"/auctions/{listing['auction_id']}/{deed}"
    return stage.api.as_(who).post(path, json={"reason": "a complaint"} | body)


def test_compliance_suspends_resumes_and_removes_a_bidder(stage):
    people = stage.people
    listing = stage.publish()
    registrations = [stage.registered(listing, who) for who in (people.buyer, people.other_buyer)]
    stage.at(ENDS - timedelta(minutes=10))
    stage.bid(listing, people.buyer, "100000.00")
    stage.bid(listing, people.other_buyer, "105000.00")
    assert steer(stage, listing, "suspend", people.seller).status_code == 403
    assert steer(stage, listing, "resume", people.compliance).get_json()["code"] == "not_suspended"
    suspended = steer(stage, listing, "suspend", people.compliance).get_json()
    assert (suspended["state"], suspended["price"]) == ("suspended", cny("105000.00"))
    assert steer(stage, listing, "suspend", people.admin).get_json()["code"] == "already_suspended"
    assert stage.bid(listing, people.buyer, "110000.00").get_json()["code"] == "suspended"
    stage.at(ENDS + timedelta(minutes=1))
    resumed = steer(stage, listing, "resume", people.compliance).get_json()
    assert (resumed["state"], resumed["ends_at"]) == ("open", "2026-03-02T13:11:00.000Z")
    void = steer(stage, listing, "void", people.compliance, registration_id=registrations[1]["id"])
    assert (void.get_json()["price"], void.get_json()["leader"]) == (cny("100000.00"), registrations[0]["bidder_code"])
    again = steer(stage, listing, "void", people.compliance, registration_id=registrations[1]["id"])
    assert again.get_json()["code"] == "already_voided"
    assert stage.bid(listing, people.other_buyer, "120000.00").get_json()["code"] == "voided"
    bids = stage.api.as_(people.valuer).ok("GET", f"/auctions/{listing['auction_id']}/bids")["items"]
    assert [(bid["sequence"], bid["voided"]) for bid in bids] == [(2, True), (1, False)]
    with stage.sessions() as session:
        verbs = session.execute(
            text("SELECT verb FROM audit_records WHERE subject_kind = 'auctions' ORDER BY id")
        ).all()
        names = session.execute(text("SELECT name FROM outbox_events WHERE name LIKE 'auction.%' ORDER BY id")).all()
    assert [row.verb for row in verbs][-3:] == ["suspend", "resume", "void"]
    assert [row.name for row in names] == ["auction.suspended", "auction.resumed", "auction.bidder_voided"]


def test_whoever_bids_too_fast_is_told_when_to_come_back(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE auctions SET attempt_interval_seconds = 5"))
    stage.bid(listing, people.buyer, "100000.00")
    stage.bid(listing, people.other_buyer, "105000.00")
    response = stage.bid(listing, people.buyer, "110000.00")
    assert (response.status_code, response.get_json()["code"]) == (429, "too_fast")
    assert response.headers["Retry-After"] == "5"


def test_a_digit_too_many_is_asked_again(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    path = f"/auctions/{listing['auction_id']}/bids"
    response = stage.bid(listing, people.buyer, "1000000.00")
    assert (response.status_code, response.get_json()["code"]) == (409, "confirmation_required")
    body = {"amount": cny("1000000.00"), "confirmed": True}
    receipt = stage.api.as_(people.buyer).ok("POST", path, 201, json=body)
    assert receipt["receipt"]["receipt"]["event"]["amount"] == "1000000.00"


def test_the_log_replays_with_suspension_and_removal(stage):
    people = stage.people
    listing = stage.publish(reserve_price=None)
    registrations = [stage.registered(listing, who) for who in (people.buyer, people.other_buyer)]
    stage.at(ENDS - timedelta(minutes=10))
    stage.bid(listing, people.buyer, "100000.00")
    stage.bid(listing, people.other_buyer, "105000.00")
    steer(stage, listing, "suspend", people.compliance)
    steer(stage, listing, "resume", people.compliance)
    steer(stage, listing, "void", people.compliance, registration_id=registrations[1]["id"])
    stage.at(ENDS)
    with stage.sessions.begin() as session:
        assert service.close_due(session, stage.clock.now()) == 1
    log = stage.api.as_(people.auditor).ok("GET", f"/auctions/{listing['auction_id']}/log")
    assert [event["kind"] for event in log["events"]] == ["bid", "bid", "suspend", "resume", "void"]
    answer = stage.api.as_(people.auditor).ok("POST", "/previews/replay", json=log)
    result = stage.api.as_(people.auditor).ok("GET", f"/auctions/{listing['auction_id']}/result")
    assert (answer["winner"], answer["log_hash"]) == (result["winner"], result["log_hash"])
