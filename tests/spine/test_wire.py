"""Statements in a pipeline: few exchanges, failures where they belong, names that live as long as the connection."""

import uuid
from collections import deque
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from marketplace import direct


def test_values_come_back_as_they_went(sessions):
    values = {"one": 7, "two": "Ω'", "three": b"\x00\\x", "four": uuid.UUID(int=5), "five": None,
              "six": date(2026, 3, 2), "seven": datetime(2026, 3, 2, 9, 30, tzinfo=UTC), "eight": True}  # fmt: skip
    kinds = ("bigint", "text", "bytea", "uuid", "text", "date", "timestamptz", "boolean")
    columns = ", ".join(f"%({name})s::{kind} AS {name}" for name, kind in zip(values, kinds, strict=True))
    with sessions() as session, direct.pipelined(session):
        row = direct.rows(session, f"SELECT {columns}, %(one)s::bigint + 1 AS more", values)[0]
    assert row._asdict() == values | {"more": 8}


def test_arrays_are_texts(sessions):
    ids, words = [uuid.uuid4(), uuid.uuid4()], [b"", b"\xff\\", b'",{']
    with sessions() as session:
        row = direct.rows(
            session, "SELECT %(ids)s::uuid[] AS ids, %(words)s::bytea[] AS words",
            {"ids": direct.array(ids), "words": direct.array(words)},
        )[0]  # fmt: skip
    assert (row.ids, row.words) == (ids, words)


def test_a_commit_carries_the_last_statement(sessions):
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE kept (n integer PRIMARY KEY)"))
    with sessions() as session, direct.pipelined(session):
        asked = [direct.Asked(session, "SELECT %(n)s::int AS n", {"n": n}) for n in (1, 2)]
        direct.tell(session, "INSERT INTO kept VALUES (%(n)s)", {"n": 1})
        direct.commit(session)
        assert [one.rows()[0].n for one in asked] == [1, 2]
    with sessions() as session, direct.pipelined(session):
        direct.tell(session, "INSERT INTO kept VALUES (%(n)s)", {"n": 2})
    with sessions() as session:
        assert session.scalars(text("SELECT n FROM kept")).all() == [1]


def test_a_failure_is_raised_at_the_commit_and_the_connection_is_good_again(sessions):
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE once (n integer PRIMARY KEY)"))

    def twice():
        with sessions() as session, direct.pipelined(session):
            for _ in range(2):
                direct.tell(session, "INSERT INTO once VALUES (%(n)s)", {"n": 1})
            direct.commit(session)

    for _ in range(3):
        with pytest.raises(DBAPIError, match="duplicate key"):
            twice()
        with sessions() as session:
            assert session.scalar(text("SELECT count(*) FROM once")) == 0


def test_what_was_asked_after_the_pipeline_sees_the_same_transaction(sessions):
    with sessions() as session:
        with direct.pipelined(session):
            here = direct.rows(session, "SELECT txid_current() AS id", {})[0].id
            direct.end_pipeline(session)
            assert session.scalar(text("SELECT txid_current()")) == here
        assert session.scalar(text("SELECT txid_current()")) == here


def test_the_drivers_own_statements_do_not_drop_ours_after_a_rollback(sessions):
    """psycopg drops every prepared statement of a connection when a transaction in which it has some is rolled back."""

    def ours():
        with sessions() as session, direct.pipelined(session):
            assert direct.rows(session, "SELECT 1 AS n", {})[0].n == 1
            direct.commit(session)

    def theirs():
        with sessions() as session:
            for _ in range(8):
                session.execute(text("SELECT :n + 1"), {"n": 1})
            session.rollback()

    for work in (theirs, ours, theirs, ours, theirs, ours):
        work()


def backend(session):
    return direct.rows(session, "SELECT pg_backend_pid() AS pid", {})[0].pid


def test_a_pipeline_stays_from_transaction_to_transaction(sessions):
    pipelines, seen = direct.Pipelines(sessions), []
    for _ in range(3):
        with pipelines() as session:
            seen.append((session, backend(session)))
            direct.commit(session)
    with pipelines() as one, pipelines() as other:
        pair = {backend(one), backend(other)}
        for session in (one, other):
            direct.commit(session)
    pipelines.close()
    assert len(set(seen)) == 1
    assert (len(pair), seen[0][1] in pair) == (2, True)


def test_a_pipeline_that_another_thread_takes_first_is_not_missed(sessions):
    class Taken(deque):
        """Has one, as long as it is only looked at."""

        def __len__(self):
            return 1

    pipelines = direct.Pipelines(sessions)
    pipelines._kept = Taken()
    with pipelines() as session:
        assert backend(session)


def test_once_a_connection_has_gone_the_next_is_a_new_one(sessions):
    """A database that was restarted has ended all of them: one failure is enough to know."""
    pipelines = direct.Pipelines(sessions)
    with pipelines() as one, pipelines() as other:
        gone = {backend(session) for session in (one, other)}
        for session in (one, other):
            direct.commit(session)
    with sessions.begin() as session:
        for pid in gone:
            session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with pytest.raises(DBAPIError) as failed, pipelines() as session:
        backend(session)
    assert failed.value.connection_invalidated
    with pipelines() as session:
        assert backend(session) not in gone
    pipelines.close()


def test_a_pipeline_that_failed_or_was_not_committed_leaves_nothing(sessions):
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE kept_here (n integer PRIMARY KEY)"))
    pipelines = direct.Pipelines(sessions)

    def put(number):
        with pipelines() as session:
            direct.tell(session, "INSERT INTO kept_here VALUES (%(n)s)", {"n": number})
            if number == 2:
                return
            if number == 3:
                direct.end_pipeline(session)
                session.execute(text("INSERT INTO kept_here VALUES (30)"))
            direct.commit(session)

    put(1)
    put(2)
    with pytest.raises(DBAPIError, match="duplicate key"):
        put(1)
    put(3)
    put(4)
    pipelines.close()
    with sessions() as session:
        assert session.scalars(text("SELECT n FROM kept_here ORDER BY n")).all() == [1, 3, 4, 30]
