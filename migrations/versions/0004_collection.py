"""Collection: levels, contacts, receipts.

Revision: 0004_collection, after 0003_cases.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_collection"
down_revision = "0003_cases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "level_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_level_rules_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_level_rules")),
        sa.UniqueConstraint("organisation_id", "version", name=op.f("uq_level_rules_organisation_id_version")),
    )
    op.create_table(
        "case_levels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("rule_version", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_levels_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_levels")),
    )
    op.create_index("ix_case_levels_case_id", "case_levels", ["case_id", "id"], unique=False)
    op.create_table(
        "case_receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "repayment",
                "proceeds",
                "reversal",
                name="receipt_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("other_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("excess_minor", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'reversal' AND amount_minor < 0) OR (kind <> 'reversal' AND amount_minor >= 0)",
            name=op.f("ck_case_receipts_sign"),
        ),
        sa.CheckConstraint(
            "kind = 'proceeds' OR other_minor + interest_minor + principal_minor + excess_minor = amount_minor",
            name=op.f("ck_case_receipts_parts_add_up"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_case_receipts_case_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_case_receipts_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_receipts")),
        sa.UniqueConstraint("source_kind", "source_id", "case_id", name="uq_case_receipts_source"),
    )
    op.create_index("ix_case_receipts_case_id", "case_receipts", ["case_id", "id"], unique=False)
    op.create_table(
        "contact_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column(
            "policy",
            sa.Enum(
                "china_2026",
                "united_states_reg_f",
                name="policy_preset",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "relation",
            sa.Enum(
                "obligor",
                "third_person",
                "stranger",
                name="relation",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "channel",
            sa.Enum(
                "call",
                "sms",
                "email",
                "wechat",
                "visit",
                "video",
                "letter",
                name="channel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("number_fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("number_masked", sa.String(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column(
            "rule",
            sa.Enum(
                "stranger",
                "third_person",
                "quiet_hours",
                "attempts_per_number",
                "calls_in_seven_days",
                "after_conversation",
                name="contact_rule",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("allowed = (rule IS NULL)", name=op.f("ck_contact_records_rule_when_refused")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_contact_records_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_records")),
    )
    op.create_index("ix_contact_records_case_id", "contact_records", ["case_id", "id"], unique=False)
    op.create_table(
        "contact_outcomes",
        sa.Column("contact_record_id", sa.Uuid(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_record_id"], ["contact_records.id"], name=op.f("fk_contact_outcomes_contact_record_id")
        ),
        sa.PrimaryKeyConstraint("contact_record_id", name=op.f("pk_contact_outcomes")),
    )
    op.execute(
        "CREATE TRIGGER level_rules_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON level_rules "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER case_levels_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_levels "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER contact_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON contact_records "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER contact_outcomes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON contact_outcomes "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER case_receipts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_receipts "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("contact_outcomes")
    op.drop_index("ix_contact_records_case_id", table_name="contact_records")
    op.drop_table("contact_records")
    op.drop_index("ix_case_receipts_case_id", table_name="case_receipts")
    op.drop_table("case_receipts")
    op.drop_index("ix_case_levels_case_id", table_name="case_levels")
    op.drop_table("case_levels")
    op.drop_table("level_rules")
