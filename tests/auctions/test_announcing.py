"""Every event of an auction reaches each party by webhook, and no party learns more than it may see."""

import json
from datetime import timedelta

from sqlalchemy import text

from auctions import announcing, events, service
from marketplace.outbox import Event
from marketplace.webhooks import sending
from tests.auctions.conftest import ENDS
from tests.auctions.test_listing_changes import LONG, PLAN, failed, patch

ALL = [subscription.event for subscription in announcing.SUBSCRIPTIONS]


def told(stage):
    """What was put on its way: by organisation, the bodies in order."""
    query = (
        "SELECT e.organisation_id, m.body FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id "
        "ORDER BY m.id"
    )
    found = {}
    with stage.sessions() as session:
        for row in session.execute(text(query)):
            found.setdefault(row.organisation_id, []).append(json.loads(row.body))
    return found


def progress(stage):
    with stage.sessions.begin() as session:
        return announcing.announce_progress(session, stage.clock.now())


def test_from_publication_to_the_next_in_line(stage, work):
    people = stage.people
    for who in (people.seller, people.buyer, people.other_buyer, people.third_buyer, people.admin):
        stage.api.as_(who).ok("POST", "/webhook-endpoints", 201, json={"url": "https://hooks.example.com/in"})
    listing = stage.live(people.buyer, people.other_buyer)
    work()
    assert stage.bid(listing, people.other_buyer, "120000.00").status_code == 201
    assert [progress(stage), progress(stage)] == [8, 0]
    assert stage.bid(listing, people.buyer, "125000.00").status_code == 201
    assert progress(stage) == 4
    stage.at(ENDS)
    with stage.sessions.begin() as session:
        service.close_due(session, ENDS)
    winner = stage.api.as_(people.buyer).ok("GET", "/awards")["items"][0]["id"]
    body = {"cause": "buyer_defaulted", "reason": "did not pay"}
    stage.api.as_(people.admin).ok("POST", f"/awards/{winner}/fail", json=body)
    work()
    work()
    by_organisation = told(stage)
    kinds = {who: [body["type"] for body in bodies] for who, bodies in by_organisation.items()}
    assert kinds[people.third_buyer.organisation_id] == ["listing.published"]
    for who in (people.buyer, people.seller, people.admin):
        assert {"auction.opened", "auction.progressed", "auction.awarded", "award.failed"} <= set(
            kinds[who.organisation_id]
        )
    assert "award.failed" not in kinds[people.other_buyer.organisation_id]
    assert kinds[people.buyer.organisation_id].count("registration.approved") == 1
    assert kinds[people.seller.organisation_id].count("registration.approved") == 2
    everything = json.dumps(by_organisation[people.other_buyer.organisation_id])
    assert str(people.buyer.organisation_id) not in everything
    assert "华信资产" not in everything
    standings = [body["data"] for body in by_organisation[people.buyer.organisation_id] if "leader" in body["data"]]
    assert [one["sequence"] for one in standings] == [1, 2]
    assert standings[1]["leader"] == standings[1]["you"] != standings[0]["leader"]


def test_every_event_that_auctions_announce_goes_out_by_webhook():
    facts = {kind.name for kind in Event.__subclasses__() if kind.__module__ == events.__name__}
    assert facts == {subscription.event for subscription in announcing.SUBSCRIPTIONS}


def listen(stage, *who):
    for one in who:
        stage.api.as_(one).ok("POST", "/webhook-endpoints", 201, json={"url": "https://hooks.example.com/in"})


def heard(stage, who, *kinds):
    """What an organisation was told of these kinds, in order."""
    return [(body["type"], body["data"]) for body in told(stage).get(who.organisation_id, []) if body["type"] in kinds]


def test_suspended_resumed_twice_and_a_bidder_removed(stage, work):
    people = stage.people
    listen(stage, people.seller, people.buyer, people.other_buyer, people.third_buyer, people.admin)
    listing = stage.publish()
    registrations = [stage.registered(listing, who) for who in (people.buyer, people.other_buyer)]
    path = f"/auctions/{listing['auction_id']}"
    stage.at(ENDS - timedelta(minutes=10))
    stage.bid(listing, people.buyer, "100000.00")
    stage.bid(listing, people.other_buyer, "105000.00")
    progress(stage)
    for minute, deed in enumerate(["suspend", "resume"] * 2):
        stage.at(ENDS - timedelta(minutes=9 - minute))
        stage.api.as_(people.compliance).ok("POST", f"{path}/{deed}", json={"reason": "a complaint"})
        work()
    void = {"reason": "forged licence", "registration_id": registrations[1]["id"]}
    stage.api.as_(people.compliance).ok("POST", f"{path}/void", json=void)
    work()
    work()
    progress(stage)
    for who in (people.seller, people.buyer, people.other_buyer, people.admin):
        steered = heard(stage, who, "auction.suspended", "auction.resumed")
        assert [kind for kind, _ in steered] == ["auction.suspended", "auction.resumed"] * 2
        assert [data["number"] for _, data in steered] == [3, 4, 5, 6]
        assert [data["ends_at"] for kind, data in steered if kind == "auction.resumed"] == [
            "2026-03-02T13:01:00.000Z", "2026-03-02T13:02:00.000Z",
        ]  # fmt: skip
    ((_, removed),) = heard(stage, people.other_buyer, "auction.bidder_voided")
    assert removed["bidder"] == registrations[1]["bidder_code"]
    assert [len(heard(stage, who, "auction.bidder_voided")) for who in (people.seller, people.admin)] == [1, 1]
    assert heard(stage, people.buyer, "auction.bidder_voided") == []
    standings = [data for _, data in heard(stage, people.buyer, "auction.progressed")]
    assert [(one["price"]["amount"], one["leader"] == one["you"]) for one in standings] == [
        ("105000.00", False), ("100000.00", True),
    ]  # fmt: skip
    assert {kind for kind, _ in heard(stage, people.third_buyer, *ALL)} == {"listing.published"}


def test_corrected_terms_reach_whoever_registered_each_time(stage, work):
    people = stage.people
    listen(stage, people.seller, people.buyer, people.other_buyer, people.admin)
    listing = stage.publish(preset="dgf", **LONG)
    body = {"undertakes_no_resale": False}
    stage.api.as_(people.buyer).ok("POST", f"/listings/{listing['id']}/registrations", 201, json=body)
    for title in ("Corrected", "Corrected again"):
        assert patch(stage, listing, title_en=title).status_code == 200
    work()
    for who in (people.seller, people.buyer, people.admin):
        told_of = [data["version"] for _, data in heard(stage, who, "listing.rectified")]
        assert told_of == sorted(set(told_of))
        assert len(told_of) == 2
    assert heard(stage, people.other_buyer, "listing.rectified") == []


def test_the_next_attempt_is_told_to_the_seller_and_the_operator(stage, tick, monkeypatch):
    monkeypatch.setattr(sending, "call", lambda _: sending.Outcome(200, "", 1))
    people = stage.people
    listen(stage, people.seller, people.buyer, people.admin)
    first = stage.publish(relisting_plan=PLAN)
    second, _ = failed(stage, first, tick)
    tick()
    for who in (people.seller, people.admin):
        ((_, data),) = heard(stage, who, "listing.planned")
        assert (data["listing_id"], data["previous_listing_id"]) == (second["id"], first["id"])
    assert heard(stage, people.buyer, "listing.planned") == []
    assert [data["listing_id"] for _, data in heard(stage, people.buyer, "listing.published")] == [
        first["id"], second["id"],
    ]  # fmt: skip


def test_a_sealed_auction_that_is_over_is_told_to_all_parties_once_and_nothing_before(stage, work):
    people = stage.people
    listen(stage, people.seller, people.buyer, people.third_buyer, people.admin)
    listing = stage.live(people.buyer, format="sealed_first_price", increment=None)
    work()
    assert progress(stage) == 3
    stage.at(ENDS)
    assert [progress(stage), progress(stage)] == [3, 0]
    for who in (people.seller, people.buyer, people.admin):
        ((_, data),) = heard(stage, who, announcing.AWAITS_OPENING)
        assert data["auction_id"] == listing["auction_id"]
    assert heard(stage, people.third_buyer, announcing.AWAITS_OPENING) == []
