"""Two bids at the same instant from two processes, and a storm: one accepted at a time, no gaps, strictly rising."""

import itertools
import multiprocessing
import random
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from auctions import service
from marketplace import runtime
from marketplace.errors import Failure
from marketplace.money import Money
from tests.auctions.conftest import ENDS

pytestmark = pytest.mark.slow

ROUNDS = 50


def bid(sessions, auction_id, actor, cents, key=None):
    try:
        with sessions.begin() as session:
            receipt = service.place_bid(
                session,
                auction_id=auction_id,
                amount=Money(cents, "CNY"),
                idempotency_key=key or uuid.uuid4().hex,
                actor=actor,
            )
    except Failure as failure:
        return failure.code
    return receipt.sequence


def process(settings, auction_id, actors, place, barrier, answers):
    """One process: in every round one of the two bidders that do not lead, the same amount, the same instant."""
    built = runtime.build(settings, ())
    runtime.install(built)
    sessions = built.sessions
    for number in range(ROUNDS):
        barrier.wait(60)
        with sessions() as session:
            views = [(actor, service.view_auction(session, auction_id, actor=actor)) for actor in actors]
        rivals = [actor for actor, view in views if view.leader != view.you]
        barrier.wait(60)
        answers.put((number, bid(sessions, auction_id, rivals[place], views[0][1].minimum_next.minor)))
    built.engine.dispose()


def test_two_processes_at_the_same_instant(stage, settings):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer, people.third_buyer, reserve_price=None)
    auction_id = uuid.UUID(listing["auction_id"])
    actors = [people.buyer.actor, people.other_buyer.actor, people.third_buyer.actor]
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=process, args=(settings, auction_id, actors, place, barrier, answers))
        for place in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=120) for _ in range(2 * ROUNDS)]
    for worker in workers:
        worker.join(60)
    for number in range(ROUNDS):
        answered = sorted(str(code) for place, code in found if place == number)
        assert answered == [str(number + 1), "below_minimum"]
    shown = stage.auction(listing)
    assert (shown["sequence"], shown["price"]["amount"]) == (ROUNDS, f"{100_000 + 5_000 * (ROUNDS - 1)}.00")


def let_the_clock_run(stage):
    """PostgreSQL's clock of auctions moves again, from where the stage is."""
    shift = stage.clock.at - datetime.now(UTC)
    with stage.sessions.begin() as session:
        session.execute(
            text(
                "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT "
                f"date_trunc('milliseconds', clock_timestamp() + interval '{shift.total_seconds()} s') $$"
            )
        )


def bid_while_locked(stage, meanwhile):
    """Lock the auction, let a bid of the buyer wait for it, do `meanwhile`, let go; return the bid's answer."""
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    let_the_clock_run(stage)
    auction_id, answers = uuid.UUID(listing["auction_id"]), []
    with stage.sessions.begin() as holder:
        holder.execute(text("SELECT 1 FROM auctions FOR UPDATE"))
        waiting = threading.Thread(
            target=lambda: answers.append(bid(stage.sessions, auction_id, people.buyer.actor, 10_000_000))
        )
        waiting.start()
        wait_for_a_lock(stage)
        meanwhile(holder)
    waiting.join(30)
    return answers[0]


def wait_for_a_lock(stage, count=1):
    for _ in range(300):
        with stage.sessions() as session:
            query = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
            if session.execute(text(query)).scalar_one() >= count:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_the_time_of_a_bid_is_taken_after_the_lock(stage):
    released = []

    def meanwhile(holder):
        time.sleep(0.2)
        released.append(holder.execute(text("SELECT auction_time()")).scalar_one())

    assert bid_while_locked(stage, meanwhile) == 1
    with stage.sessions() as session:
        assert session.execute(text("SELECT at FROM auction_events")).scalar_one() >= released[0]


def test_a_deposit_released_while_the_bid_waits_refuses_it(stage):
    def meanwhile(holder):
        holder.execute(text("UPDATE registrations SET covered_at = NULL"))

    assert bid_while_locked(stage, meanwhile) == "deposit_not_held"


def test_an_auction_that_ends_while_the_bid_waits_refuses_it(stage):
    def meanwhile(holder):
        holder.execute(text("UPDATE auctions SET closed_at = auction_time(), outcome = 'unsold'"))

    assert bid_while_locked(stage, meanwhile) == "late"


def test_an_end_that_moves_while_it_is_not_committed_yet_lets_the_bid_in(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    stage.at(ENDS - timedelta(milliseconds=1))
    auction_id, answers = uuid.UUID(listing["auction_id"]), []
    with stage.sessions.begin() as holder:
        service.place_bid(
            holder, auction_id=auction_id, amount=Money(10_000_000, "CNY"), idempotency_key="k",
            actor=people.other_buyer.actor,
        )  # fmt: skip
        stage.at(ENDS)
        waiting = threading.Thread(
            target=lambda: answers.append(bid(stage.sessions, auction_id, people.buyer.actor, 11_000_000))
        )
        waiting.start()
        wait_for_a_lock(stage)
    waiting.join(30)
    assert answers == [2]


def test_two_requests_with_one_key_at_once_get_one_receipt(stage):
    people = stage.people
    listing = stage.live(people.buyer)
    auction_id, answers = uuid.UUID(listing["auction_id"]), []
    with stage.sessions.begin() as holder:
        holder.execute(text("SELECT 1 FROM auctions FOR UPDATE"))
        twins = [
            threading.Thread(
                target=lambda: answers.append(bid(stage.sessions, auction_id, people.buyer.actor, 10_000_000, "k"))
            )
            for _ in range(2)
        ]
        for twin in twins:
            twin.start()
        wait_for_a_lock(stage, count=2)
    for twin in twins:
        twin.join(30)
    assert answers == [1, 1]
    assert stage.auction(listing)["sequence"] == 1


def test_a_storm_leaves_no_gap(stage, running):
    """A clock that moves; eight threads over three bidders read the price and bid at or around the minimum."""
    people, sessions = stage.people, running.sessions
    listing = stage.live(people.buyer, people.other_buyer, people.third_buyer, reserve_price=None)
    let_the_clock_run(stage)
    auction_id = uuid.UUID(listing["auction_id"])
    codes = []

    def storm(seed):
        chance = random.Random(seed)
        for _ in range(40):
            who = chance.choice([people.buyer, people.other_buyer, people.third_buyer])
            with sessions() as session:
                view = service.view_auction(session, auction_id, actor=who.actor)
            codes.append(bid(sessions, auction_id, who.actor, view.minimum_next.minor + chance.choice([-1, 0, 0, 1])))

    threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = sorted(code for code in codes if isinstance(code, int))
    assert accepted == list(range(1, len(accepted) + 1))
    assert {code for code in codes if isinstance(code, str)} <= {"below_start", "below_minimum", "already_leading"}
    with sessions() as session:
        log = session.execute(text("SELECT sequence, amount_minor, at FROM auction_events ORDER BY number")).all()
    assert [row.sequence for row in log] == accepted
    assert all(one.amount_minor < two.amount_minor and one.at <= two.at for one, two in itertools.pairwise(log))
    stage.at(ENDS)
    with sessions.begin() as session:
        assert service.close_due(session, stage.clock.now()) == 1
