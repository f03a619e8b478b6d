"""A deal of very many cases has a partition of its own: same rows, same answers, same refusals as all others."""

import io
import struct
import uuid

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from marketplace.packages import service as packages
from marketplace.packages.service import Ids, Keys
from settlement import allocation
from settlement.allocation import Claims


def sell(sale, monkeypatch, own_segment):
    monkeypatch.setattr(allocation, "OWN_SEGMENT", own_segment)
    return sale.sell()


@pytest.mark.parametrize("own_segment", [5, 6])
def test_both_ways_store_the_same(sale, monkeypatch, own_segment):
    deal = sell(sale, monkeypatch, own_segment)
    rows = sale.sql("SELECT tableoid::regclass::text, case_key, amount_minor FROM allocations ORDER BY case_key")
    assert {row[0] for row in rows} == {f"allocation_segments.segment_{1 if own_segment == 5 else 0}"}
    assert [row[1] for row in rows] == ["LN1", "LN10", "LN2", "LN3", "LN4"]
    assert sum(row[2] for row in rows) == int(deal["net"]["amount"].replace(".", ""))
    finance = sale.api.as_(sale.people.finance)
    page = finance.ok("GET", f"/deals/{deal['id']}/allocations", query_string={"limit": 2})
    assert len(page["items"]) == 2
    assert page["next"]
    case = sale.sql("SELECT case_id FROM allocations WHERE case_key = 'LN3'")[0][0]
    (sold,) = finance.ok("GET", f"/cases/{case}/money-trail")["deals"]
    assert sold["case_key"] == "LN3"


def refused(sale, statement):
    with sale.sessions() as session, pytest.raises(DBAPIError) as error:
        session.execute(text(statement))
    return error.value.orig.diag.constraint_name


def test_a_segment_refuses_what_the_whole_refuses(sale, monkeypatch):
    sell(sale, monkeypatch, 5)
    segment = "allocation_segments.segment_1"
    more = "SELECT {segment}, deal_id, uuidv7(), 'LN99', 1, 1 FROM allocations LIMIT 1"
    columns = "(segment, deal_id, case_id, case_key, weight, amount_minor)"
    for table in ("allocations", segment):
        assert refused(sale, f"DELETE FROM {table}") == "allocations_append_only"
        assert refused(sale, f"UPDATE {table} SET amount_minor = 0") == "allocations_append_only"
        assert refused(sale, f"TRUNCATE {table}") == "allocations_append_only"
        assert refused(sale, f"INSERT INTO {table} {columns} {more.format(segment=1)}") == "allocations_add_up"
    assert refused(sale, f"INSERT INTO allocations {columns} {more.format(segment=0)}") == "allocations_add_up"
    other = "SELECT 1, uuidv7(), uuidv7(), 'LN99', 1, 1"
    assert refused(sale, f"INSERT INTO allocations {columns} {other}") == "one_deal"


def test_what_does_not_add_up_is_not_attached(sale, monkeypatch):
    monkeypatch.setattr(allocation, "OWN_SEGMENT", 1)
    sale.award()
    sale.work()
    deal = uuid.UUID(sale.deal()["id"])
    claims = Claims(Ids(np.array([uuid.uuid4().bytes], dtype="V16")), Keys(np.array([b"LN1"])), np.array([1]))
    with sale.sessions() as session, pytest.raises(DBAPIError) as error:
        allocation.store(session, deal_id=deal, claims=claims, amounts=np.array([7]))
    assert error.value.orig.diag.constraint_name == "allocations_add_up"
    assert sale.sql("SELECT count(*) FROM allocations")[0][0] == 0


def test_a_package_in_columns_equals_its_cases(sale):
    with sale.sessions() as session:
        columns = packages.case_columns(session, sale.package_id)
        cases = packages.frozen_cases(session, sale.package_id)
        nothing = packages.case_columns(session, uuid.uuid4())
    assert list(columns.keys) == [one.case_key for one in cases]
    assert list(columns.case_ids) == [one.case_id for one in cases]
    assert columns.claims.tolist() == [one.principal + one.interest for one in cases]
    assert columns.keys[1] == cases[1].case_key
    assert columns.case_ids[-1] == cases[-1].case_id
    assert list(columns.keys[2:]) == [one.case_key for one in cases[2:]]
    assert list(columns.case_ids[2:]) == [one.case_id for one in cases[2:]]
    assert (len(nothing.keys), len(nothing.case_ids), len(nothing.claims)) == (0, 0, 0)


def read(rows):
    """Read rows of PostgreSQL's binary COPY format."""
    stream, found = io.BytesIO(b"".join(rows)), []
    assert stream.read(19) == b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    while (count := struct.unpack(">h", stream.read(2))[0]) != -1:
        found.append([stream.read(struct.unpack(">i", stream.read(4))[0]) for _ in range(count)])
    assert stream.read() == b""
    return found


def test_rows_of_keys_of_any_length():
    keys = ["甲", "LN1", "LN22", "LN3", "合同-1"]
    ids = [uuid.uuid4() for _ in keys]
    deal = uuid.uuid4()
    claims = Claims(
        Ids(np.array([one.bytes for one in ids], dtype="V16")),
        Keys(np.array([key.encode() for key in keys])),
        np.arange(5),
    )
    found = read(allocation.binary_rows(3, deal, claims, np.arange(5) * 10))
    expected = [
        [struct.pack(">q", 3), deal.bytes, one.bytes, key.encode(), struct.pack(">q", n), struct.pack(">q", n * 10)]
        for n, (one, key) in enumerate(zip(ids, keys, strict=True))
    ]
    assert sorted(found) == sorted(expected)
