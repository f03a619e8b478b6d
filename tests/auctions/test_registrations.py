"""Applying to a listing, its decision, and who sees what of it."""

import uuid

import pytest
from sqlalchemy import text

from auctions import service
from auctions.domain.references import read_reference
from auctions.registration import Leading
from marketplace.actor import SYSTEM
from tests.auctions.conftest import OPENS, cny


def apply(stage, listing, who):
    return stage.api.as_(who).post(f"/listings/{listing['id']}/registrations")


def refusal(response):
    return response.status_code, response.get_json()["code"]


def test_a_buyer_applies_is_approved_and_covered(stage):
    people, listing = stage.people, stage.publish()
    row = apply(stage, listing, people.buyer).get_json()
    assert read_reference(row["reference"]) == row["reference"]
    assert (row["state"], row["covered"], row["deposit"]) == ("applied", False, cny("20000.00"))
    approved = stage.api.as_(people.compliance).ok("POST", f"/registrations/{row['id']}/approve")
    assert (approved["state"], approved["organisation_name"]) == ("approved", "华信资产")
    stage.cover(row["id"])
    stage.cover(row["id"])
    shown = stage.api.as_(people.buyer_analyst).ok("GET", f"/registrations/{row['id']}")
    assert shown["covered"]
    with stage.sessions() as session:
        assert service.registration_by_reference(session, row["reference"].lower()).id == shown_id(row)
        assert service.registration_by_reference(session, "DP-00000001") is None


def shown_id(row):
    return uuid.UUID(row["id"])


def test_who_may_not_apply(stage):
    people, listing = stage.people, stage.publish()
    assert refusal(apply(stage, listing, people.buyer_analyst)) == (403, "role_missing")
    assert refusal(apply(stage, listing, people.seller)) == (403, "role_missing")
    stage.agree(False)
    assert refusal(apply(stage, listing, people.buyer)) == (403, "agreement_not_in_force")
    stage.agree(True)
    assert apply(stage, listing, people.buyer).status_code == 201
    assert refusal(apply(stage, listing, people.buyer)) == (409, "already_registered")
    stage.at(OPENS)
    assert refusal(apply(stage, listing, people.other_buyer)) == (409, "registration_closed")
    draft = stage.draft(opens_at=None, ends_at=None, registration_closes_at=None)
    assert apply(stage, draft, people.buyer).status_code == 404


def test_a_buyer_without_licence_is_refused(stage):
    people, listing = stage.people, stage.publish()
    licences = stage.api.as_(people.admin).ok("GET", f"/organisations/{people.third_buyer.organisation_id}/licences")
    for row in licences["items"]:
        stage.api.as_(people.admin).ok("POST", f"/licences/{row['id']}/revoke", json={"reason": "expired"})
    assert refusal(apply(stage, listing, people.third_buyer)) == (403, "licence_not_in_force")


def test_identities_and_references_stay_hidden(stage):
    people, listing = stage.people, stage.publish()
    mine = stage.registered(listing, people.buyer)
    other = stage.registered(listing, people.other_buyer)
    path = f"/listings/{listing['id']}/registrations"
    for row in stage.api.as_(people.seller).ok("GET", path)["items"]:
        assert (row["organisation_id"], row["organisation_name"], row["reference"]) == (None, None, None)
        assert row["bidder_code"].startswith("B-")
    assert [row["id"] for row in stage.api.as_(people.buyer).ok("GET", path)["items"]] == [mine["id"]]
    assert [row["id"] for row in stage.api.as_(people.buyer).ok("GET", "/registrations")["items"]] == [mine["id"]]
    assert stage.api.as_(people.other_seller).ok("GET", path)["items"] == []
    assert len(stage.api.as_(people.auditor).ok("GET", path)["items"]) == 2
    for who in (people.buyer, people.other_seller, people.seller):
        assert stage.api.as_(who).get(f"/registrations/{other['id']}").status_code in {403, 404}
    assert mine["bidder_code"] != other["bidder_code"]


def test_a_refused_buyer_stays_refused_and_one_that_left_may_come_back(stage):
    people, listing = stage.people, stage.publish()
    row = stage.registered(listing, people.buyer, approve=False, cover=False)
    stage.api.as_(people.admin).ok("POST", f"/registrations/{row['id']}/refuse", json={"reason": "related to debtor"})
    assert refusal(apply(stage, listing, people.buyer)) == (409, "already_registered")
    assert refusal(stage.api.as_(people.admin).post(f"/registrations/{row['id']}/approve")) == (409, "illegal_move")
    gone = stage.registered(listing, people.other_buyer)
    stage.api.as_(people.other_buyer).ok("POST", f"/registrations/{gone['id']}/withdraw", json={"reason": "no funds"})
    assert apply(stage, listing, people.other_buyer).status_code == 201


def test_without_a_deposit_approval_covers(stage):
    listing = stage.publish(deposit=cny("0.00"))
    row = stage.registered(listing, stage.people.buyer, cover=False)
    assert row["covered"]


def test_the_leader_stays_and_so_does_its_deposit(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    row = stage.api.as_(people.buyer).ok("GET", "/registrations")["items"][0]
    left = stage.api.as_(people.buyer).post(f"/registrations/{row['id']}/withdraw", json={"reason": "regret"})
    refused = stage.api.as_(people.admin).post(f"/registrations/{row['id']}/refuse", json={"reason": "late"})
    assert refusal(left) == refusal(refused) == (409, "leading")
    with stage.sessions() as session, pytest.raises(Leading):
        service.uncover_registration(session, registration_id=shown_id(row), actor=SYSTEM, at=stage.clock.now())


def test_a_leader_whose_money_is_gone_stays_in_the_lead_and_bids_no_more(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    row = stage.api.as_(people.buyer).ok("GET", "/registrations")["items"][0]
    with stage.sessions.begin() as session:
        at = stage.clock.now()
        service.uncover_registration(session, registration_id=shown_id(row), actor=SYSTEM, at=at, even_leading=True)
    refused = stage.bid(listing, people.buyer, "200000.00")
    assert refusal(refused) == (403, "deposit_not_held"), refused.text
    with stage.sessions() as session:
        leader = session.execute(text("SELECT leader_registration_id FROM auctions")).scalar_one()
    assert leader == shown_id(row)


def test_uncovering(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    row = stage.api.as_(people.buyer).ok("GET", "/registrations")["items"][0]
    for _ in range(2):
        with stage.sessions.begin() as session:
            service.uncover_registration(session, registration_id=shown_id(row), actor=SYSTEM, at=stage.clock.now())
    assert refusal(stage.bid(listing, people.buyer, "100000.00")) == (403, "deposit_not_held")
