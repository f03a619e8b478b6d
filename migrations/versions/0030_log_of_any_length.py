"""Two small indexes into the log: who was removed, and a bidder's own maxima, however long the log is.

Revision: 0030_log_of_any_length, after 0029_live_door.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030_log_of_any_length"
down_revision = "0029_live_door"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_index(
        "ix_auction_events_voided",
        "auction_events",
        ["auction_id", "registration_id"],
        postgresql_where=sa.text("kind = 'void'"),
    )
    op.create_index(
        "ix_auction_events_maxima",
        "auction_events",
        ["registration_id", "amount_minor"],
        postgresql_where=sa.text("kind = 'maximum'"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_auction_events_maxima", table_name="auction_events")
    op.drop_index("ix_auction_events_voided", table_name="auction_events")
