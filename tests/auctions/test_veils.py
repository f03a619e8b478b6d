"""The sealed phase of a hybrid auction at rest: no amount in any table, nothing to try amounts against, and all of it
comes back for retries, for the taker's phase, for closing and for the bundle."""

import json
from datetime import timedelta

from sqlalchemy import text

from auctions import veils, viewing
from auctions.domain import verification
from marketplace.actor import SYSTEM
from tests.auctions.arena import OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture
from tests.auctions.test_proofs_bundle import made

SEALED = OPENS + timedelta(seconds=30 + 5 * 60 + 20)
BEST = SEALED + timedelta(seconds=600 + 20)


def dump(arena):
    """Every row of every table as text, as a backup has it."""
    with arena.sessions() as session:
        tables = session.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).scalars()
        return {
            table: [str(row) for row in session.execute(text(f'SELECT to_jsonb(t)::text FROM "{table}" t')).scalars()]
            for table in list(tables)
        }


def taken(arena):
    arena.open(rules("hybrid_dutch"))
    arena.at(OPENS + 35 * SECOND)
    assert arena.bid("A", 100, "accept") == 1
    arena.at(SEALED)


def test_no_table_holds_an_amount_of_the_sealed_phase_in_the_clear(arena):
    taken(arena)
    arena.bid("B", 733_142_587, key="b")
    arena.at(SEALED + SECOND)
    arena.bid("C", 424_283_169)
    arena.bid("C", None, "withdraw")
    for needle in ("733142587", "424283169"):
        found = [table for table, rows in dump(arena).items() for row in rows if needle in row]
        assert found == []
    entries = [entry for entry in arena.log() if entry.sequence > 1]
    assert [(entry.amount_minor, bytes(entry.signature)) for entry in entries] == [(None, veils.NO_SIGNATURE)] * 3
    assert all(entry.receipt.startswith(veils.PREFIX) for entry in entries)
    assert arena.row().play.startswith(veils.PREFIX)


def test_all_of_it_comes_back(arena):
    taken(arena)
    first = arena.batch(arena.attempt("B", 150, key="b"))[0]
    again = arena.batch(arena.attempt("B", 150, key="b"))[0]
    assert (again.repeated, again.proof, again.amount.minor) == (True, first.proof, 150_00)
    assert arena.bid("B", 151, key="b") == "idempotency_key_reused"
    arena.at(SEALED + SECOND)
    arena.steer("void", name="C")
    arena.at(BEST)
    assert arena.bid("A", 150) == "below_minimum"
    assert arena.bid("A", 160) is not None
    assert not arena.row().play.startswith(veils.PREFIX)
    with arena.sessions() as session:
        bids = viewing.list_bids(session, auction_id=arena.auction_id, cursor=None, limit=9, actor=SYSTEM)
    assert [bid.amount.minor for bid in bids.items] == [160_00, 150_00, 100_00]
    arena.at(BEST + timedelta(minutes=5))
    assert arena.close() == 1
    assert arena.result() == ("sold", 160, [("A", 160, "pending"), ("B", 150, "waiting")])
    content = made(arena)
    assert verification.verify(content).findings == []
    assert b"veiled:" not in content


def test_an_auction_that_ends_in_its_sealed_phase_closes_from_what_is_veiled(arena):
    taken(arena)
    arena.bid("B", 150)
    arena.bid("B", None, "withdraw")
    assert json.loads(veils.lift(arena.row().play))["play"]["bids"] == []
    arena.at(BEST)
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", 100)
