"""The life of a listing over the API where people meet its edges: verbs out of turn, reasons, a suspended end."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions import service
from auctions.domain.lifecycles import LISTING, ListingState
from tests.auctions.conftest import ENDS, terms

PLAN = {"attempts": [{"format": "english", "start": "0.5"}]}


def close(stage):
    stage.at(ENDS + timedelta(minutes=10))
    with stage.sessions.begin() as session:
        service.close_due(session, stage.clock.now())


def in_state(stage, state):
    """A listing in a state, reached as its people reach it."""
    seller = stage.api.as_(stage.people.seller)
    if state is ListingState.DRAFT:
        return stage.draft()
    listing = stage.publish()
    if state is ListingState.WITHDRAWN:
        seller.ok("POST", f"/listings/{listing['id']}/withdraw", json={"reason": "mistaken"})
    if state is ListingState.CLOSED:
        close(stage)
    return listing


def test_every_verb_in_every_state_of_a_listing(stage):
    start = stage.clock.now()
    allowed = {(state, verb) for state in ListingState for verb in LISTING.allowed(state)}
    for state in ListingState:
        for verb in ("publish", "withdraw"):
            stage.at(start)
            listing = in_state(stage, state)
            body = {"json": {"reason": "because"}} if verb == "withdraw" else {}
            answer = stage.api.as_(stage.people.seller).post(f"/listings/{listing['id']}/{verb}", **body)
            if (state, verb) in allowed:
                assert answer.status_code == 200, (state, verb, answer.text)
                continue
            problem = answer.get_json()
            assert (answer.status_code, problem["code"]) == (409, "illegal_move"), (state, verb)
            assert (problem["state"], problem["allowed"]) == (state.value, sorted(LISTING.allowed(state)))


def test_what_is_taken_from_people_is_taken_with_a_reason(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    compliance = stage.api.as_(people.compliance)
    paths = [f"/auctions/{listing['auction_id']}/{deed}" for deed in ("suspend", "resume", "void")]
    for path in [*paths, f"/listings/{listing['id']}/withdraw"]:
        for body in ({}, {"reason": ""}, {"reason": "   "}):
            who = stage.api.as_(people.admin) if path.endswith("withdraw") else compliance
            assert who.post(path, json=body).status_code == 422, (path, body)


def test_a_suspended_auction_is_not_over_and_the_operator_may_withdraw_it(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    stage.bid(listing, people.buyer, "120000.00")
    stage.api.as_(people.compliance).ok(
        "POST", f"/auctions/{listing['auction_id']}/suspend", json={"reason": "a complaint"}
    )
    stage.at(ENDS + timedelta(hours=3))
    path = f"/listings/{listing['id']}/withdraw"
    assert stage.api.as_(people.seller).post(path, json={"reason": "x"}).get_json()["code"] == "bidding_under_way"
    assert stage.api.as_(people.admin).ok("POST", path, json={"reason": "upheld"})["state"] == "withdrawn"
    with stage.sessions() as session:
        assert session.execute(text("SELECT state FROM packages")).scalars().all() == ["frozen"]
        assert session.execute(text("SELECT outcome FROM auctions")).scalars().all() == ["withdrawn"]


@pytest.mark.parametrize(
    ("reserve", "attempts", "codes"),
    [
        ("1.00", [{"format": "package", "start": "0.5"}], []),
        ("1.00", [{"format": "english", "start": "0.5"}], ["plan_without_increment"]),
        ("1.00", [{"format": "english", "start": "0.5", "increment": {"kind": "fixed", "amount": "1.00"}}], []),
        ("1.00", [{"format": "package", "start": "0.5"}, {"format": "sealed_first_price", "start": "0.4"}], []),
        ("0.00", [{"format": "sealed_first_price", "start": "0.4"}], ["plan_lot_without_reserve"]),
        ("0.00", [{"format": "package", "start": "0.4"}], []),
    ],
)
def test_a_plan_of_lots_must_be_one_that_can_be_carried_out(stage, reserve, attempts, codes):
    body = terms(
        format="package", lots=[{"lot": "L1", "reserve": reserve}], unsold_lots_count="nothing",
        relisting_plan={"attempts": attempts},
    )  # fmt: skip
    for key in ("start_price", "reserve_price", "increment"):
        del body[key]
    listing = stage.api.as_(stage.people.seller).ok(
        "POST", "/listings", 201, json={"package_id": str(stage.package()), **body}
    )
    stage.cut(listing)
    assert missing(stage, listing) == codes


def missing(stage, listing):
    found = stage.api.as_(stage.people.seller).ok("GET", f"/listings/{listing['id']}/readiness")["missing"]
    return [gap["code"] for gap in found]


def test_a_plan_of_a_whole_package_has_no_lots_and_needs_a_step(stage):
    assert missing(stage, stage.draft(relisting_plan={"attempts": [{"format": "package", "start": "1"}]})) == [
        "plan_without_lots"
    ]
    sealed = {"format": "sealed_first_price", "increment": None, "relisting_plan": PLAN}
    assert missing(stage, stage.draft(**sealed)) == ["plan_without_increment"]
