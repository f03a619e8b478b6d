"""Settlement: deals and allocations.

Revision: 0009_settlement, after 0008_money.
"""

from alembic import op

revision = "0009_settlement"
down_revision = "0008_money"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
