"""The log of an auction for every format: numbered, chained, and never changed. The bids of before move into it.

Revision: 0010_auction_log, after 0009_settlement.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_auction_log"
down_revision = "0009_settlement"
branch_labels = None
depends_on = None

_DECIMALS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _auctions()
    _events()
    _move_bids()
    _hold_order()
    op.drop_table("bids")
    op.execute("DROP FUNCTION check_order_of_bid()")
    op.drop_column("auctions", "last_bid_at")
    _awards()


def _auctions() -> None:
    op.create_unique_constraint("uq_registrations_of_listing", "registrations", ["id", "listing_id"])
    op.create_unique_constraint("uq_auctions_of_listing", "auctions", ["id", "listing_id"])
    for column in (
        sa.Column("attempt_interval_seconds", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("confirm_above_percent", sa.BigInteger(), server_default="100", nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("head", sa.LargeBinary(), nullable=True),
        sa.Column("play", sa.Text(), nullable=True),
    ):
        op.add_column("auctions", column)
    op.drop_constraint("fk_auctions_leader_registration_id", "auctions", type_="foreignkey")
    op.create_foreign_key(
        "fk_auctions_leader_of_listing",
        "auctions",
        "registrations",
        ["leader_registration_id", "listing_id"],
        ["id", "listing_id"],
    )
    op.drop_constraint(op.f("ck_auctions_price_with_first_bid"), "auctions", type_="check")
    op.drop_constraint(op.f("ck_auctions_leader_with_price"), "auctions", type_="check")


def _events() -> None:
    op.create_table(
        "auction_events",
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "bid",
                "maximum",
                "accept",
                "withdraw",
                "suspend",
                "resume",
                "void",
                name="entry_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("lots", postgresql.JSONB(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("leader", sa.String(), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("extensions", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_digest", sa.LargeBinary(), nullable=True),
        sa.Column("actor_user_id", sa.Uuid(), nullable=True),
        sa.Column("actor_api_key_id", sa.Uuid(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "number > 0 AND accepted BETWEEN 0 AND number", name=op.f("ck_auction_events_numbers_positive")
        ),
        sa.CheckConstraint(
            "(sequence IS NOT NULL) = (kind NOT IN ('suspend', 'resume', 'void'))",
            name=op.f("ck_auction_events_sequence_of_attempt"),
        ),
        sa.CheckConstraint("sequence = accepted", name=op.f("ck_auction_events_sequence_counts")),
        sa.CheckConstraint(
            "(idempotency_digest IS NOT NULL) = (kind NOT IN ('suspend', 'resume', 'void'))",
            name=op.f("ck_auction_events_key_of_attempt"),
        ),
        sa.CheckConstraint(
            "(registration_id IS NULL) = (kind IN ('suspend', 'resume'))", name=op.f("ck_auction_events_whose")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_auction_events_amount_positive")),
        sa.CheckConstraint(
            "amount_minor IS NOT NULL OR kind NOT IN ('bid', 'maximum', 'accept')",
            name=op.f("ck_auction_events_amount_of_attempt"),
        ),
        sa.CheckConstraint(
            "amount_minor IS NULL OR kind IN ('bid', 'maximum', 'accept')",
            name=op.f("ck_auction_events_amount_only_of_attempt"),
        ),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_auction_events_hash_length")),
        sa.CheckConstraint("(receipt IS NULL) = (signature IS NULL)", name=op.f("ck_auction_events_receipt_signed")),
        sa.ForeignKeyConstraint(
            ["auction_id", "listing_id"], ["auctions.id", "auctions.listing_id"], name="fk_auction_events_auction"
        ),
        sa.ForeignKeyConstraint(
            ["registration_id", "listing_id"],
            ["registrations.id", "registrations.listing_id"],
            name="fk_auction_events_registration",
        ),
        sa.PrimaryKeyConstraint("auction_id", "number", name=op.f("pk_auction_events")),
    )
    op.create_index("uq_auction_events_sequence", "auction_events", ["auction_id", "sequence"], unique=True)
    op.create_index(
        "uq_auction_events_idempotency", "auction_events", ["registration_id", "idempotency_digest"], unique=True
    )


def _move_bids() -> None:
    """Every accepted bid becomes an entry. They were never signed, so the chain is over what is known of them."""
    connection = op.get_bind()
    query = """
        SELECT b.*, a.listing_id, a.currency, a.rules_hash, a.rules, r.bidder_code
        FROM bids b JOIN auctions a ON a.id = b.auction_id JOIN registrations r ON r.id = b.registration_id
        ORDER BY b.auction_id, b.sequence
    """
    auction_id, head, end, moved = None, b"", None, 0
    for bid in connection.execute(sa.text(query)).mappings().all():
        if bid["auction_id"] != auction_id:
            auction_id, head, moved = bid["auction_id"], bytes.fromhex(bid["rules_hash"].removeprefix("sha256:")), 0
            end = datetime.fromisoformat(json.loads(bid["rules"])["ends_at"])
        moved += bid["ends_at"] > end
        end = bid["ends_at"]
        head = hashlib.sha256(head + _record(bid, moved)).digest()
        digest = hashlib.sha256(bid["idempotency_key"].encode()).digest()
        connection.execute(
            sa.text(
                """
                INSERT INTO auction_events (auction_id, number, listing_id, kind, sequence, accepted, registration_id,
                    amount_minor, reason, at, price_minor, leader, ends_at, extensions, idempotency_digest,
                    actor_user_id, actor_api_key_id, hash)
                VALUES (:auction_id, :sequence, :listing_id, 'bid', :sequence, :sequence, :registration_id,
                    :amount_minor, '', :at, :amount_minor, :bidder_code, :ends_at, :moved, :digest,
                    :actor_user_id, :actor_api_key_id, :head)
                """
            ),
            dict(bid) | {"moved": moved, "digest": digest, "head": head},
        )
    op.execute(
        """
        UPDATE auctions a SET number = e.number, head = e.hash, last_event_at = e.at
        FROM auction_events e WHERE e.auction_id = a.id AND e.number = a.sequence
        """
    )
    for name, condition in {
        "numbers_not_negative": "sequence >= 0 AND number >= 0",
        "head_with_first_entry": "(number = 0) = (head IS NULL)",
        "price_needs_attempt": "sequence > 0 OR price_minor IS NULL",
        "leader_has_price": "leader_registration_id IS NULL OR price_minor IS NOT NULL",
        "attempt_interval_bounded": "attempt_interval_seconds BETWEEN 0 AND 60",
        "confirm_above_positive": "confirm_above_percent > 0",
    }.items():
        op.create_check_constraint(op.f(f"ck_auctions_{name}"), "auctions", condition)


def _record(bid: Any, extensions: int) -> bytes:
    """Return what the chain says of a bid that was made before receipts were signed."""
    record = {
        "amount": _text(bid["amount_minor"], bid["currency"]), "at": _instant(bid["at"]), "bidder": bid["bidder_code"],
        "ends_at": _instant(bid["ends_at"]), "extensions": extensions, "kind": "bid", "sequence": bid["sequence"],
    }  # fmt: skip
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _text(minor: int, currency: str) -> str:
    decimals = _DECIMALS.get(currency, 2)
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _instant(at: datetime) -> str:
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _hold_order() -> None:
    """No gap in the numbers, times never back, prices never lower but by a void, nothing changed: held by PostgreSQL.

    Once for each statement, so that a batch of many attempts is checked in one go.
    """
    op.execute(
        """
        CREATE FUNCTION check_order_of_auction_events() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            wrong record;
        BEGIN
            WITH edge AS (SELECT auction_id, min(number) - 1 AS number FROM added GROUP BY auction_id),
            known AS (
                SELECT false AS fresh, e.auction_id, e.number, e.sequence, e.accepted, e.kind, e.at, e.price_minor,
                    e.ends_at
                FROM auction_events e JOIN edge USING (auction_id, number)
                UNION ALL
                SELECT true, auction_id, number, sequence, accepted, kind, at, price_minor, ends_at FROM added
            ),
            pairs AS (
                SELECT *, lag(number) OVER log AS number_before, lag(accepted) OVER log AS accepted_before,
                    lag(at) OVER log AS at_before, lag(price_minor) OVER log AS price_before,
                    lag(ends_at) OVER log AS ends_before
                FROM known WINDOW log AS (PARTITION BY auction_id ORDER BY number)
            )
            SELECT auction_id, number INTO wrong FROM pairs
            WHERE fresh AND (
                number <> coalesce(number_before, 0) + 1
                OR accepted <> coalesce(accepted_before, 0) + CASE WHEN sequence IS NULL THEN 0 ELSE 1 END
                OR at < at_before
                OR (kind <> 'void' AND price_minor < price_before)
                OR (kind <> 'accept' AND ends_at < ends_before)
            )
            LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'entry % of auction % is out of order', wrong.number, wrong.auction_id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_auction_events_in_order',
                    TABLE = 'auction_events';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER auction_events_in_order AFTER INSERT ON auction_events REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION check_order_of_auction_events()"
    )
    op.execute(
        "CREATE TRIGGER auction_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON auction_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _awards() -> None:
    """An award belongs to its auction: listing and registration are that auction's, and its bidder has a bid in it."""
    for column in ("auction_id", "registration_id", "runner_up_registration_id"):
        op.drop_constraint(f"fk_awards_{column}", "awards", type_="foreignkey")
    op.create_foreign_key("fk_awards_auction", "awards", "auctions", ["auction_id", "listing_id"], ["id", "listing_id"])
    op.create_foreign_key(
        "fk_awards_registration", "awards", "registrations", ["registration_id", "listing_id"], ["id", "listing_id"]
    )
    op.create_foreign_key(
        "fk_awards_runner_up",
        "awards",
        "registrations",
        ["runner_up_registration_id", "listing_id"],
        ["id", "listing_id"],
    )
    op.execute(
        """
        CREATE FUNCTION check_award_of_own_bid() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT log_hash IS NOT NULL FROM auctions WHERE id = NEW.auction_id)
                AND NOT EXISTS (
                    SELECT FROM auction_events WHERE registration_id = NEW.registration_id AND kind <> 'void'
                )
                AND NOT EXISTS (
                    SELECT FROM opened_boxes
                    WHERE auction_id = NEW.auction_id AND registration_id = NEW.registration_id
                )
            THEN
                RAISE EXCEPTION 'award % is for a bidder without a bid in this auction', NEW.id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_awards_of_own_bid', TABLE = 'awards';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER awards_of_own_bid BEFORE INSERT OR UPDATE OF auction_id, registration_id ON awards "
        "FOR EACH ROW EXECUTE FUNCTION check_award_of_own_bid()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _awards_before()
    op.add_column("auctions", sa.Column("last_bid_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE auctions SET last_bid_at = last_event_at")
    _bids_before()
    op.drop_table("auction_events")
    op.execute("DROP FUNCTION check_order_of_auction_events()")
    for name in (
        "numbers_not_negative",
        "head_with_first_entry",
        "price_needs_attempt",
        "leader_has_price",
        "attempt_interval_bounded",
        "confirm_above_positive",
    ):
        op.drop_constraint(op.f(f"ck_auctions_{name}"), "auctions", type_="check")
    op.create_check_constraint(
        op.f("ck_auctions_price_with_first_bid"), "auctions", "(sequence = 0) = (price_minor IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_auctions_leader_with_price"),
        "auctions",
        "(price_minor IS NULL) = (leader_registration_id IS NULL)",
    )
    op.drop_constraint("fk_auctions_leader_of_listing", "auctions", type_="foreignkey")
    op.create_foreign_key(
        "fk_auctions_leader_registration_id", "auctions", "registrations", ["leader_registration_id"], ["id"]
    )
    for column in (
        "play",
        "head",
        "last_event_at",
        "number",
        "suspended_at",
        "confirm_above_percent",
        "attempt_interval_seconds",
    ):
        op.drop_column("auctions", column)
    op.drop_constraint("uq_auctions_of_listing", "auctions", type_="unique")
    op.drop_constraint("uq_registrations_of_listing", "registrations", type_="unique")


def _awards_before() -> None:
    op.execute("DROP TRIGGER awards_of_own_bid ON awards")
    op.execute("DROP FUNCTION check_award_of_own_bid()")
    for name in ("fk_awards_runner_up", "fk_awards_registration", "fk_awards_auction"):
        op.drop_constraint(name, "awards", type_="foreignkey")
    for column, table in {
        "auction_id": "auctions",
        "registration_id": "registrations",
        "runner_up_registration_id": "registrations",
    }.items():
        op.create_foreign_key(f"fk_awards_{column}", "awards", table, [column], ["id"])


def _bids_before() -> None:
    """The table of English bids as it was; the keys stay digests."""
    op.create_table(
        "bids",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("actor_user_id", sa.Uuid(), nullable=True),
        sa.Column("actor_api_key_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_bids_amount_positive")),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_bids_sequence_positive")),
        sa.ForeignKeyConstraint(["auction_id"], ["auctions.id"], name=op.f("fk_bids_auction_id")),
        sa.ForeignKeyConstraint(["registration_id"], ["registrations.id"], name=op.f("fk_bids_registration_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bids")),
    )
    op.create_index("uq_bids_idempotency_key", "bids", ["registration_id", "idempotency_key"], unique=True)
    op.create_index("uq_bids_sequence", "bids", ["auction_id", "sequence"], unique=True)
    op.execute(
        """
        INSERT INTO bids SELECT gen_random_uuid(), auction_id, sequence, registration_id, amount_minor, at, ends_at,
            encode(idempotency_digest, 'hex'), actor_user_id, actor_api_key_id
        FROM auction_events WHERE kind = 'bid' ORDER BY auction_id, sequence
        """
    )
    op.execute(
        """
        CREATE FUNCTION check_order_of_bid() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            previous record;
        BEGIN
            SELECT sequence, amount_minor, at INTO previous
            FROM bids WHERE auction_id = NEW.auction_id ORDER BY sequence DESC LIMIT 1;
            IF NEW.sequence <> coalesce(previous.sequence, 0) + 1
               OR NEW.amount_minor <= coalesce(previous.amount_minor, 0)
               OR NEW.at < previous.at THEN
                RAISE EXCEPTION 'bid % of auction % is out of order', NEW.sequence, NEW.auction_id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_bids_in_order', TABLE = 'bids';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute("CREATE TRIGGER bids_in_order BEFORE INSERT ON bids FOR EACH ROW EXECUTE FUNCTION check_order_of_bid()")
    op.execute(
        "CREATE TRIGGER bids_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bids "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
