"""Receipts are signed by the batch: an entry keeps its place in the tree whose root was signed.

Revision: 0029_live_door, after 0028_lots.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029_live_door"
down_revision = "0028_lots"
branch_labels = None
depends_on = None

FORM = "inclusion IS NULL OR (signature IS NOT NULL AND octet_length(inclusion) % 32 = 4)"


def upgrade() -> None:
    """Add the place; entries of before were signed one by one and have none."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("auction_events", sa.Column("inclusion", sa.LargeBinary()))
    op.create_check_constraint("inclusion_form", "auction_events", FORM)


def downgrade() -> None:
    """Take the place away; receipts of batches can no longer be proven."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("auction_events", "inclusion")
