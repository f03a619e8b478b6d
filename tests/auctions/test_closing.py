"""Closing late, twice and beside itself; awards and their moves; what is shown of a result."""

import json
import subprocess
import sys
import threading
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from auctions import closing, service
from auctions.awards import AwardInForce
from auctions.domain.replay import replay
from marketplace.actor import SYSTEM
from marketplace.documents import Node
from marketplace.lifecycle import IllegalMove
from tests.auctions.conftest import ENDS, cny


def close(stage):
    with stage.sessions.begin() as session:
        return service.close_due(session, stage.clock.now())


def rows(stage, statement):
    with stage.sessions() as session:
        return [tuple(row) for row in session.execute(text(statement))]


def sold(stage, *, until="125000.00"):
    """An auction that ended with `buyer` first at `until` and `other_buyer` behind at 120000."""
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, people.third_buyer)
    assert stage.bid(listing, people.third_buyer, "100000.00").status_code == 201
    assert stage.bid(listing, people.other_buyer, "120000.00").status_code == 201
    assert stage.bid(listing, people.buyer, until).status_code == 201
    stage.at(ENDS)
    return listing


def result(stage, listing, who=None):
    return stage.api.as_(who or stage.people.auditor).ok("GET", f"/auctions/{listing['auction_id']}/result")


def test_nothing_is_closed_before_its_end(stage):
    listing = sold(stage)
    stage.at(ENDS - timedelta(milliseconds=1))
    assert close(stage) == 0
    pending = stage.api.as_(stage.people.buyer).get(f"/auctions/{listing['auction_id']}/result")
    assert (pending.status_code, pending.get_json()["code"]) == (409, "result_pending")


def test_the_process_clock_does_not_close_early(stage):
    sold(stage)
    stage.at(ENDS - timedelta(milliseconds=1))
    stage.clock.at = ENDS + timedelta(hours=1)
    assert close(stage) == 0


def test_sold_once_however_often_and_late(stage):
    listing = sold(stage)
    stage.at(ENDS + timedelta(hours=1))
    assert [close(stage), close(stage), close(stage)] == [1, 0, 0]
    shown = result(stage, listing)
    assert (shown["outcome"], shown["price"], shown["ended_at"]) == (
        "sold",
        cny("125000.00"),
        "2026-03-02T13:00:00.000Z",
    )
    assert [(award["state"], award["price"]) for award in shown["awards"]] == [
        ("pending", cny("125000.00")), ("waiting", cny("120000.00")),
    ]  # fmt: skip
    assert shown["awards"][0]["bidder"] == shown["winner"]
    assert rows(stage, "SELECT name FROM outbox_events WHERE name LIKE 'auction.%'") == [("auction.awarded",)]
    assert rows(stage, "SELECT state FROM listings") == [("closed",)]
    assert rows(stage, "SELECT state FROM packages") == [("listed",)]
    assert stage.auction(listing)["state"] == "sold"
    runner_up = rows(stage, "SELECT runner_up_registration_id IS NOT NULL, state FROM awards ORDER BY id")
    assert runner_up == [(True, "pending"), (False, "waiting")]


def test_five_workers_at_once_make_one_award(stage):
    sold(stage)
    barrier, counts = threading.Barrier(5), []

    def run():
        barrier.wait()
        counts.append(close(stage))

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 0, 1]
    assert rows(stage, "SELECT count(*) FROM awards") == [(2,)]
    assert rows(stage, "SELECT count(*) FROM outbox_events WHERE name = 'auction.awarded'") == [(1,)]


def test_below_the_reserve_it_fails_and_the_package_is_free(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    stage.bid(listing, people.buyer, "119999.99")
    stage.at(ENDS)
    assert close(stage) == 1
    shown = result(stage, listing, people.buyer)
    assert (shown["outcome"], shown["winner"], shown["awards"]) == ("unsold", None, [])
    assert rows(stage, "SELECT name FROM outbox_events WHERE name LIKE 'auction.%'") == [("auction.failed",)]
    assert rows(stage, "SELECT state FROM packages") == [("frozen",)]
    assert stage.api.as_(people.buyer).get(f"/auctions/{listing['auction_id']}/log").status_code == 404
    own = stage.api.as_(people.seller).ok("GET", f"/auctions/{listing['auction_id']}/log")
    assert own["rules"]["reserve_price"] == "120000.00"


def parts_of(client, path, limit):
    """Every part of a log, as a client reads it on."""
    found, after = [], 0
    while after is not None:
        part = client.ok("GET", f"{path}?limit={limit}&after={after}")
        assert 0 < len(part["events"]) <= limit
        found.append(part)
        after = part["next"]
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_the_parts_of_a_log_make_the_file(stage, limit):
    listing = sold(stage)
    close(stage)
    client, path = stage.api.as_(stage.people.buyer), f"/auctions/{listing['auction_id']}/log"
    whole = client.ok("GET", path)
    parts = parts_of(client, path, limit)
    assert [event for part in parts for event in part["events"]] == whole["events"]
    assert {json.dumps(part["rules"]) for part in parts} == {json.dumps(whole["rules"])}
    assert "next" not in whole
    beyond = client.ok("GET", f"{path}?limit=5&after=1000")
    assert (beyond["events"], beyond["next"]) == ([], None)
    for wrong in ("limit=0", "limit=10001", "limit=x", "after=-1"):
        assert client.get(f"{path}?{wrong}").status_code == 422


def test_a_log_too_long_for_one_answer_says_how_to_read_it(stage, monkeypatch):
    listing = sold(stage)
    close(stage)
    monkeypatch.setattr(closing, "WHOLE_LOG", 2)
    client, path = stage.api.as_(stage.people.buyer), f"/auctions/{listing['auction_id']}/log"
    refused = client.ok("GET", path, 409)
    assert (refused["code"], "?limit=" in refused["detail"]) == ("log_too_long", True)
    assert sum(len(part["events"]) for part in parts_of(client, path, 2)) == refused["entries"]


def test_without_bids_and_with_too_few_bidders_it_fails(stage):
    first, second = stage.publish(), stage.publish(minimum_bidders=2)
    stage.registered(second, stage.people.buyer)
    stage.at(ENDS - timedelta(minutes=30))
    assert stage.bid(second, stage.people.buyer, "200000.00").status_code == 201
    stage.at(ENDS)
    assert close(stage) == 2
    assert [result(stage, listing)["outcome"] for listing in (first, second)] == ["unsold", "unsold"]


def test_anyone_recomputes_the_result_from_the_log(stage):
    listing = sold(stage)
    close(stage)
    document = stage.api.as_(stage.people.buyer).ok("GET", f"/auctions/{listing['auction_id']}/log")
    shown = result(stage, listing)
    answer = replay(Node(document))
    assert (answer["winner"], answer["price"]) == (shown["winner"], shown["price"]["amount"])
    assert answer["log_hash"] == shown["log_hash"]
    printed = subprocess.run(
        [sys.executable, "-m", "auctions", "replay", "-"],
        input=json.dumps(document).encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(printed.stdout) == answer
    preview = stage.api.as_(stage.people.valuer).ok("POST", "/previews/replay", json=document)
    assert preview == answer


def test_the_preview_refuses_as_the_command_line_does(stage):
    api = stage.api.as_(stage.people.valuer)
    refused = api.post("/previews/replay", json={"rules": {"format": "swiss"}, "events": []})
    assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/rules/format")
    assert api.post("/previews/replay", data=b"{", content_type="application/json").status_code == 422
    assert api.post("/previews/replay", data=b"{}", content_type="text/plain").status_code == 415


def test_a_row_that_disagrees_with_its_log_is_not_closed_and_does_not_stop_others(stage):
    listing = sold(stage)
    other = stage_second(stage)
    with stage.sessions.begin() as session:
        session.execute(
            text("UPDATE auctions SET price_minor = price_minor + 1 WHERE id = :id"), {"id": listing["auction_id"]}
        )
    stage.at(ENDS + timedelta(hours=2))
    assert close(stage) == 1
    assert result(stage, other)["outcome"] == "unsold"
    assert stage.auction(listing)["state"] == "ended"


def stage_second(stage):
    stage.at(stage.clock.at - timedelta(hours=3))
    return stage.publish()


def test_identities_in_a_result(stage):
    people, listing = stage.people, sold(stage)
    close(stage)

    def organisations(who):
        return [award["organisation_id"] for award in result(stage, listing, who)["awards"]]

    everything = [str(people.buyer.organisation_id), str(people.other_buyer.organisation_id)]
    assert organisations(people.seller) == organisations(people.auditor) == organisations(people.finance) == everything
    assert organisations(people.buyer) == [everything[0], None]
    assert organisations(people.third_buyer) == [None, None]
    award = result(stage, listing)["awards"][0]["id"]
    assert stage.api.as_(people.buyer).ok("GET", f"/awards/{award}")["state"] == "pending"
    for who in (people.third_buyer, people.other_seller):
        assert stage.api.as_(who).get(f"/awards/{award}").status_code == 404


@pytest.fixture
def awards(stage):
    listing = sold(stage)
    close(stage)
    return [uuid.UUID(award["id"]) for award in result(stage, listing)["awards"]]


def act(stage, name, award_id, **more):
    with stage.sessions.begin() as session:
        return getattr(service, name)(session, award_id=award_id, actor=SYSTEM, at=stage.clock.now(), **more)


def test_a_signed_contract_releases_the_runner_up(stage, awards):
    winner, runner_up = awards
    assert act(stage, "confirm_contract", winner).state == "contracted"
    assert act(stage, "confirm_contract", winner).state == "contracted"
    assert rows(stage, "SELECT state FROM awards ORDER BY id") == [("contracted",), ("released",)]
    with pytest.raises(AwardInForce):
        act(stage, "promote_award", runner_up, reason="x")


def test_the_runner_up_takes_the_place_of_a_winner_that_fails(stage, awards):
    winner, runner_up = awards
    with pytest.raises(AwardInForce):
        act(stage, "promote_award", runner_up, reason="x")
    act(stage, "fail_award", winner, reason="did not sign")
    assert rows(stage, "SELECT state FROM packages") == [("listed",)]
    act(stage, "promote_award", runner_up, reason="winner failed")
    events = rows(stage, "SELECT payload ->> 'award_id' FROM outbox_events WHERE name = 'auction.awarded' ORDER BY id")
    assert events == [(str(winner),), (str(runner_up),)]
    with pytest.raises(IllegalMove):
        act(stage, "confirm_contract", winner)
    act(stage, "fail_award", runner_up, reason="did not sign either")
    assert rows(stage, "SELECT state FROM packages") == [("frozen",)]


def test_when_winner_fails_and_runner_up_is_released_the_package_is_free(stage, awards):
    winner, runner_up = awards
    act(stage, "fail_award", winner, reason="did not sign")
    act(stage, "release_award", runner_up, reason="not interested")
    assert rows(stage, "SELECT state FROM packages") == [("frozen",)]


def test_postgresql_allows_one_award_in_force(stage, awards):
    with stage.sessions() as session, pytest.raises(IntegrityError, match="uq_awards_in_force"):
        session.execute(text("UPDATE awards SET state = 'pending', in_force_at = created_at"))
    assert awards
