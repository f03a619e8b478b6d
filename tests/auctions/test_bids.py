"""Bids over HTTP: refusals with their codes, receipts, keys, the clock around the end, and what PostgreSQL holds."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.auctions.conftest import ENDS, OPENS, cny

MILLISECOND = timedelta(milliseconds=1)


def refusal(response):
    return response.status_code, response.get_json()["code"]


def test_a_bid_is_answered_with_the_standing_after_it(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    response = stage.bid(listing, people.buyer, "100000.00")
    assert response.status_code == 201
    receipt = response.get_json()
    assert (receipt["sequence"], receipt["price"], receipt["minimum_next"]) == (1, cny("100000.00"), cny("105000.00"))
    assert (receipt["ends_at"], receipt["server_time"]) == ("2026-03-02T13:00:00.000Z", "2026-03-02T12:01:00.000Z")
    shown = stage.auction(listing, people.buyer)
    assert (shown["state"], shown["price"], shown["leader"]) == ("open", cny("100000.00"), receipt["bidder"])
    assert shown["you"] == receipt["bidder"]
    assert stage.auction(listing, people.other_buyer)["you"] != receipt["bidder"]
    bids = stage.api.as_(people.valuer).ok("GET", f"/auctions/{listing['auction_id']}/bids")["items"]
    assert [(bid["sequence"], bid["bidder"], bid["amount"]) for bid in bids] == [
        (1, receipt["bidder"], cny("100000.00"))
    ]
    assert str(people.buyer.organisation_id) not in str(bids) + str(shown)


def test_each_refusal_has_its_code(stage):
    people = stage.people
    listing = stage.publish()
    stage.registered(listing, people.buyer)
    stage.registered(listing, people.other_buyer, cover=False)
    stage.registered(listing, people.third_buyer, approve=False, cover=False)
    early = stage.bid(listing, people.buyer, "100000.00")
    assert refusal(early) == (409, "not_open")
    stage.at(OPENS)
    assert refusal(stage.bid(listing, people.other_buyer, "100000.00")) == (403, "deposit_not_held")
    assert refusal(stage.bid(listing, people.third_buyer, "100000.00")) == (403, "not_approved")
    assert refusal(stage.bid(listing, people.buyer_analyst, "100000.00")) == (403, "role_missing")
    assert refusal(stage.bid(listing, people.seller, "100000.00")) == (403, "role_missing")
    low = stage.bid(listing, people.buyer, "99999.99")
    assert refusal(low) == (409, "below_start")
    assert low.get_json()["minimum_next"] == cny("100000.00")
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    own = stage.bid(listing, people.buyer, "200000.00")
    assert refusal(own) == (409, "already_leading")
    stage.cover(stage.api.as_(people.other_buyer).ok("GET", "/registrations")["items"][0]["id"])
    below = stage.bid(listing, people.other_buyer, "104999.99")
    assert refusal(below) == (409, "below_minimum")
    assert below.get_json()["minimum_next"] == cny("105000.00")
    stage.at(ENDS)
    assert refusal(stage.bid(listing, people.other_buyer, "105000.00")) == (409, "late")
    assert stage.auction(listing)["sequence"] == 1


def test_whoever_is_not_registered_is_refused(stage):
    listing = stage.live()
    assert refusal(stage.bid(listing, stage.people.buyer, "100000.00")) == (403, "not_registered")
    unknown = {"auction_id": listing["id"]}
    assert stage.bid(unknown, stage.people.buyer, "100000.00").status_code == 404


@pytest.mark.parametrize(
    "amount",
    [
        {"amount": 100000, "currency": "CNY"}, {"amount": "-1", "currency": "CNY"}, cny("NaN"),
        {"amount": "1e6", "currency": "CNY"}, {"amount": "100000.001", "currency": "CNY"}, "100000.00", None,
        {"amount": "99999999999999999999", "currency": "CNY"}, {"amount": "100000.00", "currency": "USD"},
    ],
)  # fmt: skip
def test_bad_amounts_are_refused(stage, amount):
    listing = stage.live(stage.people.buyer)
    path = f"/auctions/{listing['auction_id']}/bids"
    assert stage.api.as_(stage.people.buyer).post(path, json={"amount": amount}).status_code == 422
    assert stage.auction(listing)["sequence"] == 0


def test_the_greatest_amount_is_refused_and_not_a_fault(stage):
    listing = stage.live(stage.people.buyer)
    response = stage.bid(listing, stage.people.buyer, "92233720368547758.07")
    assert response.status_code == 422
    assert stage.auction(listing)["sequence"] == 0


def test_a_key_bids_once_even_when_the_stored_answer_is_gone(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    first = stage.bid(listing, people.buyer, "100000.00", key="k-1")
    again = stage.bid(listing, people.buyer, "100000.00", key="k-1")
    assert again.get_json() == first.get_json()
    with stage.sessions.begin() as session:
        session.execute(text("DELETE FROM stored_answers"))
    stage.bid(listing, people.other_buyer, "105000.00")
    later = stage.bid(listing, people.buyer, "100000.00", key="k-1")
    assert later.get_json() == first.get_json()
    reused = stage.bid(listing, people.buyer, "110000.00", key="k-1")
    assert refusal(reused) == (422, "idempotency_key_reused")
    assert stage.auction(listing)["sequence"] == 2


def test_a_bid_needs_a_key(stage):
    listing = stage.live(stage.people.buyer)
    response = stage.bid(listing, stage.people.buyer, "100000.00", headers={"Idempotency-Key": ""})
    assert refusal(response) == (422, "idempotency_key_missing")


def test_the_end_by_milliseconds_and_its_extension(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    stage.at(ENDS - MILLISECOND)
    first = stage.bid(listing, people.buyer, "100000.00").get_json()
    assert first["ends_at"] == "2026-03-02T13:04:59.999Z"
    end = ENDS - MILLISECOND + timedelta(minutes=5)
    stage.at(end)
    assert refusal(stage.bid(listing, people.other_buyer, "105000.00")) == (409, "late")
    assert stage.auction(listing)["state"] == "ended"
    stage.at(end + MILLISECOND)
    assert refusal(stage.bid(listing, people.other_buyer, "105000.00")) == (409, "late")
    stage.at(end - MILLISECOND)
    assert stage.bid(listing, people.other_buyer, "105000.00").status_code == 201
    assert stage.auction(listing)["extensions"] == 2


def test_a_clock_that_goes_back_never_puts_a_bid_before_an_earlier_one(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    stage.at(OPENS + timedelta(minutes=10))
    stage.bid(listing, people.buyer, "100000.00")
    stage.at(OPENS + timedelta(minutes=9))
    assert stage.bid(listing, people.other_buyer, "105000.00").get_json()["server_time"] == "2026-03-02T12:10:00.000Z"


def test_postgresql_itself_holds_the_order_of_the_log_and_never_changes_it(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    stage.bid(listing, people.buyer, "100000.00")
    copy = (
        "INSERT INTO auction_events (auction_id, number, listing_id, kind, sequence, accepted, registration_id,"
        " amount_minor, reason, at, price_minor, leader, ends_at, extensions, idempotency_digest, hash)"
        " SELECT auction_id, number + {gap}, listing_id, kind, sequence + {next}, accepted + {next}, registration_id,"
        " amount_minor, '', at + interval '{shift}', price_minor + {more}, leader, ends_at + interval '{end}', 0,"
        " sha256('{gap}{next}{more}'), hash FROM auction_events"
    )
    good = {"gap": 1, "next": 1, "more": 0, "shift": "0", "end": "0"}
    for wrong in ({"gap": 0}, {"gap": 2}, {"next": 0}, {"next": 2}, {"more": -1}, {"shift": "-1 ms"}, {"end": "-1 ms"}):
        with stage.sessions() as session, pytest.raises(IntegrityError):
            session.execute(text(copy.format(**good | wrong)))
    for statement in (
        "UPDATE auction_events SET reason = 'x'",
        "DELETE FROM auction_events",
        "TRUNCATE auction_events",
    ):
        with stage.sessions() as session, pytest.raises(IntegrityError, match="append-only"):
            session.execute(text(statement + (" CASCADE" if "TRUNCATE" in statement else "")))
    with stage.sessions.begin() as session:
        session.execute(text(copy.format(**good)))


def test_postgresql_keeps_strangers_out_of_an_auction(stage):
    people = stage.people
    listing, other = stage.live(people.buyer), None
    stage.at(OPENS - timedelta(minutes=1))
    other = stage.publish()
    stage.registered(other, people.other_buyer)
    stage.at(OPENS)
    stage.bid(listing, people.buyer, "100000.00")
    foreign = "(SELECT id FROM registrations WHERE listing_id <> a.listing_id LIMIT 1)"
    with stage.sessions() as session, pytest.raises(IntegrityError, match="fk_auctions_leader_of_listing"):
        session.execute(
            text(f"UPDATE auctions a SET leader_registration_id = {foreign} WHERE leader_registration_id IS NOT NULL")
        )
