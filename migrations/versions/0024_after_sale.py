"""What a sale's closing says, what its cases receive in parts, and what moves between buyer and seller after it.

Revision: 0024_after_sale, after 0023_payment_notices.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024_after_sale"
down_revision = "0023_payment_notices"
branch_labels = None
depends_on = None

ADD_UP = """
CREATE FUNCTION {table}_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT t.parent INTO wrong FROM (
        SELECT {key} AS parent, {sums} AS sums FROM {table}
        WHERE {key} IN (SELECT DISTINCT {key} FROM added) GROUP BY {key}
    ) t JOIN {parent} p ON p.id = t.parent WHERE t.sums IS DISTINCT FROM {expected} LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the rows of % in {table} do not add up', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = '{table}_add_up', TABLE = '{table}';
    END IF;
    RETURN NULL;
END $$
"""
"""Looks once at a whole statement: the cases of a parent are written in one statement and add up to it."""

SUMS = (
    ("part_shares", "part_id", "deal_parts", "sum(amount_minor)", "CAST(p.amount_minor AS numeric)"),
    ("adjustment_cases", "adjustment_id", "adjustments", "sum(amount_minor)", "CAST(p.amount_minor AS numeric)"),
    (
        "case_closings",
        "deal_id",
        "deals",
        "(sum(price_minor), sum(net_minor), count(*))",
        "(CAST(p.price_minor AS numeric), CAST(p.net_minor AS numeric), p.case_count)",
    ),
)
"""Table, its key of the parent, the parent, what is added up, and what it must be."""

APPEND_ONLY = ("third_party_claims", "part_shares", "case_closings", "adjustment_cases", "adjustment_covers")
FIXED = {
    "closing_terms": "id, deal_id, terms, reason, proposed_by_id, proposed_by, proposed_at",
    "deal_parts": "id, deal_id, number, amount_minor, currency, reason, proposed_by_id, proposed_by, proposed_at",
    "adjustments": (
        "id, deal_id, kind, amount_minor, currency, value_on, reason, proposed_by_id, proposed_by, proposed_at"
    ),
}
"""Columns of what is decided on later that nobody changes."""


FIRST_PARTS = """
INSERT INTO deal_parts (id, deal_id, number, amount_minor, currency, state, reason, proposed_by, proposed_at,
    decided_by, decided_at)
SELECT uuidv7(), id, 1, net_minor, currency, 'shared_out', '', 'system', distributed_at, 'system', distributed_at
FROM deals WHERE state IN ('distributed', 'settled')
"""
"""What was distributed before had one part: the whole net."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_closings()
    _create_parts()
    _create_adjustments()
    op.execute(FIRST_PARTS)
    for table, key, parent, sums, expected in SUMS:
        op.execute(ADD_UP.format(table=table, key=key, parent=parent, sums=sums, expected=expected))
        op.execute(
            f"CREATE TRIGGER {table}_add_up AFTER INSERT ON {table} REFERENCING NEW TABLE AS added "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_add_up()"
        )
    for table in APPEND_ONLY:
        _refuse(table, "UPDATE OR DELETE OR TRUNCATE")
    for table, columns in FIXED.items():
        _refuse(table, f"DELETE OR TRUNCATE OR UPDATE OF {columns}")


def _refuse(table: str, events: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE {events} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _create_closings() -> None:
    op.create_table(
        "closing_terms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "approved",
                "rejected",
                name="terms_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL)", name=op.f("ck_closing_terms_decided_at_a_time")
        ),
        sa.CheckConstraint(
            "decided_by_id IS NULL OR decided_by_id <> proposed_by_id OR state = 'rejected'",
            name=op.f("ck_closing_terms_four_eyes"),
        ),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_closing_terms_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closing_terms")),
    )
    op.create_index(op.f("ix_closing_terms_deal_id"), "closing_terms", ["deal_id"], unique=False)
    op.create_index(
        "uq_closing_terms_undecided",
        "closing_terms",
        ["deal_id"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )
    op.create_table(
        "third_party_claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "deduction",
                "senior",
                "lien",
                name="third_party_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("claim_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.CheckConstraint(
            "(kind = 'lien') = (case_id IS NOT NULL)", name=op.f("ck_third_party_claims_lien_is_on_a_case")
        ),
        sa.CheckConstraint(
            "paid_minor BETWEEN 0 AND claim_minor", name=op.f("ck_third_party_claims_paid_at_most_claim")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_third_party_claims_case_id")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_third_party_claims_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_third_party_claims")),
    )
    op.create_index(op.f("ix_third_party_claims_case_id"), "third_party_claims", ["case_id"], unique=False)
    op.create_index(op.f("ix_third_party_claims_deal_id"), "third_party_claims", ["deal_id"], unique=False)


def _create_parts() -> None:
    op.create_table(
        "deal_parts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "shared_out",
                "rejected",
                name="part_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name=op.f("ck_deal_parts_decided_at_a_time")),
        sa.CheckConstraint(
            "number = 1 OR (decided_by_id IS NULL OR decided_by_id <> proposed_by_id OR state = 'rejected')",
            name=op.f("ck_deal_parts_four_eyes"),
        ),
        sa.CheckConstraint("amount_minor >= 0 AND number > 0", name=op.f("ck_deal_parts_amount_not_negative")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_deal_parts_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal_parts")),
        sa.UniqueConstraint("deal_id", "number", name=op.f("uq_deal_parts_deal_id_number")),
    )
    op.create_table(
        "part_shares",
        sa.Column("part_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_part_shares_amount_not_negative")),
        sa.ForeignKeyConstraint(["part_id"], ["deal_parts.id"], name=op.f("fk_part_shares_part_id")),
        sa.PrimaryKeyConstraint("part_id", "case_id", name=op.f("pk_part_shares")),
    )
    op.create_table(
        "case_closings",
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("proceeds_minor", sa.BigInteger(), nullable=False),
        sa.Column("costs_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("excess_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "least(costs_minor, interest_minor, principal_minor, excess_minor) >= 0"
            " AND costs_minor + interest_minor + principal_minor + excess_minor = proceeds_minor",
            name=op.f("ck_case_closings_parts_add_up"),
        ),
        sa.CheckConstraint(
            "least(price_minor, proceeds_minor) >= 0 AND proceeds_minor <= net_minor",
            name=op.f("ck_case_closings_within_net"),
        ),
        sa.PrimaryKeyConstraint("deal_id", "case_id", name=op.f("pk_case_closings")),
    )


def _create_adjustments() -> None:
    op.create_table(
        "adjustments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "collections",
                "price",
                "removal",
                "repurchase",
                name="adjustment_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "proposed",
                "approved",
                "settled",
                "rejected",
                name="adjustment_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("covered_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL)", name=op.f("ck_adjustments_decided_at_a_time")
        ),
        sa.CheckConstraint(
            "(state = 'settled') = (covered_minor = amount_minor)", name=op.f("ck_adjustments_settled_is_covered")
        ),
        sa.CheckConstraint("amount_minor <> 0 AND reason <> ''", name=op.f("ck_adjustments_says_what_and_why")),
        sa.CheckConstraint(
            "decided_by_id IS NULL OR decided_by_id <> proposed_by_id OR state = 'rejected'",
            name=op.f("ck_adjustments_four_eyes"),
        ),
        sa.CheckConstraint(
            "covered_minor BETWEEN least(amount_minor, 0) AND greatest(amount_minor, 0)",
            name=op.f("ck_adjustments_covered_at_most_amount"),
        ),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_adjustments_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
    )
    op.create_index(op.f("ix_adjustments_deal_id"), "adjustments", ["deal_id"], unique=False)
    op.create_table(
        "adjustment_cases",
        sa.Column("adjustment_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["adjustment_id"], ["adjustments.id"], name=op.f("fk_adjustment_cases_adjustment_id")),
        sa.PrimaryKeyConstraint("adjustment_id", "case_id", name=op.f("pk_adjustment_cases")),
    )
    op.create_table(
        "adjustment_covers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("adjustment_id", sa.Uuid(), nullable=False),
        sa.Column("statement_line_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("covered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_adjustment_covers_amount_positive")),
        sa.ForeignKeyConstraint(["adjustment_id"], ["adjustments.id"], name=op.f("fk_adjustment_covers_adjustment_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_adjustment_covers_entry_id")),
        sa.ForeignKeyConstraint(
            ["statement_line_id"], ["statement_lines.id"], name=op.f("fk_adjustment_covers_statement_line_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustment_covers")),
    )
    op.create_index(op.f("ix_adjustment_covers_adjustment_id"), "adjustment_covers", ["adjustment_id"], unique=False)
    op.create_index(
        op.f("ix_adjustment_covers_statement_line_id"), "adjustment_covers", ["statement_line_id"], unique=False
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in (
        "adjustment_covers",
        "adjustment_cases",
        "adjustments",
        "case_closings",
        "part_shares",
        "deal_parts",
        "third_party_claims",
        "closing_terms",
    ):
        op.drop_table(table)
    for table, *_ in SUMS:
        op.execute(f"DROP FUNCTION {table}_add_up()")
