"""Deciding and closing under attack: threads on connections of their own, workers beside each other, kill -9 inside."""

import itertools
import multiprocessing
import os
import random
import signal
import threading
import time
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from auctions import bidding, closing
from marketplace import runtime
from marketplace.errors import Failure
from marketplace.money import Money
from tests.auctions.arena import ENDS, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.slow

FORK = multiprocessing.get_context("fork")


def let_the_clock_run(arena):
    shift = (arena.clock.at - datetime.now(UTC)).total_seconds()
    with arena.sessions.begin() as session:
        session.execute(
            text(
                "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT "
                f"date_trunc('milliseconds', clock_timestamp() + interval '{shift} s') $$"
            )
        )


def assert_whole(arena):
    """No gap in the log, prices never lower, times never back, and the row says what the log says."""
    log, row = arena.log(), arena.row()
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert [entry.sequence for entry in log] == list(range(1, len(log) + 1))
    assert all(one.price_minor < two.price_minor and one.at <= two.at for one, two in itertools.pairwise(log))
    assert (row.number, row.sequence, row.price_minor) == (len(log), len(log), log[-1].price_minor if log else None)


def storm(arena, seed, count, told):
    """Batches of one to eight attempts at or around the least next amount, on this thread's own connections."""
    chance = random.Random(seed)
    for _ in range(count):
        price = arena.row().price_minor or 9_000
        attempts = [
            bidding.Attempt(
                arena.person(chance.choice("ABC")).actor,
                uuid.uuid4().hex,
                amount=Money(price + 1_000 * chance.choice([0, 1, 1, 2]), "CNY"),
            )
            for _ in range(chance.randint(1, 8))
        ]
        for answer in arena.batch(*attempts):
            told.append(answer.code if isinstance(answer, Failure) else answer.sequence)


def test_a_storm_of_batches_leaves_no_gap(arena):
    arena.open()
    let_the_clock_run(arena)
    told = []
    threads = [threading.Thread(target=storm, args=(arena, seed, 12, told)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = sorted(one for one in told if isinstance(one, int))
    assert accepted == list(range(1, len(accepted) + 1))
    assert {one for one in told if isinstance(one, str)} <= {"below_minimum", "below_start", "already_leading"}
    assert_whole(arena)
    arena.at(ENDS)
    assert arena.close() == 1


def run_in(arena, work):
    """Run `work(sessions, pipe)` in a process of its own; returns the process and this end of the pipe."""
    mine, theirs = FORK.Pipe()

    def body():
        built = runtime.build(arena.running.settings, ())
        runtime.install(built)
        work(built.sessions, theirs)
        os._exit(0)

    process = FORK.Process(target=body)
    process.start()
    return process, mine


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)


def test_a_process_killed_before_its_commit_leaves_nothing_and_frees_the_lock(arena):
    arena.open()

    def work(sessions, pipe):
        session = sessions()
        answer = bidding.decide_batch(
            session, auction_id=arena.auction_id, attempts=[arena.attempt("A", 100, key="k")]
        )[0]
        pipe.send(answer.sequence)
        time.sleep(60)

    process, pipe = run_in(arena, work)
    assert pipe.recv() == 1
    kill(process)
    assert arena.log() == []
    assert arena.bid("B", 100) == 1
    assert arena.bid("A", 110, key="k") == 2
    assert_whole(arena)


def test_acknowledged_attempts_survive_kill_9_and_a_repeated_key_never_bids_twice(arena):
    arena.open(rules(increment={"kind": "fixed", "amount": "1.00"}))
    let_the_clock_run(arena)
    acknowledged = {}

    def work(sessions, pipe):
        for step in itertools.count(start=arena.row().sequence):
            name, key = "ABC"[step % 3], f"k{step}"
            pipe.send((key, None))
            with sessions.begin() as session:
                answer = bidding.decide_batch(
                    session, auction_id=arena.auction_id, attempts=[arena.attempt(name, 100 + step, key=key)]
                )[0]
            pipe.send((key, answer.sequence))

    for count in (7, 12, 20):
        process, pipe = run_in(arena, work)
        begun = None
        for _ in range(count):
            begun, sequence = pipe.recv()
            if sequence is not None:
                acknowledged[begun] = sequence
        kill(process)
        step = int(begun[1:])
        repeated = arena.bid("ABC"[step % 3], 100 + step, key=begun)
        assert repeated == acknowledged.get(begun, repeated)
        acknowledged[begun] = repeated
    assert_whole(arena)
    assert len(set(acknowledged.values())) == len(acknowledged)
    assert set(acknowledged.values()) <= {entry.sequence for entry in arena.log()}


def test_closing_fifty_times_by_many_workers_and_after_a_kill_inside(arena):
    arena.open()
    arena.bid("A", 100)
    arena.bid("B", 110)
    arena.at(ENDS)

    def work(sessions, pipe):
        session = sessions()
        pipe.send(closing.close_due(session, ENDS))
        time.sleep(60)

    process, pipe = run_in(arena, work)
    assert pipe.recv() == 1
    kill(process)
    assert arena.row().outcome is None
    counts = []
    threads = [threading.Thread(target=lambda: counts.extend(arena.close() for _ in range(10))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(counts), sum(counts)) == (50, 1)
    assert arena.result() == ("sold", 110, [("B", 110, "pending"), ("A", 100, "waiting")])
    assert arena.bid("C", 120) == "late"


def test_a_row_that_its_log_contradicts_is_not_closed(arena):
    arena.open()
    arena.bid("A", 100)
    arena.at(ENDS)
    with arena.sessions.begin() as session:
        session.execute(text("UPDATE auctions SET price_minor = price_minor + 1"))
    assert arena.close() == 0
    assert arena.row().outcome is None
