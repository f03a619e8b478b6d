"""Bids of before the log: they move into it in order, and back."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic import command
from conftest import alembic_config, migrate
from sqlalchemy import create_engine

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENDS = AT + timedelta(hours=1)
RULES = json.dumps({"ends_at": "2026-03-02T13:00:00.000Z"})
GENESIS = hashlib.sha256(RULES.encode()).hexdigest()


def insert(connection, table, **values):
    names = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)


def old_auction(connection):
    """An auction with two bids as the product wrote them before; what it belongs to is left out."""
    listing, auction, registration = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    connection.execute("SET session_replication_role = replica")
    insert(
        connection, "registrations", id=registration, listing_id=listing, organisation_id=uuid.uuid4(),
        state="approved", bidder_code="B-1001", reference="DP-00000000", deposit_minor=0, currency="CNY", applied_at=AT,
    )  # fmt: skip
    insert(
        connection, "auctions", id=auction, listing_id=listing, package_id=uuid.uuid4(), currency="CNY", rules=RULES,
        rules_hash=f"sha256:{GENESIS}", reserve_salt="", reserve_commitment="", opens_at=AT,
        ends_at=ENDS + timedelta(minutes=4), price_minor=20_000, leader_registration_id=registration, sequence=2,
        extensions=1, last_bid_at=ENDS - timedelta(minutes=1),
    )  # fmt: skip
    for number, (at, ends_at) in enumerate(
        [(AT, ENDS), (ENDS - timedelta(minutes=1), ENDS + timedelta(minutes=4))], start=1
    ):
        insert(
            connection, "bids", id=uuid.uuid4(), auction_id=auction, sequence=number, registration_id=registration,
            amount_minor=number * 10_000, at=at, ends_at=ends_at, idempotency_key=f"k{number}",
        )  # fmt: skip
    connection.execute("SET session_replication_role = origin")


def test_bids_move_into_the_log_and_back(empty_database):
    migrate(empty_database, "0009_settlement")
    with psycopg.connect(empty_database) as connection:
        old_auction(connection)
    migrate(empty_database, "0010_auction_log")
    with psycopg.connect(empty_database) as connection:
        log = connection.execute(
            "SELECT number, sequence, accepted, amount_minor, leader, extensions, idempotency_digest, hash"
            " FROM auction_events ORDER BY number"
        ).fetchall()
        row = connection.execute("SELECT number, head, last_event_at FROM auctions").fetchone()
    assert [entry[:6] for entry in log] == [(1, 1, 1, 10_000, "B-1001", 0), (2, 2, 2, 20_000, "B-1001", 1)]
    assert log[0][6] == hashlib.sha256(b"k1").digest()
    record = {
        "amount": "100.00", "at": "2026-03-02T12:00:00.000Z", "bidder": "B-1001", "ends_at": "2026-03-02T13:00:00.000Z",
        "extensions": 0, "kind": "bid", "sequence": 1,
    }  # fmt: skip
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    assert log[0][7] == hashlib.sha256(bytes.fromhex(GENESIS) + canonical).digest()
    assert row == (2, log[1][7], ENDS - timedelta(minutes=1))
    engine = create_engine(empty_database)
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0009_settlement")
        connection.commit()
        bids = connection.exec_driver_sql("SELECT sequence, amount_minor FROM bids ORDER BY sequence").all()
    engine.dispose()
    assert bids == [(1, 10_000), (2, 20_000)]
