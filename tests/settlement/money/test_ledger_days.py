"""Closed days: the lock under concurrency, the hash chain and its frozen form, snapshots equal to full sums."""

import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.actor import SYSTEM
from settlement import ledger, periods
from settlement.domain import chain
from settlement.domain import ledger as books
from settlement.domain.chain import DaySeal, SealedEntry
from settlement.domain.ledger import DayNotOver, PeriodClosed
from tests.conftest import NOW
from tests.settlement.money.test_ledger import DAY, post

ENTRY = SealedEntry(
    id=uuid.UUID(int=1),
    source_kind="statement_line",
    source_id=uuid.UUID(int=2),
    description='保证金 "a"\n',
    currency="CNY",
    value_on=date(2026, 3, 1),
    posted_on=date(2026, 3, 2),
    posted_at=datetime(2026, 3, 2, 9, 0, 0, 5, tzinfo=UTC),
    posted_by="system",
    reverses_id=None,
    lines=[(1, "bank", 2**63 - 1), (2, "commission", -(2**63 - 1))],
)


def test_version_1_of_the_form_is_frozen() -> None:
    """Anybody recomputes these bytes; if this test fails, a new version is due, never another value here."""
    assert chain.canonical(chain.form(ENTRY)).decode() == (
        '{"currency":"CNY","description":"保证金 \\"a\\"\\n","id":"00000000-0000-0000-0000-000000000001",'
        '"lines":[["1","bank","9223372036854775807"],["2","commission","-9223372036854775807"]],'
        '"posted_at":"2026-03-02T09:00:00.000005Z","posted_by":"system","posted_on":"2026-03-02","reverses_id":null,'
        '"source_id":"00000000-0000-0000-0000-000000000002","source_kind":"statement_line","value_on":"2026-03-01"}\n'
    )
    seal = DaySeal(day=date(2026, 3, 2), number=1, previous=chain.FIRST)
    assert seal.hash == "facd4f4fc6740d223a1ad42b55ee17a481b37962359f431defad5597211109f9"
    seal.add(ENTRY)
    assert seal.hash == "0087eda2475473537d026de3d8923c1d4ef5580b889a9fc43e14af33448b0d81"
    assert (seal.entries, seal.lines) == (1, 2)
    with pytest.raises(ValueError, match="in order"):
        seal.add(ENTRY)
    with pytest.raises(ValueError, match="version"):
        DaySeal(day=date(2026, 3, 2), number=1, previous=chain.FIRST, version=2)


def test_a_day_is_closed_once_and_for_good(session: Session) -> None:
    first = post(session, 100, "bank", "commission", at=NOW)
    post(session, 7, "bank", "commission", at=NOW + timedelta(days=2))
    assert periods.close_due(session, NOW + timedelta(hours=8)) == [], "midnight in Shanghai, and two hours of grace"
    days = periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=3))
    assert [(day.day, day.number, day.entry_count, day.line_count) for day in days] == [
        (DAY, 1, 1, 2),
        (DAY + timedelta(days=1), 2, 0, 0),
        (DAY + timedelta(days=2), 3, 1, 2),
    ]
    assert [day.previous_hash for day in days] == [chain.FIRST, days[0].hash, days[1].hash]
    assert periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=3)) == []
    with pytest.raises(DayNotOver):
        periods.close_days(session, actor=SYSTEM, at=NOW, through=DAY)
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        post(session, 1, "bank", "commission", at=NOW + timedelta(days=2))
    assert isinstance(db.explain(caught.value), PeriodClosed)
    late = post(session, 1, "bank", "commission", value_on=DAY, at=NOW + timedelta(days=3))
    assert (late.value_on, late.posted_on) == (DAY, DAY + timedelta(days=3))
    again = post(session, 5, "bank", "commission", source=first.source_id, at=NOW)
    assert again.id == first.id, "what is there already is given back, closed or not"


def test_whoever_posts_while_the_day_is_being_closed_is_in_it_or_refused(sessions) -> None:
    """The closer waits for the poster that came first, and seals its entry; whoever comes later is refused."""
    with sessions.begin() as session:
        post(session, 1, "bank", "vat")
    with sessions() as early:
        post(early, 100, "bank", "vat")
        closed = []

        def close() -> None:
            with sessions.begin() as session:
                closed.extend(periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=1)))

        closer = threading.Thread(target=close)
        closer.start()
        closer.join(0.3)
        assert closer.is_alive(), "the day's lock is held by the poster"
        early.commit()
        closer.join()
    assert [day.entry_count for day in closed] == [2]
    with sessions() as late, pytest.raises(IntegrityError):
        post(late, 1, "bank", "commission")


def test_the_first_day_that_differs_is_named(database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as session:
        for number in range(4):
            post(session, 100 + number, "bank", "commission", at=NOW + timedelta(days=number))
        periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=4))
        session.commit()
        found = periods.verify(session)
        assert (found.agrees, found.days, found.entries) == (True, 4, 4)

        def after(statement: str) -> periods.Verification:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            table = statement.split()[1 if statement.startswith("UPDATE") else 2]
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
            session.execute(text(statement))
            result = periods.verify(session)
            session.rollback()
            return result

        third = (DAY + timedelta(days=2)).isoformat()
        changed = after(f"UPDATE entries SET description = 'other' WHERE posted_on = '{third}'")
        assert (changed.differs_on.isoformat(), changed.days) == (third, 2)
        assert "hash" in changed.reason
        gone = after(f"DELETE FROM postings WHERE posted_on = '{third}'")
        assert (gone.differs_on.isoformat(), "lines" in gone.reason) == (third, True)
        forged = after("UPDATE closed_days SET previous_hash = repeat('0', 64) WHERE number = 4")
        assert forged.differs_on == DAY + timedelta(days=3)
        snapshot = after("UPDATE balance_snapshots SET balance_minor = 1 WHERE day = '2026-03-03'")
        assert (snapshot.differs_on, "snapshot" in snapshot.reason) == (DAY + timedelta(days=1), True)
    engine.dispose()


MOVES = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["bank", "vat", "unexplained"]), st.integers(1, 10**12), st.booleans()
    ),
    max_size=12,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_snapshot_and_tail_equal_the_full_sum(sessions, moves) -> None:
    """However days are closed between entries, a balance as of any day is the sum of everything until then."""
    with sessions() as session:
        day, posted = 0, []
        for step, account, amount, close in moves:
            day += step
            if close:
                periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=day))
            post(session, amount, account, "commission", at=NOW + timedelta(days=day))
            posted.append((DAY + timedelta(days=day), account, amount))
        for account in ("bank", "vat"):
            for last in (None, *(DAY + timedelta(days=number) for number in range(0, day + 2, 3))):
                expected = sum(minor for on, key, minor in posted if key == account and (last is None or on <= last))
                assert ledger.balance(session, account, currency="CNY", posted_on=last) == expected
        rows = {row.key: row.balance_minor for row in ledger.balances(session)}
        assert sum(rows.values()) == 0
        assert rows.get("commission", 0) == -sum(minor for *_, minor in posted)
        assert periods.verify(session).agrees
        session.rollback()


def test_a_busy_account_is_read_from_its_snapshot(session: Session) -> None:
    """The tail is one range of an index: old postings are not read again."""
    drafts = [
        ledger.Draft("test", uuid.uuid4(), "", books.transfer(debit="bank", credit="vat", amount_minor=1), "CNY", DAY)
        for _ in range(500)
    ]
    ledger.post_all(session, drafts, actor=SYSTEM, at=NOW)
    periods.close_days(session, actor=SYSTEM, at=NOW + timedelta(days=1))
    post(session, 5, "bank", "vat", at=NOW + timedelta(days=1))
    read = "SELECT coalesce(sum(amount_minor), 0) FROM postings WHERE account_id = :id AND posted_on > '2026-03-02'"
    account = ledger.open_accounts(session, {("bank", "CNY")}, at=NOW)["bank", "CNY"]
    plan = "\n".join(session.scalars(text("EXPLAIN (ANALYZE, COSTS OFF) " + read), {"id": account}))
    assert "ix_postings_account_id_posted_on" in plan
    assert ledger.balance(session, "bank", currency="CNY") == 505
