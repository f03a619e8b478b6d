"""A price that is distributed as it comes: its instalments, whom each pays, what each case has of it.

Revision: 0033_instalments, after 0032_collected_by_buyer.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033_instalments"
down_revision = "0032_collected_by_buyer"
branch_labels = None
depends_on = None

ADD_UP = """
CREATE FUNCTION instalment_shares_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT p.id INTO wrong FROM (
        SELECT instalment_id, (sum(net_minor), sum(lien_minor), count(*)) AS sums FROM instalment_shares
        WHERE instalment_id IN (SELECT DISTINCT instalment_id FROM added) GROUP BY instalment_id
    ) t JOIN deal_instalments p ON p.id = t.instalment_id WHERE t.sums IS DISTINCT FROM
        (CAST(p.net_minor AS numeric), CAST(p.liens_minor AS numeric), p.case_count) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'the rows of % in instalment_shares do not add up', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'instalment_shares_add_up', TABLE = 'instalment_shares';
    END IF;
    RETURN NULL;
END $$
"""
"""Looks once at a whole statement: the cases of an instalment are written in one statement and add up to it."""

TABLES = ("deal_instalments", "instalment_payments", "instalment_shares")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("deals", sa.Column("distributed_minor", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.alter_column("deals", "distributed_minor", server_default=None)
    op.execute("UPDATE deals SET distributed_minor = price_minor WHERE state IN ('distributed', 'settled')")
    op.create_check_constraint(
        op.f("ck_deals_distributed_is_received"),
        "deals",
        "distributed_minor BETWEEN 0 AND deposit_minor + received_minor + waived_minor",
    )
    _create_instalments()
    _create_payments()
    _create_shares()
    op.execute(ADD_UP)
    op.execute(
        "CREATE TRIGGER instalment_shares_add_up AFTER INSERT ON instalment_shares REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION instalment_shares_add_up()"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _create_instalments() -> None:
    op.create_table(
        "deal_instalments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("receipt_entry_id", sa.Uuid(), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("deducted_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("liens_minor", sa.BigInteger(), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), nullable=False),
        sa.Column("case_count", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("distributed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "received_minor > 0 AND received_minor = deducted_minor + net_minor",
            name=op.f("ck_deal_instalments_adds_up"),
        ),
        sa.CheckConstraint(
            "least(deducted_minor, net_minor, liens_minor, held_minor) >= 0",
            name=op.f("ck_deal_instalments_amounts_not_negative"),
        ),
        sa.CheckConstraint("liens_minor + held_minor <= net_minor", name=op.f("ck_deal_instalments_within_net")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_deal_instalments_deal_id")),
        sa.ForeignKeyConstraint(["id"], ["deal_parts.id"], name=op.f("fk_deal_instalments_id")),
        sa.ForeignKeyConstraint(
            ["receipt_entry_id"], ["entries.id"], name=op.f("fk_deal_instalments_receipt_entry_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal_instalments")),
        sa.UniqueConstraint("deal_id", "number", name=op.f("uq_deal_instalments_deal_id_number")),
        sa.UniqueConstraint("receipt_entry_id", name=op.f("uq_deal_instalments_receipt_entry_id")),
    )


def _create_payments() -> None:
    op.create_table(
        "instalment_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instalment_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("is_lien", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("payee", sa.String(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_instalment_payments_amount_positive")),
        sa.CheckConstraint("NOT is_lien OR claim_id IS NOT NULL", name=op.f("ck_instalment_payments_lien_is_a_claim")),
        sa.ForeignKeyConstraint(["claim_id"], ["third_party_claims.id"], name=op.f("fk_instalment_payments_claim_id")),
        sa.ForeignKeyConstraint(
            ["instalment_id"], ["deal_instalments.id"], name=op.f("fk_instalment_payments_instalment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instalment_payments")),
        sa.UniqueConstraint("instalment_id", "position", name=op.f("uq_instalment_payments_instalment_id_position")),
    )


def _create_shares() -> None:
    op.create_table(
        "instalment_shares",
        sa.Column("instalment_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("lien_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("weight >= 0", name=op.f("ck_instalment_shares_weight_not_negative")),
        sa.CheckConstraint("lien_minor BETWEEN 0 AND net_minor", name=op.f("ck_instalment_shares_lien_within_net")),
        sa.ForeignKeyConstraint(
            ["instalment_id"], ["deal_instalments.id"], name=op.f("fk_instalment_shares_instalment_id")
        ),
        sa.PrimaryKeyConstraint("instalment_id", "case_id", name=op.f("pk_instalment_shares")),
    )
    op.create_index(op.f("ix_instalment_shares_case_id"), "instalment_shares", ["case_id"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION instalment_shares_add_up()")
    op.drop_constraint(op.f("ck_deals_distributed_is_received"), "deals", type_="check")
    op.drop_column("deals", "distributed_minor")
