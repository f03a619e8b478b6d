"""What the buyer collected on a case that goes back: the seller's books of the case need it.

Revision: 0032_collected_by_buyer, after 0031_assignment_notices.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032_collected_by_buyer"
down_revision = "0031_assignment_notices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        "adjustment_cases", sa.Column("collected_minor", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    op.alter_column("adjustment_cases", "collected_minor", server_default=None)
    op.create_check_constraint("collected_not_negative", "adjustment_cases", "collected_minor >= 0")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("adjustment_cases", "collected_minor")
