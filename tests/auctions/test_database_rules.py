"""What PostgreSQL itself refuses, whoever writes: awards, winners, sequences, the log, live auctions of a package."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from auctions import service
from tests.auctions.conftest import ENDS

COPY_AWARD = """
INSERT INTO awards SELECT (jsonb_populate_record(a, jsonb_build_object('id', uuidv7()) || CAST(:more AS jsonb))).*
FROM awards a ORDER BY a.place LIMIT 1
"""
COPY_AUCTION = """
INSERT INTO auctions SELECT (jsonb_populate_record(a, jsonb_build_object('id', uuidv7()) || CAST(:more AS jsonb))).*
FROM auctions a ORDER BY a.id LIMIT 1
"""
COPY_ENTRY = """
INSERT INTO auction_events SELECT (jsonb_populate_record(e, CAST(:more AS jsonb))).*
FROM auction_events e ORDER BY e.number DESC LIMIT 1
"""
KEY = f'"idempotency_digest": "\\\\x{"ab" * 32}"'

REFUSED = [
    ("uq_auctions_listing", COPY_AUCTION, "{}"),
    ("uq_auctions_live_package", COPY_AUCTION, '{"listing_id": OTHER}'),
    ("ck_auction_events_in_order", COPY_ENTRY, f'{{"number": 4, "sequence": 4, "accepted": 4, {KEY}}}'),
    ("uq_auction_events_sequence", COPY_ENTRY, f'{{"number": 3, "sequence": 1, "accepted": 1, {KEY}}}'),
    ("auction_events_append_only", "UPDATE auction_events SET amount_minor = 1", None),
    ("auction_events_append_only", "DELETE FROM auction_events", None),
    ("auction_events_append_only", "TRUNCATE auction_events", None),
    ("fk_auctions_leader_of_listing", "UPDATE auctions SET leader_registration_id = STRANGER WHERE sequence > 0", None),
]
REFUSED_AFTER = [
    ("uq_awards_in_force", COPY_AWARD, "{}"),
    ("uq_awards_in_force", "UPDATE awards SET state = 'pending', in_force_at = now() WHERE place = 2", None),
    ("ck_awards_slots_of_lots", "UPDATE awards SET slot = 2 WHERE place = 2", None),
    ("awards_of_lots", "UPDATE awards SET lots = '{A}' WHERE place = 1", None),
    ("ck_awards_of_own_bid", "UPDATE awards SET registration_id = STRANGER WHERE place = 1", None),
    ("fk_awards_auction", "UPDATE awards SET listing_id = CAST(OTHER AS uuid) WHERE place = 2", None),
    ("ck_awards_failed_for_a_cause", "UPDATE awards SET state = 'failed', ended_at = now() WHERE place = 1", None),
    ("defaults_append_only", "DELETE FROM defaults", None),
    ("award_prolongations_append_only", "TRUNCATE award_prolongations", None),
]  # fmt: skip


def refused(stage, rows, *, other, stranger):
    for constraint, statement, more in rows:
        written = statement.replace("STRANGER", f"'{stranger}'").replace("OTHER", f"'{other}'")
        given = {} if more is None else {"more": more.replace("OTHER", f'"{other}"')}
        with stage.sessions() as session, pytest.raises(DBAPIError) as failure:
            session.execute(text(written), given)
        found = failure.value.orig.diag
        assert found.constraint_name == constraint, (written, found.message_primary)


def test_postgresql_itself_refuses(stage):
    people = stage.people
    elsewhere = stage.publish()
    stranger = stage.registered(elsewhere, people.third_buyer)
    listing = stage.live(people.buyer, people.other_buyer)
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE auctions SET closed_at = now(), outcome = 'unsold' WHERE sequence < 0"))
    stage.bid(listing, people.buyer, "120000.00")
    stage.bid(listing, people.other_buyer, "125000.00")
    with stage.sessions.begin() as session:  # the other auction of the statements above is not the first one
        session.execute(text("UPDATE auctions SET closed_at = now(), outcome = 'unsold' WHERE listing_id = :id"),
                        {"id": elsewhere["id"]})  # fmt: skip
        session.execute(text("DELETE FROM auctions WHERE listing_id = :id"), {"id": elsewhere["id"]})
    refused(stage, REFUSED, other=elsewhere["id"], stranger=stranger["id"])
    stage.at(ENDS + timedelta(minutes=10))
    with stage.sessions.begin() as session:
        assert service.close_due(session, stage.clock.now()) == 1
    refused(stage, REFUSED_AFTER, other=elsewhere["id"], stranger=stranger["id"])


def test_a_package_has_one_published_listing(stage):
    listing = stage.publish()
    with stage.sessions() as session, pytest.raises(DBAPIError) as failure:
        session.execute(
            text(
                "INSERT INTO listings SELECT (jsonb_populate_record(l, jsonb_build_object('id', uuidv7()))).*"
                " FROM listings l WHERE id = :id"
            ),
            {"id": listing["id"]},
        )
    assert failure.value.orig.diag.constraint_name == "uq_listings_published_package"
