"""Cases, tapes and packages.

Revision: 0003_cases, after 0002_parties.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_cases"
down_revision = "0002_parties"
branch_labels = None
depends_on = None

_FIGURES = (
    "case_key, principal_minor, interest_minor, other_minor, days_past_due, as_of_on, security, litigation, grade, "
    "collateral_value_minor, prior_liens_minor, registered_cap_minor, borrower_fingerprint"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "packages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("criteria", postgresql.JSONB(), nullable=False),
        sa.Column("remark", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "frozen",
                "listed",
                "sold",
                "cancelled",
                name="package_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("cut_off_on", sa.Date(), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("header", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'cancelled') OR (cut_off_on IS NOT NULL AND frozen_at IS NOT NULL)",
            name=op.f("ck_packages_frozen_at_cut_off"),
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_packages_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
    )
    op.create_index("ix_packages_organisation_id", "packages", ["organisation_id", "id"], unique=False)
    op.create_table(
        "tape_mappings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_tape_mappings_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tape_mappings")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_tape_mappings_organisation_id_name")),
    )
    op.create_table(
        "strata",
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column(
            "dimension",
            sa.Enum(
                "security",
                "days_past_due",
                "litigation",
                "size",
                "province",
                name="dimension",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("loans", sa.BigInteger(), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("other_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_strata_package_id")),
        sa.PrimaryKeyConstraint("package_id", "dimension", "position", name=op.f("pk_strata")),
        sa.UniqueConstraint("package_id", "dimension", "value", name=op.f("uq_strata_package_id_dimension_value")),
    )
    op.create_table(
        "tape_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("cut_off_on", sa.Date(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_tape_versions_number_from_one")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_tape_versions_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tape_versions")),
        sa.UniqueConstraint("package_id", "number", name=op.f("uq_tape_versions_package_id_number")),
    )
    op.create_table(
        "tapes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("mapping_id", sa.Uuid(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column(
            "on_error",
            sa.Enum("keep_good", "refuse_all", name="on_error", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "received",
                "importing",
                "imported",
                "refused",
                name="tape_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bad_rows", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("problem", postgresql.JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("added + updated + unchanged <= rows", name=op.f("ck_tapes_outcomes_within_rows")),
        sa.CheckConstraint("bad_rows >= 0 AND bad_rows <= rows", name=op.f("ck_tapes_bad_rows_within_rows")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_tapes_file_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_tapes_job_id")),
        sa.ForeignKeyConstraint(["mapping_id"], ["tape_mappings.id"], name=op.f("fk_tapes_mapping_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_tapes_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tapes")),
        sa.UniqueConstraint("organisation_id", "id", name=op.f("uq_tapes_organisation_id_id")),
    )
    op.create_index(
        "uq_tapes_content",
        "tapes",
        ["organisation_id", "sha256", "mapping_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state <> 'refused'"),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("tape_id", sa.Uuid(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=True),
        sa.Column(
            "customer_type",
            sa.Enum("person", "company", name="customer_type", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("other_minor", sa.BigInteger(), nullable=False),
        sa.Column("days_past_due", sa.BigInteger(), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("default_on", sa.Date(), nullable=True),
        sa.Column("originated_on", sa.Date(), nullable=True),
        sa.Column(
            "grade",
            sa.Enum(
                "normal",
                "special_mention",
                "substandard",
                "doubtful",
                "loss",
                name="grade",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "litigation",
            sa.Enum(
                "not_sued",
                "in_litigation",
                "sued",
                "in_arbitration",
                "arbitrated",
                "judged_not_enforced",
                "in_enforcement",
                "enforcement_withdrawn",
                "enforcement_suspended",
                "enforcement_ended",
                "enforcement_ended_this_time",
                "settled",
                "other",
                name="litigation",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("written_off", sa.Boolean(), nullable=False),
        sa.Column(
            "security",
            sa.Enum(
                "unsecured",
                "guaranteed",
                "pledged",
                "mortgaged",
                name="security",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("province", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("borrower_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "bundled",
                "sold",
                "archived",
                "withdrawn",
                name="case_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("credit_limit_minor >= 0", name=op.f("ck_cases_credit_limit_not_negative")),
        sa.CheckConstraint("days_past_due >= 0", name=op.f("ck_cases_days_past_due_not_negative")),
        sa.CheckConstraint(
            "octet_length(borrower_fingerprint) = 32", name=op.f("ck_cases_borrower_fingerprint_length")
        ),
        sa.CheckConstraint(
            "principal_minor >= 0 AND interest_minor >= 0 AND other_minor >= 0",
            name=op.f("ck_cases_balances_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "tape_id"],
            ["tapes.organisation_id", "tapes.id"],
            name=op.f("fk_cases_organisation_id_tape_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("organisation_id", "case_key", name=op.f("uq_cases_organisation_id_case_key")),
    )
    op.create_index("ix_cases_organisation_id_state", "cases", ["organisation_id", "state", "id"], unique=False)
    op.create_table(
        "tape_errors",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tape_id", sa.Uuid(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("column_header", sa.String(), nullable=False),
        sa.Column("found", sa.String(), nullable=False),
        sa.Column("allowed", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tape_id"], ["tapes.id"], name=op.f("fk_tape_errors_tape_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tape_errors")),
    )
    op.create_index("ix_tape_errors_tape_id", "tape_errors", ["tape_id", "row_number"], unique=False)
    op.create_table(
        "collaterals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("value_minor", sa.BigInteger(), nullable=True),
        sa.Column("prior_liens_minor", sa.BigInteger(), nullable=True),
        sa.Column("registered_cap_minor", sa.BigInteger(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.CheckConstraint(
            "value_minor >= 0 AND prior_liens_minor >= 0 AND registered_cap_minor >= 0",
            name=op.f("ck_collaterals_amounts_not_negative"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_collaterals_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collaterals")),
        sa.UniqueConstraint("case_id", name=op.f("uq_collaterals_case_id")),
    )
    op.create_table(
        "obligors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("borrower", "guarantor", name="obligor_role", native_enum=False, create_constraint=True, length=40),
            nullable=False,
        ),
        sa.Column("masked_name", sa.String(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "identity_kind",
            sa.Enum(
                "resident_id",
                "company_code",
                "other",
                "none",
                name="identity_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("content_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("birth_year", sa.BigInteger(), nullable=True),
        sa.Column(
            "sex",
            sa.Enum("male", "female", name="sex", native_enum=False, create_constraint=True, length=40),
            nullable=True,
        ),
        sa.Column("province", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(identity_kind = 'none') = (identity_sealed IS NULL)", name=op.f("ck_obligors_identity_sealed_when_given")
        ),
        sa.CheckConstraint(
            "(identity_sealed IS NULL) = (fingerprint IS NULL)", name=op.f("ck_obligors_fingerprint_with_identity")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_obligors_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligors")),
        sa.UniqueConstraint("case_id", "role", name=op.f("uq_obligors_case_id_role")),
    )
    op.create_index("ix_obligors_fingerprint", "obligors", ["fingerprint"], unique=False)
    op.create_table(
        "package_cases",
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=True),
        sa.Column("customer_type", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("other_minor", sa.BigInteger(), nullable=False),
        sa.Column("days_past_due", sa.BigInteger(), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("default_on", sa.Date(), nullable=True),
        sa.Column("originated_on", sa.Date(), nullable=True),
        sa.Column("grade", sa.String(), nullable=True),
        sa.Column("litigation", sa.String(), nullable=False),
        sa.Column("written_off", sa.Boolean(), nullable=False),
        sa.Column("security", sa.String(), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("province", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("borrower_fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("borrower_masked_name", sa.String(), nullable=False),
        sa.Column("borrower_birth_year", sa.BigInteger(), nullable=True),
        sa.Column("borrower_sex", sa.String(), nullable=True),
        sa.Column("borrower_province", sa.String(), nullable=True),
        sa.Column("guaranteed", sa.Boolean(), nullable=False),
        sa.Column("collateral_kind", sa.String(), nullable=True),
        sa.Column("collateral_value_minor", sa.BigInteger(), nullable=True),
        sa.Column("prior_liens_minor", sa.BigInteger(), nullable=True),
        sa.Column("registered_cap_minor", sa.BigInteger(), nullable=True),
        sa.Column("collateral_city", sa.String(), nullable=True),
        sa.CheckConstraint(
            "principal_minor >= 0 AND interest_minor >= 0 AND other_minor >= 0",
            name=op.f("ck_package_cases_balances_not_negative"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_package_cases_case_id")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_package_cases_package_id")),
        sa.PrimaryKeyConstraint("package_id", "case_id", name=op.f("pk_package_cases")),
    )
    op.create_index(
        "uq_package_cases_live", "package_cases", ["case_id"], unique=True, postgresql_where=sa.text("live")
    )

    op.execute(
        "CREATE TRIGGER tape_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tape_versions "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER package_cases_figures_fixed BEFORE DELETE OR UPDATE OF {_FIGURES} ON package_cases "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")

    op.drop_index("uq_package_cases_live", table_name="package_cases", postgresql_where=sa.text("live"))
    op.drop_table("package_cases")
    op.drop_index("ix_obligors_fingerprint", table_name="obligors")
    op.drop_table("obligors")
    op.drop_table("collaterals")
    op.drop_index("ix_tape_errors_tape_id", table_name="tape_errors")
    op.drop_table("tape_errors")
    op.drop_index("ix_cases_organisation_id_state", table_name="cases")
    op.drop_table("cases")
    op.drop_index(
        "uq_tapes_content",
        table_name="tapes",
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state <> 'refused'"),
    )
    op.drop_table("tapes")
    op.drop_table("tape_versions")
    op.drop_table("strata")
    op.drop_table("tape_mappings")
    op.drop_index("ix_packages_organisation_id", table_name="packages")
    op.drop_table("packages")
