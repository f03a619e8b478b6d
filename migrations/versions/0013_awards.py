"""Eligibility, conflicts, award deadlines, webhooks.

Revision: 0013_awards, after 0012_listing_rules.
"""

revision = "0013_awards"
down_revision = "0012_listing_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
