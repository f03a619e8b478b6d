"""A worker dies between any two steps, or in the middle of one: started again it reaches the same end, once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from marketplace import outbox
from marketplace.actor import SYSTEM
from settlement import deals, payouts, releases, tasks

ROOT = Path(__file__).resolve().parents[3]
END = """
SELECT (SELECT count(*) FROM deals WHERE state = 'settled'), (SELECT count(*) FROM awards WHERE state = 'contracted'),
       (SELECT count(*) FROM allocations), (SELECT sum(amount_minor) FROM allocations),
       (SELECT count(*) FROM case_receipts), (SELECT sum(amount_minor) FROM case_receipts),
       (SELECT count(*) FROM cases WHERE state = 'sold'), (SELECT count(*) FROM payment_orders),
       (SELECT string_agg(source_kind, ',' ORDER BY source_kind) FROM entries),
       (SELECT string_agg(split_part(a.key, ':', 1) || p.amount_minor, ','
                          ORDER BY split_part(a.key, ':', 1), p.amount_minor)
          FROM postings p JOIN accounts a ON a.id = p.account_id)
"""
ELSEWHERE = {"auction.failed", "award.failed", "award.released", "deal.distribution_due"}
"""Not on the way of a sale that is paid at once; `test_defaults` and `test_instalment_crashes` have them."""
HANDLERS = [subscription.handler for subscription in tasks.SUBSCRIPTIONS if subscription.event not in ELSEWHERE]


class Killed(BaseException):
    """As good as kill -9: nobody catches it."""


@pytest.fixture
def ready_to_run(sale, running):
    """Award, payment and both signatures, delivering only what each needs; `relay` runs until nothing is due."""

    def relay(subscriptions=running.subscriptions):
        running.clock.advance(minutes=10)
        outbox.deliver_due(running.sessions, subscriptions, clock=running.clock)

    sale.relay = relay
    return sale


def finish(sale):
    sale.award()
    sale.relay()
    sale.pay_balance()
    sale.sign()
    sale.relay()
    return sale.sql(END)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.__name__)
def test_killed_at_each_step(ready_to_run, running, handler, when):
    """Killed before its work or after it and before the commit, twice; then everything runs on."""
    killed = []

    def dying(session, payload, at):
        if when == "after":
            handler(session, payload, at)
            session.flush()
        killed.append(when)
        raise Killed

    def mortal(subscription):
        if subscription.handler is not handler:
            return subscription
        dying.__module__, dying.__name__ = handler.__module__, handler.__name__
        return outbox.Subscription(subscription.event, dying)

    mortals = tuple(mortal(subscription) for subscription in running.subscriptions)
    sale = ready_to_run

    def run():
        for _ in range(2):
            try:
                sale.relay(mortals)
            except Killed:
                continue
        sale.relay()

    sale.award()
    run()
    sale.pay_balance()
    sale.sign()
    run()
    sale.work()
    assert killed
    (row,) = sale.sql(END)
    assert row[:8] == (1, 1, 5, 984_100_01, 5, 984_100_01, 5, 3)
    assert row[8].split(",").count("deal.distributed") == row[8].split(",").count("deal.opened") == 1


def test_every_step_done_twice_is_done_once(ready_to_run):
    sale = ready_to_run
    before = finish(sale)
    (deal_id,) = sale.sql("SELECT id FROM deals")[0]
    for step in (releases.release_losers, releases.release_runner_up, deals.confirm_contract, payouts.distribute_deal,
                 payouts.record_proceeds, payouts.settle_deal):  # fmt: skip
        with sale.sessions.begin() as session:
            step(session, deal_id=deal_id, actor=SYSTEM, at=sale.clock.now())
    with sale.sessions.begin() as session:
        again = deals.open_deal(session, award_id=sale.award_id, actor=SYSTEM, at=sale.clock.now())
        assert again.id == deal_id
    sale.work()
    assert sale.sql(END) == before


def twice_at_once(sale, deed):
    """Let two workers do a deed to the deal at the same time, each in a transaction; none fails."""
    (deal_id,) = sale.sql("SELECT id FROM deals")[0]
    barrier, failures = threading.Barrier(2), []

    def work():
        try:
            with sale.sessions.begin() as session:
                barrier.wait()
                deed(session, deal_id=deal_id, actor=SYSTEM, at=sale.clock.now())
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_workers_distribute_at_once(ready_to_run):
    sale = ready_to_run
    sale.award()
    sale.relay()
    sale.pay_balance()
    sale.sign()
    twice_at_once(sale, payouts.distribute_deal)
    assert sale.sql("SELECT count(*), sum(amount_minor) FROM allocations") == [(5, 984_100_01)]
    assert sale.sql("SELECT count(*) FROM payment_orders WHERE purpose = 'payout'") == [(1,)]


WORKER = """
import os, sys
from pathlib import Path
import wsgi
from datetime import UTC, datetime
from marketplace import outbox, runtime
from marketplace.clock import FixedClock
sys.path.insert(0, "tests")
from conftest import make_settings
database, files, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
count = 0
def counted(handler):
    def run(session, payload, at):
        global count
        handler(session, payload, at)
        session.flush()
        count += 1
        if count > steps:
            os.kill(os.getpid(), 9)
    run.__module__, run.__name__ = handler.__module__, handler.__name__
    return run
def work():
    built = runtime.build(make_settings(database, files), wsgi.MODULES,
                          clock=FixedClock(datetime(2026, 3, 3, 12, tzinfo=UTC)))
    runtime.install(built)
    subscriptions = tuple(outbox.Subscription(s.event, counted(s.handler)) for s in built.subscriptions)
    outbox.deliver_due(built.sessions, subscriptions, clock=built.clock)
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status == 0:
        sys.exit(0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9, status
sys.exit("it never came to an end")
"""


@pytest.mark.slow
def test_a_real_process_killed_again_and_again(ready_to_run, settings, tmp_path):
    """Each process (a fork of one that has imported everything) is killed by SIGKILL inside a later transaction."""
    sale = ready_to_run
    sale.award()

    def run_until_done(steps):
        done = subprocess.run(
            [sys.executable, "-c", WORKER, settings.database_url, str(tmp_path / "files"), str(steps)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    run_until_done(1)
    sale.pay_balance()
    sale.sign()
    run_until_done(1)
    (row,) = sale.sql(END)
    assert row[:8] == (1, 1, 5, 984_100_01, 5, 984_100_01, 5, 3)
