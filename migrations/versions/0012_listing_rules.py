"""Formats, presets, announcements, priority rights, re-listing plans and calendar links of listings.

Revision: 0012_listing_rules, after 0011_auction_proofs.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_listing_rules"
down_revision = "0011_auction_proofs"
branch_labels = None
depends_on = None

_FORMATS = (
    "english", "proxy", "two_phase", "sealed_first_price", "sealed_second_price", "dutch", "hybrid_dutch", "gong",
    "package",
)  # fmt: skip
_COLUMNS = (
    "format", "format_terms", "preset", "zone", "asset_kind", "attempt", "previous_listing_id", "relisting_plan",
    "plan_step", "attempt_interval_seconds", "confirm_above_percent",
)  # fmt: skip
_ENGLISH_COMPLETE = (
    "state NOT IN ('published', 'closed') OR (start_price_minor IS NOT NULL AND increment IS NOT NULL"
    " AND deposit_minor IS NOT NULL AND registration_closes_at IS NOT NULL AND opens_at < ends_at"
    " AND ends_at IS NOT NULL AND title_zh IS NOT NULL AND published_at IS NOT NULL)"
)
_COMPLETE = (
    "state NOT IN ('published', 'closed') OR (deposit_minor IS NOT NULL AND registration_closes_at IS NOT NULL"
    " AND opens_at < ends_at AND ends_at IS NOT NULL AND title_zh IS NOT NULL AND published_at IS NOT NULL"
    " AND (start_price_minor IS NOT NULL OR format = 'package')"
    " AND (increment IS NOT NULL OR format NOT IN ('english', 'proxy', 'two_phase', 'gong')))"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _terms()
    _announcements()
    op.create_table(
        "priority_holders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("bidder_code", sa.String(), nullable=True),
        sa.CheckConstraint("rank > 0", name=op.f("ck_priority_holders_rank_positive")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_priority_holders_listing_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_priority_holders_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_priority_holders")),
        sa.UniqueConstraint("listing_id", "bidder_code", name=op.f("uq_priority_holders_listing_id_bidder_code")),
        sa.UniqueConstraint(
            "listing_id", "organisation_id", name=op.f("uq_priority_holders_listing_id_organisation_id")
        ),
    )
    op.create_table(
        "calendar_feeds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_calendar_feeds_expires_later")),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_calendar_feeds_token_hash_length")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_calendar_feeds_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_calendar_feeds_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feeds")),
    )
    op.create_index("uq_calendar_feeds_token_hash", "calendar_feeds", ["token_hash"], unique=True)
    op.create_index("ix_calendar_feeds_user_id", "calendar_feeds", ["user_id"], unique=False)


def _terms() -> None:
    """Listings of before are English auctions of the preset `plain`: the defaults say so, and are taken away again."""
    asset_kind = _enum("asset_kind", "movables", "real_estate", "rights")
    for column in (
        sa.Column("format", _enum("format_name", *_FORMATS), nullable=False, server_default="english"),
        sa.Column("format_terms", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("preset", sa.String(), nullable=False, server_default="plain"),
        sa.Column("zone", sa.String(), nullable=False, server_default="Asia/Shanghai"),
        sa.Column("asset_kind", asset_kind, nullable=False, server_default="rights"),
        sa.Column("attempt", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("previous_listing_id", sa.Uuid(), nullable=True),
        sa.Column("relisting_plan", postgresql.JSONB(), nullable=True),
        sa.Column("plan_step", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("attempt_interval_seconds", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("confirm_above_percent", sa.BigInteger(), nullable=True, server_default="100"),
    ):
        op.add_column("listings", column)
        if column.server_default is not None:
            op.alter_column("listings", column.name, server_default=None)
    op.create_foreign_key(
        op.f("fk_listings_previous_listing_id"), "listings", "listings", ["previous_listing_id"], ["id"]
    )
    op.drop_constraint(op.f("ck_listings_published_complete"), "listings")
    op.create_check_constraint(op.f("ck_listings_published_complete"), "listings", _COMPLETE)
    op.create_check_constraint(
        op.f("ck_listings_later_attempt_of_another"),
        "listings",
        "attempt = 1 OR (attempt > 1 AND previous_listing_id IS NOT NULL)",
    )
    op.create_check_constraint(
        op.f("ck_listings_plan_step_within_attempts"), "listings", "plan_step >= 0 AND plan_step < attempt"
    )
    op.create_check_constraint(
        op.f("ck_listings_attempt_interval_bounded"), "listings", "attempt_interval_seconds BETWEEN 0 AND 60"
    )
    op.create_check_constraint(op.f("ck_listings_confirm_above_positive"), "listings", "confirm_above_percent > 0")
    op.create_index(
        "uq_listings_planned_successor",
        "listings",
        ["previous_listing_id"],
        unique=True,
        postgresql_where=sa.text("plan_step > 0"),
    )


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def _announcements() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("preset", sa.String(), nullable=False),
        sa.Column("preset_version", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0 AND preset_version > 0", name=op.f("ck_announcements_versions_positive")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_announcements_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
        sa.UniqueConstraint("listing_id", "version", name=op.f("uq_announcements_listing_id_version")),
    )
    op.execute(
        "CREATE TRIGGER announcements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON announcements "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in ("calendar_feeds", "priority_holders", "announcements"):
        op.drop_table(table)
    op.drop_index("uq_listings_planned_successor", table_name="listings")
    for constraint in (
        "confirm_above_positive", "attempt_interval_bounded", "plan_step_within_attempts", "later_attempt_of_another",
        "published_complete",
    ):  # fmt: skip
        op.drop_constraint(op.f(f"ck_listings_{constraint}"), "listings")
    for column in reversed(_COLUMNS):
        op.drop_column("listings", column)
    op.create_check_constraint(op.f("ck_listings_published_complete"), "listings", _ENGLISH_COMPLETE)
