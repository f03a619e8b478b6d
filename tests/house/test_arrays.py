"""Arrays made in one piece arrive in PostgreSQL as the lists they were made of; the collector is left as it was."""

import gc
import uuid
from datetime import date

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace import arrays, memory

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
days = st.dates(date(1, 1, 1), date(9999, 12, 30))


@pytest.fixture
def connection(empty_database):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        yield connection


KINDS = [
    (arrays.uuids, "uuid", st.lists(st.none() | st.uuids())),
    (arrays.texts, "text", st.lists(texts)),
    (arrays.bigints, "bigint", st.lists(st.integers(-(2**63), 2**63 - 1))),
    (arrays.dates, "date", st.lists(days)),
]


@pytest.mark.parametrize(("make", "kind", "lists"), KINDS, ids=[kind for _, kind, _ in KINDS])
def test_what_is_sent_arrives(connection, make, kind, lists):
    @given(lists)
    @settings(max_examples=40, deadline=None)
    def arrives(values):
        assert connection.execute(f"SELECT %s::{kind}[]", (make(values),)).fetchone()[0] == values

    arrives()
    assert connection.execute(f"SELECT cardinality(%s::{kind}[])", (make([]),)).fetchone()[0] == 0


def test_an_array_is_typed(connection):
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT %s::uuid[]", (arrays.texts(["a"]),))
    assert connection.execute("SELECT (%s::uuid[])[1]", (arrays.uuids([uuid.UUID(int=7)]),)).fetchone()[0].int == 7


def test_the_collector_is_left_as_it_was():
    assert gc.isenabled()
    with memory.uncollected():
        assert not gc.isenabled()
        with memory.uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
