"""The books: sums, limits, repetition, reversal, batches."""

import threading
import time
import uuid
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace import db
from marketplace.actor import SYSTEM
from settlement import ledger
from settlement.domain import ledger as books
from settlement.domain.ledger import AccountOverdrawn, AlreadyReversed, EntryUnbalanced, Line, UnknownAccount
from tests.conftest import NOW

DAY = date(2026, 3, 2)


def post(session, amount, debit, credit, *, source=None, currency="CNY", value_on=DAY, at=NOW):
    return ledger.post(
        session,
        source_kind="test",
        source_id=source or uuid.uuid4(),
        description="a test",
        lines=books.transfer(debit=debit, credit=credit, amount_minor=amount),
        currency=currency,
        value_on=value_on,
        actor=SYSTEM,
        at=at,
    )


def test_an_entry_is_written_once_for_its_source(session: Session) -> None:
    source = uuid.uuid4()
    first = post(session, 100, "bank", "commission", source=source)
    again = post(session, 999, "bank", "commission", source=source)
    assert again.id == first.id
    assert ledger.balance(session, "bank", currency="CNY") == 100
    assert ledger.credit(session, "commission", currency="CNY") == 100


@pytest.mark.parametrize(
    "lines",
    [
        [Line("bank", 1), Line("commission", -2)],
        [Line("bank", 0), Line("commission", 0)],
        [Line("bank", 0)],
        [],
    ],
)
def test_what_is_no_entry_is_refused(session: Session, lines) -> None:
    with pytest.raises(EntryUnbalanced):
        ledger.post(
            session,
            source_kind="test",
            source_id=uuid.uuid4(),
            description="",
            lines=lines,
            currency="CNY",
            value_on=DAY,
            actor=SYSTEM,
            at=NOW,
        )


@pytest.mark.parametrize("key", ["banks", "deposits:x", "", "deposits:" + "z" * 36, "bank\n"])
def test_an_account_is_one_of_the_chart(key) -> None:
    with pytest.raises(UnknownAccount):
        books.account_type(key)


def test_balances_as_of_both_dates(session: Session) -> None:
    post(session, 100, "bank", "commission", value_on=DAY, at=NOW)
    post(session, 10, "bank", "commission", value_on=DAY - timedelta(days=5), at=NOW + timedelta(days=1))
    assert ledger.balance(session, "bank", currency="CNY") == 110
    assert ledger.balance(session, "bank", currency="CNY", value_on=DAY - timedelta(days=1)) == 10
    assert ledger.balance(session, "bank", currency="CNY", posted_on=DAY) == 100
    assert ledger.balance(session, "bank", currency="CNY", value_on=DAY - timedelta(days=6)) == 0


def test_a_reversal_takes_back_once(session: Session) -> None:
    entry = post(session, 100, "bank", "commission")
    reversal = ledger.reverse(session, entry_id=entry.id, reason="wrong", value_on=DAY, actor=SYSTEM, at=NOW)
    again = ledger.reverse(session, entry_id=entry.id, reason="wrong", value_on=DAY, actor=SYSTEM, at=NOW)
    assert again.id == reversal.id
    assert ledger.balance(session, "bank", currency="CNY") == 0
    with pytest.raises(AlreadyReversed):
        ledger.reverse(session, entry_id=reversal.id, reason="back", value_on=DAY, actor=SYSTEM, at=NOW)


def test_a_limited_account_never_owes_less_than_nothing(session: Session) -> None:
    deposit = books.deposits(uuid.uuid4())
    post(session, 100, "bank", deposit)
    post(session, 60, deposit, "commission")
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        post(session, 41, deposit, "commission")
    assert isinstance(db.explain(caught.value), AccountOverdrawn)
    post(session, 40, deposit, "commission")
    assert ledger.credit(session, deposit, currency="CNY") == 0


def test_two_debits_at_the_same_instant_do_not_overdraw(sessions) -> None:
    """Race on two real connections: each alone would fit, both together would not."""
    deposit = books.deposits(uuid.uuid4())
    with sessions.begin() as session:
        post(session, 100, "bank", deposit)
    together = threading.Barrier(2)
    outcomes = []

    def debit() -> None:
        with sessions() as session:
            together.wait()
            try:
                post(session, 70, deposit, "commission")
                session.commit()
                outcomes.append("posted")
            except IntegrityError as error:
                session.rollback()
                outcomes.append(type(db.explain(error)).__name__)

    threads = [threading.Thread(target=debit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["AccountOverdrawn", "posted"]


def test_the_check_of_many_lines_is_linear(session: Session) -> None:
    """Five entries of 20,000 lines in one call: a check with a quadratic plan would take minutes (issue 4: 71 s)."""
    keys = [books.unexplained(uuid.UUID(int=number)) for number in range(500)]
    lines = [Line("commission", -19_999), *(Line(keys[number % 500], 1) for number in range(19_999))]
    drafts = [ledger.Draft("test", uuid.uuid4(), "many", lines, "CNY", DAY) for _ in range(5)]
    started = time.perf_counter()
    entries = ledger.post_all(session, drafts, actor=SYSTEM, at=NOW)
    assert time.perf_counter() - started < 60
    count = session.execute(text("SELECT count(*) FROM postings")).scalar_one()
    assert (len(entries), count) == (5, 100_000)
    with pytest.raises(EntryUnbalanced):
        ledger.post_all(session, [replace(drafts[0], lines=[*lines, lines[1], Line("bank", -1)])], actor=SYSTEM, at=NOW)


def test_many_entries_take_as_many_statements_as_one(session: Session) -> None:
    """A batch names each source once: what is there already, and what it says twice, is given back unchanged."""
    old = post(session, 5, "bank", "commission")
    lines = books.transfer(debit="bank", credit="vat", amount_minor=1)
    drafts = [ledger.Draft("test", uuid.UUID(int=number), "", lines, "CNY", DAY) for number in (1, 2, 1)]
    drafts.append(replace(drafts[0], source_id=old.source_id))
    statements = []
    event.listen(session.connection(), "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    entries = ledger.post_all(session, drafts, actor=SYSTEM, at=NOW)
    assert entries[0] is entries[2]
    assert entries[3] is old
    assert len(statements) <= 6, statements
    assert ledger.balance(session, "bank", currency="CNY") == 7
