"""After the closing two persons decide at once, or the process dies in the middle: one wins, nothing is half done."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from marketplace.lifecycle import IllegalMove
from marketplace.money import Money
from settlement import adjustments, closings, parts
from settlement.domain.adjustments import AdjustmentKind, CaseReturned
from settlement.domain.decisions import HoldbackTooSmall
from tests.settlement.deals import closing_steps
from tests.settlement.deals.closing_steps import agrees, close, decide, minor, yuan
from tests.settlement.deals.test_adjustments import approve, last_line, propose

ROOT = Path(__file__).resolve().parents[3]
STATE = """
SELECT (SELECT string_agg(state, ',' ORDER BY id) FROM adjustments), (SELECT sum(covered_minor) FROM adjustments),
       (SELECT string_agg(state, ',' ORDER BY id) FROM deal_parts), (SELECT string_agg(state, ',') FROM closing_terms),
       (SELECT count(*) FROM adjustment_covers), (SELECT count(*) FROM part_shares), (SELECT count(*) FROM entries),
       (SELECT count(*) FROM postings), (SELECT count(*) FROM payment_orders), (SELECT count(*) FROM case_receipts),
       (SELECT string_agg(state, ',' ORDER BY case_key) FROM cases), (SELECT count(*) FROM audit_records),
       (SELECT count(*) FROM package_cases WHERE live), (SELECT count(*) FROM outbox_deliveries)
"""


def propose_part(sale, deal, value=None):
    body = {"reason": "warranty over"} | ({} if value is None else {"amount": yuan(value)})
    return sale.api.as_(sale.people.finance).ok("POST", f"/deals/{deal['id']}/parts", 201, json=body)


def held(sale):
    found = "SELECT sum(-p.amount_minor) FROM postings p JOIN accounts a ON a.id = p.account_id WHERE a.key LIKE :key"
    return int(sale.sql(found, key="holdback:%")[0][0])


def collide(sale, first, second):
    """Run two deeds on two connections, the second while the first has not committed; return how the second fails."""
    failures = []

    def run():
        try:
            with sale.sessions.begin() as session:
                second(session)
        except Exception as error:  # noqa: BLE001 - returned
            failures.append(error)

    thread = threading.Thread(target=run)
    with sale.sessions.begin() as session:
        first(session)
        session.flush()
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "the second waits for the first"
    thread.join(20)
    assert not thread.is_alive()
    return failures[0] if failures else None


def deciding(sale, work, who="admin", *, approve=True, **subject):
    actor, at = getattr(sale.people, who).actor, sale.clock.now()
    return lambda session: work(session, **subject, approve=approve, reason="checked", actor=actor, at=at)


@pytest.mark.parametrize("second", [{"who": "compliance"}, {"who": "finance", "approve": False}])
def test_two_decide_on_an_adjustment_at_once(sale, second):
    deal = close(sale)
    row = propose(sale, deal, "removal", cases=[("LN1", 1_00)])
    subject = {"adjustment_id": row["id"]}
    lost = collide(
        sale,
        deciding(sale, adjustments.decide_adjustment, **subject),
        deciding(sale, adjustments.decide_adjustment, **subject, **second),
    )
    assert isinstance(lost, IllegalMove)
    assert sale.sql("SELECT count(*) FROM adjustment_covers") == [(1,)]
    assert sale.sql("SELECT count(*) FROM case_receipts WHERE kind = 'repayment'") == [(1,)]
    agrees(sale, deal)


@pytest.mark.parametrize("second", [{"who": "compliance"}, {"who": "finance", "approve": False}])
def test_two_decide_on_a_part_at_once(sale, second):
    deal = close(sale)
    row = propose_part(sale, deal)
    subject = {"part_id": row["id"]}
    lost = collide(
        sale,
        deciding(sale, parts.decide_release, **subject),
        deciding(sale, parts.decide_release, **subject, **second),
    )
    assert isinstance(lost, IllegalMove)
    assert sale.sql("SELECT count(*) FROM entries WHERE source_kind = 'holdback.released'") == [(1,)]
    assert held(sale) == 0
    agrees(sale, deal)


@pytest.mark.parametrize("second", [{"who": "compliance"}, {"who": "finance", "approve": False}])
def test_two_decide_on_terms_at_once(sale, second):
    sale.award()
    sale.work()
    row = closing_steps.propose(sale)
    subject = {"terms_id": row["id"]}
    lost = collide(
        sale,
        deciding(sale, closings.decide_terms, **subject),
        deciding(sale, closings.decide_terms, **subject, **second),
    )
    assert isinstance(lost, IllegalMove)
    assert sale.sql("SELECT state, decided_by_id FROM closing_terms") == [("approved", sale.people.admin.user_id)]


def test_two_adjustments_draw_on_one_holdback_at_once(sale):
    deal = close(sale)
    whole = held(sale)
    rows = [propose(sale, deal, "price", amount=whole - 1_00) for _ in range(2)]
    deeds = [deciding(sale, adjustments.decide_adjustment, adjustment_id=row["id"]) for row in rows]
    assert collide(sale, *deeds) is None
    assert sale.sql("SELECT covered_minor FROM adjustments ORDER BY id") == [(whole - 1_00,), (1_00,)]
    assert held(sale) == 0
    agrees(sale, deal)


def test_two_releases_are_proposed_of_one_holdback_at_once(sale):
    deal = close(sale)
    actor, at = sale.people.finance.actor, sale.clock.now()

    def release(session):
        amount = Money(held(sale), "CNY")
        parts.propose_release(session, deal_id=deal["id"], amount=amount, reason="x", actor=actor, at=at)

    assert isinstance(collide(sale, release, release), HoldbackTooSmall)


def test_one_case_is_returned_by_two_at_once(sale):
    deal = close(sale)
    actor, at = sale.people.finance.actor, sale.clock.now()

    def remove(session):
        adjustments.propose_adjustment(
            session, deal_id=deal["id"], kind=AdjustmentKind.REMOVAL, value_on=at.date(), reason="x", amount=None,
            cases=[("LN1", None)], actor=actor, at=at,
        )  # fmt: skip

    assert isinstance(collide(sale, remove, remove), CaseReturned)


def test_one_bank_line_pays_an_adjustment_once(sale):
    deal = close(sale, closing_steps.TERMS | {"holdback": {"percent": "0"}})
    row = approve(sale, propose(sale, deal, "price", amount=700))
    sale.statement((900, "true-up", "seller"))
    actor, at, line = sale.people.finance.actor, sale.clock.now(), last_line(sale)

    def pay(session):
        subject = {"adjustment_id": row["id"], "statement_line_id": line}
        adjustments.cover_adjustment(session, **subject, actor=actor, at=at)

    assert isinstance(collide(sale, pay, pay), IllegalMove)
    assert sale.sql("SELECT sum(amount_minor) FROM adjustment_covers") == [(700,)]
    agrees(sale, deal)


DYING = """
import json, os, sys, uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
import wsgi
from sqlalchemy import event
from marketplace import runtime
from marketplace.actor import SYSTEM
from marketplace.clock import FixedClock
from settlement import adjustments, closings, parts
sys.path.insert(0, "tests")
from conftest import make_settings
database, files, deeds = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
WORK = {"adjustment_id": adjustments.decide_adjustment, "part_id": parts.decide_release,
        "terms_id": closings.decide_terms}
def perform(session, subject, actor):
    if "statement_line_id" in subject:
        adjustments.cover_adjustment(session, **subject, actor=actor, at=AT)
    else:
        (name,) = subject
        WORK[name](session, **subject, approve=True, reason="checked", actor=actor, at=AT)
built = runtime.build(make_settings(database, files), wsgi.MODULES, clock=FixedClock(AT))
runtime.install(built)
def begin(deed):
    session = built.sessions()
    subject = {name: uuid.UUID(value) for name, value in deed["subject"].items()}
    perform(session, subject, replace(SYSTEM, user_id=uuid.UUID(deed["user"])))
    session.flush()
    return session
def die_within(deed, writes):
    left = writes
    def count(connection, cursor, statement, *rest):
        nonlocal left
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "WITH")):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)
    event.listen(built.engine, "before_cursor_execute", count)
    session = begin(deed)  # kept: a session that is let go of would roll back before the kill
    os.kill(os.getpid(), 15)
for deed in deeds:
    with begin(deed) as session:  # done once and undone, so that no fork has to compile its statements
        session.rollback()
    built.engine.dispose()
    writes, ended = 0, False
    while not ended:
        pid = os.fork()
        if pid == 0:
            die_within(deed, writes)
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) in (9, 15), (deed, status)
        ended, writes = os.WTERMSIG(status) == 15, writes + 2
    assert writes > 2, "it wrote nothing"
"""


@pytest.mark.slow
def test_killed_at_every_other_write_nothing_is_half_done(sale, settings, tmp_path):
    """A real process dies within each deed, and once more before its commit; afterwards each is done as if new."""
    user = str(sale.people.admin.user_id)

    def die(*subjects):
        before = sale.sql(STATE)
        deeds = json.dumps([{"subject": subject, "user": user} for subject in subjects])
        done = subprocess.run(
            [sys.executable, "-c", DYING, settings.database_url, str(tmp_path / "files"), deeds],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sale.sql(STATE) == before

    sale.award()
    sale.work()
    terms = closing_steps.propose(sale)
    die({"terms_id": terms["id"]})
    assert decide(sale, "closing-terms", terms).status_code == 200
    sale.pay_balance()
    sale.sign()
    sale.work()
    deal = sale.deal()
    part = propose_part(sale, deal, 10_000_00)
    removal = propose(sale, deal, "removal", cases=[("LN1", 1_00)])
    owed = approve(sale, propose(sale, deal, "price", amount=-7_00))
    sale.statement((7_00, "true-up", "buyer"))
    die(
        {"part_id": part["id"]},
        {"adjustment_id": removal["id"]},
        {"adjustment_id": owed["id"], "statement_line_id": str(last_line(sale))},
    )
    assert decide(sale, "deal-parts", part).status_code == 200
    assert minor(approve(sale, removal)["covered"]) > 0
    body = {"statement_line_id": str(last_line(sale))}
    paid = sale.api.as_(sale.people.finance).ok("POST", f"/adjustments/{owed['id']}/settle", json=body)
    assert paid["state"] == "settled"
    agrees(sale, deal)
