"""Auctions: listings, registrations, bids, awards.

Revision: 0007_auctions, after 0006_due_diligence.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_auctions"
down_revision = "0006_due_diligence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _clock()
    op.create_table(
        "listings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("seller_organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "published",
                "closed",
                "withdrawn",
                name="listing_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("title_zh", sa.String(), nullable=True),
        sa.Column("title_en", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("start_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("reserve_minor", sa.BigInteger(), nullable=True),
        sa.Column("increment", postgresql.JSONB(), nullable=True),
        sa.Column("deposit_minor", sa.BigInteger(), nullable=True),
        sa.Column("registration_closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("soft_close_window_seconds", sa.BigInteger(), nullable=False),
        sa.Column("soft_close_extension_seconds", sa.BigInteger(), nullable=False),
        sa.Column("hard_end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("minimum_bidders", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state NOT IN ('published', 'closed') OR (start_price_minor IS NOT NULL AND increment IS NOT NULL"
            " AND deposit_minor IS NOT NULL AND registration_closes_at IS NOT NULL AND opens_at < ends_at"
            " AND ends_at IS NOT NULL AND title_zh IS NOT NULL AND published_at IS NOT NULL)",
            name=op.f("ck_listings_published_complete"),
        ),
        sa.CheckConstraint("deposit_minor >= 0", name=op.f("ck_listings_deposit_not_negative")),
        sa.CheckConstraint("reserve_minor >= 0", name=op.f("ck_listings_reserve_not_negative")),
        sa.CheckConstraint(
            "soft_close_window_seconds >= 0 AND soft_close_extension_seconds >= 0",
            name=op.f("ck_listings_soft_close_positive"),
        ),
        sa.CheckConstraint("start_price_minor > 0", name=op.f("ck_listings_start_price_positive")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_listings_package_id")),
        sa.ForeignKeyConstraint(
            ["seller_organisation_id"], ["organisations.id"], name=op.f("fk_listings_seller_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
    )
    op.create_index(op.f("ix_listings_package_id"), "listings", ["package_id"], unique=False)
    op.create_index(op.f("ix_listings_seller_organisation_id"), "listings", ["seller_organisation_id"], unique=False)
    op.create_index(
        "uq_listings_published_package",
        "listings",
        ["package_id"],
        unique=True,
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "registrations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "applied",
                "approved",
                "refused",
                "withdrawn",
                name="registration_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("bidder_code", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("deposit_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("covered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("reference ~ '^DP-[0-9A-HJKMNP-TV-Z]{8}$'", name=op.f("ck_registrations_reference_form")),
        sa.CheckConstraint("deposit_minor >= 0", name=op.f("ck_registrations_deposit_not_negative")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_registrations_listing_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_registrations_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registrations")),
    )
    op.create_index(op.f("ix_registrations_organisation_id"), "registrations", ["organisation_id"], unique=False)
    op.create_index("uq_registrations_bidder_code", "registrations", ["listing_id", "bidder_code"], unique=True)
    op.create_index(
        "uq_registrations_organisation",
        "registrations",
        ["listing_id", "organisation_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_index("uq_registrations_reference", "registrations", ["reference"], unique=True)
    op.create_table(
        "auctions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.Column("rules_hash", sa.String(), nullable=False),
        sa.Column("reserve_minor", sa.BigInteger(), nullable=True),
        sa.Column("reserve_salt", sa.String(), nullable=False),
        sa.Column("reserve_commitment", sa.String(), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("leader_registration_id", sa.Uuid(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("extensions", sa.BigInteger(), nullable=False),
        sa.Column("last_bid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum(
                "sold",
                "unsold",
                "withdrawn",
                name="auction_outcome",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("log_hash", sa.String(), nullable=True),
        sa.CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name=op.f("ck_auctions_outcome_when_closed")),
        sa.CheckConstraint(
            "(price_minor IS NULL) = (leader_registration_id IS NULL)", name=op.f("ck_auctions_leader_with_price")
        ),
        sa.CheckConstraint("(sequence = 0) = (price_minor IS NULL)", name=op.f("ck_auctions_price_with_first_bid")),
        sa.CheckConstraint("opens_at < ends_at", name=op.f("ck_auctions_times_in_order")),
        sa.ForeignKeyConstraint(
            ["leader_registration_id"], ["registrations.id"], name=op.f("fk_auctions_leader_registration_id")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_auctions_listing_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_auctions_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auctions")),
    )
    op.create_index(
        "ix_auctions_due", "auctions", ["ends_at"], unique=False, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_index("uq_auctions_listing", "auctions", ["listing_id"], unique=True)
    op.create_index(
        "uq_auctions_live_package",
        "auctions",
        ["package_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "awards",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("auction_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("seller_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("runner_up_registration_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "pending",
                "contracted",
                "failed",
                "released",
                name="award_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_minor > 0", name=op.f("ck_awards_price_positive")),
        sa.CheckConstraint("runner_up_registration_id <> registration_id", name=op.f("ck_awards_runner_up_is_another")),
        sa.ForeignKeyConstraint(["auction_id"], ["auctions.id"], name=op.f("fk_awards_auction_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_awards_listing_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_awards_package_id")),
        sa.ForeignKeyConstraint(["registration_id"], ["registrations.id"], name=op.f("fk_awards_registration_id")),
        sa.ForeignKeyConstraint(
            ["runner_up_registration_id"], ["registrations.id"], name=op.f("fk_awards_runner_up_registration_id")
        ),
        sa.ForeignKeyConstraint(
            ["seller_organisation_id"], ["organisations.id"], name=op.f("fk_awards_seller_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awards")),
    )
    op.create_index(op.f("ix_awards_listing_id"), "awards", ["listing_id"], unique=False)
    op.create_index(
        "uq_awards_in_force",
        "awards",
        ["auction_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'contracted')"),
    )
    op.create_index("uq_awards_registration", "awards", ["auction_id", "registration_id"], unique=True)
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
    _order_of_bids()


def _clock() -> None:
    """The one clock of bids, display and closing; whole milliseconds, so that a replay file holds the exact times."""
    op.execute(
        """
        CREATE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
            SELECT date_trunc('milliseconds', clock_timestamp())
        $$
        """
    )


def _order_of_bids() -> None:
    """Sequence without gaps, amounts strictly rising, times never back, nothing changed: held by PostgreSQL itself."""
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


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("bids")
    op.drop_table("awards")
    op.drop_table("auctions")
    op.drop_table("registrations")
    op.drop_table("listings")
    op.execute("DROP FUNCTION check_order_of_bid()")
    op.execute("DROP FUNCTION auction_time()")
