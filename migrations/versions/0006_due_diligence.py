"""Due diligence: rooms, documents, disclosures.

Revision: 0006_due_diligence, after 0005_valuation.
"""

from alembic import op

revision = "0006_due_diligence"
down_revision = "0005_valuation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
