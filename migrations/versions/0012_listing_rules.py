"""Presets, formats and re-listing plans of listings.

Revision: 0012_listing_rules, after 0011_auction_proofs.
"""

revision = "0012_listing_rules"
down_revision = "0011_auction_proofs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
