"""Every event of an auction reaches each party by webhook, and no party learns more than it may see."""

import json

from sqlalchemy import text

from auctions import announcing, service
from tests.auctions.conftest import ENDS


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
