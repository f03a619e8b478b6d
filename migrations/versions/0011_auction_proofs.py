"""Receipts, keys, sealed bids, protocols.

Revision: 0011_auction_proofs, after 0010_auction_log.
"""

revision = "0011_auction_proofs"
down_revision = "0010_auction_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
