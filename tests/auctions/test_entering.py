"""The hint by which a batch locks the row at once: never needed, never trusted, and no way to make others wait."""

import asyncio
import json

import pytest
from sqlalchemy import text

import live
from auctions import bidding, entering
from auctions.domain.canonical import canonical, fingerprint
from marketplace import aio, direct
from marketplace.actor import Role
from marketplace.clock import format_instant
from marketplace.errors import Failure
from tests.auctions.arena import ENDS, OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.conftest import cny


@pytest.fixture
def asked(monkeypatch):
    """Every statement that is asked, by what it begins with."""
    found = []
    first = direct.Asked.__init__

    def remember(self, session, statement, values):
        found.append("lock" if statement is entering.LOCK else "look" if statement is entering.LOOK else "other")
        first(self, session, statement, values)

    monkeypatch.setattr(direct.Asked, "__init__", remember)
    return found


def ways(asked):
    """Which of the two questions were asked of the row, in order."""
    told = [one for one in asked if one != "other"]
    asked.clear()
    return told


def test_an_auction_that_is_remembered_is_locked_at_once_if_a_bid_may_be_accepted(arena, asked):
    arena.open()
    assert (arena.bid("A", 100), ways(asked)) == (1, ["look", "lock"])
    assert (arena.bid("B", 110), ways(asked)) == (2, ["look", "lock"])  # whom it has not met yet
    assert (arena.bid("A", 120), ways(asked)) == (3, ["lock"])
    assert (arena.bid("B", 120), ways(asked)) == ("below_minimum", ["look"])
    assert (arena.bid("B", 130), ways(asked)) == (4, ["lock"])


def test_a_repetition_is_answered_by_what_is_written_whichever_way(arena, asked):
    arena.open()
    assert arena.bid("A", 100, key="a") == 1
    assert arena.bid("B", 110) == 2
    ways(asked)
    assert (arena.bid("A", 100, key="a"), ways(asked)) == (1, ["look"])
    assert (arena.bid("A", 120, key="a"), ways(asked)) == ("idempotency_key_reused", ["lock"])
    assert [entry.number for entry in arena.log()] == [1, 2]


def test_nobody_who_is_refused_makes_others_wait_for_the_row(arena, asked):
    """Too fast, far too much, too little, not registered: said without the lock, however often."""
    arena.open(interval=1, confirm=100, bidders="AB")
    assert arena.bid("A", 100) == 1
    assert arena.bid("B", 110) == 2
    ways(asked)
    answers = [arena.bid("A", 120), arena.bid("B", 1000), arena.bid("A", 1), arena.bid("C", 500)]
    assert answers == ["too_fast", "already_leading", "below_minimum", "not_registered"]
    assert ways(asked) == ["look"] * 4


def test_a_hint_that_another_process_made_untrue_decides_nothing(arena, asked, monkeypatch):
    arena.open()
    arena.bid("A", 100)
    arena.bid("B", 110)
    kept = dict(entering._remembered)
    monkeypatch.setattr(entering, "_remembered", {})
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("auctions.plays._kept", {})
        arena.bid("A", 200)
    monkeypatch.setattr(entering, "_remembered", kept)
    ways(asked)
    assert (arena.bid("A", 120), ways(asked)) == ("already_leading", ["lock"])
    assert arena.standing()[:2] == ("A", 200)


def test_a_seat_that_was_lost_since_is_lost(arena, asked, monkeypatch):
    arena.open()
    arena.bid("A", 100)
    arena.bid("B", 110)
    ways(asked)
    monkeypatch.undo()
    with arena.sessions.begin() as session:
        session.execute(text("UPDATE registrations SET covered_at = NULL, state = 'applied', decided_at = NULL"))
    assert isinstance(arena.batch(arena.attempt("A", 120))[0], Failure)
    assert len(arena.log()) == 2


def test_whoever_holds_a_token_is_asked_anew(stage, running, request):
    """A token that was another's in an earlier batch bids for whom it belongs to now."""
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, reserve_price=None)
    path = f"/api/v1/auctions/{listing['auction_id']}/bids"
    door = live.Door(running)
    request.addfinalizer(door.let_go)
    route = next(route for route in door.application._routes if route.method == "POST")
    bidding = route.handler.__self__._bidding

    def bid(who, amount, key):
        async def ask():
            answered = asyncio.get_running_loop().create_future()
            fields = {
                "content-type": "application/json",
                "idempotency-key": key,
                "authorization": f"Bearer {who.token}",
            }
            body = json.dumps({"amount": cny(amount)}).encode()
            door.application.take(aio.Asked("POST", path, fields, body), aio.Reply(answered.set_result, path))
            return await answered

        return asyncio.run(ask())

    assert bid(people.buyer, "100000.00", "a").status == 201
    assert bid(people.other_buyer, "105000.00", "b").status == 201
    buyer, other = bidding._known[people.buyer.token], bidding._known[people.other_buyer.token]
    assert Role.BUYER_BIDDER in buyer.roles
    bidding._known.update({people.buyer.token: other, people.other_buyer.token: buyer})
    told = bid(people.buyer, "110000.00", "c")
    assert (told.status, json.loads(told.body)["leader"]) == (201, stage.auction(listing)["leader"])
    assert bidding._known[people.buyer.token] == buyer
    assert bid(people.other_buyer, "115000.00", "d").status == 201


def test_what_is_remembered_holds_no_entries(arena):
    arena.open()
    arena.bid("A", 100)
    arena.bid("B", 110, key="b")
    arena.bid("B", 110, key="b")
    known = entering._remembered[arena.auction_id]
    assert (known.accepted, known.earlier, len(known.seats)) == ({}, {}, 2)


@pytest.fixture
def meanwhile(monkeypatch):
    """What is committed elsewhere between the look and the lock."""
    lock = bidding._locked

    def do(work):
        monkeypatch.setattr(bidding, "_locked", lambda *given: (work(), lock(*given))[1])

    return do


def test_who_withdrew_between_the_look_and_the_lock_has_no_seat_any_more(arena, meanwhile):
    arena.open()

    def withdraw():
        with arena.sessions.begin() as session:
            session.execute(text("UPDATE registrations SET state = 'withdrawn' WHERE bidder_code = 'B-1001'"))

    meanwhile(withdraw)
    assert [getattr(one, "code", None) for one in arena.batch(arena.attempt("A", 100))] == ["not_registered"]
    assert arena.log() == []


def test_rules_that_were_corrected_between_the_look_and_the_lock_are_those_that_decide(arena, meanwhile):
    """Before the first bid the log has no head by which the look would be known to be of other rules."""
    arena.open()
    later = rules(opens_at=format_instant(OPENS + SECOND), ends_at=format_instant(ENDS))

    def rectify():
        with arena.sessions.begin() as session:
            session.execute(
                text("UPDATE auctions SET rules = :rules, rules_hash = :hash, opens_at = :opens_at"),
                {"rules": canonical(later).decode(), "hash": fingerprint(later), "opens_at": OPENS + SECOND},
            )

    meanwhile(rectify)
    assert arena.bid("A", 100) == "not_open"
    assert arena.log() == []


@pytest.mark.parametrize(("deed", "code"), [("suspend", "suspended"), ("void", "voided")])
def test_a_bid_is_not_sealed_after_what_the_operator_did_since_the_look(arena, monkeypatch, deed, code):
    """Its receipt would say that it was accepted, and the opening would not count it."""
    arena.open(rules("sealed_first_price"))
    arena.seal()
    seal = bidding._seal

    def meanwhile(*given):
        arena.steer(deed, **({"name": "A"} if deed == "void" else {}))
        return seal(*given)

    monkeypatch.setattr(bidding, "_seal", meanwhile)
    assert arena.bid("A", 150) == code
