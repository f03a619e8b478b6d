"""Valuation: appraisals and models.

Revision: 0005_valuation, after 0004_collection.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_valuation"
down_revision = "0004_collection"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "assumption_sets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("assumptions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_assumption_sets_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assumption_sets")),
        sa.UniqueConstraint("organisation_id", "version", name=op.f("uq_assumption_sets_organisation_id_version")),
    )
    op.create_table(
        "appraisals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("valuer_organisation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "engaged",
                "submitted",
                "accepted",
                "rejected",
                "declined",
                name="appraisal_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("independence_statement", sa.String(), nullable=True),
        sa.Column("independence_user_id", sa.Uuid(), nullable=True),
        sa.Column("engaged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report_file_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum("full", "advisory", name="value_kind", native_enum=False, create_constraint=True, length=40),
            nullable=True,
        ),
        sa.Column("methods", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("methods_justification", sa.String(), nullable=False),
        sa.Column("inspection_statement", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=True),
        sa.Column("valued_on", sa.Date(), nullable=True),
        sa.Column("valid_until_on", sa.Date(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('requested', 'declined') OR (independence_statement IS NOT NULL AND engaged_at IS NOT NULL)",
            name=op.f("ck_appraisals_independence_declared"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('submitted', 'accepted', 'rejected') OR (report_file_id IS NOT NULL "
            "AND kind IS NOT NULL AND value_minor >= 0 AND valued_on IS NOT NULL "
            "AND valid_until_on >= valued_on AND submitted_at IS NOT NULL)",
            name=op.f("ck_appraisals_submission_complete"),
        ),
        sa.CheckConstraint(
            "valid_until_on <= valued_on + interval '1 year'", name=op.f("ck_appraisals_valid_at_most_a_year")
        ),
        sa.CheckConstraint(
            "valuer_organisation_id <> organisation_id", name=op.f("ck_appraisals_valuer_is_not_seller")
        ),
        sa.ForeignKeyConstraint(
            ["independence_user_id"], ["users.id"], name=op.f("fk_appraisals_independence_user_id")
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_appraisals_organisation_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_appraisals_package_id")),
        sa.ForeignKeyConstraint(["report_file_id"], ["stored_files.id"], name=op.f("fk_appraisals_report_file_id")),
        sa.ForeignKeyConstraint(
            ["valuer_organisation_id"], ["organisations.id"], name=op.f("fk_appraisals_valuer_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appraisals")),
    )
    op.create_index("ix_appraisals_organisation_id", "appraisals", ["organisation_id", "id"], unique=False)
    op.create_index(op.f("ix_appraisals_package_id"), "appraisals", ["package_id"], unique=False)
    op.create_index(
        "ix_appraisals_valuer_organisation_id", "appraisals", ["valuer_organisation_id", "id"], unique=False
    )
    op.create_table(
        "valuations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("method_version", sa.String(), nullable=False),
        sa.Column("assumption_set_id", sa.Uuid(), nullable=True),
        sa.Column("assumptions_version", sa.String(), nullable=False),
        sa.Column("assumptions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tape_sha256", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("exposure_minor", sa.BigInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("strata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("value_minor >= 0 AND exposure_minor >= 0", name=op.f("ck_valuations_amounts_not_negative")),
        sa.ForeignKeyConstraint(
            ["assumption_set_id"], ["assumption_sets.id"], name=op.f("fk_valuations_assumption_set_id")
        ),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_valuations_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_valuations")),
    )
    op.create_index("ix_valuations_package_id", "valuations", ["package_id", "id"], unique=False)
    op.create_table(
        "appraisal_signers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("appraisal_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["appraisal_id"], ["appraisals.id"], name=op.f("fk_appraisal_signers_appraisal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appraisal_signers")),
        sa.UniqueConstraint(
            "appraisal_id", "certificate_number", name=op.f("uq_appraisal_signers_appraisal_id_certificate_number")
        ),
    )
    op.execute(
        "CREATE TRIGGER assumption_sets_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON assumption_sets "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER valuations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON valuations "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("appraisal_signers")
    op.drop_index("ix_valuations_package_id", table_name="valuations")
    op.drop_table("valuations")
    op.drop_index("ix_appraisals_valuer_organisation_id", table_name="appraisals")
    op.drop_index(op.f("ix_appraisals_package_id"), table_name="appraisals")
    op.drop_index("ix_appraisals_organisation_id", table_name="appraisals")
    op.drop_table("appraisals")
    op.drop_table("assumption_sets")
