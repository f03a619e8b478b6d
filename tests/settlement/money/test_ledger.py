"""The books: sums, limits, repetition, reversal, and what PostgreSQL itself refuses."""

import threading
import uuid
from collections import defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
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


def test_postgresql_refuses_every_way_round(database: str) -> None:
    """Raw SQL: unbalanced, in two statements, across currencies, changed, removed, emptied, overdrawn."""
    engine = create_engine(database)
    with Session(engine, expire_on_commit=False) as session:
        entry = post(session, 100, "bank", "deposits:" + str(uuid.uuid4()))
        session.commit()
        bank, deposit = (
            session.execute(text("SELECT id FROM accounts WHERE key LIKE :key"), {"key": key}).scalar_one()
            for key in ("bank", "deposits%")
        )
    entry_sql = (
        "INSERT INTO entries SELECT gen_random_uuid(), 'raw', gen_random_uuid(), '', '{}', '2026-03-02', '2026-03-02',"
        " now(), 'x', NULL RETURNING id"
    )
    posting = "INSERT INTO postings (entry_id, line, account_id, currency, amount_minor) VALUES "

    def attempt(statement, constraint=None, currency="CNY"):
        with engine.connect() as connection, connection.begin() as transaction:
            new = connection.execute(text(entry_sql.format(currency))).scalar_one()
            filled = statement.format(new=new, old=entry.id, bank=bank, deposit=deposit)
            with pytest.raises(IntegrityError) as caught:
                connection.execute(text(filled))
            transaction.rollback()
        if constraint:
            assert caught.value.orig.diag.constraint_name == constraint

    attempt(posting + "('{new}', 1, '{bank}', 'CNY', 5)", constraint="entries_balanced")
    attempt(
        posting + "('{new}', 1, '{bank}', 'CNY', 5), ('{new}', 2, '{deposit}', 'CNY', -4)",
        constraint="entries_balanced",
    )
    attempt(
        posting + "('{old}', 7, '{bank}', 'CNY', 5), ('{old}', 8, '{deposit}', 'CNY', -5)",
        constraint="entries_complete",
    )
    attempt(
        posting + "('{new}', 1, '{bank}', 'EUR', 5), ('{new}', 2, '{deposit}', 'CNY', -5)",
    )
    attempt(
        posting + "('{new}', 1, '{bank}', 'EUR', 5), ('{new}', 2, '{deposit}', 'EUR', -5)",
        constraint="fk_postings_account_id_currency",
        currency="EUR",
    )
    attempt(
        posting + "('{new}', 1, '{deposit}', 'CNY', 101), ('{new}', 2, '{bank}', 'CNY', -101)",
        constraint="accounts_limit",
    )
    attempt(posting + "('{new}', 1, '{bank}', 'CNY', 0)", constraint="ck_postings_amount_not_zero")
    for table in ("accounts", "entries", "postings", "matches", "bank_statements", "deposits", "bank_accounts"):
        attempt(f"DELETE FROM {table}", constraint=f"{table}_append_only")
        attempt(f"TRUNCATE {table} CASCADE")
    attempt("UPDATE postings SET amount_minor = 7", constraint="postings_append_only")
    attempt("UPDATE entries SET value_on = '2020-01-01'", constraint="entries_append_only")
    attempt("UPDATE accounts SET limited = false", constraint="accounts_append_only")
    attempt("UPDATE statement_lines SET amount_minor = 1", constraint="statement_lines_append_only")
    attempt("UPDATE payment_orders SET amount_minor = 1", constraint="payment_orders_append_only")
    engine.dispose()


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
    """10,000 lines in one entry are checked in about the time of their insertion, not its square."""
    lines = [Line(books.payable(uuid.uuid4()), -1) for _ in range(10_000)]
    entry = ledger.post(
        session,
        source_kind="test",
        source_id=uuid.uuid4(),
        description="many",
        lines=[Line("bank", 10_000), *lines],
        currency="CNY",
        value_on=DAY,
        actor=SYSTEM,
        at=NOW,
    )
    count = session.execute(text("SELECT count(*) FROM postings WHERE entry_id = :id"), {"id": entry.id}).scalar_one()
    assert count == 10_001


KEYS = ["bank", "commission", *(f"deposits:{uuid.UUID(int=n)}" for n in (1, 2)), f"in_payment:{uuid.UUID(int=3)}"]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.sampled_from(KEYS),
        st.integers(1, 10**15),
        st.sampled_from(["CNY", "EUR"]),
        st.booleans(),
    ).filter(lambda operation: operation[0] != operation[1]),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_the_books_equal_a_small_model(sessions, operations) -> None:
    """Whatever is posted, overdrawn or reversed: zero per currency, and each balance as a dictionary would have it."""
    model: dict[tuple[str, str], int] = defaultdict(int)

    def limited(debit, credit, amount, currency):
        return books.account_type(debit).limited and model[debit, currency] + amount > 0

    with sessions() as session:
        for debit, credit, amount, currency, take_back in operations:
            if limited(debit, credit, amount, currency):
                with pytest.raises(IntegrityError), session.begin_nested():
                    post(session, amount, debit, credit, currency=currency)
                continue
            entry = post(session, amount, debit, credit, currency=currency)
            model[debit, currency] += amount
            model[credit, currency] -= amount
            if take_back and not limited(credit, debit, amount, currency):
                ledger.reverse(session, entry_id=entry.id, reason="", value_on=DAY, actor=SYSTEM, at=NOW)
                model[debit, currency] -= amount
                model[credit, currency] += amount
        found = {(row.key, row.currency): row.balance_minor for row in ledger.balances(session)}
        assert {key: amount for key, amount in found.items() if amount} == {
            key: amount for key, amount in model.items() if amount
        }
        for currency in ("CNY", "EUR"):
            assert sum(amount for (_, one), amount in found.items() if one == currency) == 0
        session.rollback()
