"""Notices of assignment to the borrowers of sold cases, and the proof of their delivery.

Revision: 0031_assignment_notices, after 0030_log_of_any_length.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031_assignment_notices"
down_revision = "0030_log_of_any_length"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "assignment_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("case_key", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "written",
                "sent",
                "delivered",
                "returned",
                name="notice_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "registered_mail",
                "courier",
                "in_person",
                "notary",
                "newspaper",
                "electronic",
                name="delivery_channel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("sent_on", sa.Date(), nullable=True),
        sa.Column("delivered_on", sa.Date(), nullable=True),
        sa.Column("proof", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state <> 'delivered' OR (delivered_on >= sent_on AND proof <> '')",
            name=op.f("ck_assignment_notices_delivered_with_proof"),
        ),
        sa.CheckConstraint(
            "state = 'written' OR (channel IS NOT NULL AND sent_on IS NOT NULL)",
            name=op.f("ck_assignment_notices_sent_some_way"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_assignment_notices_case_id")),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_assignment_notices_deal_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_files.id"], name=op.f("fk_assignment_notices_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment_notices")),
        sa.UniqueConstraint("deal_id", "case_id", name=op.f("uq_assignment_notices_deal_id_case_id")),
    )
    op.create_index(op.f("ix_assignment_notices_case_id"), "assignment_notices", ["case_id"], unique=False)
    op.execute(
        "CREATE TRIGGER assignment_notices_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF id, deal_id, case_id, "
        "case_key, file_id, written_at ON assignment_notices FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("assignment_notices")
