"""The paper that proves that a notice of assignment was sent or arrived: kept as a file beside the words.

Revision: 0045_notice_proofs, after 0043_planned_lots.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045_notice_proofs"
down_revision = "0043_planned_lots"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("assignment_notices", sa.Column("proof_file_id", sa.Uuid()))
    op.create_foreign_key(
        "fk_assignment_notices_proof_file_id", "assignment_notices", "stored_files", ["proof_file_id"], ["id"]
    )
    op.create_check_constraint(
        "proof_of_a_sent_one", "assignment_notices", "proof_file_id IS NULL OR state <> 'written'"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("assignment_notices", "proof_file_id")
