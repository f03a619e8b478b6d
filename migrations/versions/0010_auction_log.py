"""The log of an auction for every format.

Revision: 0010_auction_log, after 0009_settlement.
"""

revision = "0010_auction_log"
down_revision = "0009_settlement"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
