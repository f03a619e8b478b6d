"""After a transfer: notices of the way back, the order in which money is applied on a case, references of adjustments.

Revision: 0035_after_the_transfer, after 0034_netted_collections.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035_after_the_transfer"
down_revision = "0034_netted_collections"
branch_labels = None
depends_on = None

KINDS = sa.Enum("assignment", "reassignment", name="notice_kind", native_enum=False, create_constraint=True, length=40)
FIXED = "id, deal_id, case_id, case_key, file_id, written_at"


def _fix(columns: str) -> None:
    """Say anew what of a notice nobody changes."""
    op.execute("DROP TRIGGER assignment_notices_append_only ON assignment_notices")
    op.execute(
        f"CREATE TRIGGER assignment_notices_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF {columns} "
        "ON assignment_notices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "assignment_notices", sa.Column("kind", KINDS, nullable=False, server_default=sa.text("'assignment'"))
    )
    op.alter_column("assignment_notices", "kind", server_default=None)
    op.drop_constraint(op.f("uq_assignment_notices_deal_id_case_id"), "assignment_notices", type_="unique")
    op.create_unique_constraint(
        op.f("uq_assignment_notices_deal_id_case_id_kind"), "assignment_notices", ["deal_id", "case_id", "kind"]
    )
    _fix(f"{FIXED}, kind")
    _create_orders()
    op.add_column("adjustments", sa.Column("reference", sa.String(), nullable=True))
    op.create_unique_constraint(op.f("uq_adjustments_reference"), "adjustments", ["reference"])
    op.create_index(op.f("ix_deals_registration_id"), "deals", ["registration_id"], unique=False)


def _create_orders() -> None:
    op.create_table(
        "application_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("sets", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_application_orders_says_why")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_application_orders_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_application_orders_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_orders")),
    )
    op.create_index("ix_application_orders_organisation_id", "application_orders", ["organisation_id", "case_id", "id"])
    op.create_index("ix_application_orders_case_id", "application_orders", ["case_id"])
    op.execute(
        "CREATE TRIGGER application_orders_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON application_orders "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index(op.f("ix_deals_registration_id"), table_name="deals")
    op.drop_constraint(op.f("uq_adjustments_reference"), "adjustments", type_="unique")
    op.drop_column("adjustments", "reference")
    op.drop_table("application_orders")
    op.execute("DROP TRIGGER assignment_notices_append_only ON assignment_notices")
    op.execute("DELETE FROM assignment_notices WHERE kind = 'reassignment'")
    op.drop_constraint(op.f("uq_assignment_notices_deal_id_case_id_kind"), "assignment_notices", type_="unique")
    op.create_unique_constraint(
        op.f("uq_assignment_notices_deal_id_case_id"), "assignment_notices", ["deal_id", "case_id"]
    )
    op.drop_column("assignment_notices", "kind")
    op.execute(
        f"CREATE TRIGGER assignment_notices_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF {FIXED} "
        "ON assignment_notices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
