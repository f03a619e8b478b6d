"""Valuation: appraisals and models.

Revision: 0005_valuation, after 0004_collection.
"""

from alembic import op

revision = "0005_valuation"
down_revision = "0004_collection"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
