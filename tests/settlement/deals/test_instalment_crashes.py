"""Instalments under attack: workers killed inside every step of each, and two that distribute the same money."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settlement import instalments
from tests.settlement.deals.closing_steps import decide, propose
from tests.settlement.deals.conftest import PRICE
from tests.settlement.deals.test_crashes import WORKER, twice_at_once
from tests.settlement.deals.test_instalment_deals import IN_PARTS, PARTS, of_cases, signed, ties

ROOT = Path(__file__).resolve().parents[3]
FIGURES = """
SELECT (SELECT count(*) FROM deal_instalments), (SELECT sum(net_minor) FROM instalment_shares),
       (SELECT count(*) FROM case_receipts), (SELECT sum(amount_minor) FROM case_receipts),
       (SELECT count(*) FROM cases WHERE state = 'sold'), (SELECT count(*) FROM payment_orders),
       (SELECT distributed_minor FROM deals), (SELECT state FROM deals),
       (SELECT string_agg(source_kind, ',' ORDER BY source_kind) FROM entries)
"""


@pytest.mark.slow
def test_workers_killed_inside_every_step_of_each_instalment(sale, settings):
    """Each process delivers one step and is killed inside the next; it ends as if nobody had died."""

    def run_until_done():
        done = subprocess.run(
            [sys.executable, "-c", WORKER, settings.database_url, str(settings.files_path), "1"],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    sale.award()
    run_until_done()
    assert decide(sale, "closing-terms", propose(sale, IN_PARTS)).status_code == 200
    sale.sign()
    run_until_done()
    for amount in PARTS:
        sale.statement((amount, f"余款 {sale.deal()['reference']}", "buyer"))
        run_until_done()
    (row,) = sale.sql(FIGURES)
    assert (row[0], row[6], row[7]) == (len(PARTS) + 1, PRICE, "settled")
    assert len(of_cases(sale)) == row[4] == 5
    ties(sale)


def test_two_workers_distribute_an_instalment_once(sale):
    deal = signed(sale)
    sale.statement((PARTS[0], f"余款 {deal['reference']}", "buyer"))
    twice_at_once(sale, instalments.distribute_received)
    assert sale.sql("SELECT count(*) FROM deal_instalments") == [(2,)]
    sale.work()
    assert sale.sql("SELECT count(*) FROM deal_instalments") == [(2,)]
    ties(sale)
